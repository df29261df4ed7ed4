//! The handshake with a node, by the side that connects: its name is looked up, its addresses race, the first of them that
//! answers the header is kept, and ends as a [`Connection`] when the node has accepted the proof. PROTOCOL.md, "Several
//! addresses" and "Challenge and proof". Its other side is [`Incoming`](super::Incoming).
//!
//! ```text
//!  lookup ──▶ Connecting ──header──▶ HeaderSent ──challenge──▶ Challenged ──prove()──▶ Proving ──accepted──▶ Connection
//!             └── on several addresses at once ──┘   └────────── on the one that has answered ──────┘
//! ```
//!
//! On wire 1, which has neither challenge nor `accepted`, the first address that takes the header is kept.

mod loss;

use core::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub(super) use loss::Loss;
use loss::Losses;

use super::connection::{Connection, Said, refused};
use super::context::Context;
use super::io::{Asks, LinkId, LinkOutput, Now};
use super::links::Owner;
use super::timers::Timers;
use super::timing::Timing;
use crate::race::Race;
use crate::wire::{Code, Destination, Line, LineError, Nonce, Verb, Wire};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The network is asked for a connection.
    Connecting,
    /// The header is out; a challenge is due.
    HeaderSent,
    /// The challenge is here; the proof waits until it is wanted.
    Challenged(Nonce),
    /// The proof is out; `accepted` is due.
    Proving,
}

/// What a handshake is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    pub(super) owner: Owner,
    pub(super) verb: Verb,
    /// The place of this node in the list; None for the source.
    pub(super) from: Option<u32>,
    /// For the node to answer the header, on whatever address. None: as long as each step may take.
    pub(super) answer_in: Option<Duration>,
}

/// How a handshake stands.
#[derive(Debug)]
#[must_use]
pub(super) enum Outcome {
    /// It goes on.
    Pending,
    /// The node has answered, and waits for [`prove`](Outgoing::prove).
    Challenged,
    Accepted(Connection),
    /// The node has another upstream, and keeps it.
    Left,
    /// Nothing comes of it. All its connections are closed.
    Failed(Loss),
}

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) node: Destination,
    purpose: Purpose,
    asked: Instant,
    /// Under which its name is being looked up.
    lookup: Option<LinkId>,
    race: Race,
    links: Vec<Pending>,
    losses: Losses,
}

/// One address of the node.
#[derive(Debug)]
struct Pending {
    link: LinkId,
    to: SocketAddr,
    stage: Stage,
    since: Instant,
    /// From the header on.
    connection: Option<Connection>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The node has not answered on any address.
    Answer,
    /// The next address is tried too.
    Dial,
    Lookup,
    Link(LinkId),
}

impl Outgoing {
    /// Looks the node's name up, or tries the address that it is.
    pub(super) fn begin(
        node: Destination,
        purpose: Purpose,
        ctx: &mut Context<impl Asks>,
        now: Instant,
    ) -> Self {
        let race = Race::new(literal(&node), now);
        let (links, losses) = (Vec::new(), Losses::default());
        let mut this = Self { node, purpose, asked: now, lookup: None, race, links, losses };
        if this.race.is_lost() {
            let (host, port) = (this.node.host.clone(), this.node.port);
            this.lookup = Some(ctx.look_up(purpose.owner, host, port));
        } else {
            this.dial(ctx, now);
        }
        this
    }

    /// With the same node once more, beside this one. No more time is left for that than for this one.
    pub(super) fn again(&self, ctx: &mut Context<impl Asks>, now: Instant) -> Self {
        Self { asked: self.asked, ..Self::begin(self.node.clone(), self.purpose, ctx, now) }
    }

    /// Whether that connection, or lookup, belongs to it.
    pub(super) fn has(&self, link: LinkId) -> bool {
        self.lookup == Some(link) || self.links.iter().any(|pending| pending.link == link)
    }

    /// The connection on which the node has answered.
    pub(super) fn link(&self) -> Option<LinkId> {
        self.links.first().map(|pending| pending.link)
    }

