//! Who has announced what, and who is told of whom.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::choice::Chosen;
use super::pool::{Peer, Place, Pool};
use crate::compact::Compact;
use crate::entropy::{Entropy, Seed};
use crate::tracker::announce::{Announce, AnnounceEvent, Scrape};
use crate::{InfoHash, PeerId};

/// Peers that are named where nobody says how many.
const USUAL: usize = 50;
/// How often those are forgotten that do not announce any more.
const SWEEP: Duration = Duration::from_secs(60);

/// How a tracker keeps its peers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TrackerSettings {
    /// How often clients are to announce.
    pub interval: Duration,
    /// How often they may, when they lack peers.
    pub min_interval: Duration,
    /// Peers of all torrents together; those that come when there are so many are told of others, but not kept.
    pub peers: usize,
    /// Peers of one torrent, likewise.
    pub peers_of_torrent: usize,
    /// Torrents, likewise.
    pub torrents: usize,
    /// The torrents that it serves; none: any.
    pub whitelist: Option<HashSet<InfoHash>>,
}

impl Default for TrackerSettings {
    /// Every 15 minutes, or every minute; 100,000 peers of 50,000 torrents, which take less than 64 MiB.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15 * 60),
            min_interval: Duration::from_secs(60),
            peers: 100_000,
            peers_of_torrent: 100_000,
            torrents: 50_000,
            whitelist: None,
        }
    }
}

/// The peers of all torrents.
#[derive(Debug)]
pub(super) struct Registry {
    settings: TrackerSettings,
    torrents: HashMap<InfoHash, Torrent>,
    peers: usize,
    entropy: Entropy,
    start: Instant,
    swept: Instant,
}

#[derive(Debug, Default)]
struct Torrent {
    pools: [Pool; 4],
    completed: u32,
}

/// Which peers an answer may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) families: &'static [Compact],
    pub(super) most: usize,
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) interval: Duration,
    pub(super) min_interval: Duration,
    pub(super) scrape: Scrape,
    pub(super) peers: Vec<(SocketAddr, PeerId)>,
    pub(super) kept: Kept,
}

/// Whether the client is known from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
    /// There are too many.
    Full,
}

/// Why a client is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("this tracker does not serve this torrent")]
    Unlisted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Leecher,
    Seed,
}

fn pool(family: Compact, role: Role) -> usize {
    usize::from(family == Compact::V6) * 2 + usize::from(role == Role::Seed)
}

impl Registry {
    pub(super) fn new(settings: TrackerSettings, seed: Seed, now: Instant) -> Self {
        let torrents = HashMap::new();
        Self { settings, torrents, peers: 0, entropy: Entropy::new(seed), start: now, swept: now }
    }

    /// Peers of all torrents together.
    pub(super) fn peers(&self) -> usize {
        self.peers
    }

    pub(super) fn torrents(&self) -> usize {
        self.torrents.len()
    }

    pub(super) fn set_whitelist(&mut self, whitelist: Option<HashSet<InfoHash>>) {
        if let Some(listed) = &whitelist {
            self.torrents.retain(|torrent, _| listed.contains(torrent));
            self.peers = self.torrents.values().map(Torrent::len).sum();
        }
        self.settings.whitelist = whitelist;
    }

