//! A node's ends of the connections from upstream: payload in on one of them, words out on all.

use std::collections::{BTreeMap, VecDeque};

use lantorrent_core::session::{NodeInput, UpstreamId};
use lantorrent_core::wire::{Frame, FrameReader, Header, Keyring, PayloadError, PayloadReader};

use super::link::{ConnId, Read, Side};
use super::machine::Happening;
use super::net::{ActorId, Event, Net};
use super::ring::{Item, Ring};

/// Last digits of a host's name.
const EVEN: [char; 5] = ['0', '2', '4', '6', '8'];

/// One connection.
#[derive(Debug)]
struct Upstream {
    conn: ConnId,
    out: VecDeque<u8>,
    /// What came together with the greeting.
    first: Vec<u8>,
    closing: bool,
    shut: bool,
}

/// What reads the payload, from one of the connections.
#[derive(Debug)]
struct Reader {
    conn: ConnId,
    frames: PayloadReader,
    block: Vec<u8>,
    /// What was read and has no room yet.
    rest: VecDeque<u8>,
    halting: bool,
    /// As 0.2 does: what ends the payload counts when nothing can follow it.
    reads_to_the_end: bool,
    held: Option<Frame>,
}

#[derive(Debug)]
pub(crate) struct Upstreams {
    header: Header,
    keys: Keyring,
    all: BTreeMap<UpstreamId, Upstream>,
    reader: Option<Reader>,
    /// What the source sends, where the wire lets nobody change it.
    truth: Option<Vec<u8>>,
    told_at: u64,
}

impl Upstreams {
    pub(crate) fn new(header: &Header, keys: &Keyring, truth: &[u8]) -> Self {
        Self {
            header: header.clone(),
            keys: keys.clone(),
            all: BTreeMap::new(),
            reader: None,
            truth: header.envelope.is_some().then(|| truth.to_vec()),
            told_at: 0,
        }
    }

    /// A connection whose greeting is over. `out` is what it still has to write, `first` what it has read too much.
    pub(crate) fn add(&mut self, conn: ConnId, out: VecDeque<u8>, first: Vec<u8>) -> UpstreamId {
        let id = UpstreamId(conn.0 as u64);
        self.all.insert(id, Upstream { conn, out, first, closing: false, shut: false });
        id
    }

    fn get(&mut self, id: UpstreamId) -> &mut Upstream {
        self.all.get_mut(&id).expect("an upstream that is there")
    }

    pub(crate) fn owns(&self, conn: ConnId) -> bool {
        self.all.contains_key(&UpstreamId(conn.0 as u64))
    }

    /// Begins to read where the ring is.
    pub(crate) fn accept(&mut self, id: UpstreamId, ring: &Ring) {
        let upstream = self.all.get_mut(&id).expect("an upstream that is there");
        let frames = match &self.header.envelope {
            None => PayloadReader::new(&self.header, &self.keys),
            Some(envelope) => self.keys.frame_key(&envelope.transfer).map(|key| {
                PayloadReader::Frames(FrameReader::new(key, ring.root(), self.header.length, ring.head))
            }),
        };
        let reader = Reader {
            conn: upstream.conn,
            frames: frames.expect("the wire has a password"),
            block: vec![0; self.header.block_size as usize],
            rest: std::mem::take(&mut upstream.first).into(),
            halting: false,
            // Every other host on wire 1.
            reads_to_the_end: self.header.envelope.is_none() && self.header.node.host.ends_with(EVEN),
            held: None,
        };
        assert!(self.reader.replace(reader).is_none(), "two readers at once");
    }

    /// Who reads is to stop, and will say so.
    pub(crate) fn halt(&mut self, net: &mut Net, id: ActorId) {
        if let Some(reader) = &mut self.reader
            && !std::mem::replace(&mut reader.halting, true)
        {
            net.within(2000, Event::Halted(id));
        }
    }

    /// Who was to stop has come to it.
    pub(crate) fn halted(&mut self, ring: &Ring, told: &mut VecDeque<Happening>) {
        if self.reader.take_if(|reader| reader.halting).is_some() {
            told.push_back(Happening::Node(NodeInput::Halted { offset: ring.head, cause: None }));
        }
    }

    /// Nothing more is read from here.
    fn end(&mut self, cause: PayloadError, ring: &Ring, told: &mut VecDeque<Happening>) {
        if self.reader.take().is_some() {
            told.push_back(Happening::Node(NodeInput::Halted { offset: ring.head, cause: Some(cause) }));
        }
    }

    /// Whether the payload is read, and how much of it has no room yet.
    pub(crate) fn reads(&self) -> Option<(ConnId, bool)> {
        self.reader.as_ref().map(|reader| (reader.conn, reader.rest.is_empty()))
    }