    /// Whether the node waits for [`prove`](Self::prove).
    pub(super) fn is_challenged(&self) -> bool {
        self.links.iter().any(|pending| matches!(pending.stage, Stage::Challenged(_)))
    }

    /// Whether the node has not answered the header yet.
    pub(super) fn is_silent(&self) -> bool {
        self.links.iter().all(|pending| matches!(pending.stage, Stage::Connecting | Stage::HeaderSent))
    }

    /// When the node has been asked for that long.
    pub(super) fn asked_until(&self, time: Duration) -> Instant {
        self.asked + time
    }

    /// The name has these addresses.
    pub(super) fn found(
        &mut self,
        ctx: &mut Context<impl Asks>,
        now: Now,
        link: LinkId,
        addresses: &[SocketAddr],
    ) -> Outcome {
        if self.lookup != Some(link) {
            return Outcome::Pending;
        }
        if addresses.is_empty() {
            return self.lose(ctx, now, link, Code::CANNOT_CONNECT, "the name has no address");
        }
        self.lookup = None;
        ctx.close(link);
        self.race = Race::new(addresses.iter().copied(), now.instant);
        self.dial(ctx, now.instant);
        Outcome::Pending
    }

    /// A connection stands: the header goes out, with `rest` behind the node.
    pub(super) fn connected(
        &mut self,
        ctx: &mut Context<impl Asks>,
        now: Now,
        link: LinkId,
        to: SocketAddr,
        rest: Vec<Destination>,
    ) -> Outcome {
        let Purpose { verb, from, .. } = self.purpose;
        let Some(at) = self.position(link) else { return Outcome::Pending };
        let Some((header, nonce)) = ctx.header_for(now, &self.node, rest, verb, from, to) else {
            let loss = Loss::certain(Code::UNSUPPORTED, "no password for this wire");
            return self.drop_link(ctx, now, link, loss);
        };
        ctx.push(LinkOutput::Send(link, header));
        let connection = Connection::new(link, ctx.wire(), &ctx.keys, nonce, now.instant);
        if ctx.wire() == Wire::One {
            self.settle(ctx, now.instant, link);
            self.links.clear();
            return Outcome::Accepted(connection);
        }
        self.links[at].connection = Some(connection);
        self.links[at].enter(Stage::HeaderSent, now.instant);
        Outcome::Pending
    }

    /// The node sent bytes. Takes as many as belong to the next thing it said, and nothing of what is behind `accepted`.
    pub(super) fn bytes(
        &mut self,
        ctx: &mut Context<impl Asks>,
        now: Now,
        link: LinkId,
        input: &mut &[u8],
    ) -> Outcome {
        let connection = self.position(link).and_then(|at| self.links[at].connection.as_mut());
        let early = || Err(LineError::Malformed("it spoke before it was spoken to"));
        match connection.map_or_else(early, |connection| connection.read(input, now.instant)) {
            Ok((used, said)) => {
                *input = &input[used..];
                said.map_or(Outcome::Pending, |said| self.said(ctx, now, link, said))
            }
            Err(error) => self.lose(ctx, now, link, Code::from(&error), &error.to_string()),
        }
    }

    fn said(&mut self, ctx: &mut Context<impl Asks>, now: Now, link: LinkId, said: Said) -> Outcome {
        let Some(at) = self.position(link) else { return Outcome::Pending };
        match (said, self.links[at].stage) {
            // What a damaged header or proof is answered with cannot be told from a refusal.
            (Said::Bare(report), _) => {
                let (code, why) = refused(&report);
                self.lose(ctx, now, link, code, &why)
            }
            (Said::Line(Line::Challenge { challenge }), Stage::HeaderSent) => {
                self.links[at].enter(Stage::Challenged(challenge), now.instant);
                self.settle(ctx, now.instant, link);
                Outcome::Challenged
            }
            (Said::Line(Line::Accepted { features }), Stage::Proving) => {
                if self.purpose.from.is_none() {
                    ctx.hear_features(self.node.index, features);
                }
                let accepted = self.links.pop().and_then(|pending| pending.connection);
                accepted.map_or(Outcome::Pending, Outcome::Accepted)
            }
            (Said::Line(Line::Left), Stage::Proving) if self.purpose.from.is_some() => {
                self.close(ctx);
                Outcome::Left
            }
            (Said::Line(_), _) => self.drop_link(ctx, now, link, Loss::certain(Code::PROTOCOL, OUT_OF_TURN)),
        }
    }

