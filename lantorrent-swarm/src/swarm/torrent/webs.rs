//! Fetching from web seeds.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::Torrent;
use crate::swarm::event::{Action, Fetching, Sender, WebKey};
use crate::swarm::pieces::Block;
use crate::swarm::web::{Gaps, Share};

impl Torrent {
    /// Asks web seeds, if they are needed.
    pub(super) fn ask_webs(&mut self, now: Instant) {
        let rate = self.peers.values().map(|peer| peer.download.rate.value(now)).sum();
        let want = self.webs.want(now, rate, self.limits.slow);
        let share = self.share();
        let Some(holdings) = &mut self.holdings else { return };
        let Some(want) = want.filter(|_| self.fetching == Fetching::On) else { return };
        while self.webs.busy() < self.limits.web_seeds
            && let Some(web) = self.webs.idle(now, &mut self.random)
        {
            let gaps = Gaps {
                pieces: &holdings.pieces,
                availability: &holdings.availability,
                room: holdings.pieces.room(self.limits.unfinished),
                share,
            };
            let Some(run) = self.webs.run(web, want, &gaps, &mut self.random) else { return };
            for piece in run.clone() {
                for block in 0..holdings.pieces.geometry.blocks(piece) {
                    holdings.pieces.ask(piece, block, Sender::Web(web));
                }
            }
            self.webs.asked(now, web, run.clone());
            self.out.push_back(Action::Fetch { web, pieces: run });
        }
    }

    /// Our place among all those whom we know to lack something.
    fn share(&self) -> Share {
        let others = || self.peers.values().filter(|peer| !peer.is_seed());
        let place = others().filter(|peer| peer.id < self.peer_id).count() as u32;
        Share { place, of: others().count() as u32 + 1 }
    }

    /// What is still missing of these pieces will not come from that web seed.
    fn release_web(&mut self, web: WebKey, run: Range<u32>) {
        let Some(holdings) = &mut self.holdings else { return };
        for piece in run {
            let Some(unfinished) = holdings.pieces.unfinished.get(&piece) else { continue };
            if !unfinished.workers.contains(&Sender::Web(web)) {
                continue;
            }
            let asked = (0..).zip(&unfinished.blocks).filter(|(_, block)| matches!(block, Block::Asked(_)));
            let asked: Vec<u32> = asked.map(|(block, _)| block).collect();
            for block in asked {
                holdings.pieces.release(holdings.pieces.geometry.block(piece, block));
            }
        }
        self.leave(Sender::Web(web));
    }

    fn is_missing(&self, run: &Range<u32>) -> bool {
        self.holdings.as_ref().is_some_and(|holdings| {
            let unfinished = &holdings.pieces.unfinished;
            run.clone().any(|piece| unfinished.get(&piece).is_some_and(|unfinished| unfinished.missing > 0))
        })
    }

    /// Those whose pieces have all come, some of them from others perhaps, are asked for more.
    pub(super) fn webs_that_are_done(&mut self, now: Instant) {
        for (web, run) in self.webs.tasks() {
            if !self.is_missing(&run) {
                self.webs.done(now, web);
                self.leave(Sender::Web(web));
                self.out.push_back(Action::StopFetch(web));
                self.ask_webs(now);
            }
        }
    }

    pub(super) fn web_done(&mut self, now: Instant, web: WebKey) {
        // If all had come, it would not be asked for anything any more.
        if self.webs.task(web).is_some() {
            self.web_failed(now, web, None);
        }
        self.ask_webs(now);
    }

    pub(super) fn web_failed(&mut self, now: Instant, web: WebKey, retry_after: Option<Duration>) {
        let run = self.webs.task(web);
        self.webs.failed(now, web, retry_after);
        if let Some(run) = run {
            self.release_web(web, run);
            self.refill_all(now);
        }
    }

    /// It sends from the beginning alone.
    pub(super) fn web_in_order(&mut self, now: Instant, web: WebKey) {
        let run = self.webs.task(web);
        self.webs.in_order(now, web);
        if let Some(run) = run {
            self.release_web(web, run);
        }
        self.ask_webs(now);
        self.refill_all(now);
    }

    /// It sends, but what comes before the pieces that it was asked for.
    pub(super) fn web_alive(&mut self, now: Instant, web: WebKey) {
        self.webs.alive(now, web);
    }

    pub(super) fn web_useless(&mut self, now: Instant, web: WebKey) {
        if self.webs.task(web).is_some() {
            self.stop_fetch(now, web);
        }
        self.webs.useless(web);
    }

    /// We stop it.
    pub(super) fn stop_fetch(&mut self, now: Instant, web: WebKey) {
        self.out.push_back(Action::StopFetch(web));
        self.web_failed(now, web, None);
    }
}
