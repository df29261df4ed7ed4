//! Addresses to connect to, and when.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::config::Network;
use super::event::Origin;
use crate::random::Random;

/// Addresses that are remembered.
const MOST: usize = 2000;
/// Addresses of the same host, which may have many ports and be only one: others must not have to wait for them all.
const MOST_PER_HOST: usize = 16;
/// Until the second try. It doubles with each.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Tries without success after which an address is forgotten, unless the user gave it.
const TRIES: u32 = 8;

/// What is going on with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing before that time.
    Idle(Instant),
    Connected,
    /// It is never to be tried again: it is ourselves, or a liar.
    Barred,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    origin: Origin,
    failures: u32,
    state: State,
    /// A connection to it is being made. Meanwhile the peer may connect to us, and go again.
    dialling: bool,
    /// It had everything when we last saw it.
    seed: bool,
}

/// Whom the torrent needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Anybody.
    Anyone,
    /// Not those who have everything.
    NoSeeds,
}

/// All known addresses of peers.
#[derive(Debug)]
pub(super) struct Candidates {
    known: BTreeMap<SocketAddr, Candidate>,
    connecting: usize,
    networks: Vec<Network>,
}

impl Candidates {
    pub(super) fn new(networks: Vec<Network>) -> Self {
        Self { known: BTreeMap::new(), connecting: 0, networks }
    }

    /// Somebody has named that address. Who hears of a peer on its own network dials at once, whatever failed before.
    pub(super) fn found(&mut self, now: Instant, address: SocketAddr, origin: Origin) {
        if !is_of_a_peer(address) {
            return;
        }
        let full = self.known.len() >= MOST;
        if let Some(candidate) = self.known.get_mut(&address) {
            candidate.origin = candidate.origin.min(origin);
            if matches!(origin, Origin::Local | Origin::Given)
                && let State::Idle(at) = &mut candidate.state
            {
                *at = (*at).min(now);
            }
        } else if self.has_room_for(address.ip(), origin) && (!full || self.forget_one(origin)) {
            let state = State::Idle(now);
            self.known
                .insert(address, Candidate { origin, failures: 0, state, dialling: false, seed: false });
        }
    }

    /// Whether another address of that host is taken. On this very host many may run.
    fn has_room_for(&self, host: IpAddr, origin: Origin) -> bool {
        let all = SocketAddr::new(host, 0)..=SocketAddr::new(host, u16::MAX);
        origin == Origin::Given
            || host.to_canonical().is_loopback()
            || self.known.range(all).count() < MOST_PER_HOST
    }

    /// Makes place for one that was found like this. Those that are barred go first: they would be barred again.
    fn forget_one(&mut self, origin: Origin) -> bool {
        let is_barred = |candidate: &Candidate| candidate.state == State::Barred;
        let is_idle = |candidate: &Candidate| matches!(candidate.state, State::Idle(_));
        let unused =
            self.known.iter().filter(|(_, known)| !known.dialling && (is_barred(known) || is_idle(known)));
        let worst = unused.max_by_key(|(_, known)| (is_barred(known), known.failures, known.origin));
        let worst =
            worst.filter(|(_, known)| is_barred(known) || known.failures > 0 || known.origin > origin);
        worst.map(|(address, _)| *address).is_some_and(|address| self.known.remove(&address).is_some())
    }

    pub(super) fn connecting(&self) -> usize {
        self.connecting
    }

    /// The next one to connect to.
    pub(super) fn next(&mut self, now: Instant, need: Need, random: &mut Random) -> Option<SocketAddr> {
        let due = self.due(need).filter(|(_, at, _)| *at <= now);
        let best = due.map(|(address, _, candidate)| {
            let near = self.networks.iter().any(|network| network.contains(address.ip()));
            let rank = (candidate.origin > Origin::Local, !near, candidate.failures, random.next());
            (rank, *address)
        });
        let (_, address) = best.min()?;
        self.known.get_mut(&address)?.dialling = true;
        self.connecting += 1;
        Some(address)
    }

