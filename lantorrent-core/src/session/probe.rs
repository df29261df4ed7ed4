//! Whether nodes that were lost can be reached again, asked while the others are still being served: so that a node that
//! has been silent all along is not waited for in the end.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use super::context::Context;
use super::io::{LinkId, LinkInput, Now, SourceOutput};
use super::links::Owner;
use super::outgoing::{Outcome, Outgoing, Purpose};
use crate::wire::{Destination, Verb};

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
struct Probe {
    node: Destination,
    ask_at: Instant,
    /// When it was asked first since it was last heard.
    waiting: Option<Instant>,
    /// How often it was asked since then.
    asked: usize,
    asking: Vec<Outgoing>,
}

/// Asks lost nodes, again and again, for as much as a challenge. That changes nothing for them.
#[derive(Debug, Default)]
pub(super) struct Probes(Vec<Probe>);

impl Probes {
    /// A node is lost.
    pub(super) fn watch(&mut self, now: Now, node: &Destination) {
        if self.0.len() < AT_ONCE && self.0.iter().all(|known| known.node.index != node.index) {
            let (node, ask_at, asking) = (node.clone(), now.instant, Vec::new());
            self.0.push(Probe { node, ask_at, waiting: None, asked: 0, asking });
        }
    }

    /// What is known of that node.
    pub(super) fn sight(&self, ctx: &Context<SourceOutput>, now: Now, index: u32) -> Sight {
        let known = self.0.iter().find(|known| known.node.index == index);
        let known = known.filter(|known| known.asked >= QUESTIONS);
        let waiting = known.and_then(|known| known.waiting);
        let long = |since| now.instant.saturating_duration_since(since) >= ctx.timing.direct;
        if waiting.is_some_and(long) { Sight::Gone } else { Sight::Open }
    }

    /// The source stood still for so long, and has not read yet what was answered meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        for known in &mut self.0 {
            known.waiting = known.waiting.map(|since| since + late);
            known.asking.iter_mut().for_each(|handshake| handshake.excuse(late));
        }
    }

    /// No node is watched any more.
    pub(super) fn stop(&mut self, ctx: &mut Context<SourceOutput>) {
        self.0.drain(..).flat_map(|known| known.asking).for_each(|handshake| handshake.close(ctx));
    }

    /// When to call [`tick`](Self::tick) if nothing happens before.
    pub(super) fn deadline(&self, ctx: &Context<SourceOutput>) -> Option<Instant> {
        self.0.iter().filter_map(|known| known.deadline(ctx)).min()
    }

    pub(super) fn tick(&mut self, ctx: &mut Context<SourceOutput>, now: Now) {
        for known in &mut self.0 {
            known.asking.retain_mut(|handshake| !matches!(handshake.tick(ctx, now), Outcome::Failed(_)));
            // One that is over makes room for the next.
            if known.next_at().is_some_and(|at| at <= now.instant) {
                known.ask(ctx, now);
            }
        }
    }

    /// Something becomes of a connection, or of a lookup.
    pub(super) fn handle(&mut self, ctx: &mut Context<SourceOutput>, now: Now, input: LinkInput<'_>) {
        match input {
            LinkInput::Found(link, addresses) => self.found(ctx, now, link, &addresses),
            LinkInput::Connected(link, to) => self.connected(ctx, now, link, to),
            LinkInput::Bytes(link, bytes) => self.bytes(ctx, now, link, bytes),
            LinkInput::Closed(link, why) => self.closed(ctx, now, link, &why),
        }
    }

    fn found(&mut self, ctx: &mut Context<SourceOutput>, now: Now, link: LinkId, addresses: &[SocketAddr]) {
        self.step(ctx, now, link, |handshake, ctx| handshake.found(ctx, now, link, addresses));
    }

    fn connected(&mut self, ctx: &mut Context<SourceOutput>, now: Now, link: LinkId, to: SocketAddr) {
        self.step(ctx, now, link, |handshake, ctx| handshake.connected(ctx, now, link, to, Vec::new()));
    }

    fn bytes(&mut self, ctx: &mut Context<SourceOutput>, now: Now, link: LinkId, mut input: &[u8]) {
        let Some(known) = self.of(ctx, link) else { return };
        // Whatever it says, it is there.
        known.waiting = None;
        let Some(handshake) = known.asking.iter_mut().find(|handshake| handshake.has(link)) else { return };
        let outcome = handshake.bytes(ctx, now, link, &mut input);
        if !matches!(outcome, Outcome::Pending) || !handshake.has(link) {
            known.asking.drain(..).for_each(|handshake| handshake.close(ctx));
            known.ask_at = now.instant + ctx.timing.reclaim;
        }
    }

    /// A connection could not be made, or has ended, or the name not be looked up.
    fn closed(&mut self, ctx: &mut Context<SourceOutput>, now: Now, link: LinkId, why: &str) {
        self.step(ctx, now, link, |handshake, ctx| handshake.closed(ctx, now, link, why));
    }

    fn of(&mut self, ctx: &Context<SourceOutput>, link: LinkId) -> Option<&mut Probe> {
        let Some(Owner::Probe(index)) = ctx.links.owner(link) else { return None };
        self.0.iter_mut().find(|known| known.node.index == index)
    }

    /// Something becomes of a question. Where nothing comes of it another one is due after a while.
    fn step(
        &mut self,
        ctx: &mut Context<SourceOutput>,
        now: Now,
        link: LinkId,
        step: impl FnOnce(&mut Outgoing, &mut Context<SourceOutput>) -> Outcome,
    ) {
        let Some(known) = self.of(ctx, link) else { return };
        let Some(at) = known.asking.iter().position(|handshake| handshake.has(link)) else { return };
        if let Outcome::Failed(_) = step(&mut known.asking[at], ctx) {
            known.asking.remove(at);
            known.ask_at = now.instant + ctx.timing.reclaim;
        }
    }
}

impl Probe {
    /// When the node is to be asked again.
    fn next_at(&self) -> Option<Instant> {
        (self.asking.len() < QUESTIONS).then_some(self.ask_at)
    }

    fn deadline(&self, ctx: &Context<SourceOutput>) -> Option<Instant> {
        let asking = self.asking.iter().filter_map(|handshake| handshake.deadline(&ctx.timing));
        asking.chain(self.next_at()).min()
    }

    fn ask(&mut self, ctx: &mut Context<SourceOutput>, now: Now) {
        if self.waiting.is_none() {
            self.waiting = Some(now.instant);
            self.asked = 0;
        }
        self.asked += 1;
        // Beside this one, unless that is answered before.
        self.ask_at = now.instant + ctx.timing.direct / 2;
        let owner = Owner::Probe(self.node.index);
        let purpose = Purpose { owner, verb: Verb::Send, from: None, answer_in: Some(ctx.timing.direct) };
        self.asking.push(Outgoing::begin(self.node.clone(), purpose, ctx, now.instant));
    }
}
