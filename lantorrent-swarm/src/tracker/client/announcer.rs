//! When one torrent announces itself, and to which of its trackers.

use std::time::{Duration, Instant};

use super::io::{AnnouncerAction, AnnouncerEvent, AskId, Identity, Standing};
use super::reply::{Announced, TrackerError};
use super::tiers::Tiers;
use crate::entropy::{Entropy, Seed};
use crate::tracker::announce::{Announce, AnnounceEvent};
use crate::url::Url;

/// How often to announce where the tracker does not say so.
const USUAL: Duration = Duration::from_secs(30 * 60);
/// No tracker is announced to more often than that, whatever it says.
const SHORTEST: Duration = Duration::from_secs(30);
/// Nor less often: it might have forgotten us.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);
/// While there are fewer peers than that, a torrent that lacks pieces asks for more of them.
const FEW: usize = 8;
/// How long to wait when all trackers have failed; each further time twice as long, up to [`USUAL`].
const BACK_OFF: Duration = Duration::from_secs(15);
/// An answer that has not come by then does not come. Longer than a driver tries.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long a torrent that ends waits for its trackers to hear of it.
const FAREWELL: Duration = Duration::from_secs(5);
/// How many peers to ask for.
const WANTED: u32 = 80;
/// The same for who has everything: those who lack something call by themselves, and a few are called in case they cannot.
const WANTED_BY_SEED: u32 = 20;

/// One torrent's announcements: to one tracker after another until one answers (BEP 12), and again when it is time.
///
/// The driver hands in what happens, with where the torrent stands at that moment, and [`AnnouncerEvent::Tick`] at the
/// [`deadline`](Self::deadline). It carries out [`AnnouncerAction::Ask`] by HTTP (`GET` of an
/// [`announce_url`](super::announce_url), the body into [`read_announced`](super::read_announced)) or by a
/// [`UdpClient`](super::UdpClient), as the tracker's scheme says, and hands in the answer.
#[derive(Debug)]
pub struct Announcer {
    who: Identity,
    tiers: Tiers,
    entropy: Entropy,
    standing: Standing,
    state: State,
    asked: u64,
    /// Rounds in a row in which no tracker has answered.
    failures: u32,
    /// Announcements in a row that came early, for want of peers.
    early: u32,
    completed: bool,
}

#[derive(Debug)]
enum State {
    /// Not started, ended, or without a tracker that may be asked.
    Idle,
    /// Until the next announcement.
    Waiting {
        due: Instant,
        /// Earlier, if there are few peers.
        early: Option<Instant>,
    },
    /// For an answer.
    Asking { id: AskId, place: usize, event: AnnounceEvent, until: Instant },
    /// For answers to the last announcements.
    Leaving { asked: Vec<AskId>, until: Instant },
}

