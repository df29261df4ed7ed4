//! The nodes that a node knows: many of those close to it, and a few of all others (BEP 5).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::id::{BITS, NodeId};
use super::message::Contact;
use crate::entropy::Entropy;

/// Nodes of a bucket, and nodes that an answer names.
pub(super) const K: usize = 8;
/// Who has not been heard of for that long is questionable, and a bucket in which nothing happened is refreshed.
pub(super) const STALE: Duration = Duration::from_secs(15 * 60);
/// Unanswered queries in a row that make a node a bad one.
const FAILURES: u32 = 2;
/// Nodes of one host that a bucket may have, unless it is our own host.
const OF_HOST: usize = 2;

#[derive(Debug)]
pub(super) struct Table {
    own: NodeId,
    /// Nodes that share as many bits with us as the place says; in the last bucket also those that share more.
    buckets: Vec<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    entries: Vec<Entry>,
    /// Who has answered when there was no room; the latest is the last.
    spare: VecDeque<Entry>,
    changed: Instant,
}

/// A node that has answered us at least once.
#[derive(Debug, Clone, Copy)]
struct Entry {
    contact: Contact,
    /// When it answered us, or asked us, last.
    seen: Instant,
    failures: u32,
}

/// What has become of a node that answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is in the table.
    Taken,
    /// There is no room, and maybe a node that should be asked whether it is still there.
    Full(Option<Contact>),
    /// It is not wanted.
    Refused,
}

impl Table {
    pub(super) fn new(own: NodeId, now: Instant) -> Self {
        Self { own, buckets: vec![Bucket::new(now)] }
    }

    /// The node has answered a query.
    pub(super) fn answered(&mut self, now: Instant, contact: Contact) -> Place {
        if contact.id == self.own {
            return Place::Refused;
        }
        self.forget_others_at(&contact);
        loop {
            let index = self.index(&contact.id);
            let may_split = index + 1 == self.buckets.len() && index + 1 < BITS;
            let bucket = &mut self.buckets[index];
            if let Some(known) = bucket.entries.iter_mut().find(|entry| entry.contact.id == contact.id) {
                // Nobody takes over the name of a node that is there.
                if known.contact.address != contact.address && known.is_good(now) {
                    return Place::Refused;
                }
                *known = Entry::new(contact, now);
                bucket.changed = now;
                return Place::Taken;
            }
            if bucket.has_enough_of(&contact) {
                return Place::Refused;
            }
            if bucket.entries.len() < K {
                bucket.entries.push(Entry::new(contact, now));
                bucket.changed = now;
                return Place::Taken;
            }
            if may_split {
                self.split(now);
                continue;
            }
            return bucket.replace(now, contact);
        }
    }

    /// The node has asked us something, which is a sign of life of one that has answered before.
    pub(super) fn asked(&mut self, now: Instant, contact: &Contact) {
        if let Some(entry) = self.find(contact) {
            entry.seen = now;
        }
    }

    /// Whether a node of that name, which is not in the table, would find room, or could find it.
    pub(super) fn wants(&self, now: Instant, contact: &Contact) -> bool {
        let index = self.index(&contact.id);
        let bucket = &self.buckets[index];
        let may_split = index + 1 == self.buckets.len() && index + 1 < BITS;
        let has_room = bucket.entries.len() < K || may_split;
        let is_known = bucket.entries.iter().any(|entry| entry.contact.id == contact.id);
        contact.id != self.own
            && !is_known
            && (has_room || !bucket.entries.iter().all(|entry| entry.is_good(now)))
    }

    /// The node has not answered a query.
    pub(super) fn failed(&mut self, contact: &Contact) {
        let index = self.index(&contact.id);
        let bucket = &mut self.buckets[index];
        let Some(entry) = bucket.entries.iter_mut().find(|entry| entry.contact == *contact) else { return };
        entry.failures += 1;
        if entry.is_bad()
            && let Some(spare) = bucket.spare.pop_back()
        {
            *entry = spare;
        }
    }

    /// The nodes that are closest to that id: good ones, and questionable ones where those are not enough.
    pub(super) fn closest(&self, now: Instant, target: &NodeId, most: usize) -> Vec<Contact> {
        let mut usable: Vec<_> = self.entries().filter(|entry| !entry.is_bad()).collect();
        if usable.iter().filter(|entry| entry.is_good(now)).count() >= most {
            usable.retain(|entry| entry.is_good(now));
        }
        usable.sort_unstable_by_key(|entry| entry.contact.id.distance(target));
        usable.into_iter().take(most).map(|entry| entry.contact).collect()
    }

