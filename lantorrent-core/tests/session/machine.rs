//! A session under observation: everything that it promises to its driver is checked at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lantorrent_core::session::{Input, LinkId, NodeSession, Now, Output, SourceSession};
use lantorrent_core::wire::Wire;

#[derive(Debug)]
pub(crate) enum Session {
    Node(Box<NodeSession>),
    Source(Box<SourceSession>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Connecting,
    Fed,
    Closed,
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
    /// Files that the session knows to be open.
    open: BTreeSet<usize>,
    placing: BTreeSet<usize>,
    accepted: bool,
    ended: bool,
    upstream_closed: bool,
    /// When a node of wire 2 last said something.
    said: Option<Instant>,
    pub(crate) done: bool,
}

impl Machine {
    pub(crate) fn new(session: Session) -> Self {
        Self {
            session,
            links: BTreeMap::new(),
            open: BTreeSet::new(),
            placing: BTreeSet::new(),
            accepted: false,
            ended: false,
            upstream_closed: false,
            said: None,
            done: false,
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.session {
            Session::Node(session) => session.deadline(),
            Session::Source(session) => session.deadline(),
        }
    }

    pub(crate) fn is_node(&self) -> bool {
        matches!(self.session, Session::Node(_))
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
        self.ended |= matches!(input, Input::End { .. });
        if let Input::Opened(file, Ok(_)) = input
            && !self.done
        {
            self.open.insert(file);
        }
        match &mut self.session {
            Session::Node(session) => session.handle(now, input),
            Session::Source(session) => session.handle(now, input),
        }
        let outputs = self.drain();
        assert!(!was_done || outputs.is_empty(), "after Done came {outputs:?}");
        // Or the driver would spin.
        let later = self.deadline().is_none_or(|at| at > now.instant);
        assert!(!due || later, "a Tick at the deadline moved it nowhere; it led to {outputs:?}");
        self.check_silence(now.instant, &outputs);
        outputs
    }

    /// Its parent must not take it for dead, whatever it waits for.
    fn check_silence(&mut self, now: Instant, outputs: &[Output]) {
        let Session::Node(session) = &self.session else { return };
        if session.header().wire() == Wire::One || self.done {
            return;
        }
        let said = self.said.get_or_insert(now);
        if outputs.iter().any(|output| matches!(output, Output::Reply(_))) {
            *said = now;
        }
        assert!(now - *said < Duration::from_millis(501), "silent for {:?}", now - *said);
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
            Output::Connect { link, .. } => {
                let new = self.links.insert(*link, Link::Connecting).is_none();
                assert!(new, "{link:?} is given out twice");
            }
            Output::Send(link, _) | Output::Control(link, _) => {
                let state = self.links.get(link).copied();
                assert!(state.is_some_and(|state| state != Link::Closed), "{output:?} on {state:?}");
                let fed = state == Some(Link::Fed);
                assert_eq!(matches!(output, Output::Control(..)), fed, "headers before the payload");
            }
            Output::Feed(link, _) => {
                let before = self.links.insert(*link, Link::Fed);
                assert_eq!(before, Some(Link::Connecting), "{output:?}");
            }
            Output::Close(link) => {
                let before = self.links.insert(*link, Link::Closed);
                assert!(before.is_some_and(|state| state != Link::Closed), "{output:?} twice");
            }
            Output::Accept(offset) => {
                assert_eq!(*offset, 0);
                assert!(!std::mem::replace(&mut self.accepted, true), "accepted twice");
            }
            Output::Reply(_) => assert!(!self.upstream_closed, "said after the last word"),
            Output::CloseUpstream => {
                assert!(!std::mem::replace(&mut self.upstream_closed, true), "closed twice");
            }
            Output::Place(file, _) => {
                assert!(self.ended, "placed without END");
                assert!(self.placing.insert(*file), "placed twice");
                self.open.remove(file);
            }
            Output::Discard(file) => assert!(self.open.remove(file), "discarded what is not open"),
            Output::Done => {
                self.done = true;
                assert!(self.upstream_closed == self.is_node(), "the upstream is told the last word first");
                let left: Vec<_> = self.links.iter().filter(|(_, state)| **state != Link::Closed).collect();
                assert!(left.is_empty(), "done, and {left:?} are open");
                assert!(self.open.is_empty(), "done, and {:?} are neither placed nor removed", self.open);
            }
            Output::Open(_) | Output::Progress(_) | Output::Report(_) => {}
        }
    }
}
