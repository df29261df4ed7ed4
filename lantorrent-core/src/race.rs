//! Which address of a host is tried next, beside those that have not answered yet: RFC 8305, "Happy Eyeballs".

use core::net::{IpAddr, SocketAddr};
use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

/// Addresses of one host that are tried; further ones are not.
pub const ADDRESSES: usize = 32;
/// Until the next address is tried too.
const DELAY: Duration = Duration::from_millis(250);
/// Until the last address is tried too: where there are many, the delay is less.
const SPAN: Duration = Duration::from_millis(500);

/// A race between the addresses of one host: each is tried some time after the one before it, or at once when another has
/// failed. What counts as an answer is the caller's affair, who then drops the race, and the other connections.
///
/// Call [`poll`](Self::poll) until it returns None: at the beginning, after [`failed`](Self::failed), and at
/// [`deadline`](Self::deadline).
#[derive(Debug)]
pub struct Race {
    waiting: VecDeque<SocketAddr>,
    /// Attempts that have not failed.
    open: usize,
    delay: Duration,
    due: Instant,
}

impl Race {
    /// Between these addresses, in the order in which the resolver has sorted them, but with the families in turn and none
    /// twice.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, now: Instant) -> Self {
        let mut waiting = interleaved(addresses);
        waiting.truncate(ADDRESSES);
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX).max(1);
        Self { waiting, open: 0, delay: DELAY.min(SPAN / count), due: now }
    }

    /// The address to try now, if there is one.
    pub fn poll(&mut self, now: Instant) -> Option<SocketAddr> {
        let next = if self.due <= now { self.waiting.pop_front()? } else { return None };
        self.open += 1;
        self.due = now + self.delay;
        Some(next)
    }

    /// One of those that were tried is of no use.
    pub fn failed(&mut self, now: Instant) {
        self.open = self.open.saturating_sub(1);
        self.due = now;
    }

    /// When to try the next one. None where there is none.
    pub fn deadline(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.due)
    }

    /// Whether all have failed.
    pub fn is_lost(&self) -> bool {
        self.open == 0 && self.waiting.is_empty()
    }

    /// The caller stood still for so long, and has not heard yet what was answered meanwhile.
    #[cfg(feature = "chain")]
    pub(crate) fn excuse(&mut self, late: Duration) {
        self.due += late;
    }
}

fn interleaved(addresses: impl IntoIterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut known = HashSet::new();
    // An IPv4 address mapped into IPv6 is the IPv4 address.
    let plain = addresses.into_iter().map(|address| match address.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
        IpAddr::V6(_) => address,
    });
    let once: Vec<SocketAddr> = plain.filter(|address| known.insert(*address)).collect();
    let first = once.first().is_some_and(SocketAddr::is_ipv6);
    let (mut one, mut other): (VecDeque<_>, VecDeque<_>) =
        once.into_iter().partition(|address| address.is_ipv6() == first);
    let mut all = VecDeque::with_capacity(one.len() + other.len());
    while !(one.is_empty() && other.is_empty()) {
        all.extend(one.pop_front());
        all.extend(other.pop_front());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 1))
    }

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 1))
    }

    /// What is tried when, in milliseconds from the beginning, where nothing answers and nothing fails.
    fn schedule(addresses: &[SocketAddr]) -> Vec<(u128, SocketAddr)> {
        let start = Instant::now();
        let mut race = Race::new(addresses.iter().copied(), start);
        let mut tried = Vec::new();
        while let Some(at) = race.deadline() {
            assert_eq!(at.checked_sub(Duration::from_nanos(1)).and_then(|early| race.poll(early)), None);
            tried.extend(race.poll(at).map(|address| ((at - start).as_millis(), address)));
            assert_eq!(race.poll(at), None, "one at a time");
        }
        assert!(!race.is_lost(), "all are still open");
        tried
    }

    #[test]
    fn families_take_turns_in_the_order_of_the_resolver() {
        let order = |addresses: &[SocketAddr]| -> Vec<SocketAddr> {
            schedule(addresses).into_iter().map(|(_, address)| address).collect()
        };
        assert_eq!(order(&[v6(1), v6(2), v6(3), v4(1)]), [v6(1), v4(1), v6(2), v6(3)]);
        assert_eq!(order(&[v4(2), v4(1), v6(1)]), [v4(2), v6(1), v4(1)]);
    }

    #[test]
    fn an_address_is_tried_once_however_it_is_written() {
        let mapped = "[::ffff:10.0.0.1]:1".parse().unwrap();
        let tried = schedule(&[mapped, v4(1), v6(1), v6(1)]);
        assert_eq!(tried, [(0, v4(1)), (250, v6(1))]);
        let zones = ["[fe80::1%2]:1".parse().unwrap(), "[fe80::1%3]:1".parse().unwrap()];
        assert_eq!(schedule(&zones).len(), 2, "of two links they are two hosts");
    }

    #[test]
    fn the_last_of_many_is_not_tried_too_late() {
        let many: Vec<SocketAddr> = (0..100).map(v4).collect();
        let tried = schedule(&many);
        assert_eq!(tried.len(), ADDRESSES);
        assert!(tried.last().unwrap().0 <= SPAN.as_millis());
        // What RFC 8305 calls the minimum.
        assert!(SPAN / ADDRESSES as u32 >= Duration::from_millis(10));
        assert_eq!(schedule(&many[..2]), [(0, v4(0)), (250, v4(1))]);
    }

    #[test]
    fn after_a_failure_the_next_is_tried_at_once_and_the_one_behind_it_waits() {
        let start = Instant::now();
        let mut race = Race::new([v4(1), v4(2), v4(3)], start);
        assert_eq!(race.poll(start), Some(v4(1)));
        let later = start + Duration::from_millis(20);
        assert_eq!(race.poll(later), None);
        race.failed(later);
        assert_eq!(race.poll(later), Some(v4(2)));
        assert_eq!(race.poll(later), None);
        race.failed(later);
        assert_eq!(race.poll(later), Some(v4(3)));
        assert!(!race.is_lost());
        race.failed(later);
        assert!(race.is_lost());
        assert_eq!(race.deadline(), None);
    }

    #[test]
    fn no_address_is_a_lost_race() {
        assert!(Race::new([], Instant::now()).is_lost());
    }
}
