//! A node's ends of the connections from upstream: payload in on one of them, words out on all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use lantorrent_core::flow::{Behind, Needed, ReceiveStep, Receiver, Tell};
use lantorrent_core::session::{NodeInput, UpstreamId};
use lantorrent_core::wire::{Header, RootHasher};

use super::backing::SimRing;
use super::link::{ConnId, Side};
use super::net::Net;
use super::socket::{Overheard, Socket, ToTheEnd};
use crate::later::{Frames, Lines};

/// Last digits of a host's name.
const EVEN: [char; 5] = ['0', '2', '4', '6', '8'];

/// One connection.
#[derive(Debug)]
struct Upstream {
    conn: ConnId,
    out: VecDeque<u8>,
    /// Where this host is of a later version: what it says there.
    lines: Option<Lines>,
    /// The frames that it reads there.
    frames: Frames,
    /// What came together with the greeting.
    first: Vec<u8>,
    /// Whether it may have something to read.
    readable: bool,
    closing: bool,
    shut: bool,
    /// What is left of the payload, what came behind it, and whether that was all: where only the end of the connection
    /// says so.
    to_the_end: Option<(u64, Vec<u8>, bool)>,
}

#[derive(Debug)]
pub(crate) struct Upstreams {
    all: BTreeMap<UpstreamId, Upstream>,
    receiver: Receiver,
    /// The one that is read, or about to be.
    read: Option<UpstreamId>,
    /// Whether the session has said that reading is to stop.
    pub(crate) halting: bool,
    /// Until when there is no room, unless something changes.
    pub(crate) waits_until: Option<Instant>,
    /// How much of the payload each is to bring, where only the end of its connection says that this was all.
    to_the_end: Option<u64>,
}

impl Upstreams {
    pub(crate) fn new(header: &Header, receiver: Receiver) -> Self {
        // Every other host on wire 1.
        let reads_to_the_end = header.envelope.is_none() && header.node.host.ends_with(EVEN);
        Self {
            all: BTreeMap::new(),
            receiver,
            read: None,
            halting: false,
            waits_until: None,
            to_the_end: header.length.filter(|_| reads_to_the_end),
        }
    }

    /// A connection whose greeting is over. `out` is what it still has to write, `first` what it has read too much.
    pub(crate) fn add(
        &mut self,
        conn: ConnId,
        out: VecDeque<u8>,
        first: Vec<u8>,
        lines: Option<Lines>,
    ) -> UpstreamId {
        let id = UpstreamId(conn.0 as u64);
        let to_the_end = self.to_the_end.map(|payload| (payload, Vec::new(), false));
        let (frames, readable) = (Frames::default(), true);
        let upstream =
            Upstream { conn, out, lines, frames, first, readable, closing: false, shut: false, to_the_end };
        self.all.insert(id, upstream);
        id
    }

    fn get(&mut self, id: UpstreamId) -> &mut Upstream {
        self.all.get_mut(&id).expect("an upstream that is there")
    }

    pub(crate) fn owns(&self, conn: ConnId) -> bool {
        self.all.contains_key(&UpstreamId(conn.0 as u64))
    }

    pub(crate) fn accept(
        &mut self,
        now: Instant,
        id: UpstreamId,
        from: u64,
        root: impl FnOnce() -> Option<RootHasher>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) {
        assert!(!self.receiver.is_reading(), "two readers at once");
        self.read = Some(id);
        self.halting = false;
        self.waits_until = None;
        if let Needed::SumBefore(from) = self.receiver.accept(now, from, tell) {
            self.receiver.begin(now, from, root(), tell);
        }
    }

    /// The reader that was to stop has come to it.
    pub(crate) fn halted(&mut self, tell: &mut Tell<'_, NodeInput<'static>>) {
        if std::mem::take(&mut self.halting) {
            self.receiver.halt(tell);
        }
    }

    /// Whether the payload is being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.receiver.is_reading()
    }

    /// How far the payload came.
    pub(crate) fn offset(&self) -> Option<u64> {
        self.receiver.offset()
    }

    /// Those that are only listened to for their end.
    pub(crate) fn shut(&self) -> impl Iterator<Item = ConnId> {
        let read = self.read.filter(|_| self.is_reading());
        let shut = self.all.iter().filter(move |(id, upstream)| upstream.shut && Some(**id) != read);
        shut.map(|(_, upstream)| upstream.conn)
    }

    pub(crate) fn readable(&mut self, net: &mut Net, conn: ConnId) {
        self.get(UpstreamId(conn.0 as u64)).readable = true;
        if self.shut().any(|shut| shut == conn) {
            net.read(conn, Side::Acceptor);
        }
    }

    /// Reads once, if there is something and room for it. Returns whether that moved anything.
    pub(crate) fn receive(
        &mut self,
        net: &mut Net,
        ring: &SimRing,
        heard: Option<&mut Vec<Vec<u8>>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> bool {
        let Some(upstream) = self.read.and_then(|id| self.all.get_mut(&id)) else { return false };
        let may_have_more = upstream.readable || !upstream.first.is_empty();
        if self.waits_until.is_some() || !(self.receiver.has_pending() || may_have_more) {
            return false;
        }
        let now = net.now().instant;
        let rest = Socket { net, conn: upstream.conn, side: Side::Acceptor };
        let mut from = Behind { first: &mut upstream.first, rest };
        let step = match (&mut upstream.to_the_end, heard) {
            (None, Some(heard)) => {
                let mut from = Overheard { from, frames: &mut upstream.frames, heard };
                self.receiver.step(now, &mut from, ring, tell)
            }
            (None, None) => self.receiver.step(now, &mut from, ring, tell),
            (Some((payload, held, ended)), _) => {
                self.receiver.step(now, &mut ToTheEnd { from, payload, held, ended }, ring, tell)
            }
        };
        match step {
            ReceiveStep::Moved(_) => return true,
            ReceiveStep::WouldBlock => upstream.readable = false,
            ReceiveStep::Until(until) | ReceiveStep::NeedsRoom { until, .. } => {
                self.waits_until = Some(until);
            }
            ReceiveStep::Over => {}
        }
        false
    }

    pub(crate) fn reply(&mut self, id: UpstreamId, bytes: Vec<u8>) {
        let upstream = self.get(id);
        match &mut upstream.lines {
            Some(lines) => upstream.out.extend(lines.push(&bytes)),
            None => upstream.out.extend(bytes),
        }
    }

    pub(crate) fn close(&mut self, id: UpstreamId) {
        self.get(id).closing = true;
    }

    /// Closes a connection at once. Returns whether it was being read.
    pub(crate) fn abandon(&mut self, net: &mut Net, id: UpstreamId) -> bool {
        let conn = self.get(id).conn;
        self.all.remove(&id);
        net.close(conn, Side::Acceptor, true);
        self.read == Some(id) && self.is_reading()
    }

    /// The session is over.
    pub(crate) fn finish(&mut self) {
        self.receiver.end();
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
