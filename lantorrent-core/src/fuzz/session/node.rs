//! The node that is tested: what its session says is checked, and done by a driver that the input leads.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use super::super::Script;
use super::ears::Ears;
use super::files::Luck;
use super::outlet::Outlet;
use super::payload::payload;
use super::plane::Plane;
use super::promises::Promises;
use super::reports::Reports;
use super::{FILES, UPSTREAM, keys, pick, timing};
use crate::rate::Limit;
use crate::session::{
    FeedInput, Gate, HandshakeStep, Incoming, LinkId, LinkInput, NodeInput, NodeOutput, NodeSession, Now,
    Proven, Seed, UpstreamId,
};
use crate::wire::{Header, LineReader, Nonce, Wire};

/// Steps that moved something, at one moment: many more than there are bytes to be moved.
const MANY: usize = 100_000;

pub(super) struct Node {
    greeting: Option<Incoming>,
    running: Option<Running>,
    refused: bool,
    content: Rc<[u8]>,
    capacity: usize,
    limit: Limit,
    said: Vec<u8>,
    ears: Ears,
    /// The first header, of which claims are variations.
    header: Option<Header>,
    pub(super) reports: Reports,
    promises: Promises,
}

struct Running {
    session: NodeSession,
    plane: Plane,
}

impl Node {
    /// With a ring of so many blocks.
    pub(super) fn new(now: Now, wire: Wire, content: &[u8], capacity: usize, limit: Limit) -> Self {
        let gate = Gate { timing: timing(), ..Gate::new(keys()) };
        let greeting = Incoming::new(now, gate, Some(([10, 0, 0, 1], 1).into()), Nonce([2; 16]));
        Self {
            greeting: Some(greeting),
            running: None,
            refused: false,
            content: content.into(),
            capacity,
            limit,
            said: Vec::new(),
            ears: Ears::new(wire),
            header: None,
            reports: Reports::new(wire),
            promises: Promises::new(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.promises.done || self.refused
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.running, &self.greeting) {
            (Some(running), _) => {
                running.session.deadline().into_iter().chain(running.plane.deadline()).min()
            }
            (None, greeting) => greeting.as_ref().map(Incoming::deadline),
        }
    }

    pub(super) fn take_said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.said)
    }

    /// The driver, until the session is over.
    fn plane(&mut self) -> Option<&mut Plane> {
        let running = self.running.as_mut().filter(|_| !self.promises.done);
        running.map(|running| &mut running.plane)
    }

    fn outlets(&mut self) -> Option<&mut BTreeMap<LinkId, Outlet>> {
        self.plane().map(|plane| &mut plane.outlets)
    }

    /// Bytes from the source.
    pub(super) fn receive(&mut self, now: Now, bytes: &[u8]) {
        if self.greeting.is_some() {
            self.ears.overhear(bytes);
        }
        let mut rest = bytes;
        while let Some(greeting) = self.greeting.as_mut().filter(|_| !rest.is_empty()) {
            let (used, answer) = greeting.push(now, rest);
            rest = &rest[used..];
            self.answer(now, answer);
        }
        if let Some(plane) = self.plane() {
            plane.upstreams.arrive(UPSTREAM, rest);
        }
    }

    fn answer(&mut self, now: Now, answer: HandshakeStep) {
        match answer {
            HandshakeStep::More => {}
            HandshakeStep::Reply(reply) => self.reply(UPSTREAM, &reply),
            HandshakeStep::Refused { reply, .. } => {
                self.said.extend(reply);
                self.refuse();
            }
            HandshakeStep::Proven(proven) => self.begin(now, *proven),
        }
    }

    fn refuse(&mut self) {
        self.greeting = None;
        self.refused = true;
    }

    fn begin(&mut self, now: Now, proven: Proven) {
        self.greeting = None;
        let header = proven.header.clone();
        assert_eq!(header.node.requests.len(), FILES, "the header is the source's, or it is none");
        let transfer = header.transfer();
        self.ears.learn(transfer.and_then(|transfer| keys().result_key(&transfer)));
        self.learn(&proven);
        let mut plane =
            Plane::new(now.instant, &header, self.capacity, self.limit.clone(), Rc::clone(&self.content));
        plane.upstreams.add(UPSTREAM);
        self.header = Some(header);
        let session = NodeSession::new(now, UPSTREAM, proven, keys(), timing(), Seed([3; 32]));
        self.running = Some(Running { session, plane });
        self.carry_out(now);
    }

    /// The node has the key of a connection that the source has made.
    pub(super) fn learn(&mut self, proven: &Proven) {
        self.ears.learn(proven.node_key.clone());
    }

    /// The source's connection ends.
    pub(super) fn source_closed(&mut self, now: Now) {
        if let Some(greeting) = &mut self.greeting {
            let answer = greeting.closed();
            return self.answer(now, answer);
        }
        if let Some(plane) = self.plane() {
            plane.upstreams.end(UPSTREAM, false);
        }
    }

    /// The connection ends from which the payload comes, or will come.
    pub(super) fn upstream_closed(&mut self, now: Now, reset: bool) {
        match self.plane() {
            Some(plane) => {
                let current = plane.upstreams.current().unwrap_or(UPSTREAM);
                plane.upstreams.end(current, reset);
            }
            None => self.source_closed(now),
        }
    }

    /// Has the session hear all that happened, and moves the payload, until nothing is left to do now.
    pub(super) fn settle(&mut self, now: Now) {
        for _ in 0..MANY {
            let Some(plane) = self.plane() else { return };
            if let Some(input) = plane.told.pop_front() {
                self.handle(now, input);
            } else if !plane.step(now) && plane.told.is_empty() {
                return plane.check_waits();
            }
        }
        panic!("it spins");
    }

    /// The deadline of something has come.
    pub(super) fn tick(&mut self, now: Now) {
        if self.greeting.as_ref().is_some_and(|greeting| greeting.deadline() <= now.instant) {
            self.refuse();
        }
        if let Some(plane) = self.plane() {
            plane.tick(now.instant);
            self.handle(now, NodeInput::Tick);
        }
    }

    pub(super) fn handle<'a>(&mut self, now: Now, input: impl Into<NodeInput<'a>>) {
        let input = input.into();
        let Some(Running { session, plane }) = self.running.as_mut().filter(|_| !self.promises.done) else {
            return;
        };
        self.promises.heard(&input);
        if let NodeInput::Feed(FeedInput::SentEnd(link)) = input {
            let child = plane.outlets.get(&link).map(|outlet| &outlet.child);
            self.reports.served.extend(child.and_then(super::child::Child::place));
        }
        if let NodeInput::Feed(FeedInput::Unservable(link)) = input
            && let Some(outlet) = plane.outlets.get_mut(&link)
        {
            outlet.is_stranded = true;
        }
        let due = matches!(input, NodeInput::Tick) && session.deadline().is_some_and(|at| at <= now.instant);
        session.handle(now, input);
        assert!(!due || session.deadline().is_none_or(|at| at > now.instant), "it would spin");
        self.carry_out(now);
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.running.as_mut().and_then(|running| running.session.poll()) {
            self.promises.said(&output);
            if let NodeOutput::Reply(upstream, bytes) = &output {
                self.reply(*upstream, bytes);
            } else if let Some(Running { plane, .. }) = &mut self.running {
                // Upstreams other than the source send all there is at once.
                if let (NodeOutput::Accept(upstream, from), Some(header)) = (&output, &self.header)
                    && *upstream != UPSTREAM
                {
                    let bytes = payload(now, header, &self.content, *from, &mut |_| {});
                    plane.upstreams.arrive(*upstream, &bytes);
                }
                plane.carry_out(now, output);
            }
        }
        if let Some(running) = &self.running {
            assert_eq!(running.session.deadline().is_none(), self.promises.done);
        }
    }

    fn reply(&mut self, upstream: UpstreamId, bytes: &[u8]) {
        if upstream == UPSTREAM {
            self.said.extend(bytes);
        }
        for report in self.ears.hear(upstream, bytes) {
            self.promises.reported(&report);
            self.reports.add(report);
        }
    }

    pub(super) fn header(&self) -> Option<Header> {
        self.header.clone().filter(|_| !self.is_over())
    }

    /// There is another upstream, which has this to hear the node with.
    pub(super) fn add_upstream(&mut self, ear: LineReader) -> UpstreamId {
        let id = self.ears.add(ear);
        if let Some(plane) = self.plane() {
            plane.upstreams.add(id);
        }
        id
    }

    /// The disk does so many things, as long as it has any to do.
    pub(super) fn disk(&mut self, now: Now, times: usize, luck: Luck) {
        for _ in 0..times {
            let Some(plane) = self.plane() else { return };
            let moved = plane.disk(now.instant, luck);
            self.settle(now);
            if !moved {
                return;
            }
        }
    }

    /// Reading stops where the session wants that, which takes a moment.
    pub(super) fn halted(&mut self) {
        if let Some(plane) = self.plane() {
            plane.halted();
        }
    }

    pub(super) fn connect_child(&mut self, now: Now, which: u8) {
        if let Some((link, outlet)) = self.outlets().and_then(|outlets| pick(outlets, which))
            && !std::mem::replace(&mut outlet.child.connected, true)
        {
            self.handle(now, LinkInput::Connected(link, ([10, 0, 0, 2], 1).into()));
        }
    }

    /// A child takes so many bytes more, and what it needs of a file is read.
    pub(super) fn widen_child(&mut self, which: u8, room: usize, fails: bool) {
        if let Some((link, outlet)) = self.outlets().and_then(|outlets| pick(outlets, which)) {
            outlet.widen(room);
            self.plane().expect("it has children").read_back(link, fails);
        }
    }

    pub(super) fn break_child(&mut self, which: u8) {
        if let Some((_, outlet)) = self.outlets().and_then(|outlets| pick(outlets, which)) {
            outlet.break_down();
        }
    }

    pub(super) fn close_child(&mut self, now: Now, which: u8) {
        if let Some((link, _)) = self.outlets().and_then(|outlets| pick(outlets, which)) {
            self.handle(now, LinkInput::Closed(link, "it is gone".into()));
        }
    }

    pub(super) fn child_speaks(&mut self, now: Now, which: u8, script: &mut Script<'_>) {
        let picked = self.outlets().and_then(|outlets| pick(outlets, which));
        if let Some((link, outlet)) = picked.filter(|(_, outlet)| outlet.child.connected) {
            let said = outlet.child.speak(script);
            self.handle(now, LinkInput::Bytes(link, &said));
        }
    }

    /// All that is left undone is done; children take everything, or nothing more.
    pub(super) fn catch_up(&mut self, now: Now, children_take: bool) {
        self.halted();
        self.settle(now);
        self.disk(now, MANY, Luck::Good);
        for which in 0..self.outlets().map_or(0, |outlets| outlets.len()) {
            let room = if children_take { usize::MAX } else { 0 };
            self.widen_child(which as u8, room, false);
        }
        self.settle(now);
    }

    /// It is over: what must be true of every run.
    pub(super) fn finish(&self) {
        assert!(self.is_over(), "it does not come to an end");
        if self.refused {
            assert!(self.running.is_none() && self.promises.are_untouched());
            return;
        }
        // A node that is left without upstream may end without a word: what is known then is told to one that asks again.
        let results = self.running.as_ref().and_then(|running| running.session.results());
        for file in 0..FILES {
            let id = format!("0/{file}");
            let untold = results.as_ref().is_none_or(|results| {
                results.iter().any(|sealed| self.ears.open(sealed).id.as_ref() == Some(&id))
            });
            let found = self.reports.count(&id);
            assert!(found == 1 || found == 0 && untold, "one result for each request of its own");
        }
        self.reports.check();
    }
}