    /// Somebody at that address announces.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        from: IpAddr,
        announce: &Announce,
        reach: Reach,
    ) -> Result<Answer, Refusal> {
        self.sweep(now);
        let torrent = announce.info_hash;
        if self.settings.whitelist.as_ref().is_some_and(|listed| !listed.contains(&torrent)) {
            return Err(Refusal::Unlisted);
        }
        let address = SocketAddr::new(from.to_canonical(), announce.port);
        let kept = match announce.event {
            AnnounceEvent::Stopped => self.forget(address, announce),
            _ if announce.port == 0 => Kept::No,
            _ => self.keep(now, address, announce),
        };
        let peers = match announce.event {
            AnnounceEvent::Stopped => Vec::new(),
            _ => self.pick(address, announce, reach),
        };
        let (interval, min_interval) = (self.settings.interval, self.settings.min_interval);
        let min_interval = min_interval.min(interval);
        Ok(Answer { interval, min_interval, scrape: self.scrape(&torrent), peers, kept })
    }

    pub(super) fn scrape(&self, torrent: &InfoHash) -> Scrape {
        self.torrents.get(torrent).map(Torrent::scrape).unwrap_or_default()
    }

    /// Nobody takes another one's entry away: the address is the one that the announcement came from, and what shares
    /// an address has keys of its own.
    fn forget(&mut self, address: SocketAddr, announce: &Announce) -> Kept {
        let Some(torrent) = self.torrents.get_mut(&announce.info_hash) else { return Kept::No };
        let place = Place::of(address);
        for role in [Role::Leecher, Role::Seed] {
            let pool = &mut torrent.pools[pool(Compact::of(&address), role)];
            let owns = |peer: &mut Peer| match (peer.key, announce.key) {
                (Some(known), Some(key)) => known == key,
                _ => true,
            };
            if pool.get_mut(&place).is_some_and(owns) && pool.remove(&place).is_some() {
                self.peers -= 1;
            }
        }
        if torrent.is_empty() {
            self.torrents.remove(&announce.info_hash);
        }
        Kept::No
    }

    fn keep(&mut self, now: Instant, address: SocketAddr, announce: &Announce) -> Kept {
        let family = Compact::of(&address);
        let roles = [Role::Leecher, Role::Seed];
        let (role, other) =
            if announce.stats.is_seed() { (roles[1], roles[0]) } else { (roles[0], roles[1]) };
        let seen = self.seconds(now);
        let place = Place::of(address);
        let peer = Peer { place, id: announce.peer_id, key: announce.key, seen };
        if let Some(torrent) = self.torrents.get_mut(&announce.info_hash) {
            if let Some(known) = torrent.pools[pool(family, role)].get_mut(&place) {
                *known = peer;
                return Kept::Yes;
            }
            if torrent.pools[pool(family, other)].remove(&place).is_some() {
                torrent.completed =
                    torrent.completed.saturating_add(u32::from(announce.event == AnnounceEvent::Completed));
                torrent.pools[pool(family, role)].insert(peer);
                return Kept::Yes;
            }
        }
        let of_torrent = self.torrents.get(&announce.info_hash).map(Torrent::len);
        if self.peers >= self.settings.peers
            || of_torrent.unwrap_or(0) >= self.settings.peers_of_torrent
            || of_torrent.is_none() && self.torrents.len() >= self.settings.torrents
        {
            return Kept::Full;
        }
        let torrent = self.torrents.entry(announce.info_hash).or_default();
        torrent.pools[pool(family, role)].insert(peer);
        self.peers += 1;
        Kept::Yes
    }

    /// Peers of the asker's own network first, then any: of the network no more than three quarters, so that
    /// networks do not fall apart into islands. Seeds have no use for seeds, but at its start aria2 says that nothing is left
    /// when it has a magnet link, and so does not know yet how much is.
    fn pick(&mut self, asker: SocketAddr, announce: &Announce, reach: Reach) -> Vec<(SocketAddr, PeerId)> {
        let Some(torrent) = self.torrents.get(&announce.info_hash) else { return Vec::new() };
        let want = announce.want.map_or(USUAL, |want| want as usize).min(reach.most);
        let is_surely_seed = announce.stats.is_seed() && announce.event != AnnounceEvent::Started;
        let roles: &[Role] = if is_surely_seed { &[Role::Leecher] } else { &[Role::Seed, Role::Leecher] };
        let pools = |families: &[Compact]| -> Vec<&Pool> {
            let pairs = families.iter().flat_map(|&family| roles.iter().map(move |&role| pool(family, role)));
            pairs.map(|index| &torrent.pools[index]).collect()
        };
        let own = Place::of(asker);
        let mut chosen = Chosen::for_asker(own);
        if reach.families.contains(&Compact::of(&asker)) {
            for pool in pools(&[Compact::of(&asker)]) {
                chosen.up_to((want * 3).div_ceil(4)).take(pool.near(&own, &mut self.entropy));
            }
        }
        chosen.up_to(want).take_any(&pools(reach.families), &mut self.entropy);
        chosen.peers
    }

    /// Forgets those who have been silent for one and a half intervals, and a minute for the way.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let lifetime = self.settings.interval * 3 / 2 + SWEEP;
        let since = self.seconds(now).saturating_sub(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
        let peers = &mut self.peers;
        self.torrents.retain(|_, torrent| {
            for pool in &mut torrent.pools {
                *peers -= pool.expire(since);
            }
            !torrent.is_empty()
        });
    }

    fn seconds(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(u32::MAX)
    }
}

impl Torrent {
    fn len(&self) -> usize {
        self.pools.iter().map(Pool::len).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn scrape(&self) -> Scrape {
        let count = |role| {
            let pools = [Compact::V4, Compact::V6].map(|family| self.pools[pool(family, role)].len());
            u32::try_from(pools.iter().sum::<usize>()).unwrap_or(u32::MAX)
        };
        Scrape { seeds: count(Role::Seed), leechers: count(Role::Leecher), completed: self.completed }
    }
}

#[cfg(test)]
mod tests;
