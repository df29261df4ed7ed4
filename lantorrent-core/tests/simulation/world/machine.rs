//! A session under observation: everything that it promises to its driver is checked at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lantorrent_core::session::{
    Control, FeedInput, FeedOutput, FileInput, FileOutput, LinkId, LinkInput, LinkOutput, NodeInput,
    NodeOutput, NodeSession, Now, SourceInput, SourceOutput, SourceSession, Standing, UpstreamId,
};
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
    Tick,
    Node(NodeInput<'static>),
    Source(SourceInput<'static>),
    Link(LinkInput<'static>),
    Feed(FeedInput),
    Bytes(LinkId, Vec<u8>),
}

/// What a session asks for, be it a node's or a source's.
#[derive(Debug)]
pub(crate) enum Output {
    Link(LinkOutput),
    Feed(FeedOutput),
    Node(NodeOutput),
    Source(SourceOutput),
    Done,
}

macro_rules! one_of {
    ($($part:ty => $whole:ident::$variant:ident),*) => {$(
        impl From<$part> for $whole {
            fn from(part: $part) -> Self {
                Self::$variant(part)
            }
        }
    )*};
}

one_of!(
    NodeInput<'static> => Happening::Node,
    SourceInput<'static> => Happening::Source,
    LinkInput<'static> => Happening::Link,
    FeedInput => Happening::Feed
);

impl From<FileInput> for Happening {
    fn from(input: FileInput) -> Self {
        Self::Node(NodeInput::File(input))
    }
}

impl From<NodeOutput> for Output {
    fn from(output: NodeOutput) -> Self {
        match output {
            NodeOutput::Link(output) => Self::Link(output),
            NodeOutput::Feed(output) => Self::Feed(output),
            NodeOutput::Done => Self::Done,
            output => Self::Node(output),
        }
    }
}

impl From<SourceOutput> for Output {
    fn from(output: SourceOutput) -> Self {
        match output {
            SourceOutput::Link(output) => Self::Link(output),
            SourceOutput::Feed(output) => Self::Feed(output),
            SourceOutput::Done => Self::Done,
            output => Self::Source(output),
        }
    }
}

impl Session {
    fn handle(&mut self, now: Now, happening: Happening) {
        match (self, happening) {
            (Self::Node(session), Happening::Tick) => session.handle(now, NodeInput::Tick),
            (Self::Node(session), Happening::Node(input)) => session.handle(now, input),
            (Self::Node(session), Happening::Link(input)) => session.handle(now, input),
            (Self::Node(session), Happening::Feed(input)) => session.handle(now, input),
            (Self::Node(session), Happening::Bytes(link, bytes)) => {
                session.handle(now, LinkInput::Bytes(link, &bytes));
            }
            (Self::Source(session), Happening::Tick) => session.handle(now, SourceInput::Tick),
            (Self::Source(session), Happening::Source(input)) => session.handle(now, input),
            (Self::Source(session), Happening::Link(input)) => session.handle(now, input),
            (Self::Source(session), Happening::Feed(input)) => session.handle(now, input),
            (Self::Source(session), Happening::Bytes(link, bytes)) => {
                session.handle(now, LinkInput::Bytes(link, &bytes));
            }
            (_, happening) => panic!("{happening:?} is for the other session"),
        }
    }
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

    pub(crate) fn standing(&self, now: Now) -> Standing {
        match &self.session {
            Session::Node(session) => session.standing(now),
            Session::Source(_) => Standing::Served,
        }
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
        let due = matches!(happening, Happening::Tick) && self.deadline().is_some_and(|at| at <= now.instant);
        self.observe(&happening);
        self.session.handle(now, happening);
        let outputs = self.drain();
        assert!(!was_done || outputs.is_empty(), "after Done came {outputs:?}");
        // Or the driver would spin.
        let later = self.deadline().is_none_or(|at| at > now.instant);
        assert!(!due || later || !outputs.is_empty(), "a Tick at the deadline moved it nowhere");
        self.check_silence(now.instant, &outputs);
        outputs
    }

    fn observe(&mut self, happening: &Happening) {
        if self.done {
            return;
        }
        let input = match happening {
            Happening::Node(input) => input,
            Happening::Source(SourceInput::End { .. }) => return self.ended = true,
            _ => return,
        };
        match input {
            NodeInput::EndVerified(Ok(())) => self.ended = true,
            NodeInput::File(FileInput::Opened(file, opened)) => {
                let wanted = self.opening.remove(file) && !self.removing.contains(file);
                let opened = opened.as_ref().ok().filter(|_| wanted);
                self.open.extend(opened.map(|opened| (*file, opened.resumed)));
            }
            NodeInput::Claimed(id, _) => {
                assert!(self.upstreams.insert(*id, true).is_none(), "an upstream comes twice");
            }
            NodeInput::Cancelled(id, _) | NodeInput::Queried(id, _) => {
                assert!(self.upstreams.insert(*id, true).is_none(), "an upstream comes twice");
                self.callers.insert(*id);
            }
            NodeInput::Halted { offset, .. } => {
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
        if self.said.is_none()
            || outputs.iter().any(|output| matches!(output, Output::Node(NodeOutput::Reply(..))))
        {
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
                Session::Node(session) => session.poll().map(Output::from),
                Session::Source(session) => session.poll().map(Output::from),
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
            Output::Link(output) => self.check_link(output),
            Output::Feed(output) => self.check_feed(output),
            Output::Source(SourceOutput::Part(link)) => {
                let before = self.links.insert(*link, Link::Closed);
                assert!(matches!(before, Some(Link::Fed | Link::Finished)), "{output:?}");
            }
            Output::Source(_) => {}
            Output::Node(output) => self.check_node(output),
            Output::Done => self.check_done(),
        }
    }

    fn check_node(&mut self, output: &NodeOutput) {
        match output {
            NodeOutput::Accept(..)
            | NodeOutput::Halt
            | NodeOutput::Reply(..)
            | NodeOutput::CloseUpstream(_)
            | NodeOutput::DropUpstream(_) => self.check_upstream(output),
            NodeOutput::File(
                FileOutput::Open(_)
                | FileOutput::Place(..)
                | FileOutput::Discard(_)
                | FileOutput::Keep(_)
                | FileOutput::Remove(_),
            ) => self.check_file(output),
            _ => {}
        }
    }

    fn check_link(&mut self, output: &LinkOutput) {
        match output {
            LinkOutput::LookUp { link, .. } | LinkOutput::Connect { link, .. } => {
                let new = self.links.insert(*link, Link::Connecting).is_none();
                assert!(new, "{link:?} is given out twice");
            }
            LinkOutput::Send(link, _) => {
                let state = self.links.get(link).copied();
                assert_eq!(state, Some(Link::Connecting), "headers before the payload: {output:?}");
            }
            LinkOutput::Close(link) => {
                let before = self.links.insert(*link, Link::Closed);
                assert!(before.is_some_and(|state| state != Link::Closed), "{output:?} twice");
            }
        }
    }

    fn check_feed(&mut self, output: &FeedOutput) {
        match output {
            // A child that is not ready yet hears of it too. Nothing but the end comes behind that.
            FeedOutput::Control(link, Control::Abort(_)) => {
                let before = self.links.insert(*link, Link::Fed);
                assert!(matches!(before, Some(Link::Connecting | Link::Fed)), "{output:?} on {before:?}");
            }
            FeedOutput::Control(link, _) => {
                assert_eq!(self.links.get(link), Some(&Link::Fed), "headers before the payload: {output:?}");
            }
            FeedOutput::Feed(link, _) => {
                let before = self.links.insert(*link, Link::Fed);
                assert_eq!(before, Some(Link::Connecting), "{output:?}");
            }
            FeedOutput::Finish(link) => {
                let before = self.links.insert(*link, Link::Finished);
                assert_eq!(before, Some(Link::Fed), "{output:?}");
            }
        }
    }

    fn check_upstream(&mut self, output: &NodeOutput) {
        match output {
            NodeOutput::Accept(id, offset) => {
                assert_eq!(self.upstreams.get(id), Some(&true), "{output:?}");
                assert_eq!(self.reading, Reading::No, "{output:?}");
                let least = self.open.values().min().copied().unwrap_or(*offset);
                let next = self.next.unwrap_or(least.min(*offset));
                assert_eq!(*offset, next, "where the payload goes on");
                self.reading = Reading::From(*id);
            }
            NodeOutput::Halt => {
                assert!(matches!(self.reading, Reading::From(_)), "halted, and it is {:?}", self.reading);
                self.reading = Reading::Halting;
            }
            NodeOutput::Reply(id, _) => {
                assert_eq!(self.upstreams.get(id), Some(&true), "said after the last word");
            }
            NodeOutput::CloseUpstream(id) | NodeOutput::DropUpstream(id) => {
                assert_eq!(self.upstreams.insert(*id, false), Some(true), "{output:?} twice");
            }
            _ => {}
        }
    }

    fn check_file(&mut self, output: &NodeOutput) {
        match output {
            NodeOutput::File(FileOutput::Place(file, _)) => {
                assert!(self.ended, "placed before its END is verified");
                assert!(self.placing.insert(*file), "placed twice");
                self.open.remove(file);
            }
            NodeOutput::File(FileOutput::Open(file)) => {
                assert!(self.opening.insert(*file), "{output:?} twice");
            }
            NodeOutput::File(FileOutput::Keep(file)) if self.opening.remove(file) => {}
            NodeOutput::File(FileOutput::Remove(request)) => {
                let Session::Node(session) = &self.session else { panic!("{output:?} of a source") };
                let own = session.header().node.requests.iter().position(|own| own.id == request.id);
                if let Some(file) = own {
                    assert!(!self.placing.contains(&file), "{output:?} of what is being placed");
                    assert!(self.removing.insert(file), "{output:?} twice");
                    self.open.remove(&file);
                }
            }
            NodeOutput::File(FileOutput::Discard(file) | FileOutput::Keep(file)) => {
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
