//! One child: what still has to be written to it.

use std::collections::VecDeque;

use lantorrent_core::session::{Control, FeedInput, LinkId};
use lantorrent_core::wire::{Frame, PayloadWriter};

use super::link::{ConnId, Side};
use super::machine::Happening;
use super::net::Net;
use super::ring::{Item, Ring};

/// What comes next for a child.
pub(crate) enum Next {
    Item(Item),
    End,
    Wait,
    /// It is not there any more, and cannot be read.
    Gone,
}

#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) conn: ConnId,
    link: LinkId,
    /// Whether the connection stands. Nothing is read before.
    pub(crate) connected: bool,
    out: VecDeque<u8>,
    /// What the session hears when `out` is written.
    after: Option<FeedInput>,
    sends: VecDeque<Vec<u8>>,
    controls: VecDeque<Control>,
    /// How far it is, once it is fed.
    pub(crate) position: Option<u64>,
    /// Whether it was sent the end, or cannot be sent any more.
    ended: bool,
    /// Nothing follows what was sent.
    over: bool,
}

impl Feed {
    pub(crate) fn new(link: LinkId, conn: ConnId) -> Self {
        Self {
            conn,
            link,
            connected: false,
            out: VecDeque::new(),
            after: None,
            sends: VecDeque::new(),
            controls: VecDeque::new(),
            position: None,
            ended: false,
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

    /// Writes what the connection takes. `file` has what the ring has not.
    pub(crate) fn pump(
        &mut self,
        net: &mut Net,
        ring: &Ring,
        file: &impl Fn(u64) -> Next,
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
            told.extend(self.after.take().map(Happening::Feed));
            if !self.next(ring, file, writer, told) {
                return;
            }
        }
    }

    /// Puts the next thing into `out`, if there is one.
    fn next(
        &mut self,
        ring: &Ring,
        file: &impl Fn(u64) -> Next,
        writer: &PayloadWriter,
        told: &mut VecDeque<Happening>,
    ) -> bool {
        if let Some(bytes) = self.sends.pop_front() {
            self.out.extend(bytes);
            return true;
        }
        if self.over {
            return false;
        }
        if let Some(control) = self.controls.pop_front() {
            let frame = self.controlled(control);
            self.frame(writer, &frame, None);
            return true;
        }
        let Some(position) = self.position.filter(|_| !self.ended) else { return false };
        let next = if position < ring.base { file(position) } else { Self::in_memory(ring, position) };
        match next {
            Next::Wait => return false,
            Next::Gone => {
                self.ended = true;
                told.push_back(Happening::Feed(FeedInput::Unservable(self.link)));
                return false;
            }
            Next::End => {
                let (size, sum) = ring.end.expect("the end is known");
                self.ended = true;
                self.after = Some(FeedInput::SentEnd(self.link));
                self.frame(writer, &Frame::End { size, sum }, None);
            }
            Next::Item(item) => {
                self.position = Some(item.end());
                self.after = Some(FeedInput::Sent(self.link, item.end()));
                let frame = match &item.data {
                    None => Frame::Hole { offset: item.offset, span: item.span },
                    Some(data) => {
                        Frame::Data { offset: item.offset, len: data.len() as u32, digest: item.digest }
                    }
                };
                self.frame(writer, &frame, item.data.as_deref());
            }
        }
        true
    }

    fn in_memory(ring: &Ring, position: u64) -> Next {
        match (ring.at(position), ring.end) {
            (Some(item), _) => Next::Item(item),
            (None, Some((size, _))) if position >= size => Next::End,
            _ => Next::Wait,
        }
    }

    fn controlled(&mut self, control: Control) -> Frame {
        let position = self.position.unwrap_or(0);
        match control {
            Control::Idle => {
                self.after = Some(FeedInput::Sent(self.link, position));
                Frame::Idle { offset: position }
            }
            Control::Abort(abort) => {
                self.over = true;
                Frame::Abort(abort)
            }
            Control::Bye => Frame::Bye,
        }
    }

    fn frame(&mut self, writer: &PayloadWriter, frame: &Frame, data: Option<&[u8]>) {
        let wrapping = writer.encode(frame).expect("only frames of this wire");
        self.out.extend(wrapping.before);
        self.out.extend(data.unwrap_or_default());
        self.out.extend(wrapping.after);
    }
}