    /// Shows the node that this side has the password.
    pub(super) fn prove(&mut self, ctx: &mut Context<impl Asks>, now: Instant) {
        for pending in &mut self.links {
            let Stage::Challenged(challenge) = pending.stage else { continue };
            let connection = pending.connection.as_ref();
            let proof = connection.and_then(|connection| connection.proof(&ctx.keys, &challenge));
            if let Some(proof) = proof {
                // From now on the node may have it.
                let key = connection.and_then(|connection| connection.node_key(&ctx.keys, &challenge));
                ctx.meet(self.node.index, key.filter(|_| self.purpose.from.is_none()));
                ctx.push(LinkOutput::Send(pending.link, proof));
                pending.enter(Stage::Proving, now);
            }
        }
    }

    /// A connection could not be made, or has ended, or the name not be looked up.
    pub(super) fn closed(
        &mut self,
        ctx: &mut Context<impl Asks>,
        now: Now,
        link: LinkId,
        why: &str,
    ) -> Outcome {
        let pending = self.links.iter().find(|pending| pending.link == link);
        let connection = pending.and_then(|pending| pending.connection.as_ref());
        let Some(connection) = connection else {
            return self.lose(ctx, now, link, Code::CANNOT_CONNECT, why);
        };
        match connection.refusal() {
            Some(report) => {
                let (code, why) = refused(&report);
                self.lose(ctx, now, link, code, &why)
            }
            None => self.lose(ctx, now, link, Code::CONNECTION_LOST, why),
        }
    }

    /// A connection, or the lookup, is of no use. Other addresses of the node may still answer.
    pub(super) fn lose(
        &mut self,
        ctx: &mut Context<impl Asks>,
        now: Now,
        link: LinkId,
        code: Code,
        why: &str,
    ) -> Outcome {
        self.drop_link(ctx, now, link, Loss::new(code, why))
    }

    fn drop_link(&mut self, ctx: &mut Context<impl Asks>, now: Now, link: LinkId, loss: Loss) -> Outcome {
        ctx.close(link);
        if self.lookup == Some(link) {
            self.lookup = None;
            self.losses.add(None, Stage::Connecting, loss);
        } else {
            let Some(at) = self.position(link) else { return Outcome::Pending };
            let pending = self.links.remove(at);
            self.losses.add(Some(pending.to), pending.stage, loss);
            self.race.failed(now.instant);
            self.dial(ctx, now.instant);
        }
        if self.links.is_empty() { Outcome::Failed(self.losses.verdict()) } else { Outcome::Pending }
    }

    /// Nothing has come of it in time.
    pub(super) fn give_up(&mut self, ctx: &mut Context<impl Asks>) -> Loss {
        self.close(ctx);
        if self.lookup.take().is_some() {
            self.losses.add(None, Stage::Connecting, Loss::new(Code::CANNOT_CONNECT, LOOKUP));
        }
        for pending in std::mem::take(&mut self.links) {
            let (code, why) = match pending.stage {
                Stage::Connecting => (Code::CANNOT_CONNECT, UNCONNECTED),
                _ => (Code::TIMED_OUT, NO_ANSWER),
            };
            self.losses.add(Some(pending.to), pending.stage, Loss::new(code, why));
        }
        self.losses.verdict()
    }

    /// Closes all its connections.
    pub(super) fn close(&self, ctx: &mut Context<impl Asks>) {
        let links = self.links.iter().map(|pending| pending.link);
        self.lookup.into_iter().chain(links).for_each(|link| ctx.close(link));
    }

    /// When to call [`tick`](Self::tick) if nothing happens before.
    pub(super) fn deadline(&self, timing: &Timing) -> Option<Instant> {
        self.timers(timing).next()
    }

