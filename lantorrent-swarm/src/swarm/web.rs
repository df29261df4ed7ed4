//! When to ask web seeds, and for what (BEP 19).
//!
//! They are for what the swarm does not have, and for the time in which it is slow. Each node begins somewhere else: by chance
//! if it is alone, or else where its place among the names of its peers says, which is chance too but no two have the same.
//! So many who start at the same time fetch different pieces, and get the others from each other.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::availability::Availability;
use super::event::WebKey;
use super::pieces::Pieces;
use crate::random::Random;

/// Peers have so long to be found before a web seed is asked.
const GRACE: Duration = Duration::from_secs(2);
/// The swarm must have been slow for so long.
const SLOW_FOR: Duration = Duration::from_secs(5);
/// A web seed that sends nothing for so long has failed.
const PATIENCE: Duration = Duration::from_secs(15);
/// While there is nothing else for others to fetch, one may take so long for what it was asked for: at first, and twice as
/// long each time that this was too short.
const FIRST_TERM: Duration = Duration::from_secs(20);
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The longest time for which a web seed can ask to be left alone.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// Bytes that are asked for at once: at first, and when all goes well.
const FIRST_RUN: u64 = 1 << 20;
const LONGEST_RUN: u64 = 16 << 20;
/// Bytes that are asked for at once while there are peers, who may fetch the same meanwhile.
const SHARED_RUN: u64 = 256 << 10;

#[derive(Clone, Debug)]
enum State {
    Idle(Instant),
    Busy { pieces: Range<u32>, begun: Instant, progress: Instant },
    Useless,
}

#[derive(Clone, Debug)]
struct Web {
    state: State,
    failures: u32,
    run: u64,
    /// It sends from the beginning alone: what it is asked for must not go back.
    in_order: bool,
}

/// Why web seeds are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// For pieces that no peer has.
    Absent,
    /// For anything, as the swarm is slow.
    Anything,
}

/// What a run of pieces is chosen from.
pub(super) struct Gaps<'a> {
    pub(super) pieces: &'a Pieces,
    pub(super) availability: &'a Availability,
    /// How many more pieces may be begun.
    pub(super) room: usize,
    pub(super) share: Share,
}

/// Which part of the pieces is ours to fetch, if all who are connected to each other fetch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Our place among all, from 0.
    pub(super) place: u32,
    /// How many we are, with us.
    pub(super) of: u32,
}

impl Share {
    /// Where the part of that place begins.
    fn start(self, place: u32, pieces: u32) -> u32 {
        (u64::from(pieces) * u64::from(place) / u64::from(self.of.max(1))) as u32
    }

    fn part(self, pieces: u32) -> Range<u32> {
        self.start(self.place, pieces)..self.start(self.place + 1, pieces)
    }
}

/// All web seeds of a torrent.
#[derive(Debug)]
pub(super) struct Webs {
    seeds: Vec<Web>,
    began: Instant,
    slow_since: Instant,
    term: Duration,
}

impl Webs {
    pub(super) fn new(now: Instant, count: u32) -> Self {
        let web = Web { state: State::Idle(now), failures: 0, run: FIRST_RUN, in_order: false };
        Self { seeds: vec![web; count as usize], began: now, slow_since: now, term: FIRST_TERM }
    }

    /// Whether any of them may ever be of use.
    pub(super) fn any(&self) -> bool {
        self.seeds.iter().any(|web| !matches!(web.state, State::Useless))
    }

    pub(super) fn busy(&self) -> usize {
        self.seeds.iter().filter(|web| matches!(web.state, State::Busy { .. })).count()
    }

    /// What they are to be asked for, while peers send so many bytes in a second. Called again and again.
    pub(super) fn want(&mut self, now: Instant, rate: u64, slow: u64) -> Option<Want> {
        if rate >= slow {
            self.slow_since = now;
        }
        if now < self.began + GRACE {
            return None;
        }
        Some(if now >= self.slow_since + SLOW_FOR { Want::Anything } else { Want::Absent })
    }

    /// One that can be asked now.
    pub(super) fn idle(&self, now: Instant, random: &mut Random) -> Option<WebKey> {
        let can = |web: &Web| matches!(web.state, State::Idle(at) if at <= now);
        let idle: Vec<u32> = (0..).zip(&self.seeds).filter(|(_, web)| can(web)).map(|(key, _)| key).collect();
        idle.get(random.below(idle.len())).copied().map(WebKey)
    }