    /// Some nodes that should be asked whether they are still there: those that have been silent for longest.
    pub(super) fn questionable(&self, now: Instant, most: usize) -> Vec<Contact> {
        let mut found: Vec<_> =
            self.entries().filter(|entry| !entry.is_good(now) && !entry.is_bad()).collect();
        found.sort_unstable_by_key(|entry| entry.seen);
        found.into_iter().take(most).map(|entry| entry.contact).collect()
    }

    /// Every node, bad ones too.
    pub(super) fn all(&self) -> impl Iterator<Item = Contact> {
        self.entries().map(|entry| entry.contact)
    }

    /// How many nodes there are that answer.
    pub(super) fn good(&self, now: Instant) -> usize {
        self.entries().filter(|entry| entry.is_good(now)).count()
    }

    /// An id to look for, so that a bucket in which nothing has happened for long is refreshed.
    pub(super) fn next_refresh(&mut self, now: Instant, entropy: &mut Entropy) -> Option<NodeId> {
        let is_stale = |bucket: &Bucket| now.saturating_duration_since(bucket.changed) >= STALE;
        let index = self.buckets.iter().position(is_stale)?;
        self.buckets[index].changed = now;
        Some(self.own.at_distance(index, entropy))
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.entries)
    }

    fn find(&mut self, contact: &Contact) -> Option<&mut Entry> {
        let index = self.index(&contact.id);
        self.buckets[index].entries.iter_mut().find(|entry| entry.contact == *contact)
    }

    fn index(&self, id: &NodeId) -> usize {
        self.own.shared_bits(id).min(self.buckets.len() - 1)
    }

    /// There is one node at an address: the one that has just answered from there.
    fn forget_others_at(&mut self, contact: &Contact) {
        for bucket in &mut self.buckets {
            bucket.entries.retain(|entry| !entry.is_rival_of(contact));
            bucket.spare.retain(|entry| !entry.is_rival_of(contact));
        }
    }

    /// Parts the last bucket by one more bit.
    fn split(&mut self, now: Instant) {
        let shared = self.buckets.len();
        let Some(last) = self.buckets.last_mut() else { return };
        let own = self.own;
        let is_closer = |entry: &Entry| own.shared_bits(&entry.contact.id) >= shared;
        let closer = Bucket {
            entries: last.entries.extract_if(.., |entry| is_closer(entry)).collect(),
            spare: last.spare.iter().filter(|entry| is_closer(entry)).copied().collect(),
            changed: now,
        };
        last.spare.retain(|entry| !is_closer(entry));
        self.buckets.push(closer);
    }
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { entries: Vec::new(), spare: VecDeque::new(), changed: now }
    }

    fn has_enough_of(&self, contact: &Contact) -> bool {
        let host: SocketAddr = contact.address;
        let same = self.entries.iter().filter(|entry| entry.contact.address.ip() == host.ip()).count();
        same >= OF_HOST && !host.ip().is_loopback()
    }

    /// Puts it in the place of a bad node; otherwise it waits for one to become bad.
    fn replace(&mut self, now: Instant, contact: Contact) -> Place {
        if let Some(bad) = self.entries.iter_mut().find(|entry| entry.is_bad()) {
            *bad = Entry::new(contact, now);
            self.changed = now;
            return Place::Taken;
        }
        self.spare.retain(|spare| spare.contact.id != contact.id);
        if self.spare.len() >= K {
            self.spare.pop_front();
        }
        self.spare.push_back(Entry::new(contact, now));
        let questionable = self.entries.iter().filter(|entry| !entry.is_good(now));
        Place::Full(questionable.min_by_key(|entry| entry.seen).map(|entry| entry.contact))
    }
}

impl Entry {
    fn new(contact: Contact, now: Instant) -> Self {
        Self { contact, seen: now, failures: 0 }
    }

    fn is_good(&self, now: Instant) -> bool {
        self.failures == 0 && now.saturating_duration_since(self.seen) < STALE
    }

    fn is_bad(&self) -> bool {
        self.failures >= FAILURES
    }

    fn is_rival_of(&self, contact: &Contact) -> bool {
        self.contact.address == contact.address && self.contact.id != contact.id
    }
}

#[cfg(test)]
mod tests;
