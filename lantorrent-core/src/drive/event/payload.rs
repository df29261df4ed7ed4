//! The payload of a session: from one upstream into the ring, and from there, or from a file, to its children.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::super::backing::{BackingFile, BackingReader};
use super::child::{Child, Sent};
use super::mailbox::{Mailbox, Message, News};
use super::ring::SessionRing;
use super::upstreams::Upstream;
use crate::flow::{Backing, Item, Needed, ReceiveStep, Receiver, Ring, Shared as _};
use crate::runtime::Workers;
use crate::runtime::workers::Then;
use crate::session::{FeedInput, LinkId, NodeInput, UpstreamId};
use crate::wire::RootHasher;

/// What the session is to hear.
pub(super) type Told = VecDeque<NodeInput<'static>>;

#[derive(Debug)]
pub(super) struct Payload {
    session: u64,
    pub(super) ring: Arc<SessionRing>,
    receiver: Receiver,
    /// The upstream that is read, or is about to be.
    upstream: Option<UpstreamId>,
    /// Until when there is nothing to receive, for want of room or because of a limit, unless something changes.
    waits_until: Option<Instant>,
    backings: Arc<BackingReader>,
    mailbox: Arc<Mailbox>,
    /// Blocks that workers are reading. They have the file open for that long.
    pub(super) reads: usize,
}

impl Payload {
    pub(super) fn new(
        session: u64,
        ring: Arc<SessionRing>,
        receiver: Receiver,
        backings: BackingReader,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        let backings = Arc::new(backings);
        Self { session, ring, receiver, upstream: None, waits_until: None, backings, mailbox, reads: 0 }
    }

    /// The upstream that is read, or is about to be.
    pub(super) fn upstream(&self) -> Option<UpstreamId> {
        self.upstream.filter(|_| self.receiver.is_reading())
    }

    /// The payload comes from that one now, from the offset `from` on.
    pub(super) fn accept(&mut self, id: UpstreamId, from: u64, told: &mut Told) -> Needed {
        self.upstream = Some(id);
        self.waits_until = None;
        self.receiver.accept(Instant::now(), from, &mut |input| told.push_back(input))
    }

    /// What is there already is summed up, or cannot be.
    pub(super) fn begin(&mut self, from: u64, root: Option<RootHasher>, told: &mut Told) {
        self.receiver.begin(Instant::now(), from, root, &mut |input| told.push_back(input));
    }

    /// Stops, if an upstream is read.
    pub(super) fn halt(&mut self, told: &mut Told) {
        self.receiver.halt(&mut |input| told.push_back(input));
    }

    /// The session is over.
    pub(super) fn end(&mut self) {
        self.receiver.end();
    }

    /// There may be room. Blocks that other sessions gave back wake none, so a session that has a turn looks for itself.
    pub(super) fn look_for_room(&mut self) {
        self.waits_until = None;
    }

    /// Reads once. Returns how many bytes came; none if there is nothing to read, or no room for it.
    pub(super) fn receive(&mut self, from: &mut Upstream, told: &mut Told) -> Option<u64> {
        if self.waits_until.is_some() || !(self.receiver.has_pending() || from.may_have_more()) {
            return None;
        }
        let tell = &mut |input| told.push_back(input);
        match self.receiver.step(Instant::now(), &mut from.payload(), &*self.ring, tell) {
            ReceiveStep::Moved(bytes) => Some(bytes),
            ReceiveStep::WouldBlock | ReceiveStep::Over => None,
            ReceiveStep::Until(until) | ReceiveStep::NeedsRoom { until, .. } => {
                self.waits_until = Some(until);
                None
            }
        }
    }

    /// When to look again although nothing has changed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waits_until.filter(|_| self.receiver.is_reading())
    }

    /// Sends a child one piece of what comes next. Returns how many bytes went out; none if none can.
    pub(super) fn send(
        &mut self,
        link: LinkId,
        child: &mut Child,
        workers: &Workers,
        told: &mut Told,
    ) -> Option<u64> {
        let tell = &mut |input: FeedInput| told.push_back(input.into());
        match child.send(Instant::now(), &self.ring, tell) {
            Sent::Bytes(bytes) => Some(bytes),
            Sent::Nothing => None,
            Sent::NeedsFile { backing, offset, len } => {
                self.read(link, backing, offset, len, workers);
                Some(0)
            }
        }
    }

    /// Has a worker read at most a block.
    fn read(
        &mut self,
        link: LinkId,
        backing: Backing<BackingFile>,
        offset: u64,
        len: u64,
        workers: &Workers,
    ) {
        let (session, mailbox) = (self.session, Arc::clone(&self.mailbox));
        let backings = Arc::clone(&self.backings);
        let mut backing = Some(backing);
        self.reads += 1;
        workers.put(Box::new(move || {
            if let Some(backing) = backing.take() {
                let item = backings.item(backing.file(), offset, len);
                // The session, which hears of it, may count on the file not being held here.
                drop(backing);
                let item = item.map_err(|why| format!("at offset {offset}, {why}"));
                mailbox.send(Message::News(session, News::ReadBack(link, item)));
            }
            Then::Over
        }));
    }

    /// A worker has read what was to be read for a child, which may be gone.
    pub(super) fn has_read(&mut self, link: LinkId, item: Result<Item, String>) {
        self.reads -= 1;
        self.ring.change(|ring| ring.has_read(link, item));
    }

    /// Drops from the ring what no consumer needs.
    pub(super) fn trim(&self) {
        self.ring.with(Ring::trim);
    }
}
