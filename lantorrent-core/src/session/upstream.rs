//! Who this node has its payload from, what it says there, and when it was last heard of.

use std::time::{Duration, Instant};

use super::context::{Context, Relayed};
use super::io::{Now, Output, UpstreamId};
use super::timing::Timing;
use crate::wire::{Line, LineWriter, SealedReport, Wire};

/// A connection from upstream.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: UpstreamId,
    /// Who it is from: the place of a node, None for the source.
    pub(super) from: Option<u32>,
    lines: Option<LineWriter>,
    heard: Instant,
    /// Whether its half of the connection has ended. It may still listen.
    mute: bool,
}

impl Link {
    pub(super) fn new(id: UpstreamId, from: Option<u32>, lines: Option<LineWriter>, now: Instant) -> Self {
        Self { id, from, lines, heard: now, mute: false }
    }

    /// Says something that only wire 2 can say.
    pub(super) fn say(&mut self, ctx: &mut Context, line: &Line) {
        if let Some(lines) = &mut self.lines {
            ctx.out.push_back(Output::Reply(self.id, lines.encode(line)));
        }
    }
}

#[derive(Debug)]
pub(super) struct Upstream {
    link: Option<Link>,
    /// When the last one was lost, where there is none.
    orphan_since: Instant,
    alive_at: Instant,
    progress_at: Instant,
}

impl Upstream {
    pub(super) fn new(link: Link, now: Instant, timing: &Timing) -> Self {
        Self {
            link: Some(link),
            orphan_since: now,
            alive_at: now + timing.alive,
            progress_at: now + timing.progress,
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.heard = now;
        }
    }

    /// This node stood still for so long: what upstream did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        if let Some(link) = &mut self.link {
            link.heard += late;
        }
        self.orphan_since += late;
    }

    pub(super) fn id(&self) -> Option<UpstreamId> {
        self.link.as_ref().map(|link| link.id)
    }

    /// Whether there is an upstream that shows signs of life.
    pub(super) fn lives(&self, ctx: &Context, now: Now) -> bool {
        self.link.as_ref().is_some_and(|link| !link.mute)
            && self.dead_at(ctx).is_some_and(|at| at > now.instant)
    }

    /// Whether a claim by `from` is to be granted: anybody's where no upstream lives, else only that of somebody who
    /// stands before the present upstream, or is that one, over a fresh connection.
    pub(super) fn yields_to(&self, ctx: &Context, now: Now, from: Option<u32>) -> bool {
        // The source stands before everybody.
        !self.lives(ctx, now) || self.link.as_ref().is_none_or(|link| from <= link.from)
    }

    /// Its half of the connection has ended, after all of the payload.
    pub(super) fn mute(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.mute = true;
            self.orphan_since = now;
        }
    }

    /// Goes on with another upstream, and returns the former one's connection.
    pub(super) fn replace(&mut self, link: Link) -> Option<Link> {
        self.link.replace(link)
    }

    /// There is no upstream from now on. Returns what connection there was.
    pub(super) fn lose(&mut self, now: Instant) -> Option<UpstreamId> {
        let link = self.link.take()?;
        self.orphan_since = now;
        Some(link.id)
    }

    /// When nobody is waited for any more, where there is no upstream.
    pub(super) fn orphan_until(&self, timing: &Timing) -> Option<Instant> {
        self.link.is_none().then(|| self.orphan_since + timing.orphan)
    }

    /// When there is no upstream any more, one that says nothing being as good as none.
    pub(super) fn gone_at(&self, ctx: &Context) -> Option<Instant> {
        match &self.link {
            Some(link) if !link.mute => self.dead_at(ctx),
            _ => Some(self.orphan_since),
        }
    }

    /// Says something that only wire 2 can say.
    pub(super) fn say(&mut self, ctx: &mut Context, line: &Line) {
        if let Some(link) = &mut self.link {
            link.say(ctx, line);
        }
    }

    /// Says something on a connection that is no upstream's any more, or was never to be.
    pub(super) fn say_once(ctx: &mut Context, mut link: Link, line: &Line) {
        link.say(ctx, line);
        ctx.out.push_back(Output::CloseUpstream(link.id));
    }

    /// Passes on a report: on wire 2 as its maker sealed it, or sealed here where it was made here.
    pub(super) fn relay(&mut self, ctx: &mut Context, relayed: Relayed) {
        match &ctx.result_key {
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
                ctx.out.extend(self.id().map(|id| Output::Reply(id, line)));
            }
        }
    }

    /// When silence from upstream means that it is dead.
    pub(super) fn dead_at(&self, ctx: &Context) -> Option<Instant> {
        let silence = ctx.timing.silence(ctx.wire());
        self.link.as_ref().map(|link| link.heard + silence)
    }

    /// When the next `tick` is due. On wire 1 nothing is said then, but a session that is not over has a deadline,
    /// even while it waits for its disk alone.
    pub(super) fn next_tick_at(&self) -> Instant {
        self.alive_at.min(self.progress_at)
    }

    /// Says that the node is alive if that is due, and returns whether its progress is due.
    pub(super) fn tick(&mut self, ctx: &mut Context, now: Now) -> bool {
        if self.alive_at <= now.instant {
            self.alive_at = now.instant + ctx.timing.alive;
            self.say(ctx, &Line::Alive);
        }
        let due = self.progress_at <= now.instant;
        if due {
            self.progress_at = now.instant + ctx.timing.progress;
        }
        due && ctx.wire() == Wire::Two
    }
}