    /// When the next one may be connected to.
    pub(super) fn next_due(&self, need: Need) -> Option<Instant> {
        self.due(need).map(|(_, at, _)| at).min()
    }

    fn due(&self, need: Need) -> impl Iterator<Item = (&SocketAddr, Instant, &Candidate)> {
        let is_wanted = move |candidate: &Candidate| need == Need::Anyone || !candidate.seed;
        let wanted = self.known.iter().filter(move |(_, known)| is_wanted(known) && !known.dialling);
        wanted.filter_map(|(address, candidate)| match candidate.state {
            State::Idle(at) => Some((address, at, candidate)),
            State::Connected | State::Barred => None,
        })
    }

    fn change(&mut self, address: SocketAddr, state: State) -> Option<&mut Candidate> {
        let candidate = self.known.get_mut(&address).filter(|known| known.state != State::Barred)?;
        candidate.state = state;
        Some(candidate)
    }

    /// The connection to it that was being made is there, or will not be.
    fn end_dialling(&mut self, address: SocketAddr) -> Option<State> {
        let candidate = self.known.get_mut(&address)?;
        self.connecting -= usize::from(std::mem::replace(&mut candidate.dialling, false));
        Some(candidate.state)
    }

    /// It has answered.
    pub(super) fn answered(&mut self, address: SocketAddr) {
        self.end_dialling(address);
        self.connected(address);
    }

    /// It has not answered.
    pub(super) fn unreachable(&mut self, now: Instant, address: SocketAddr) {
        if let Some(State::Idle(_)) = self.end_dialling(address) {
            self.failed(now, address);
        }
    }

    /// There is a connection with the peer that takes others there.
    pub(super) fn connected(&mut self, address: SocketAddr) {
        self.change(address, State::Connected);
    }

    /// It cannot be reached, or was of no use. It is tried again later, later each time.
    pub(super) fn failed(&mut self, now: Instant, address: SocketAddr) {
        let Some(candidate) = self.known.get_mut(&address) else { return };
        candidate.failures += 1;
        let (failures, given) = (candidate.failures, candidate.origin == Origin::Given);
        let is_kept = given || candidate.dialling;
        let wait = FIRST_WAIT.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_WAIT);
        self.change(address, State::Idle(now + wait));
        if failures >= TRIES && !is_kept {
            self.known.remove(&address);
        }
    }

    /// The connection has ended, but not because it was of no use.
    pub(super) fn parted(&mut self, now: Instant, address: SocketAddr) {
        if let Some(candidate) = self.change(address, State::Idle(now + FIRST_WAIT)) {
            candidate.failures = 0;
        }
    }

    /// It is never to be tried again.
    pub(super) fn bar(&mut self, address: SocketAddr) {
        self.change(address, State::Barred);
    }

    /// It has everything.
    pub(super) fn is_seed(&mut self, address: SocketAddr) {
        if let Some(candidate) = self.known.get_mut(&address) {
            candidate.seed = true;
        }
    }
}