    /// Pieces for that web seed: a run that nobody has begun, from somewhere by chance.
    pub(super) fn run(
        &self,
        web: WebKey,
        want: Want,
        gaps: &Gaps<'_>,
        random: &mut Random,
    ) -> Option<Range<u32>> {
        let Gaps { pieces, availability, room, share } = gaps;
        let Web { run, in_order, .. } = *self.seeds.get(web.0 as usize)?;
        let run = if share.of > 1 { run.min(SHARED_RUN) } else { run };
        let longest = run / u64::from(pieces.geometry.piece_length());
        let longest = usize::try_from(longest.max(1)).unwrap_or(usize::MAX).min(*room);
        if longest == 0 {
            return None;
        }
        let absent: Vec<u32> = pieces.open.iter().filter(|piece| availability.of(*piece) == 0).collect();
        // Where others lack the same few pieces, not all of them fetch the same at the same time: who has not the luck now
        // gets it from another soon, or asks again.
        if want == Want::Absent && random.below(share.of as usize) >= absent.len() {
            return None;
        }
        let fit: Vec<u32> = match want {
            _ if !absent.is_empty() => absent,
            Want::Anything => pieces.open.iter().collect(),
            Want::Absent => return None,
        };
        let part = share.part(pieces.geometry.pieces());
        let own = fit.iter().position(|piece| share.of > 1 && part.contains(piece));
        let at = if in_order { 0 } else { own.unwrap_or_else(|| random.below(fit.len())) };
        let first = *fit.get(at)?;
        let run = fit[at..].iter().zip(first..).take_while(|(piece, expected)| *piece == expected);
        let count = run.take(longest).count() as u32;
        Some(first..first + count)
    }

    pub(super) fn asked(&mut self, now: Instant, web: WebKey, pieces: Range<u32>) {
        if let Some(web) = self.seeds.get_mut(web.0 as usize) {
            web.state = State::Busy { pieces, begun: now, progress: now };
        }
    }

    /// A block has come. Returns whether it was asked for.
    pub(super) fn came(&mut self, now: Instant, web: WebKey, piece: u32) -> bool {
        match self.seeds.get_mut(web.0 as usize).map(|web| &mut web.state) {
            Some(State::Busy { pieces, progress, .. }) if pieces.contains(&piece) => {
                *progress = now;
                true
            }
            _ => false,
        }
    }

    /// What a web seed is asked for.
    pub(super) fn task(&self, web: WebKey) -> Option<Range<u32>> {
        match &self.seeds.get(web.0 as usize)?.state {
            State::Busy { pieces, .. } => Some(pieces.clone()),
            State::Idle(_) | State::Useless => None,
        }
    }

    /// All that are asked for something.
    pub(super) fn tasks(&self) -> Vec<(WebKey, Range<u32>)> {
        let keys = (0..self.seeds.len() as u32).map(WebKey);
        keys.filter_map(|web| Some((web, self.task(web)?))).collect()
    }

    /// Those that have been silent for too long.
    pub(super) fn silent(&self, now: Instant) -> Vec<WebKey> {
        let late =
            |web: &Web| matches!(web.state, State::Busy { progress, .. } if now >= progress + PATIENCE);
        (0..).zip(&self.seeds).filter(|(_, web)| late(web)).map(|(key, _)| WebKey(key)).collect()
    }

    /// One that keeps another waiting, which could be asked now, and does not come to an end.
    pub(super) fn dripping(&mut self, now: Instant) -> Option<WebKey> {
        let waits = self.seeds.iter().any(|web| matches!(web.state, State::Idle(at) if at <= now));
        let late =
            |web: &Web| matches!(web.state, State::Busy { begun, .. } if waits && now >= begun + self.term);
        let dripping = (0..).zip(&self.seeds).find(|(_, web)| late(web)).map(|(key, _)| WebKey(key))?;
        self.term = self.term.saturating_mul(2);
        Some(dripping)
    }

    /// All that it was asked for is there, be it from it or from others.
    pub(super) fn done(&mut self, now: Instant, web: WebKey) {
        if let Some(web) = self.seeds.get_mut(web.0 as usize) {
            let run = (web.run * 2).min(LONGEST_RUN);
            *web = Web { state: State::Idle(now), failures: 0, run, in_order: web.in_order };
        }
    }

    /// It has failed, and may want to be left alone for some time.
    pub(super) fn failed(&mut self, now: Instant, web: WebKey, retry_after: Option<Duration>) {
        let Some(web) = self.seeds.get_mut(web.0 as usize) else { return };
        let wait = FIRST_WAIT.saturating_mul(1 << web.failures.min(16)).min(LONGEST_WAIT);
        let wait = wait.max(retry_after.unwrap_or_default().min(LONGEST_RETRY));
        let useless = matches!(web.state, State::Useless);
        let state = if useless { State::Useless } else { State::Idle(now + wait) };
        *web = Web { state, failures: web.failures + 1, run: FIRST_RUN, in_order: web.in_order };
    }

    /// It sends, although no block has come.
    pub(super) fn alive(&mut self, now: Instant, web: WebKey) {
        if let Some(State::Busy { progress, .. }) =
            self.seeds.get_mut(web.0 as usize).map(|web| &mut web.state)
        {
            *progress = now;
        }
    }

    /// It knows no ranges: it is asked for the first piece that is missing, and so on.
    pub(super) fn in_order(&mut self, now: Instant, web: WebKey) {
        if let Some(web) = self.seeds.get_mut(web.0 as usize) {
            *web = Web { state: State::Idle(now), failures: 0, run: FIRST_RUN, in_order: true };
        }
    }

