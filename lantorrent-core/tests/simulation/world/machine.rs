//! A session under observation: everything that it promises to its driver is checked at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lantorrent_core::session::{Control, Input, LinkId, NodeSession, Now, Output, SourceSession, UpstreamId};
use lantorrent_core::wire::{SealedReport, Wire};

#[derive(Debug)]
pub(crate) enum Session {
    Node(Box<NodeSession>),
    Source(Box<SourceSession>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Connecting,
    Fed,
    /// Its sending half is shut down.
    Finished,
    Closed,
}

/// Whether the payload is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    No,
    From(UpstreamId),
    /// The session has said that it is to stop.
    Halting,
}

/// Something that happened, until the session hears of it.
#[derive(Debug)]
pub(crate) enum Happening {
    Input(Input<'static>),
    Bytes(LinkId, Vec<u8>),
}

#[derive(Debug)]
pub(crate) struct Machine {
    session: Session,
    links: BTreeMap<LinkId, Link>,
    /// Whether each upstream is still spoken to.
    upstreams: BTreeMap<UpstreamId, bool>,
    reading: Reading,
    /// Where the next upstream has to go on.
    next: Option<u64>,
    /// Files that the session knows to be open, and how much of each was there.
    open: BTreeMap<usize, u64>,
    /// Files that are to be opened.
    opening: BTreeSet<usize>,
    placing: BTreeSet<usize>,
    /// Files that are not wanted any more.
    removing: BTreeSet<usize>,
    /// Upstreams that only wait to hear what became of what they have cancelled.
    callers: BTreeSet<UpstreamId>,
    ended: bool,
    /// When a node of wire 2 last said something.
    said: Option<Instant>,
    pub(crate) done: bool,
}

impl Machine {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            links: BTreeMap::new(),
            upstreams: BTreeMap::new(),
            reading: Reading::No,
            next: None,
            open: BTreeMap::new(),
            opening: BTreeSet::new(),
            placing: BTreeSet::new(),
            removing: BTreeSet::new(),
            callers: BTreeSet::new(),
            ended: false,
            said: None,
            done: false,
        }
    }

    /// For a node, which begins with an upstream.
    pub(crate) fn with_upstream(mut self, id: UpstreamId) -> Self {
        self.upstreams.insert(id, true);
        self
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.session {
            Session::Node(session) => session.deadline(),
            Session::Source(session) => session.deadline(),
        }
    }

    pub(crate) fn is_orphan(&self, now: Now) -> bool {
        matches!(&self.session, Session::Node(session) if session.is_orphan(now))
    }

    pub(crate) fn results(&self) -> Option<Vec<SealedReport>> {
        match &self.session {
            Session::Node(session) => session.results(),
            Session::Source(_) => None,
        }
    }

    /// What the session wants before anything has happened.
    pub(crate) fn begin(&mut self) -> Vec<Output> {
        self.drain()
    }

    pub(crate) fn handle(&mut self, now: Now, happening: Happening) -> Vec<Output> {
        let was_done = self.done;
        let bytes;
        let input = match happening {
            Happening::Bytes(link, said) => {
                bytes = said;
                Input::Bytes(link, &bytes)
            }
            Happening::Input(input) => input,
        };
        let due = matches!(input, Input::Tick) && self.deadline().is_some_and(|at| at <= now.instant);
        self.observe(&input);
        match &mut self.session {
            Session::Node(session) => session.handle(now, input),
            Session::Source(session) => session.handle(now, input),
        }
        let outputs = self.drain();
        assert!(!was_done || outputs.is_empty(), "after Done came {outputs:?}");
        // Or the driver would spin.
        let later = self.deadline().is_none_or(|at| at > now.instant);
        assert!(!due || later || !outputs.is_empty(), "a Tick at the deadline moved it nowhere");
        self.check_silence(now.instant, &outputs);
        outputs
    }

    fn observe(&mut self, input: &Input<'_>) {
        if self.done {
            return;
        }
        match input {
            Input::End { .. } => self.ended = true,
            Input::Opened(file, opened) => {
                let wanted = self.opening.remove(file) && !self.removing.contains(file);
                let opened = opened.as_ref().ok().filter(|_| wanted);
                self.open.extend(opened.map(|opened| (*file, opened.resumed)));
            }
            Input::Claimed(id, _) => {
                assert!(self.upstreams.insert(*id, true).is_none(), "an upstream comes twice");
            }
            Input::Cancelled(id, _) => {
                assert!(self.upstreams.insert(*id, true).is_none(), "an upstream comes twice");
                self.callers.insert(*id);
            }
            Input::Halted { offset, .. } => {
                self.reading = Reading::No;
                self.next = Some(*offset);
            }
            _ => {}
        }
    }

    /// Its parent must not take it for dead, whatever it waits for.
    fn check_silence(&mut self, now: Instant, outputs: &[Output]) {
        let Session::Node(session) = &self.session else { return };
        let heard = self.upstreams.iter().any(|(id, &open)| open && !self.callers.contains(id));
        if session.header().wire() == Wire::One || self.done || !heard {
            self.said = None;
            return;
        }
        if self.said.is_none() || outputs.iter().any(|output| matches!(output, Output::Reply(..))) {
            self.said = Some(now);
        }
        let silent = self.said.map_or(Duration::ZERO, |said| now - said);
        // A process that stood still may have slept beyond that, and speaks as soon as it is asked.
        let asked = self.deadline().is_some_and(|deadline| deadline > now);
        assert!(silent < Duration::from_millis(501) || !asked, "silent for {silent:?}");
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        loop {
            let next = match &mut self.session {
                Session::Node(session) => session.poll(),
                Session::Source(session) => session.poll(),
            };
            let Some(output) = next else { break };
            assert!(!self.done, "after Done came {output:?}");
            self.check(&output);
            outputs.push(output);
        }
        assert_eq!(self.deadline().is_none(), self.done, "a deadline until Done, and none after");
        outputs
    }

    fn check(&mut self, output: &Output) {
        match output {
            Output::LookUp { .. }
            | Output::Connect { .. }
            | Output::Send(..)
            | Output::Control(..)
            | Output::Feed(..)
            | Output::Finish(_)
            | Output::Close(_)
            | Output::Part(_) => self.check_link(output),
            Output::Accept(..)
            | Output::Halt
            | Output::Reply(..)
            | Output::CloseUpstream(_)
            | Output::DropUpstream(_) => self.check_upstream(output),
            Output::Open(_)
            | Output::Place(..)
            | Output::Discard(_)
            | Output::Keep(_)
            | Output::Remove(_) => {
                self.check_file(output);
            }
            Output::Progress(_) | Output::Report(_) | Output::Bypassed(_) | Output::Answer(_) => {}
            Output::Done => self.check_done(),
        }
    }

    fn check_link(&mut self, output: &Output) {
        match output {
            Output::LookUp { link, .. } | Output::Connect { link, .. } => {
                let new = self.links.insert(*link, Link::Connecting).is_none();
                assert!(new, "{link:?} is given out twice");
            }
            Output::Send(link, _) | Output::Control(link, _) => {
                let state = self.links.get(link).copied();
                assert!(matches!(state, Some(Link::Connecting | Link::Fed)), "{output:?} on {state:?}");
                match output {
                    // Who is not ready yet hears of it too. Nothing but the end comes behind that.
                    Output::Control(_, Control::Abort(_)) => {
                        self.links.insert(*link, Link::Fed);
                    }
                    Output::Control(..) => assert_eq!(state, Some(Link::Fed), "headers before the payload"),
                    _ => assert_eq!(state, Some(Link::Connecting), "headers before the payload"),
                }
            }
            Output::Feed(link, _) => {
                let before = self.links.insert(*link, Link::Fed);
                assert_eq!(before, Some(Link::Connecting), "{output:?}");
            }
            Output::Finish(link) => {
                let before = self.links.insert(*link, Link::Finished);
                assert_eq!(before, Some(Link::Fed), "{output:?}");
            }
            Output::Part(link) => {
                let before = self.links.insert(*link, Link::Closed);
                assert!(matches!(before, Some(Link::Fed | Link::Finished)), "{output:?}");
            }
            Output::Close(link) => {
                let before = self.links.insert(*link, Link::Closed);
                assert!(before.is_some_and(|state| state != Link::Closed), "{output:?} twice");
            }
            _ => {}
        }
    }

    fn check_upstream(&mut self, output: &Output) {
        match output {
            Output::Accept(id, offset) => {
                assert_eq!(self.upstreams.get(id), Some(&true), "{output:?}");
                assert_eq!(self.reading, Reading::No, "{output:?}");
                let least = self.open.values().min().copied().unwrap_or(*offset);
                let next = self.next.unwrap_or(least.min(*offset));
                assert_eq!(*offset, next, "where the payload goes on");
                self.reading = Reading::From(*id);
            }
            Output::Halt => {
                assert!(matches!(self.reading, Reading::From(_)), "halted, and it is {:?}", self.reading);
                self.reading = Reading::Halting;
            }
            Output::Reply(id, _) => {
                assert_eq!(self.upstreams.get(id), Some(&true), "said after the last word");
            }
            Output::CloseUpstream(id) | Output::DropUpstream(id) => {
                assert_eq!(self.upstreams.insert(*id, false), Some(true), "{output:?} twice");
            }
            _ => {}
        }
    }

    fn check_file(&mut self, output: &Output) {
        match output {
            Output::Place(file, _) => {
                assert!(self.ended, "placed without END");
                assert!(self.placing.insert(*file), "placed twice");
                self.open.remove(file);
            }
            Output::Open(file) => assert!(self.opening.insert(*file), "{output:?} twice"),
            Output::Keep(file) if self.opening.remove(file) => {}
            Output::Remove(request) => {
                let Session::Node(session) = &self.session else { panic!("{output:?} of a source") };
                let own = session.header().node.requests.iter().position(|own| own.id == request.id);
                if let Some(file) = own {
                    assert!(!self.placing.contains(&file), "{output:?} of what is being placed");
                    assert!(self.removing.insert(file), "{output:?} twice");
                    self.open.remove(&file);
                }
            }
            Output::Discard(file) | Output::Keep(file) => {
                assert!(self.open.remove(file).is_some(), "{output:?} of what is not open");
            }
            _ => {}
        }
    }

    fn check_done(&mut self) {
        self.done = true;
        let told = self.upstreams.values().all(|&open| !open);
        assert!(told, "every upstream is told the last word first");
        let left: Vec<_> = self.links.iter().filter(|(_, state)| **state != Link::Closed).collect();
        assert!(left.is_empty(), "done, and {left:?} are open");
    }
}
