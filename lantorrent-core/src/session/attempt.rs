//! Asking one node: its name is looked up, its addresses race, and the first link on which it answers is kept.
//! PROTOCOL.md, "Several addresses".

use core::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::child::{Child, Stage};
use super::context::Context;
use super::io::{LinkId, LinkIds, Output};
use super::race::Race;
use super::timing::Timing;
use crate::wire::{Code, Destination, Wire};

/// Addresses that are named where none has answered.
const NAMED: usize = 4;

#[derive(Debug)]
pub(super) struct Attempt {
    /// Its place in its run.
    pub(super) place: usize,
    pub(super) node: Destination,
    asked: Instant,
    /// Under which its name is being looked up.
    lookup: Option<LinkId>,
    race: Race,
    links: Vec<Child>,
    failures: Vec<Failure>,
}

/// An address that is of no use.
#[derive(Debug)]
struct Failure {
    address: Option<SocketAddr>,
    loss: Loss,
}

/// Why nothing comes of a link, or of all.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    /// How far it came.
    pub(super) stage: Stage,
    pub(super) code: Code,
    pub(super) why: String,
}

/// How much a loss says about the node.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    NotReached,
    Silent,
    Spoke,
}

impl Loss {
    fn telling(&self) -> Telling {
        match self.code {
            _ if self.stage == Stage::Connecting => Telling::NotReached,
            Code::TIMED_OUT | Code::CONNECTION_LOST => Telling::Silent,
            _ => Telling::Spoke,
        }
    }
}

impl Attempt {
    /// Begins to ask.
    pub(super) fn begin(
        place: usize,
        node: Destination,
        ids: &mut LinkIds,
        ctx: &mut Context,
        now: Instant,
    ) -> Self {
        let (asked, race) = (now, Race::new(literal(&node), now));
        let (links, failures) = (Vec::new(), Vec::new());
        let mut this = Self { place, node, asked, lookup: None, race, links, failures };
        if this.race.is_lost() {
            let link = ids.next();
            this.lookup = Some(link);
            let (host, port) = (this.node.host.clone(), this.node.port);
            ctx.out.push_back(Output::LookUp { link, host, port });
        } else {
            this.dial(ids, ctx, now);
        }
        this
    }

    /// The same node once more, beside this attempt. No more time is left for that than for this one.
    pub(super) fn again(&self, ids: &mut LinkIds, ctx: &mut Context, now: Instant) -> Self {
        let mut second = Self::begin(self.place, self.node.clone(), ids, ctx, now);
        second.asked = self.asked;
        second.links.iter_mut().for_each(|link| link.asked = self.asked);
        second
    }

    /// Whether that link belongs to it.
    pub(super) fn has(&self, link: LinkId) -> bool {
        self.lookup == Some(link) || self.links.iter().any(|child| child.link == link)
    }

    pub(super) fn find(&mut self, link: LinkId) -> Option<&mut Child> {
        self.links.iter_mut().find(|child| child.link == link)
    }

    /// Its links, but for one that only looks up its name.
    pub(super) fn links_mut(&mut self) -> &mut [Child] {
        &mut self.links
    }

    /// How far it is on the link that came farthest.
    pub(super) fn stage(&self) -> Stage {
        self.links.iter().map(|child| child.stage).max().unwrap_or(Stage::Connecting)
    }

    /// When the node has been asked for that long.
    pub(super) fn asked_until(&self, time: Duration) -> Instant {
        self.asked + time
    }

    /// The name has these addresses. Says so if none of them is of any use.
    pub(super) fn found(
        &mut self,
        addresses: &[SocketAddr],
        ids: &mut LinkIds,
        ctx: &mut Context,
        now: Instant,
    ) -> Option<Loss> {
        let link = self.lookup?;
        if addresses.is_empty() {
            return self.lose(link, Code::CANNOT_CONNECT, "the name has no address", ids, ctx, now);
        }
        self.lookup = None;
        ctx.out.push_back(Output::Close(link));
        self.race = Race::new(addresses.iter().copied(), now);
        self.dial(ids, ctx, now);
        None
    }

    /// Tries the addresses whose time has come.
    pub(super) fn dial(&mut self, ids: &mut LinkIds, ctx: &mut Context, now: Instant) {
        while let Some(to) = self.race.poll(now) {
            let link = ids.next();
            ctx.out.push_back(Output::Connect { link, to });
            let mut child = Child::new(link, self.place, self.node.clone(), to, now);
            child.asked = self.asked;
            self.links.push(child);
        }
    }

    /// The node has answered on that link, or on wire 1 taken it: no other is needed.
    pub(super) fn settle(&mut self, link: LinkId, ctx: &mut Context, now: Instant) {
        self.race = Race::new([], now);
        self.failures.clear();
        let others = self.links.extract_if(.., |child| child.link != link);
        ctx.out.extend(others.map(|child| Output::Close(child.link)));
    }

    /// The link on which the node has answered.
    pub(super) fn into_child(mut self) -> Option<Child> {
        self.links.pop()
    }