impl Announcer {
    /// For a torrent with these trackers, the first tier first. At most a hundred trackers count.
    pub fn new(who: Identity, tiers: &[Vec<Url>], seed: Seed) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            who,
            tiers: Tiers::new(tiers, &mut entropy),
            entropy,
            standing: Standing::default(),
            state: State::Idle,
            asked: 0,
            failures: 0,
            early: 0,
            completed: false,
        }
    }

    /// When to hand in [`AnnouncerEvent::Tick`].
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Idle => None,
            State::Waiting { due, early } => Some(early.filter(|_| self.lacks_peers()).unwrap_or(due)),
            State::Asking { until, .. } | State::Leaving { until, .. } => Some(until),
        }
    }

    /// Something has happened to the torrent, which stands there now: what to do.
    pub fn handle(
        &mut self,
        now: Instant,
        standing: Standing,
        event: AnnouncerEvent,
    ) -> Vec<AnnouncerAction> {
        self.standing = standing;
        match event {
            AnnouncerEvent::Tick => self.tick(now),
            AnnouncerEvent::Start { within } => self.start(now, within),
            AnnouncerEvent::Completed => self.complete(now),
            AnnouncerEvent::Answered(id, answer) => self.answered(now, id, answer),
            AnnouncerEvent::Stop => self.stop(now),
        }
    }

    fn start(&mut self, now: Instant, within: Duration) -> Vec<AnnouncerAction> {
        if !matches!(self.state, State::Idle) {
            return Vec::new();
        }
        self.state = State::Waiting { due: now + self.entropy.within(within), early: None };
        self.tick(now)
    }

    fn tick(&mut self, now: Instant) -> Vec<AnnouncerAction> {
        match self.state {
            _ if self.deadline().is_none_or(|due| due > now) => Vec::new(),
            State::Idle => Vec::new(),
            State::Waiting { due, .. } => {
                self.early = if due > now { self.early + 1 } else { 0 };
                self.ask(now, 0)
            }
            State::Asking { id, .. } => self.answered(now, id, Err(TrackerError::Silent)),
            State::Leaving { .. } => self.end(),
        }
    }

    fn complete(&mut self, now: Instant) -> Vec<AnnouncerAction> {
        self.completed = true;
        match self.state {
            // While all trackers fail there is no hurry.
            State::Waiting { .. } if self.failures == 0 => self.ask(now, 0),
            _ => Vec::new(),
        }
    }

    fn stop(&mut self, now: Instant) -> Vec<AnnouncerAction> {
        // Who is being asked may know of us by the time.
        if let State::Asking { place, .. } = self.state
            && let Some(tracker) = self.tiers.get(place)
        {
            tracker.knows_us = true;
        }
        let mut actions = Vec::new();
        let mut asked = Vec::new();
        let announce = self.announce(AnnounceEvent::Stopped);
        for tracker in self.tiers.all().filter(|tracker| tracker.knows_us) {
            tracker.knows_us = false;
            self.asked += 1;
            asked.push(AskId(self.asked));
            actions.push(AnnouncerAction::Ask {
                id: AskId(self.asked),
                tracker: tracker.url.clone(),
                announce: announce.clone(),
                tracker_id: tracker.id.clone(),
            });
        }
        match self.state {
            State::Leaving { .. } => Vec::new(),
            _ if asked.is_empty() => self.end(),
            _ => {
                self.state = State::Leaving { asked, until: now + FAREWELL };
                actions
            }
        }
    }

    fn end(&mut self) -> Vec<AnnouncerAction> {
        self.state = State::Idle;
        vec![AnnouncerAction::Stopped]
    }

    /// Asks the first tracker from that place on that may be asked.
    fn ask(&mut self, now: Instant, from: usize) -> Vec<AnnouncerAction> {
        let Some((place, tracker)) = self.tiers.next(now, from) else {
            return self.fail(now);
        };
        let event = match (tracker.knows_us, self.completed) {
            (false, _) => AnnounceEvent::Started,
            (true, true) => AnnounceEvent::Completed,
            (true, false) => AnnounceEvent::Regular,
        };
        let (url, tracker_id) = (tracker.url.clone(), tracker.id.clone());
        self.asked += 1;
        let id = AskId(self.asked);
        self.state = State::Asking { id, place, event, until: now + PATIENCE };
        vec![AnnouncerAction::Ask { id, tracker: url, announce: self.announce(event), tracker_id }]
    }

    fn answered(
        &mut self,
        now: Instant,
        id: AskId,
        answer: Result<Announced, TrackerError>,
    ) -> Vec<AnnouncerAction> {
        match &mut self.state {
            State::Asking { id: expected, place, event, .. } if *expected == id => {
                let (place, event) = (*place, *event);
                match answer {
                    Ok(announced) => self.succeeded(now, place, event, announced),
                    Err(error) => self.failed(now, place, error),
                }
            }
            State::Leaving { asked, .. } => {
                asked.retain(|&expected| expected != id);
                if asked.is_empty() { self.end() } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    fn succeeded(
        &mut self,
        now: Instant,
        place: usize,
        event: AnnounceEvent,
        announced: Announced,
    ) -> Vec<AnnouncerAction> {
        self.failures = 0;
        let mut actions = Vec::new();
        if let Some(tracker) = self.tiers.get(place) {
            tracker.knows_us = true;
            tracker.id = announced.tracker_id.or(tracker.id.take());
            if let Some(warning) = announced.warning {
                actions.push(AnnouncerAction::Warning(tracker.url.clone(), warning));
            }
        }
        self.tiers.prefer(place);
        // Where all have everything there is nobody to call. Who does not count its peers says that there are none.
        let all_are_seeds = announced.scrape.seeds > 0 && announced.scrape.leechers == 0;
        let nobody_to_call = all_are_seeds && self.standing.stats.is_seed();
        if !announced.peers.is_empty() && !nobody_to_call {
            actions.push(AnnouncerAction::Found(announced.peers));
        }
        if event == AnnounceEvent::Completed {
            self.completed = false;
        } else if self.completed {
            actions.extend(self.ask(now, 0));
            return actions;
        }
        let interval = announced.interval.unwrap_or(USUAL).clamp(SHORTEST, LONGEST);
        let least = announced.min_interval.unwrap_or(SHORTEST).clamp(SHORTEST, interval);
        // A little earlier than asked for: so that those which started together come apart.
        let due = now + interval.saturating_sub(self.entropy.within(interval / 10)).max(least);
        let early = now + least.saturating_mul(2_u32.saturating_pow(self.early));
        self.state = State::Waiting { due, early: Some(early).filter(|&early| early < due) };
        actions
    }

    fn failed(&mut self, now: Instant, place: usize, error: TrackerError) -> Vec<AnnouncerAction> {
        let mut actions = Vec::new();
        if let Some(tracker) = self.tiers.get(place) {
            if let TrackerError::Refused { retry: Some(retry), .. } = error {
                tracker.rest(now, retry);
            }
            actions.push(AnnouncerAction::Failed(tracker.url.clone(), error));
        }
        actions.extend(self.ask(now, place + 1));
        actions
    }

    /// No tracker has answered: later again.
    fn fail(&mut self, now: Instant) -> Vec<AnnouncerAction> {
        let wait = BACK_OFF.saturating_mul(2_u32.saturating_pow(self.failures)).min(USUAL);
        self.failures += 1;
        let due = now + wait + self.entropy.within(wait / 4);
        self.state = if self.tiers.any() { State::Waiting { due, early: None } } else { State::Idle };
        Vec::new()
    }

    fn lacks_peers(&self) -> bool {
        self.standing.peers < FEW && !self.standing.stats.is_seed()
    }

    fn announce(&self, event: AnnounceEvent) -> Announce {
        let Identity { info_hash, peer_id, port, key } = self.who;
        let want = match event {
            AnnounceEvent::Stopped => 0,
            _ if self.standing.stats.is_seed() => WANTED_BY_SEED,
            _ => WANTED,
        };
        Announce {
            info_hash,
            peer_id,
            port,
            stats: self.standing.stats,
            event,
            want: Some(want),
            key: Some(key),
        }
    }
}
