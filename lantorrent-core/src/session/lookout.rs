//! Whether nodes that were lost can be reached again, asked while the others are still being served: so that nobody has to
//! be waited for in the end who has been silent all along.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use super::child::Child;
use super::desk::Desk;
use super::io::{LinkId, Now, Output};
use crate::wire::{Destination, Verb};

/// Links from here on are the lookout's. A session would need years to give out as many others.
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
    asking: Vec<Child>,
}

/// Asks lost nodes, again and again, for as much as a challenge. That changes nothing for them.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    watched: Vec<Watched>,
    links: u32,
}

impl Lookout {
    /// A node is lost.
    pub(super) fn watch(&mut self, now: Now, node: &Destination) {
        if self.watched.len() < AT_ONCE && self.watched.iter().all(|known| known.node.index != node.index) {
            let (node, ask_at, asking) = (node.clone(), now.instant, Vec::new());
            self.watched.push(Watched { node, ask_at, waiting: None, asked: 0, asking });
        }
    }

    /// What is known of that node.
    pub(super) fn sight(&self, desk: &Desk, now: Now, index: u32) -> Sight {
        let known = self.watched.iter().find(|known| known.node.index == index);
        let known = known.filter(|known| known.asked >= QUESTIONS);
        let waiting = known.and_then(|known| known.waiting);
        let long = |since| now.instant.saturating_duration_since(since) >= desk.timing.direct;
        if waiting.is_some_and(long) { Sight::Gone } else { Sight::Open }
    }

    /// The source stood still for so long, and has not read yet what was answered meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        for known in &mut self.watched {
            known.waiting = known.waiting.map(|since| since + late);
            known.asking.iter_mut().for_each(|child| child.excuse(late));
        }
    }

    /// Nobody is watched any more.
    pub(super) fn stop(&mut self, desk: &mut Desk) {
        let open = self.watched.drain(..).flat_map(|known| known.asking);
        desk.out.extend(open.map(|child| Output::Close(child.link)));
    }

    pub(super) fn deadline(&self, desk: &Desk) -> Option<Instant> {
        let at = |known: &Watched| {
            let next = (known.asking.len() < QUESTIONS).then_some(known.ask_at);
            let late = known.asking.iter().map(|child| child.asked_until(desk.timing.direct));
            next.into_iter().chain(late).min()
        };
        self.watched.iter().filter_map(at).min()
    }

    pub(super) fn tick(&mut self, desk: &mut Desk, now: Now) {
        for known in &mut self.watched {
            let time = desk.timing.direct;
            let late = known.asking.extract_if(.., |child| child.asked_until(time) <= now.instant);
            desk.out.extend(late.map(|child| Output::Close(child.link)));
            if known.asking.len() < QUESTIONS && known.ask_at <= now.instant {
                let link = LinkId(FIRST_LINK + self.links);
                self.links += 1;
                known.ask(desk, now, link);
            }
        }
    }

    fn find(&mut self, link: LinkId) -> Option<&mut Watched> {
        let asks = |known: &&mut Watched| known.asking.iter().any(|child| child.link == link);
        self.watched.iter_mut().find(asks)
    }

    pub(super) fn connected(&mut self, desk: &mut Desk, now: Now, link: LinkId, to: SocketAddr) {
        let Some(known) = self.find(link) else { return };
        if let Some(child) = known.asking.iter_mut().find(|child| child.link == link) {
            desk.introduce(now, child, Verb::Send, Vec::new(), None, to);
        }
    }

    pub(super) fn bytes(&mut self, desk: &mut Desk, now: Now, link: LinkId, input: &[u8]) {
        let Some(known) = self.find(link) else { return };
        // Whatever it says, it is there.
        known.waiting = None;
        let child = known.asking.iter_mut().find(|child| child.link == link);
        if child.is_some_and(|child| !matches!(child.read(input, now.instant), Ok((_, None)))) {
            desk.out.extend(known.asking.drain(..).map(|child| Output::Close(child.link)));
            known.ask_at = now.instant + desk.timing.reclaim;
        }
    }

    /// That question is over. Another one is due after a while.
    pub(super) fn close(&mut self, desk: &mut Desk, now: Now, link: LinkId) {
        let Some(known) = self.find(link) else { return };
        known.asking.retain(|child| child.link != link);
        known.ask_at = now.instant + desk.timing.reclaim;
        desk.out.push_back(Output::Close(link));
    }
}

impl Watched {
    fn ask(&mut self, desk: &mut Desk, now: Now, link: LinkId) {
        if self.waiting.is_none() {
            self.waiting = Some(now.instant);
            self.asked = 0;
        }
        self.asked += 1;
        // Beside this one, unless that is answered before.
        self.ask_at = now.instant + desk.timing.direct / 2;
        desk.out.push_back(Output::Connect { link, host: self.node.host.clone(), port: self.node.port });
        self.asking.push(Child::new(link, 0, self.node.clone(), now.instant));
    }
}
