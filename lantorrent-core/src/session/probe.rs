//! Whether nodes that were lost can be reached again, asked while the others are still being served: so that nobody has to
//! be waited for in the end who has been silent all along.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, Loss};
use super::context::Context;
use super::io::{LinkId, LinkIds, Now};
use crate::wire::{Code, Destination, Verb};

/// Links from here on are the probes's. A session would need years to give out as many others.
const FIRST_LINK: u32 = 2 << 30;
/// Nodes that are asked at the same time.
const AT_ONCE: usize = 64;
/// Questions that a node has to leave without an answer. One may be damaged on its way.
const QUESTIONS: usize = 2;

/// What is known of a lost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It has answered of late, or was not asked for long enough.
    Open,
    /// It was asked for some time, more than once, and has not answered.
    Gone,
}

#[derive(Debug)]
struct Watched {
    node: Destination,
    ask_at: Instant,
    /// When it was asked first since it was last heard.
    waiting: Option<Instant>,
    /// How often it was asked since then.
    asked: usize,
    asking: Vec<Attempt>,
}

/// Asks lost nodes, again and again, for as much as a challenge. That changes nothing for them.
#[derive(Debug)]
pub(super) struct Probes {
    watched: Vec<Watched>,
    ids: LinkIds,
}

impl Default for Probes {
    fn default() -> Self {
        Self { watched: Vec::new(), ids: LinkIds::from(FIRST_LINK) }
    }
}

impl Probes {
    /// A node is lost.
    pub(super) fn watch(&mut self, now: Now, node: &Destination) {
        if self.watched.len() < AT_ONCE && self.watched.iter().all(|known| known.node.index != node.index) {
            let (node, ask_at, asking) = (node.clone(), now.instant, Vec::new());
            self.watched.push(Watched { node, ask_at, waiting: None, asked: 0, asking });
        }
    }

    /// What is known of that node.
    pub(super) fn sight(&self, ctx: &Context, now: Now, index: u32) -> Sight {
        let known = self.watched.iter().find(|known| known.node.index == index);
        let known = known.filter(|known| known.asked >= QUESTIONS);
        let waiting = known.and_then(|known| known.waiting);
        let long = |since| now.instant.saturating_duration_since(since) >= ctx.timing.direct;
        if waiting.is_some_and(long) { Sight::Gone } else { Sight::Open }
    }

    /// The source stood still for so long, and has not read yet what was answered meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        for known in &mut self.watched {
            known.waiting = known.waiting.map(|since| since + late);
            known.asking.iter_mut().for_each(|attempt| attempt.excuse(late));
        }
    }

    /// Nobody is watched any more.
    pub(super) fn stop(&mut self, ctx: &mut Context) {
        let open = self.watched.drain(..).flat_map(|known| known.asking);
        open.for_each(|attempt| attempt.close(ctx));
    }

    pub(super) fn deadline(&self, ctx: &Context) -> Option<Instant> {
        let at = |known: &Watched| {
            let next = (known.asking.len() < QUESTIONS).then_some(known.ask_at);
            let late = known.asking.iter().map(|attempt| attempt.asked_until(ctx.timing.direct));
            let due = known.asking.iter().filter_map(|attempt| attempt.deadline(&ctx.timing, ctx.wire()));
            next.into_iter().chain(late).chain(due).min()
        };
        self.watched.iter().filter_map(at).min()
    }

    pub(super) fn tick(&mut self, ctx: &mut Context, now: Now) {
        for known in &mut self.watched {
            let (time, ids) = (ctx.timing.direct, &mut self.ids);
            known.asking.retain_mut(|attempt| {
                let late = attempt.asked_until(time) <= now.instant;
                late.then(|| attempt.give_up(ctx)).or_else(|| attempt.tick(ids, ctx, now.instant)).is_none()
            });
            if known.asking.len() < QUESTIONS && known.ask_at <= now.instant {
                known.ask(ids, ctx, now);
            }
        }
    }

    fn find(&mut self, link: LinkId) -> Option<&mut Watched> {
        let asks = |known: &&mut Watched| known.asking.iter().any(|attempt| attempt.has(link));
        self.watched.iter_mut().find(asks)
    }

    pub(super) fn connected(&mut self, ctx: &mut Context, now: Now, link: LinkId, to: SocketAddr) {
        let Some(known) = self.find(link) else { return };
        if let Some(child) = known.asking.iter_mut().find_map(|attempt| attempt.find(link)) {
            ctx.introduce(now, child, Verb::Send, Vec::new(), None, to);
        }
    }

    pub(super) fn bytes(&mut self, ctx: &mut Context, now: Now, link: LinkId, input: &[u8]) {
        let Some(known) = self.find(link) else { return };
        // Whatever it says, it is there.
        known.waiting = None;
        let child = known.asking.iter_mut().find_map(|attempt| attempt.find(link));
        if child.is_some_and(|child| !matches!(child.read(input, now.instant), Ok((_, None)))) {
            known.asking.drain(..).for_each(|attempt| attempt.close(ctx));
            known.ask_at = now.instant + ctx.timing.reclaim;
        }
    }

    pub(super) fn found(&mut self, ctx: &mut Context, now: Now, link: LinkId, addresses: &[SocketAddr]) {
        self.step(ctx, now, link, |attempt, ids, ctx| attempt.found(addresses, ids, ctx, now.instant));
    }

    /// A link is closed, or the name cannot be looked up.
    pub(super) fn close(&mut self, ctx: &mut Context, now: Now, link: LinkId, why: &str) {
        self.step(ctx, now, link, |attempt, ids, ctx| {
            attempt.lose(link, Code::CANNOT_CONNECT, why, ids, ctx, now.instant)
        });
    }

    /// Something became of a link. Where that was the last one the question is over, and another one due after a while.
    fn step(
        &mut self,
        ctx: &mut Context,
        now: Now,
        link: LinkId,
        step: impl Fn(&mut Attempt, &mut LinkIds, &mut Context) -> Option<Loss>,
    ) {
        let known =
            self.watched.iter_mut().find(|known| known.asking.iter().any(|attempt| attempt.has(link)));
        let Some(known) = known else { return };
        let before = known.asking.len();
        known.asking.retain_mut(|attempt| !attempt.has(link) || step(attempt, &mut self.ids, ctx).is_none());
        if known.asking.len() < before {
            known.ask_at = now.instant + ctx.timing.reclaim;
        }
    }
}

impl Watched {
    fn ask(&mut self, ids: &mut LinkIds, ctx: &mut Context, now: Now) {
        if self.waiting.is_none() {
            self.waiting = Some(now.instant);
            self.asked = 0;
        }
        self.asked += 1;
        // Beside this one, unless that is answered before.
        self.ask_at = now.instant + ctx.timing.direct / 2;
        self.asking.push(Attempt::begin(0, self.node.clone(), ids, ctx, now.instant));
    }
}