    /// Those that are only listened to for their end.
    pub(crate) fn shut(&self) -> impl Iterator<Item = ConnId> {
        let reading = self.reader.as_ref().map(|reader| reader.conn);
        let shut = self.all.values().filter(|upstream| upstream.shut);
        shut.map(|upstream| upstream.conn).filter(move |&conn| Some(conn) != reading)
    }

    pub(crate) fn readable(
        &mut self,
        net: &mut Net,
        conn: ConnId,
        room: bool,
        ring: &mut Ring,
        told: &mut VecDeque<Happening>,
    ) {
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.conn == conn) else {
            if self.shut().any(|shut| shut == conn) {
                net.read(conn, Side::Acceptor);
            }
            return;
        };
        let truncated = PayloadError::Truncated { offset: ring.head };
        if !room || !reader.rest.is_empty() {
            // A driver that watches its sockets sees this before it reads.
            if net.is_reset(conn, Side::Acceptor) && net.random.chance(50) {
                self.end(truncated, ring, told);
            }
            return;
        }
        match net.read(conn, Side::Acceptor) {
            Read::Bytes(bytes) => reader.rest.extend(bytes),
            Read::Nothing => {}
            Read::Eof => {
                let held = reader.held.take();
                told.extend(held.map(|end| Happening::Node(self.frame(end, ring))));
                self.end(PayloadError::Truncated { offset: ring.head }, ring, told);
            }
            Read::Reset => self.end(truncated, ring, told),
        }
    }

    /// Goes on with what was read, by a frame at most.
    pub(crate) fn take(&mut self, net: &mut Net, ring: &mut Ring, told: &mut VecDeque<Happening>) {
        let Some(reader) = &mut self.reader else { return };
        let bytes = reader.rest.make_contiguous();
        let pushed = reader.frames.push(bytes, &mut reader.block);
        let frame = match pushed {
            Ok((used, frame)) => {
                reader.rest.drain(..used);
                frame
            }
            Err(error) => return self.end(error, ring, told),
        };
        let Some(frame) = frame else { return };
        if reader.reads_to_the_end && matches!(frame, Frame::End { .. }) {
            reader.held = Some(frame);
            return;
        }
        let input = self.frame(frame, ring);
        // The driver tells how far it is now and then.
        let lately = net.micros() < self.told_at + 100_000;
        if matches!(input, NodeInput::Received(_)) && lately && net.random.chance(60) {
            return;
        }
        self.told_at = net.micros();
        told.push_back(Happening::Node(input));
    }

    fn frame(&mut self, frame: Frame, ring: &mut Ring) -> NodeInput<'static> {
        let block = self.reader.as_ref().map(|reader| &reader.block[..]).unwrap_or_default();
        let item = match frame {
            Frame::Data { offset, len, digest } => {
                Item { offset, span: len.into(), digest, data: Some(block[..len as usize].to_vec()) }
            }
            Frame::Hole { offset, span } => Item { offset, span, digest: None, data: None },
            Frame::End { size, sum } => {
                ring.end = Some((size, sum));
                if let Some(truth) = &self.truth {
                    assert_eq!(size, truth.len() as u64, "an END for something else");
                }
                return NodeInput::End { size, sum };
            }
            Frame::Abort(abort) => return NodeInput::Aborted(abort),
            Frame::Bye => return NodeInput::Bye,
            Frame::Idle { .. } => return NodeInput::Heard,
        };
        if let Some(truth) = &self.truth {
            let part = truth.get(item.offset as usize..item.end() as usize);
            let same = match &item.data {
                Some(data) => part == Some(data),
                None => part.is_some_and(|part| part.iter().all(|&byte| byte == 0)),
            };
            assert!(same, "a frame that the source did not make, at {}", item.offset);
        }
        ring.push(item);
        NodeInput::Received(ring.head)
    }

    pub(crate) fn reply(&mut self, id: UpstreamId, bytes: Vec<u8>) {
        self.get(id).out.extend(bytes);
    }

    pub(crate) fn close(&mut self, id: UpstreamId) {
        self.get(id).closing = true;
    }

    pub(crate) fn abandon(&mut self, net: &mut Net, actor: ActorId, id: UpstreamId) {
        let conn = self.get(id).conn;
        self.all.remove(&id);
        net.close(conn, Side::Acceptor, true);
        if self.reader.as_ref().is_some_and(|reader| reader.conn == conn) {
            self.halt(net, actor);
        }
    }

    /// The session is over.
    pub(crate) fn finish(&mut self) {
        self.reader = None;
    }

    pub(crate) fn pump(&mut self, net: &mut Net) {
        for upstream in self.all.values_mut() {
            while !upstream.out.is_empty() {
                let count = net.write(upstream.conn, Side::Acceptor, upstream.out.as_slices().0);
                if count == 0 {
                    break;
                }
                upstream.out.drain(..count);
            }
            if upstream.closing && upstream.out.is_empty() && !std::mem::replace(&mut upstream.shut, true) {
                net.shut_down(upstream.conn, Side::Acceptor);
            }
        }
    }
}
