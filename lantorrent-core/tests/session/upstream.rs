//! A node's end of the connection from upstream: payload in, words out.

use std::collections::VecDeque;

use lantorrent_core::session::Input;
use lantorrent_core::wire::{Frame, Header, Keyring, PayloadReader};

use crate::link::{ConnId, Read, Side};
use crate::machine::Happening;
use crate::net::Net;
use crate::plane::{Item, Plane};

#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) conn: ConnId,
    pub(crate) out: VecDeque<u8>,
    pub(crate) closing: bool,
    shut: bool,
    reader: PayloadReader,
    block: Vec<u8>,
    /// What came together with the greeting.
    first: Vec<u8>,
    accepted: bool,
    /// Nothing that still comes matters.
    over: bool,
    /// What the source sends, where the wire lets nobody change it.
    truth: Option<Vec<u8>>,
}

impl Upstream {
    pub(crate) fn new(
        conn: ConnId,
        header: &Header,
        keys: &Keyring,
        out: VecDeque<u8>,
        first: Vec<u8>,
        truth: &[u8],
    ) -> Self {
        Self {
            conn,
            out,
            closing: false,
            shut: false,
            reader: PayloadReader::new(header, keys).expect("the wire has a password"),
            block: vec![0; header.block_size as usize],
            first,
            accepted: false,
            over: false,
            truth: header.envelope.is_some().then(|| truth.to_vec()),
        }
    }

    pub(crate) fn accept(&mut self, net: &mut Net, plane: &mut Plane, told: &mut VecDeque<Happening>) {
        self.accepted = true;
        let first = std::mem::take(&mut self.first);
        self.take(net, plane, told, &first);
    }

    /// Whether it is the driver who keeps the payload waiting.
    pub(crate) fn wants_payload(&self) -> bool {
        self.accepted && !self.over
    }

    pub(crate) fn wants_to_read(&self, room: bool) -> bool {
        self.over || self.accepted && room
    }

    pub(crate) fn readable(&mut self, net: &mut Net, plane: &mut Plane, told: &mut VecDeque<Happening>) {
        match net.read(self.conn, Side::Acceptor) {
            _ if self.over => {}
            Read::Bytes(bytes) => self.take(net, plane, told, &bytes),
            Read::Nothing => {}
            Read::Eof => {
                self.over = true;
                let end = self.reader.finish().err().map(Input::BadPayload);
                told.extend(end.map(Happening::Input));
            }
            Read::Reset => self.lost(told),
        }
    }

    /// A driver that watches its sockets sees this before it reads.
    pub(crate) fn lost(&mut self, told: &mut VecDeque<Happening>) {
        if !std::mem::replace(&mut self.over, true) {
            told.push_back(Happening::Input(Input::UpstreamClosed));
        }
    }

    fn take(&mut self, net: &mut Net, plane: &mut Plane, told: &mut VecDeque<Happening>, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.over {
            let input = match self.reader.push(bytes, &mut self.block) {
                Ok((used, frame)) => {
                    bytes = &bytes[used..];
                    let Some(frame) = frame else { continue };
                    match self.frame(frame, plane) {
                        // The driver tells now and then.
                        Input::Received(_) if net.random.chance(60) => continue,
                        input => input,
                    }
                }
                Err(error) => {
                    self.over = true;
                    Input::BadPayload(error)
                }
            };
            told.push_back(Happening::Input(input));
        }
    }

    fn frame(&mut self, frame: Frame, plane: &mut Plane) -> Input<'static> {
        let before = plane.data.len();
        match frame {
            Frame::Data { offset, len, digest } => {
                let item = Item { offset, span: len.into(), digest, hole: false };
                plane.push(item, &self.block[..len as usize]);
            }
            Frame::Hole { offset, span } => {
                plane.push(Item { offset, span, digest: None, hole: true }, &[]);
            }
            Frame::End { size, sum } => {
                self.over = true;
                plane.end = Some((size, sum));
                if let Some(truth) = &self.truth {
                    assert_eq!(&plane.data, truth, "an END for something else");
                }
                return Input::End { size, sum };
            }
            Frame::Abort(abort) => {
                self.over = true;
                return Input::Aborted(abort);
            }
            Frame::Idle { .. } | Frame::Bye => return Input::Heard,
        }
        if let Some(truth) = &self.truth {
            let true_part = truth.get(before..plane.data.len());
            assert_eq!(true_part, Some(&plane.data[before..]), "a frame that the source did not make");
        }
        Input::Received(plane.received())
    }

    /// The session is over.
    pub(crate) fn finish(&mut self) {
        self.over = true;
    }

    pub(crate) fn pump(&mut self, net: &mut Net) {
        while !self.out.is_empty() {
            let count = net.write(self.conn, Side::Acceptor, self.out.as_slices().0);
            if count == 0 {
                return;
            }
            self.out.drain(..count);
        }
        if self.closing && !std::mem::replace(&mut self.shut, true) {
            net.shut_down(self.conn, Side::Acceptor);
        }
    }
}
