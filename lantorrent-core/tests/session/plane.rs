//! The data plane: the payload as far as it is here, and its way to each child. It decides nothing.

use std::collections::VecDeque;

use lantorrent_core::session::{Control, Input, LinkId};
use lantorrent_core::wire::{Digest, Frame, PayloadWriter, Sum};

use crate::link::{ConnId, Side};
use crate::machine::Happening;
use crate::net::Net;

/// One frame's worth of the file.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) offset: u64,
    pub(crate) span: u64,
    pub(crate) digest: Option<Digest>,
    pub(crate) hole: bool,
}

impl Item {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.span
    }
}

/// The payload, all of it in memory.
#[derive(Debug, Default)]
pub(crate) struct Plane {
    pub(crate) data: Vec<u8>,
    pub(crate) items: Vec<Item>,
    pub(crate) end: Option<(u64, Sum)>,
}

impl Plane {
    pub(crate) fn received(&self) -> u64 {
        self.data.len() as u64
    }

    pub(crate) fn push(&mut self, item: Item, data: &[u8]) {
        assert_eq!(item.offset, self.received(), "the payload has no gap");
        if item.hole {
            self.data.resize(item.end() as usize, 0);
        } else {
            self.data.extend_from_slice(data);
        }
        self.items.push(item);
    }

    /// The item that begins at `position`.
    pub(crate) fn at(&self, position: u64) -> Option<&Item> {
        let place = self.items.partition_point(|item| item.offset < position);
        self.items.get(place)
    }

    pub(crate) fn bytes(&self, item: &Item) -> &[u8] {
        &self.data[item.offset as usize..item.end() as usize]
    }
}

/// One child: what still has to be written to it.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) conn: ConnId,
    link: LinkId,
    out: VecDeque<u8>,
    /// What the session hears when `out` is written.
    after: Option<Input<'static>>,
    sends: VecDeque<Vec<u8>>,
    controls: VecDeque<Control>,
    /// How far it is, once it is fed.
    pub(crate) position: Option<u64>,
    over: bool,
}

impl Feed {
    pub(crate) fn new(link: LinkId, conn: ConnId) -> Self {
        Self {
            conn,
            link,
            out: VecDeque::new(),
            after: None,
            sends: VecDeque::new(),
            controls: VecDeque::new(),
            position: None,
            over: false,
        }
    }

    pub(crate) fn link(&self) -> LinkId {
        self.link
    }

    pub(crate) fn send(&mut self, bytes: Vec<u8>) {
        self.sends.push_back(bytes);
    }

    pub(crate) fn control(&mut self, control: Control) {
        if !(control == Control::Idle && self.controls.contains(&Control::Idle)) {
            self.controls.push_back(control);
        }
    }

    /// Writes what the connection takes.
    pub(crate) fn pump(
        &mut self,
        net: &mut Net,
        plane: &Plane,
        writer: &PayloadWriter,
        told: &mut VecDeque<Happening>,
    ) {
        loop {
            while !self.out.is_empty() {
                let count = net.write(self.conn, Side::Dialer, self.out.as_slices().0);
                if count == 0 {
                    return;
                }
                self.out.drain(..count);
            }
            told.extend(self.after.take().map(Happening::Input));
            if !self.next(plane, writer) {
                return;
            }
        }
    }

    /// Puts the next thing into `out`, if there is one.
    fn next(&mut self, plane: &Plane, writer: &PayloadWriter) -> bool {
        if let Some(bytes) = self.sends.pop_front() {
            self.out.extend(bytes);
            return true;
        }
        if self.over {
            return false;
        }
        let position = self.position.unwrap_or(0);
        let mut data: &[u8] = &[];
        let frame = if let Some(control) = self.controls.pop_front() {
            match control {
                Control::Idle => {
                    self.after = Some(Input::Sent(self.link, position));
                    Frame::Idle { offset: position }
                }
                Control::Abort(abort) => {
                    self.over = true;
                    Frame::Abort(abort)
                }
            }
        } else if self.position.is_none() {
            return false;
        } else if let Some(item) = plane.at(position) {
            self.position = Some(item.end());
            self.after = Some(Input::Sent(self.link, item.end()));
            if item.hole {
                Frame::Hole { offset: item.offset, span: item.span }
            } else {
                data = plane.bytes(item);
                Frame::Data { offset: item.offset, len: data.len() as u32, digest: item.digest }
            }
        } else if let Some((size, sum)) = plane.end {
            self.over = true;
            self.after = Some(Input::SentEnd(self.link));
            Frame::End { size, sum }
        } else {
            return false;
        };
        let wrapping = writer.encode(&frame).expect("only frames of this wire");
        self.out.extend(wrapping.before);
        self.out.extend(data);
        self.out.extend(wrapping.after);
        true
    }
}
