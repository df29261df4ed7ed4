//! How often something may happen.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many at once, and then one in each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) burst: u32,
    pub(crate) interval: Duration,
}

/// What is left of a rate: the time by which all that was taken would have been taken at an even pace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    rate: Rate,
    paid: Option<Instant>,
}

impl Allowance {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, paid: None }
    }

    /// When the next one may be taken; not later than `now` if it may be now.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        let slack = self.rate.interval * self.rate.burst.saturating_sub(1);
        self.paid.and_then(|paid| paid.checked_sub(slack)).map_or(now, |due| due.max(now))
    }

    /// Takes one, if one may be taken.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let may = self.due(now) <= now;
        if may {
            self.paid = Some(self.paid.map_or(now, |paid| paid.max(now)) + self.rate.interval);
        }
        may
    }

    fn is_whole(&self, now: Instant) -> bool {
        self.paid.is_none_or(|paid| paid <= now)
    }
}

/// The same for each of many addresses. There is room for so many of them; while more ask, those that are new are told no.
#[derive(Debug)]
pub(crate) struct PerAddress {
    rate: Rate,
    room: usize,
    allowances: HashMap<IpAddr, Allowance>,
}

impl PerAddress {
    pub(crate) fn new(rate: Rate, room: usize) -> Self {
        Self { rate, room, allowances: HashMap::new() }
    }

    pub(crate) fn take(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.allowances.len() >= self.room && !self.allowances.contains_key(&address) {
            self.allowances.retain(|_, allowance| !allowance.is_whole(now));
            if self.allowances.len() >= self.room {
                return false;
            }
        }
        self.allowances.entry(address).or_insert(Allowance::new(self.rate)).take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { burst: 3, interval: Duration::from_secs(1) };

    #[test]
    fn a_burst_and_then_an_even_pace() {
        let start = Instant::now();
        let mut allowance = Allowance::new(RATE);
        let mut taken = |millis| allowance.take(start + Duration::from_millis(millis));
        assert_eq!(
            [0, 0, 0, 0, 999, 1000, 1001].map(&mut taken),
            [true, true, true, false, false, true, false]
        );
        assert_eq!([60_000, 60_000, 60_000, 60_000].map(&mut taken), [true, true, true, false]);
        let late = start + Duration::from_secs(60);
        assert_eq!(allowance.due(late), late + Duration::from_secs(1));
    }

    #[test]
    fn addresses_do_not_take_from_each_other_and_have_bounded_room() {
        let now = Instant::now();
        let mut rates = PerAddress::new(RATE, 2);
        let [one, two, three] = ["10.0.0.1", "10.0.0.2", "fe80::1"].map(|text| text.parse().unwrap());
        assert_eq!((0..9).filter(|_| rates.take(one, now)).count(), 3);
        assert!(rates.take(two, now));
        assert!(!rates.take(three, now), "no room");
        let later = now + Duration::from_secs(2);
        assert!(rates.take(three, later), "the second has its burst again, and is forgotten");
        assert_eq!(rates.allowances.len(), 2);
    }
}
