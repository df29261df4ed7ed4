//! The upstream of a node: which one it is, what the node says to it, and when it was last heard of.

use std::time::{Duration, Instant};

use super::context::{Context, Relayed};
use super::io::{NodeOutput, Now, UpstreamId};
use crate::wire::{Line, LineWriter, SealedReport};

/// A connection from upstream.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: UpstreamId,
    /// Its sender: the place of a node, None for the source.
    pub(super) from: Option<u32>,
    lines: Option<LineWriter>,
    heard: Instant,
}

impl Link {
    pub(super) fn new(id: UpstreamId, from: Option<u32>, lines: Option<LineWriter>, now: Instant) -> Self {
        Self { id, from, lines, heard: now }
    }

    /// Says something that only wire 2 can say.
    pub(super) fn say(&mut self, ctx: &mut Context<NodeOutput>, line: &Line) {
        if let Some(lines) = &mut self.lines {
            ctx.out.push_back(NodeOutput::Reply(self.id, lines.encode(line)));
        }
    }
}

/// Which connection is the upstream's, and whether the driver reads it.
///
/// ```text
///          read               its half ends
///  Waiting ────▶ Reading ─────────────────────────▶ Mute
///   ▲  ▲ ▲        │  │ lost                           │
///   │  │ │        │  └──────────▶ Orphan ── claimed ──┼──▶ Waiting
///   │  │ │ halted ▼                 ▲                 │
///   │  │ └───── Halting ── halted ──┘                 │
///   │  └── claimed, while reading: Halting            │
///   └───────────────── claimed ───────────────────────┘
/// ```
#[derive(Debug)]
enum State {
    /// There is none.
    Orphan,
    /// It was not told yet where to begin.
    Waiting(Link),
    Reading(Link),
    /// The driver was told to stop reading, and has not said yet where it did. Next comes this one, if there is one.
    Halting(Option<Link>),
    /// Its half of the connection has ended. It may still listen.
    Mute(Link),
}

#[derive(Debug)]
pub(super) struct Upstream {
    state: State,
    /// When the last one was lost, where there is none.
    orphan_since: Instant,
}

impl Upstream {
    pub(super) fn new(link: Link, now: Instant) -> Self {
        Self { state: State::Waiting(link), orphan_since: now }
    }

    fn link(&self) -> Option<&Link> {
        match &self.state {
            State::Orphan => None,
            State::Waiting(link) | State::Reading(link) | State::Mute(link) => Some(link),
            State::Halting(next) => next.as_ref(),
        }
    }

    fn link_mut(&mut self) -> Option<&mut Link> {
        match &mut self.state {
            State::Orphan => None,
            State::Waiting(link) | State::Reading(link) | State::Mute(link) => Some(link),
            State::Halting(next) => next.as_mut(),
        }
    }

    fn take(&mut self, now: Instant, next: State) -> Option<Link> {
        let link = match std::mem::replace(&mut self.state, next) {
            State::Orphan => None,
            State::Waiting(link) | State::Reading(link) | State::Mute(link) => Some(link),
            State::Halting(next) => next,
        };
        if link.is_some() {
            self.orphan_since = now;
        }
        link
    }

    pub(super) fn heard(&mut self, now: Instant) {
        if let Some(link) = self.link_mut() {
            link.heard = now;
        }
    }