    /// A link is of no use, and closed. Returns why nothing comes of the attempt, where there is no other.
    pub(super) fn lose(
        &mut self,
        link: LinkId,
        code: Code,
        why: &str,
        ids: &mut LinkIds,
        ctx: &mut Context,
        now: Instant,
    ) -> Option<Loss> {
        ctx.out.push_back(Output::Close(link));
        if self.lookup == Some(link) {
            self.lookup = None;
            self.fail(None, Stage::Connecting, code, why);
        } else {
            let at = self.links.iter().position(|child| child.link == link)?;
            let child = self.links.remove(at);
            self.fail(Some(child.to), child.stage, code, why);
            self.race.failed(now);
            self.dial(ids, ctx, now);
        }
        self.links.is_empty().then(|| self.verdict())
    }

    /// Nothing has come of it in time.
    pub(super) fn give_up(&mut self, ctx: &mut Context) -> Loss {
        self.close(ctx);
        if self.lookup.take().is_some() {
            self.fail(None, Stage::Connecting, Code::CANNOT_CONNECT, LOOKUP);
        }
        for child in std::mem::take(&mut self.links) {
            let (code, why) = match child.stage {
                Stage::Connecting => (Code::CANNOT_CONNECT, "no connection in time"),
                _ => (Code::TIMED_OUT, "connected, but no answer in time"),
            };
            self.fail(Some(child.to), child.stage, code, why);
        }
        self.verdict()
    }

    /// Closes all its links.
    pub(super) fn close(&self, ctx: &mut Context) {
        ctx.out.extend(
            self.lookup.into_iter().chain(self.links.iter().map(|child| child.link)).map(Output::Close),
        );
    }

    fn fail(&mut self, address: Option<SocketAddr>, stage: Stage, code: Code, why: &str) {
        self.failures.push(Failure { address, loss: Loss { stage, code, why: why.to_owned() } });
    }

    /// What says most about the node; where it has several addresses, with what became of each.
    fn verdict(&mut self) -> Loss {
        // The sort is stable: of two that say as much the first goes first.
        self.failures.sort_by_key(|failure| std::cmp::Reverse(failure.loss.telling()));
        let Some(first) = self.failures.first() else {
            let why = "no answer".to_owned();
            return Loss { stage: Stage::Connecting, code: Code::CANNOT_CONNECT, why };
        };
        let Loss { stage, code, mut why } = first.loss.clone();
        if self.failures.len() > 1 {
            let mut told: Vec<String> = self.failures.iter().take(NAMED).map(Failure::told).collect();
            if let more @ 1.. = self.failures.len().saturating_sub(NAMED) {
                told.push(format!("and {more} more addresses"));
            }
            why = told.join("; ");
        }
        Loss { stage, code, why }
    }

    /// When something is due, and when the links count as dead unless something happens.
    pub(super) fn deadline(&self, timing: &Timing, wire: Wire) -> Option<Instant> {
        let lookup = self.lookup.map(|_| self.asked + timing.connect);
        let links = self.links.iter().map(|child| child.deadline(timing, wire).0);
        links.chain(lookup).chain(self.race.deadline()).min()
    }

    /// Tries the addresses whose time has come, and lets go of links that are late. Returns why nothing comes of the attempt,
    /// where no other is left.
    pub(super) fn tick(&mut self, ids: &mut LinkIds, ctx: &mut Context, now: Instant) -> Option<Loss> {
        self.dial(ids, ctx, now);
        let (timing, wire) = (&ctx.timing, ctx.wire());
        let late = |child: &Child| {
            let (at, why) = child.deadline(timing, wire);
            let code = if child.stage == Stage::Connecting { Code::CANNOT_CONNECT } else { Code::TIMED_OUT };
            (at <= now).then_some((child.link, code, why))
        };
        let lookup = self.lookup.filter(|_| self.asked + timing.connect <= now);
        let lookup = lookup.map(|link| (link, Code::CANNOT_CONNECT, LOOKUP));
        let late: Vec<_> = lookup.into_iter().chain(self.links.iter().filter_map(late)).collect();
        let losses =
            late.into_iter().filter_map(|(link, code, why)| self.lose(link, code, why, ids, ctx, now));
        losses.last()
    }

    /// This side stood still for so long: what the node did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.asked += late;
        self.race.excuse(late);
        self.links.iter_mut().for_each(|child| child.excuse(late));
    }
}

impl Failure {
    fn told(&self) -> String {
        let why = &self.loss.why;
        self.address.map_or_else(|| why.clone(), |address| format!("{}: {why}", address.ip()))
    }
}

const LOOKUP: &str = "its name was not looked up in time";

/// The address that the host is, where it is no name. One of a single link takes a zone, which only the system knows.
fn literal(node: &Destination) -> Option<SocketAddr> {
    let ip = node.host.parse().ok()?;
    let is_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    (!is_local).then(|| SocketAddr::new(ip, node.port))
}
