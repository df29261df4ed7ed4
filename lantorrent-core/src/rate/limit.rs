//! How fast bytes may go: one rate that many connections share, and that can be changed while they do.
//!
//! Each takes a small turn at a time, in the order in which they ask, and waits for it. So they share the rate evenly,
//! and none waits so long that its peer takes it for dead. The arithmetic is [`Turns`], which is told the time; who
//! waits, and for what else, is the driver's affair.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The longest turn.
const TURN: Duration = Duration::from_millis(20);
/// What may be caught up on, at once: a busy machine lets who waits sleep that much longer. Who comes later has lost the
/// time.
const LATE: Duration = Duration::from_millis(50);
/// The more turns are waited for the shorter new ones are, so that nobody waits longer than this.
const ROUND: Duration = Duration::from_millis(500);

/// A rate in bytes a second that everybody shares who has a clone of it, or none. What counts is the payload with its
/// frames. Signs of life and results neither count nor wait, and what TCP and IP add is not known here.
///
/// ```
/// let limit = lantorrent_core::Limit::new(Some(50 << 20));
/// let everywhere = limit.clone();
/// limit.set(None);
/// assert_eq!(everywhere.get(), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Limit(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Bytes a second, 0 for no limit. Beside the turns, as it is looked at for every block.
    rate: AtomicU64,
    /// None where nothing is limited.
    turns: Mutex<Option<Turns>>,
}

/// So many bytes may go, at a certain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) bytes: usize,
    at: Instant,
    /// Of which rate it is, where there was more than one. Nothing is waited for where there is no limit.
    regime: Option<u64>,
}

/// How it is with a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has come.
    Now,
    /// It comes in so long, unless the limit is changed before.
    In(Duration),
    /// There is another limit now: ask again.
    Void,
}

impl Limit {
    /// The smallest limit: less would make a node look dead that waits for its turn.
    pub const LEAST: u64 = 1024;

    /// A limit in bytes a second; a smaller one than [`LEAST`](Self::LEAST) counts as that. None, or 0: as fast as it
    /// goes.
    pub fn new(rate: Option<u64>) -> Self {
        let limit = Self::default();
        limit.set(rate);
        limit
    }

    /// Changes it for everybody, also for who waits.
    pub fn set(&self, rate: Option<u64>) {
        let rate = rate.filter(|&rate| rate > 0).map_or(0, |rate| rate.max(Self::LEAST));
        let mut turns = self.turns();
        let before = self.0.rate.swap(rate, Ordering::Relaxed);
        if before != rate {
            let regime = turns.as_ref().map_or(0, |turns| turns.regime + 1);
            *turns = Some(Turns { rate, regime, free_at: None, rest: 0 });
        }
    }

    /// What it is now.
    pub fn get(&self) -> Option<u64> {
        Some(self.0.rate.load(Ordering::Relaxed)).filter(|&rate| rate > 0)
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn turns(&self) -> MutexGuard<'_, Option<Turns>> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next turn, for at most so many bytes. Who asks for one has it when it comes.
    pub(crate) fn ask(&self, now: Instant, most: usize) -> Turn {
        if self.get().is_some()
            && let Some(turns) = self.turns().as_mut().filter(|turns| turns.rate > 0)
        {
            return turns.ask(now, most);
        }
        Turn { bytes: most, at: now, regime: None }
    }

    /// How it is with a turn.
    pub(crate) fn standing(&self, now: Instant, turn: &Turn) -> Standing {
        match turn.regime {
            None => Standing::Now,
            Some(_) => self.turns().as_ref().map_or(Standing::Void, |turns| turns.standing(now, turn)),
        }
    }

    /// Of a turn only so many bytes were of use.
    pub(crate) fn used(&self, turn: &Turn, bytes: usize) {
        let left = turn.bytes.saturating_sub(bytes);
        if left > 0
            && let Some(regime) = turn.regime
            && let Some(turns) = self.turns().as_mut().filter(|turns| turns.regime == regime)
        {
            turns.give_back(left);
        }
    }
}

/// The order of the turns at one rate.
#[derive(Debug)]
struct Turns {
    /// Bytes a second. With 0 all turns are void.
    rate: u64,
    /// Another one with each rate.
    regime: u64,
    /// When all turns that were given out are over. None before the first: what was not used before counts for nothing.
    free_at: Option<Instant>,
    /// What was lost by rounding to nanoseconds, in parts of them, `rate` of which are one: so that it adds up.
    rest: u64,
}

impl Turns {
    fn ask(&mut self, now: Instant, most: usize) -> Turn {
        let earliest = now.checked_sub(LATE).unwrap_or(now);
        let at = self.free_at.map_or(now, |free_at| free_at.max(earliest));
        let room = ROUND.saturating_sub(at.saturating_duration_since(now));
        let longest = TURN.as_nanos() * room.as_nanos() / ROUND.as_nanos();
        let longest = u128::from(self.rate) * longest / NANOS;
        // A length in memory fits.
        let bytes = longest.clamp(1, most.max(1) as u128) as usize;
        let parts = bytes as u128 * NANOS + u128::from(self.rest);
        let rate = u128::from(self.rate);
        self.rest = (parts % rate) as u64;
        self.free_at = Some(at + nanoseconds(parts / rate));
        Turn { bytes, at, regime: Some(self.regime) }
    }