    fn timers(&self, timing: &Timing) -> Timers<Timer> {
        let mut timers = Timers::default();
        let answer_in = self.purpose.answer_in.filter(|_| self.is_silent());
        timers.set(Timer::Answer, answer_in.map(|time| self.asked + time));
        timers.set(Timer::Dial, self.race.deadline());
        timers.set(Timer::Lookup, self.lookup.map(|_| self.asked + timing.connect));
        for pending in &self.links {
            timers.set(Timer::Link(pending.link), pending.deadline(self.asked, timing));
        }
        timers
    }

    pub(super) fn tick(&mut self, ctx: &mut Context<impl Asks>, now: Now) -> Outcome {
        let mut outcome = Outcome::Pending;
        let mut timers = self.timers(&ctx.timing);
        while let Some(timer) = timers.expired(now.instant) {
            match timer {
                Timer::Answer => return Outcome::Failed(self.give_up(ctx)),
                Timer::Dial => self.dial(ctx, now.instant),
                Timer::Lookup => {
                    let Some(link) = self.lookup else { continue };
                    outcome = self.lose(ctx, now, link, Code::CANNOT_CONNECT, LOOKUP);
                }
                Timer::Link(link) => {
                    let Some(at) = self.position(link) else { continue };
                    let (code, why) = self.links[at].stage.late();
                    outcome = self.lose(ctx, now, link, code, why);
                }
            }
        }
        outcome
    }

    /// This side stood still for so long: what the node did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.asked += late;
        self.race.excuse(late);
        self.links.iter_mut().for_each(|pending| pending.since += late);
    }

    fn position(&self, link: LinkId) -> Option<usize> {
        self.links.iter().position(|pending| pending.link == link)
    }

    /// Tries the addresses whose time has come.
    fn dial(&mut self, ctx: &mut Context<impl Asks>, now: Instant) {
        while let Some(to) = self.race.poll(now) {
            let link = ctx.connect(self.purpose.owner, to);
            let (stage, connection) = (Stage::Connecting, None);
            self.links.push(Pending { link, to, stage, since: now, connection });
        }
    }

    /// The node has answered on that link, or on wire 1 taken it: no other is needed.
    fn settle(&mut self, ctx: &mut Context<impl Asks>, now: Instant, link: LinkId) {
        self.race = Race::new([], now);
        self.losses = Losses::default();
        let others = self.links.extract_if(.., |pending| pending.link != link);
        others.for_each(|pending| ctx.close(pending.link));
    }
}

impl Pending {
    fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.since = now;
    }

    fn deadline(&self, asked: Instant, timing: &Timing) -> Instant {
        match self.stage {
            // All addresses of a node share that time, and so does the lookup of its name.
            Stage::Connecting => asked + timing.connect,
            // A challenged node waits for the proof only so long, and is asked again if it is wanted later.
            Stage::HeaderSent | Stage::Challenged(_) | Stage::Proving => self.since + timing.handshake,
        }
    }
}

impl Stage {
    /// What it means that this lasts too long.
    fn late(self) -> (Code, &'static str) {
        match self {
            Self::Connecting => (Code::CANNOT_CONNECT, UNCONNECTED),
            Self::HeaderSent => (Code::TIMED_OUT, "no answer to the header in time"),
            Self::Challenged(_) => (Code::TIMED_OUT, "not chosen in time"),
            Self::Proving => (Code::TIMED_OUT, "no answer to the proof in time"),
        }
    }
}

/// Why a node is lost that says what it should not.
pub(super) const OUT_OF_TURN: &str = "it sent a line out of turn";
/// Why a node is given up that was connected to.
pub(super) const NO_ANSWER: &str = "connected, but no answer in time";
const UNCONNECTED: &str = "no connection in time";
const LOOKUP: &str = "its name was not looked up in time";

/// The address that the host is, where it is no name. One of a single link takes a zone, which only the system knows.
fn literal(node: &Destination) -> Option<SocketAddr> {
    let ip = node.host.parse().ok()?;
    let is_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    (!is_local).then(|| SocketAddr::new(ip, node.port))
}