/// Whether a peer can take connections there.
fn is_of_a_peer(address: SocketAddr) -> bool {
    let ip = address.ip().to_canonical();
    address.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != Ipv4Addr::BROADCAST
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> SocketAddr {
        SocketAddr::from((number.to_be_bytes(), 6881))
    }

    fn candidates() -> Candidates {
        let network = Network { address: [10, 0, 0, 1].into(), bits: 24 };
        Candidates::new(vec![network])
    }

    #[test]
    fn the_own_network_first() {
        let (now, random) = (Instant::now(), &mut Random::new(1));
        let mut candidates = candidates();
        let near: SocketAddr = "10.0.0.9:1".parse().unwrap();
        let local: SocketAddr = "192.168.0.9:1".parse().unwrap();
        for number in 0..5 {
            candidates.found(now, address(0x0b00_0000 + number), Origin::Tracker);
        }
        candidates.found(now, near, Origin::Dht);
        candidates.found(now, local, Origin::Local);
        let mut next = || candidates.next(now, Need::Anyone, random);
        assert_eq!((next(), next()), (Some(local), Some(near)));
        assert_eq!(std::iter::from_fn(next).count(), 5);
        assert_eq!(candidates.connecting(), 7);
    }

    #[test]
    fn who_fails_is_tried_later_each_time_and_forgotten_in_the_end() {
        let (start, random) = (Instant::now(), &mut Random::new(1));
        let mut candidates = candidates();
        candidates.found(start, address(1), Origin::Tracker);
        candidates.found(start, address(2), Origin::Given);
        let (mut now, mut tries) = (start, 0);
        while let Some(at) = candidates.next_due(Need::Anyone).filter(|at| *at < start + LONGEST_WAIT * 4) {
            assert!(at >= now);
            now = at;
            while let Some(address) = candidates.next(now, Need::Anyone, random) {
                tries += 1;
                candidates.unreachable(now, address);
            }
        }
        // 2 + 4 + ... + 512 are nine waits, and 600 each from then on.
        assert_eq!((tries, candidates.known.len(), candidates.connecting()), (8 + 12, 1, 0));
    }

    #[test]
    fn who_announces_himself_is_dialled_at_once() {
        let (now, random) = (Instant::now(), &mut Random::new(1));
        let mut candidates = candidates();
        candidates.found(now, address(1), Origin::Tracker);
        let found = candidates.next(now, Need::Anyone, random).unwrap();
        candidates.unreachable(now, found);
        candidates.found(now, found, Origin::Tracker);
        assert_eq!(candidates.next(now, Need::Anyone, random), None);
        candidates.found(now, found, Origin::Local);
        assert_eq!(candidates.next(now, Need::Anyone, random), Some(found));
        candidates.found(now, found, Origin::Local);
        assert_eq!(candidates.next(now, Need::Anyone, random), None, "it is being connected to");
        candidates.bar(found);
        candidates.found(now, found, Origin::Local);
        candidates.connected(found);
        candidates.failed(now, found);
        assert_eq!(candidates.next(now, Need::Anyone, random), None);
    }

    #[test]
    fn seeds_are_of_no_use_to_seeds() {
        let (now, random) = (Instant::now(), &mut Random::new(1));
        let mut candidates = candidates();
        candidates.found(now, address(1), Origin::Tracker);
        candidates.is_seed(address(1));
        assert_eq!(candidates.next(now, Need::NoSeeds, random), None);
        assert_eq!(
            (candidates.next_due(Need::NoSeeds), candidates.next_due(Need::Anyone)),
            (None, Some(now))
        );
        assert_eq!(candidates.next(now, Need::Anyone, random), Some(address(1)));
    }

    #[test]
    fn the_table_has_a_bound_and_keeps_the_best() {
        let (now, random) = (Instant::now(), &mut Random::new(1));
        let mut candidates = candidates();
        for number in 0..10_000 {
            candidates.found(now, address(number), Origin::Exchange);
        }
        assert_eq!(candidates.known.len(), MOST);
        candidates.found(now, address(20_000), Origin::Given);
        candidates.found(now, address(20_001), Origin::Dht);
        assert_eq!(candidates.known.len(), MOST);
        assert_eq!(candidates.next(now, Need::Anyone, random), Some(address(20_000)));
        assert!(!candidates.known.contains_key(&address(20_001)));
    }

    #[test]
    fn those_who_are_barred_make_place_for_others() {
        let (now, random) = (Instant::now(), &mut Random::new(1));
        let mut candidates = candidates();
        for number in 1..=MOST as u32 {
            candidates.found(now, address(number), Origin::Local);
            candidates.bar(address(number));
        }
        candidates.found(now, address(20_000), Origin::Dht);
        assert_eq!(candidates.next(now, Need::Anyone, random), Some(address(20_000)));
        assert_eq!(candidates.known.len(), MOST);
    }
}