    /// This node stood still for so long: what upstream did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        if let Some(link) = self.link_mut() {
            link.heard += late;
        }
        self.orphan_since += late;
    }

    pub(super) fn id(&self) -> Option<UpstreamId> {
        self.link().map(|link| link.id)
    }

    pub(super) fn is_reading(&self) -> bool {
        matches!(self.state, State::Reading(_))
    }

    /// The one that was not told yet where to begin.
    pub(super) fn waiting(&self) -> Option<UpstreamId> {
        match &self.state {
            State::Waiting(link) => Some(link.id),
            _ => None,
        }
    }

    /// It is told where to begin. Until now it was not its turn to speak, however long that took.
    pub(super) fn read(&mut self, now: Instant) {
        if let Some(mut link) = self.take(now, State::Orphan) {
            link.heard = now;
            self.state = State::Reading(link);
        }
    }

    /// Whether there is an upstream that shows signs of life.
    pub(super) fn lives(&self, ctx: &Context<NodeOutput>, now: Now) -> bool {
        !matches!(self.state, State::Mute(_)) && self.dead_at(ctx).is_some_and(|at| at > now.instant)
    }

    /// Whether a claim by `from` is to be granted: anybody's where no upstream lives, else only that of a node that
    /// stands before the present upstream, or is that one, over a fresh connection.
    pub(super) fn yields_to(&self, ctx: &Context<NodeOutput>, now: Now, from: Option<u32>) -> bool {
        // The source stands before all.
        !self.lives(ctx, now) || self.link().is_none_or(|link| from <= link.from)
    }

    /// Goes on with another upstream, and returns the former one's connection. The driver has to halt if it
    /// [is reading](Self::is_reading).
    pub(super) fn replace(&mut self, link: Link) -> Option<Link> {
        let (next, former) = match std::mem::replace(&mut self.state, State::Orphan) {
            State::Orphan => (State::Waiting(link), None),
            State::Waiting(former) | State::Mute(former) => (State::Waiting(link), Some(former)),
            State::Reading(former) => (State::Halting(Some(link)), Some(former)),
            State::Halting(former) => (State::Halting(Some(link)), former),
        };
        self.state = next;
        former
    }

    /// Nothing is read any more. Returns whether that was asked for: another upstream waits, or none.
    pub(super) fn halted(&mut self) -> bool {
        match std::mem::replace(&mut self.state, State::Orphan) {
            State::Halting(next) => {
                self.state = next.map_or(State::Orphan, State::Waiting);
                true
            }
            other => {
                self.state = other;
                false
            }
        }
    }

    /// Its half of the connection has ended, and nothing is expected of it any more.
    pub(super) fn mute(&mut self, now: Instant) {
        if let Some(link) = self.take(now, State::Orphan) {
            self.state = State::Mute(link);
        }
    }

    /// There is no upstream from now on. Returns what connection there was.
    pub(super) fn lose(&mut self, now: Instant) -> Option<UpstreamId> {
        self.take(now, State::Orphan).map(|link| link.id)
    }

    /// As [`lose`](Self::lose), of one that is being read: the driver has to halt.
    pub(super) fn halt(&mut self, now: Instant) -> Option<UpstreamId> {
        self.take(now, State::Halting(None)).map(|link| link.id)
    }

    /// While the payload is awaited: when too little comes from upstream, or there was none for too long.
    pub(super) fn lost_at(&self, ctx: &Context<NodeOutput>) -> Option<Instant> {
        match &self.state {
            State::Reading(_) => self.dead_at(ctx),
            State::Orphan | State::Halting(None) => Some(self.orphan_since + ctx.timing.orphan),
            State::Waiting(_) | State::Halting(Some(_)) | State::Mute(_) => None,
        }
    }

    /// When there is no upstream any more, one that says nothing being as good as none.
    pub(super) fn gone_at(&self, ctx: &Context<NodeOutput>) -> Option<Instant> {
        match &self.state {
            State::Mute(_) => Some(self.orphan_since),
            _ => self.dead_at(ctx).or(Some(self.orphan_since)),
        }
    }

    /// Says something that only wire 2 can say.
    pub(super) fn say(&mut self, ctx: &mut Context<NodeOutput>, line: &Line) {
        if let Some(link) = self.link_mut() {
            link.say(ctx, line);
        }
    }

    /// Says something on a connection that is no upstream's any more, or was never to be.
    pub(super) fn say_once(ctx: &mut Context<NodeOutput>, mut link: Link, line: &Line) {
        link.say(ctx, line);
        ctx.out.push_back(NodeOutput::CloseUpstream(link.id));
    }

    /// Passes on a report: on wire 2 as its maker sealed it, or sealed here where it was made here.
    pub(super) fn relay(&mut self, ctx: &mut Context<NodeOutput>, relayed: Relayed) {
        match &ctx.seal_key {
            Some(key) => {
                let sealed = relayed.sealed.unwrap_or_else(|| SealedReport::seal(&relayed.report, key));
                if let Some(id) = relayed.report.id {
                    ctx.told.insert(id, sealed.clone());
                }
                self.say(ctx, &Line::Result(sealed));
            }
            None => {
                let mut line = relayed.report.encode().into_bytes();
                line.push(b'\n');
                ctx.out.extend(self.id().map(|id| NodeOutput::Reply(id, line)));
            }
        }
    }

    /// When silence from upstream means that it is dead.
    pub(super) fn dead_at(&self, ctx: &Context<NodeOutput>) -> Option<Instant> {
        self.link().map(|link| link.heard + ctx.timing.silence(ctx.wire()))
    }
}
