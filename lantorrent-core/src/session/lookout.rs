//! Whether nodes that were lost can be reached again, asked while the others are still being served: so that nobody has to
//! be waited for in the end who has been silent all along.

use core::net::SocketAddr;
use std::time::Instant;

use super::child::{Child, Said};
use super::desk::Desk;
use super::io::{LinkId, Now, Output};
use crate::wire::{Destination, Line, Verb};

/// Links from here on are the lookout's. A session would need years to give out as many others.
const FIRST_LINK: u32 = 2 << 30;
/// Nodes that are asked at the same time.
const AT_ONCE: usize = 64;

/// What is known of a lost node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It has answered of late, or was not asked for long enough.
    Open,
    /// It was asked for some time, and has not answered.
    Gone,
}

#[derive(Debug)]
struct Watched {
    node: Destination,
    first_asked: Instant,
    ask_at: Instant,
    answered: Option<Instant>,
    asking: Option<Child>,
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
            let (first_asked, ask_at) = (now.instant, now.instant);
            self.watched.push(Watched {
                node: node.clone(),
                first_asked,
                ask_at,
                answered: None,
                asking: None,
            });
        }
    }

    /// What is known of that node.
    pub(super) fn sight(&self, desk: &Desk, now: Now, index: u32) -> Sight {
        let Some(known) = self.watched.iter().find(|known| known.node.index == index) else {
            return Sight::Open;
        };
        let since = known.answered.unwrap_or(known.first_asked);
        let long = now.instant.saturating_duration_since(since) >= desk.timing.direct;
        // Who answers is asked again only after a while.
        let answers =
            known.answered.is_some_and(|at| now.instant < at + desk.timing.reclaim + desk.timing.direct);
        if long && !answers { Sight::Gone } else { Sight::Open }
    }

    /// Nobody is watched any more.
    pub(super) fn stop(&mut self, desk: &mut Desk) {
        let open = self.watched.drain(..).filter_map(|known| known.asking);
        desk.out.extend(open.map(|child| Output::Close(child.link)));
    }

    pub(super) fn deadline(&self, desk: &Desk) -> Option<Instant> {
        let at = |known: &Watched| match &known.asking {
            Some(child) => child.asked_until(desk.timing.check),
            None => known.ask_at,
        };
        self.watched.iter().map(at).min()
    }

    pub(super) fn tick(&mut self, desk: &mut Desk, now: Now) {
        for known in &mut self.watched {
            if let Some(child) =
                known.asking.take_if(|child| child.asked_until(desk.timing.check) <= now.instant)
            {
                desk.out.push_back(Output::Close(child.link));
                known.ask_at = now.instant;
            }
            if known.asking.is_none() && known.ask_at <= now.instant {
                let link = LinkId(FIRST_LINK + self.links);
                self.links += 1;
                let (host, port) = (known.node.host.clone(), known.node.port);
                desk.out.push_back(Output::Connect { link, host, port });
                known.asking = Some(Child::new(link, 0, known.node.clone(), now.instant));
            }
        }
    }

    fn find(&mut self, link: LinkId) -> Option<&mut Watched> {
        let asks = |known: &&mut Watched| known.asking.as_ref().is_some_and(|child| child.link == link);
        self.watched.iter_mut().find(asks)
    }

    pub(super) fn connected(&mut self, desk: &mut Desk, now: Now, link: LinkId, to: SocketAddr) {
        if let Some(child) = self.find(link).and_then(|known| known.asking.as_mut()) {
            desk.introduce(now, child, Verb::Send, Vec::new(), None, to);
        }
    }

    pub(super) fn bytes(&mut self, desk: &mut Desk, now: Now, link: LinkId, input: &[u8]) {
        let Some(known) = self.find(link) else { return };
        let said = known.asking.as_mut().map(|child| child.read(input, now.instant));
        match said {
            Some(Ok((_, None))) => return,
            Some(Ok((_, Some(Said::Line(Line::Challenge { .. }))))) => known.answered = Some(now.instant),
            _ => {}
        }
        self.close(desk, now, link);
    }

    /// That question is over. It is asked again after a while.
    pub(super) fn close(&mut self, desk: &mut Desk, now: Now, link: LinkId) {
        let Some(known) = self.find(link) else { return };
        known.asking = None;
        known.ask_at = now.instant + desk.timing.reclaim;
        desk.out.push_back(Output::Close(link));
    }
}