    /// It is never to be asked again.
    pub(super) fn useless(&mut self, web: WebKey) {
        if let Some(web) = self.seeds.get_mut(web.0 as usize) {
            web.state = State::Useless;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Geometry;
    use crate::swarm::Bitfield;

    const WEB: WebKey = WebKey(0);

    fn pieces(have: &[u32]) -> Pieces {
        let mut set = Bitfield::none(32);
        for &piece in have {
            set.insert(piece);
        }
        Pieces::new(Geometry::new(32 << 18, 1 << 18).unwrap(), set)
    }

    #[test]
    fn peers_come_first() {
        let start = Instant::now();
        let mut webs = Webs::new(start, 1);
        assert_eq!(webs.want(start, 0, 1000), None);
        assert_eq!(webs.want(start + GRACE, 2000, 1000), Some(Want::Absent));
        assert_eq!(webs.want(start + SLOW_FOR, 0, 1000), Some(Want::Absent));
        assert_eq!(webs.want(start + GRACE + SLOW_FOR, 0, 1000), Some(Want::Anything));
    }

    #[test]
    fn runs_begin_anywhere_and_end_where_something_is_there() {
        let webs = Webs::new(Instant::now(), 1);
        let pieces = pieces(&[2, 9]);
        let mut availability = Availability::new(32);
        let mut theirs = Bitfield::none(32);
        theirs.insert(20);
        availability.add(&theirs);
        let run = |want, availability: &Availability, room, of, seed| {
            let share = Share { place: of / 2, of };
            let gaps = Gaps { pieces: &pieces, availability, room, share };
            webs.run(WEB, want, &gaps, &mut Random::new(seed))
        };
        let mut starts = [0; 32];
        for seed in 0..1000 {
            let run = run(Want::Absent, &availability, 99, 1, seed).unwrap();
            starts[run.start as usize] += 1;
            assert!(run.len() <= 4 && run.end <= 32);
            assert!([2, 9, 20].iter().all(|piece| !run.contains(piece)), "{run:?}");
        }
        assert_eq!(starts.iter().filter(|&&count| count > 5).count(), 29, "{starts:?}");
        assert_eq!(
            run(Want::Absent, &availability, 99, 4, 1),
            Some(16..17),
            "the third quarter, little at a time"
        );
        assert_eq!(run(Want::Absent, &availability, 0, 1, 1), None);
        availability.add(&Bitfield::all(32));
        assert_eq!(run(Want::Absent, &availability, 9, 1, 1), None);
        assert!(run(Want::Anything, &availability, 9, 1, 1).is_some());
    }

    #[test]
    fn servers_without_ranges_are_asked_in_order() {
        let now = Instant::now();
        let mut webs = Webs::new(now, 1);
        webs.asked(now, WEB, 9..12);
        webs.in_order(now + SLOW_FOR, WEB);
        assert_eq!((webs.task(WEB), webs.idle(now + SLOW_FOR, &mut Random::new(1))), (None, Some(WEB)));
        let (pieces, availability) = (pieces(&[0, 1, 2]), Availability::new(32));
        for seed in 0..100 {
            let gaps = Gaps {
                pieces: &pieces,
                availability: &availability,
                room: 99,
                share: Share { place: 0, of: 1 },
            };
            assert_eq!(webs.run(WEB, Want::Absent, &gaps, &mut Random::new(seed)), Some(3..7));
        }
        webs.asked(now, WEB, 3..7);
        webs.alive(now + PATIENCE, WEB);
        assert_eq!(webs.silent(now + PATIENCE), []);
        webs.done(now, WEB);
        let gaps =
            Gaps { pieces: &pieces, availability: &availability, room: 99, share: Share { place: 0, of: 1 } };
        assert_eq!(webs.run(WEB, Want::Absent, &gaps, &mut Random::new(1)), Some(3..11), "it stays so");
    }

    #[test]
    fn who_fails_is_left_alone() {
        let (start, random) = (Instant::now(), &mut Random::new(1));
        let mut webs = Webs::new(start, 1);
        assert_eq!(webs.idle(start, random), Some(WEB));
        webs.asked(start, WEB, 3..5);
        assert!(webs.came(start, WEB, 4) && !webs.came(start, WEB, 5));
        assert_eq!((webs.idle(start, random), webs.busy(), webs.task(WEB)), (None, 1, Some(3..5)));
        assert_eq!((webs.silent(start), webs.silent(start + PATIENCE)), (vec![], vec![WEB]));
        webs.failed(start, WEB, None);
        assert_eq!(webs.idle(start + FIRST_WAIT / 2, random), None);
        assert_eq!(webs.idle(start + FIRST_WAIT, random), Some(WEB));
        webs.failed(start, WEB, Some(Duration::from_secs(100)));
        assert_eq!(webs.idle(start + Duration::from_secs(99), random), None);
        webs.useless(WEB);
        webs.failed(start, WEB, None);
        assert!(!webs.any() && webs.idle(start + LONGEST_WAIT, random).is_none());
    }
}
