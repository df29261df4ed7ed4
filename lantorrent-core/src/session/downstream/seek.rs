//! How a run comes to a child: candidates are asked, and the first in the list that answers is chosen. PROTOCOL.md,
//! "Becoming a child".

use core::net::SocketAddr;

use super::Downstream;
use crate::session::child::Child;
use crate::session::connection::Connection;
use crate::session::context::Context;
use crate::session::io::{FeedOutput, Feeds, LinkId, Now};
use crate::session::links::Owner;
use crate::session::outgoing::{Outcome, Purpose};
use crate::session::run::{Candidate, Role, Run};
use crate::wire::{Code, Verb, Wire};

impl Downstream {
    /// Does what is next in a run without a child: chooses one of those that have answered, or asks another.
    pub(super) fn seek(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) {
        if self.aborting.is_some() || !ctx.adopting {
            // No child is sought for a transfer that is over without the file.
            let run = &mut self.runs[at];
            if self.aborting.is_some() && !run.active() || run.exhausted() {
                run.end();
            }
            return;
        }
        while self.runs[at].seeks() {
            if let Some(before) = self.runs[at].choice(ctx, now.instant) {
                return self.choose(ctx, now, at, before);
            }
            let crowded = self.is_crowded(at);
            let (purpose, run) = (self.purpose(ctx, at), &mut self.runs[at]);
            let Some(place) = run.candidate(ctx, now.instant).filter(|_| !crowded) else {
                if run.exhausted() {
                    run.end();
                    self.seek_elsewhere(ctx, now);
                }
                return;
            };
            run.launch(place, purpose, ctx, now.instant);
        }
    }

    /// Whether each node is a child of this side, of which so many are served at a time.
    pub(super) fn is_star(&self) -> bool {
        self.most != usize::MAX
    }

    fn is_crowded(&self, at: usize) -> bool {
        !self.runs[at].active() && self.runs.iter().filter(|run| run.active()).count() >= self.most
    }

    fn purpose(&self, ctx: &Context<impl Feeds>, at: usize) -> Purpose {
        // A node that is asked directly was asked before, or is the last one that is waited for.
        let answer_in = self.is_star().then_some(ctx.timing.direct);
        Purpose { owner: Owner::Run(at), verb: Verb::Send, from: self.by, answer_in }
    }

    /// A run that is over makes room for one that waits.
    pub(super) fn seek_elsewhere(&mut self, ctx: &mut Context<impl Feeds>, now: Now) {
        if !self.is_star() {
            return;
        }
        let waiting = self.runs.iter().position(|run| !run.is_over() && !run.active());
        if let Some(at) = waiting {
            self.seek(ctx, now, at);
        }
    }

    /// The candidate behind that many others gets the proof. Those before it have had their time.
    fn choose(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, before: usize) {
        for _ in 0..before {
            let Candidate { place, handshake } = self.runs[at].candidates.remove(0);
            handshake.close(ctx);
            if !self.runs[at].asks(place) {
                self.skip(ctx, at, place, &handshake.node, Code::CANNOT_CONNECT, "no answer in time");
            }
        }
        let run = &mut self.runs[at];
        let mut candidate = run.candidates.remove(0);
        candidate.handshake.prove(ctx, now.instant);
        run.put(candidate, Role::Chosen);
    }

    /// The name of a node has these addresses.
    pub(super) fn found(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        link: LinkId,
        addresses: &[SocketAddr],
    ) {
        self.step(ctx, now, link, |candidate, _, ctx| candidate.handshake.found(ctx, now, link, addresses));
    }

    /// A connection stands.
    pub(super) fn connected(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        link: LinkId,
        to: SocketAddr,
    ) {
        self.step(ctx, now, link, |candidate, run, ctx| {
            let rest = run.behind(candidate.place).to_vec();
            candidate.handshake.connected(ctx, now, link, to, rest)
        });
    }

    /// Something happens to a candidate, and its run goes on by that. False if there is none of that link.
    pub(super) fn step<O: Feeds>(
        &mut self,
        ctx: &mut Context<O>,
        now: Now,
        link: LinkId,
        step: impl FnOnce(&mut Candidate, &Run, &mut Context<O>) -> Outcome,
    ) -> bool {
        let Some(Owner::Run(at)) = ctx.links.owner(link) else { return false };
        let Some((mut candidate, role)) = self.runs[at].take_candidate(link) else { return false };
        let outcome = step(&mut candidate, &self.runs[at], ctx);
        self.stepped(ctx, now, at, candidate, role, outcome);
        true
    }

    pub(super) fn stepped(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        candidate: Candidate,
        role: Role,
        outcome: Outcome,
    ) {
        match outcome {
            Outcome::Pending => self.runs[at].put(candidate, role),
            Outcome::Challenged => {
                self.runs[at].put(candidate, role);
                self.seek(ctx, now, at);
            }
            Outcome::Accepted(connection) => self.accepted(ctx, now, at, candidate, connection),
            Outcome::Left => self.left(ctx, now, at, &candidate.handshake.node, candidate.place),
            Outcome::Failed(loss) => match role {
                Role::Asked => self.lose_candidate(ctx, now, at, &candidate, &loss),
                Role::Chosen => self.lose_chosen(ctx, now, at, &candidate, &loss),
            },
        }
    }

    /// The child is let in where it was chosen: no other is sought.
    fn accepted(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        candidate: Candidate,
        connection: Connection,
    ) {
        let Candidate { place, handshake } = candidate;
        let run = &mut self.runs[at];
        if ctx.wire() == Wire::One {
            // It says nothing before it has the payload: a node that takes the connection is taken at its word.
            ctx.push(FeedOutput::Feed(connection.link, 0));
        } else {
            run.drop_candidates(ctx);
            run.left = None;
            run.resume_at(place + 1);
        }
        run.feed(Child::new(connection, place, handshake.node, now.instant));
    }
}