    fn standing(&self, now: Instant, turn: &Turn) -> Standing {
        if turn.regime != Some(self.regime) {
            return Standing::Void;
        }
        match turn.at.saturating_duration_since(now) {
            Duration::ZERO => Standing::Now,
            wait => Standing::In(wait),
        }
    }

    fn give_back(&mut self, bytes: usize) {
        let time = nanoseconds(bytes as u128 * NANOS / u128::from(self.rate.max(1)));
        self.free_at = self.free_at.map(|free_at| free_at.checked_sub(time).unwrap_or(free_at));
    }
}

const NANOS: u128 = 1_000_000_000;

fn nanoseconds(count: u128) -> Duration {
    // A turn is of less than a second, or of one byte.
    Duration::from_nanos(u64::try_from(count).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;
    const BLOCK: usize = 256 << 10;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// Takers that always have something to send, on a clock that goes on only while all of them wait.
    struct World {
        limit: Limit,
        start: Instant,
        now: Instant,
        waiting: Vec<Turn>,
        sent: Vec<u64>,
        longest_wait: Duration,
    }

    impl World {
        fn new(rate: u64, takers: usize) -> Self {
            let (limit, start) = (Limit::default(), Instant::now());
            limit.set(Some(rate));
            let waiting = (0..takers).map(|_| limit.ask(start, BLOCK)).collect();
            Self { limit, start, now: start, waiting, sent: vec![0; takers], longest_wait: Duration::ZERO }
        }

        fn run_for(&mut self, time: Duration) {
            let end = self.now + time;
            while let Some(next) = self.serve().filter(|&next| next <= end) {
                self.now = next;
            }
            self.now = end;
        }

        /// Everybody whose turn has come sends and asks for another. Returns when the next one comes.
        fn serve(&mut self) -> Option<Instant> {
            let mut next = None;
            for (turn, sent) in self.waiting.iter_mut().zip(&mut self.sent) {
                loop {
                    match self.limit.standing(self.now, turn) {
                        Standing::Now => *sent += turn.bytes as u64,
                        Standing::Void => {}
                        Standing::In(wait) => {
                            self.longest_wait = self.longest_wait.max(wait);
                            next = next.into_iter().chain([self.now + wait]).min();
                            break;
                        }
                    }
                    *turn = self.limit.ask(self.now, BLOCK);
                }
            }
            next
        }

        fn total(&self) -> u64 {
            self.sent.iter().sum()
        }

        fn allowed(&self, rate: u64) -> u64 {
            let time = self.now.duration_since(self.start);
            u64::try_from(u128::from(rate) * time.as_nanos() / NANOS).unwrap()
        }
    }

    #[test]
    fn the_rate_is_exact_in_the_long_run() {
        for rate in [1024, 1025, 333_333, MIB, 10 * MIB, 100 * MIB, 3_000_000_007] {
            for takers in [1, 3, 64] {
                let mut world = World::new(rate, takers);
                world.run_for(Duration::from_secs(60));
                let (sent, allowed) = (world.total(), world.allowed(rate));
                // A turn begins when the one before is over, so that each taker may be one ahead.
                let ahead = takers as u64 * (rate / 50 + 1);
                assert!((allowed..=allowed + ahead).contains(&sent), "{rate}, {takers}: {sent} of {allowed}");
            }
        }
    }

    #[test]
    fn everybody_has_the_same_share_and_nobody_waits_long() {
        for (rate, takers) in [(MIB, 2), (10 * MIB, 64), (100 * MIB, 16), (1024, 100)] {
            let mut world = World::new(rate, takers);
            world.run_for(Duration::from_secs(60));
            let (least, most) = (world.sent.iter().min().unwrap(), world.sent.iter().max().unwrap());
            assert!(most - least <= most / 20 + 2, "{rate}, {takers}: {least} to {most}");
            assert!(world.longest_wait <= ms(600), "{rate}, {takers}: {:?}", world.longest_wait);
        }
    }

    #[test]
    fn what_was_not_used_for_long_is_lost() {
        let mut world = World::new(MIB, 1);
        world.run_for(Duration::from_secs(1));
        let before = world.total();
        // Nobody looks for a minute.
        world.now += Duration::from_secs(60);
        world.serve();
        let burst = world.total() - before;
        assert!(burst <= MIB / 20 + 2 * MIB / 50, "{burst}");
    }

    #[test]
    fn who_is_a_little_late_catches_up() {
        let mut world = World::new(MIB, 1);
        for _ in 0..1000 {
            world.now += ms(45);
            world.serve();
        }
        let allowed = world.allowed(MIB);
        assert!(world.total() >= allowed && world.total() <= allowed + MIB / 10, "{}", world.total());
    }

    #[test]
    fn a_change_is_for_those_who_wait_too() {
        let limit = Limit::new(Some(1024));
        let now = Instant::now();
        let turns: Vec<Turn> = (0..50).map(|_| limit.ask(now, BLOCK)).collect();
        assert!(matches!(limit.standing(now, &turns[49]), Standing::In(wait) if wait > ms(100)));
        limit.set(Some(100 * MIB));
        assert!(turns.iter().all(|turn| limit.standing(now, turn) == Standing::Void));
        let turn = limit.ask(now, BLOCK);
        assert_eq!((limit.standing(now, &turn), turn.bytes), (Standing::Now, BLOCK));
        // And the other way: what went out at the former rate is not made up for at the new one.
        limit.set(Some(1024));
        let turn = limit.ask(now, BLOCK);
        assert_eq!((limit.standing(now, &turn), turn.bytes), (Standing::Now, 20));
    }

    #[test]
    fn without_a_limit_nobody_waits() {
        let limit = Limit::default();
        let now = Instant::now();
        for _ in 0..3 {
            let turn = limit.ask(now, BLOCK);
            assert_eq!((turn.bytes, limit.standing(now, &turn)), (BLOCK, Standing::Now));
            limit.used(&turn, 0);
        }
        limit.set(Some(1024));
        let waits = |turn: &Turn| matches!(limit.standing(now, turn), Standing::In(_));
        let turns = [limit.ask(now, BLOCK), limit.ask(now, BLOCK)];
        assert!(waits(&turns[1]));
        limit.set(None);
        assert_eq!(limit.standing(now, &turns[1]), Standing::Void);
        assert_eq!(limit.ask(now, BLOCK).bytes, BLOCK);
        assert_eq!(limit.get(), None);
    }

    #[test]
    fn what_is_not_used_is_for_others() {
        let limit = Limit::new(Some(MIB));
        let now = Instant::now() + ms(1);
        let before = limit.ask(now, BLOCK);
        limit.used(&before, 0);
        let turn = limit.ask(now, BLOCK);
        assert_eq!(limit.standing(now, &turn), Standing::Now);
        limit.used(&turn, turn.bytes);
        let next = limit.ask(now, BLOCK);
        assert!(matches!(limit.standing(now, &next), Standing::In(_)));
    }

    #[test]
    fn the_same_limit_once_more_changes_nothing() {
        let limit = Limit::new(Some(MIB));
        let turn = limit.ask(Instant::now(), BLOCK);
        limit.set(Some(MIB));
        assert_ne!(limit.standing(Instant::now(), &turn), Standing::Void);
        limit.set(Some(1));
        assert_eq!(limit.get(), Some(Limit::LEAST));
        limit.set(Some(0));
        assert_eq!(limit.get(), None);
    }
}
