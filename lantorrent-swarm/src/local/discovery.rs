//! When which torrent is announced to the local network, and what is heard from there.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::message::{self, Group};
use crate::InfoHash;
use crate::entropy::{Entropy, Seed};
use crate::rate::{Allowance, PerAddress, Rate};

/// After the first announcement of a torrent, the next ones: a datagram may get lost.
const AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(2)];
/// And from then on.
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How much of that may be missing, so that torrents which come together go apart.
const SPREAD: Duration = Duration::from_secs(30);
/// Announcements that all torrents may make together. With thousands of torrents each is announced less often.
const SENT: Rate = Rate { burst: 20, interval: Duration::from_millis(50) };
/// Peers that are believed to have come: a network has no more of them, and who floods it is not dialled more often.
const HEARD: Rate = Rate { burst: 500, interval: Duration::from_millis(10) };
/// Of them, those that one host announces: a little faster than our own kind does. Others are heard beside it.
const HEARD_OF_ONE: Rate = Rate { burst: 100, interval: Duration::from_millis(40) };
/// Hosts that are told apart.
const HOSTS: usize = 1024;

/// Peers of the same network, found by multicast (BEP 14): one for all torrents of a client.
///
/// The driver joins both [`Group`]s on every interface, with a socket each that is bound to the group's port, others
/// allowed beside it, and hands in what it receives. Never add a private torrent (BEP 27).
///
/// A peer that is found is to be dialled at once. There is no other answer to an announcement: whoever is heard by us is
/// dialled by us, so that it need not hear from us as well; a crowd that answered a crowd would be a storm.
#[derive(Debug)]
pub struct Discovery {
    port: u16,
    cookie: String,
    entropy: Entropy,
    torrents: BTreeMap<InfoHash, Turn>,
    /// Never announced yet; the last one is the next, as somebody may wait for it.
    fresh: Vec<InfoHash>,
    /// Announced before, and when again.
    due: BTreeSet<(Instant, InfoHash)>,
    sent: Allowance,
    heard: Allowance,
    heard_of: PerAddress,
}

/// What happens to a [`Discovery`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum LocalEvent<'a> {
    /// Time has passed.
    Tick,
    /// This torrent is here now, and not private.
    Add(InfoHash),
    /// It is here no more.
    Remove(InfoHash),
    /// A network came or went: everything is announced again, as if it were new.
    NetworkChanged,
    /// This datagram came to one of the groups from there.
    Received(SocketAddr, &'a [u8]),
}

/// What the driver of a [`Discovery`] is to do.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to carry out every action")]
pub enum LocalAction {
    /// Send the datagram to the [group's address](Group::address), with a TTL of 1.
    Send(Group, Vec<u8>),
    /// Somebody there has this torrent: connect at once. An IPv6 address has the scope that it was heard in.
    Found(InfoHash, SocketAddr),
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Fresh,
    /// When, and how many announcements there were.
    Due(Instant, usize),
}

impl Discovery {
    /// For a client that takes connections at `port`.
    pub fn new(port: u16, seed: Seed) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            port,
            cookie: format!("{:016x}", entropy.word()),
            entropy,
            torrents: BTreeMap::new(),
            fresh: Vec::new(),
            due: BTreeSet::new(),
            sent: Allowance::new(SENT),
            heard: Allowance::new(HEARD),
            heard_of: PerAddress::new(HEARD_OF_ONE, HOSTS),
        }
    }

    /// When to hand in [`LocalEvent::Tick`], which is at once if it is past.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let due = if self.fresh.is_empty() { self.due.first()?.0 } else { now };
        Some(due.max(self.sent.due(now)))
    }

    /// Something has happened: what to do.
    pub fn handle(&mut self, now: Instant, event: LocalEvent<'_>) -> Vec<LocalAction> {
        match event {
            LocalEvent::Tick => {}
            LocalEvent::Add(torrent) => {
                if let Entry::Vacant(entry) = self.torrents.entry(torrent) {
                    entry.insert(Turn::Fresh);
                    self.fresh.push(torrent);
                }
            }
            LocalEvent::Remove(torrent) => self.remove(torrent),
            LocalEvent::NetworkChanged => {
                self.due.clear();
                self.fresh = self.torrents.keys().copied().collect();
                self.torrents.values_mut().for_each(|turn| *turn = Turn::Fresh);
            }
            LocalEvent::Received(from, datagram) => return self.received(now, from, datagram),
        }
        self.announce(now)
    }

    fn remove(&mut self, torrent: InfoHash) {
        match self.torrents.remove(&torrent) {
            Some(Turn::Fresh) => self.fresh.retain(|fresh| *fresh != torrent),
            Some(Turn::Due(at, _)) => {
                self.due.remove(&(at, torrent));
            }
            None => {}
        }
    }

    fn announce(&mut self, now: Instant) -> Vec<LocalAction> {
        let mut actions = Vec::new();
        while let Some(torrent) = self.next(now) {
            let announced = match self.torrents.get(&torrent) {
                Some(Turn::Due(_, announced)) => *announced,
                _ => 0,
            };
            let again = AGAIN.get(announced).copied();
            let at = now + again.unwrap_or_else(|| INTERVAL.saturating_sub(self.entropy.within(SPREAD)));
            self.torrents.insert(torrent, Turn::Due(at, announced + 1));
            self.due.insert((at, torrent));
            let datagram = |group| message::write(group, self.port, &torrent, &self.cookie);
            actions.extend(Group::ALL.map(|group| LocalAction::Send(group, datagram(group))));
        }
        actions
    }

    /// Takes the torrent whose turn it is, if there is one and something may be sent.
    fn next(&mut self, now: Instant) -> Option<InfoHash> {
        let is_due = |(at, _): &(Instant, InfoHash)| *at <= now;
        if self.fresh.is_empty() && !self.due.first().is_some_and(is_due) || !self.sent.take(now) {
            return None;
        }
        self.fresh.pop().or_else(|| self.due.pop_first().map(|(_, torrent)| torrent))
    }

    fn received(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Vec<LocalAction> {
        let Some(announcement) = message::read(datagram) else { return Vec::new() };
        if announcement.cookie == Some(&self.cookie) || from.ip().is_multicast() || from.ip().is_unspecified()
        {
            return Vec::new();
        }
        let mut peer = from;
        peer.set_port(announcement.port);
        let mut torrents = announcement.torrents;
        torrents.sort_unstable();
        torrents.dedup();
        torrents.retain(|torrent| {
            self.torrents.contains_key(torrent) && self.heard_of.take(from.ip(), now) && self.heard.take(now)
        });
        torrents.into_iter().map(|torrent| LocalAction::Found(torrent, peer)).collect()
    }
}
