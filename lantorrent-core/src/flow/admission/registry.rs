//! The registry of a node: transfers that it takes part in, or has lately taken part in, so that none comes to it twice,
//! and a second connection for one finds it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::cancelled::Cancelled;
use crate::session::{Ask, Standing};
use crate::wire::{Header, SealedReport, TransferId};

/// Finished transfers that are remembered; the oldest go first.
const FINISHED: usize = 256;
/// Results that are remembered, of all of them together.
const RESULTS: usize = 100_000;

/// The transfers of a node.
#[derive(Debug)]
pub(super) struct Registry {
    entries: HashMap<TransferId, Entry>,
    cancelled: Cancelled,
    retain: Duration,
}

#[derive(Debug)]
enum Entry {
    /// Its session is not over. As what it asks for its files, where others write them.
    Running { ask: Ask, files: Vec<String> },
    /// It has ended in that place of its list.
    Finished { index: u32, results: Vec<SealedReport>, at: Instant },
}

impl Entry {
    fn index(&self) -> u32 {
        match self {
            Self::Running { ask, .. } => ask.index,
            Self::Finished { index, .. } => *index,
        }
    }
}

/// Running transfers that write the same files for the same source.
#[derive(Debug, Default)]
struct Rivals {
    older: Vec<TransferId>,
    newer: Vec<TransferId>,
}

/// What a proven header leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entrance {
    /// A session of its own, which is in the registry from now on.
    New {
        /// Transfers that have to let go of their files first.
        supersedes: Vec<TransferId>,
        /// Requests that were cancelled before.
        unwanted: Vec<String>,
    },
    /// The session that is running.
    Running,
    /// Nothing yet: the session that is running is about to end, and its source begins anew then.
    Spoiled,
    /// Nothing yet: a newer transfer of the same source writes the same files.
    Outdated,
    /// Nothing: the node has another place in the transfer, this one. The list names it twice, or leads back to it.
    Taken(u32),
    /// The end of the transfer, to be told again, and what the sender asks.
    Finished(Ask, Vec<SealedReport>),
}

/// What a proven header that cancels requests leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Recall {
    /// The session that is running.
    Running,
    /// A session that does nothing else, and is in no registry.
    Gone {
        /// How the transfer has ended here, if it has.
        told: Vec<SealedReport>,
        /// As in [`Entrance::New`].
        supersedes: Vec<TransferId>,
    },
}

/// What is known of a transfer that a header asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Its session is running.
    Running,
    /// The node has another place in it, this one.
    Elsewhere(u32),
    /// It has ended here, with these results.
    Finished(Vec<SealedReport>),
}

impl Registry {
    /// An empty registry that remembers finished transfers for that long.
    pub(super) fn new(retain: Duration) -> Self {
        Self { entries: HashMap::new(), cancelled: Cancelled::new(retain), retain }
    }

    /// A sender has proven `header`. One of wire 1 always has a session of its own, and no entry. `standing` says how
    /// the session of a running transfer stands.
    pub(super) fn enter(
        &mut self,
        now: Instant,
        header: &Header,
        standing: impl Fn(&TransferId) -> Standing,
    ) -> Entrance {
        self.forget_old(now);
        let Some(ask) = Ask::for_header(header) else {
            return Entrance::New { supersedes: Vec::new(), unwanted: Vec::new() };
        };
        match self.entries.get(&ask.transfer) {
            Some(entry) if entry.index() != ask.index => return Entrance::Taken(entry.index()),
            Some(Entry::Running { .. }) => {
                let anew = ask.from.is_none() && standing(&ask.transfer) == Standing::Spoiled;
                return if anew { Entrance::Spoiled } else { Entrance::Running };
            }
            Some(Entry::Finished { results, .. }) => return Entrance::Finished(ask, results.clone()),
            None => {}
        }
        let Rivals { older, newer } = self.rivals(header, standing);
        if !newer.is_empty() {
            return Entrance::Outdated;
        }
        let transfer = ask.transfer;
        let files = header.node.requests.iter().map(|request| request.filename.clone()).collect();
        self.entries.insert(transfer, Entry::Running { ask, files });
        let unwanted = self.cancelled.among(now, &transfer, &header.node.requests);
        Entrance::New { supersedes: older, unwanted }
    }

    /// A sender has proven `header`, which cancels its requests. They are not begun any more.
    pub(super) fn cancel(
        &mut self,
        now: Instant,
        header: &Header,
        standing: impl Fn(&TransferId) -> Standing,
    ) -> Recall {
        self.forget_old(now);
        let transfer = header.transfer();
        if let Some(transfer) = transfer {
            let ids = header.node.requests.iter().map(|request| request.id.clone());
            self.cancelled.add(now, transfer, ids);
        }
        let told = match transfer.and_then(|transfer| self.entries.get(&transfer)) {
            Some(Entry::Running { .. }) => return Recall::Running,
            Some(Entry::Finished { results, .. }) => results.clone(),
            None => Vec::new(),
        };
        Recall::Gone { told, supersedes: self.rivals(header, standing).older }
    }

    /// A sender has proven `header`, which only asks.
    pub(super) fn find(&mut self, now: Instant, header: &Header) -> Found {
        self.forget_old(now);
        let Some(ask) = Ask::for_header(header) else { return Found::Nothing };
        match self.entries.get(&ask.transfer) {
            None => Found::Nothing,
            Some(entry) if entry.index() != ask.index => Found::Elsewhere(entry.index()),
            Some(Entry::Running { .. }) => Found::Running,
            Some(Entry::Finished { results, .. }) => Found::Finished(results.clone()),
        }
    }

    /// Whether running transfers would have to let go of their files for this one.
    pub(super) fn would_supersede(&self, header: &Header) -> bool {
        let Rivals { older, newer } = self.rivals(header, |_| Standing::Served);
        !(older.is_empty() && newer.is_empty())
    }

    fn rivals(&self, header: &Header, standing: impl Fn(&TransferId) -> Standing) -> Rivals {
        let mut rivals = Rivals::default();
        let Some(own) = Ask::for_header(header).filter(|own| own.source.is_some()) else { return rivals };
        for (&id, entry) in &self.entries {
            let Entry::Running { ask, files } = entry else { continue };
            let shares = header.node.requests.iter().any(|request| files.contains(&request.filename));
            if ask.source != own.source || !shares {
                continue;
            }
            // Without an order the one that comes later is the newer one. So it is where the other one has lost its sender:
            // the clock of the next one may have been put back.
            let is_newer = ask.outranks(&own) && standing(&id) != Standing::Orphan;
            if is_newer { &mut rivals.newer } else { &mut rivals.older }.push(id);
        }
        rivals
    }

    /// The session of a transfer is over. With `results` it can be asked again for a while; without, it is forgotten
    /// and may begin anew.
    pub(super) fn leave(&mut self, now: Instant, transfer: &TransferId, results: Option<Vec<SealedReport>>) {
        match (results, self.entries.remove(transfer)) {
            (Some(results), Some(entry)) => self.finish(now, *transfer, entry.index(), results),
            _ => self.forget_old(now),
        }
    }

    /// A transfer has ended here, in that place of its list.
    pub(super) fn finish(
        &mut self,
        now: Instant,
        transfer: TransferId,
        index: u32,
        results: Vec<SealedReport>,
    ) {
        self.entries.insert(transfer, Entry::Finished { index, results, at: now });
        self.forget_old(now);
    }

    /// Requests of a transfer were cancelled.
    pub(super) fn cancelled(&mut self, now: Instant, transfer: TransferId, ids: Vec<String>) {
        self.cancelled.add(now, transfer, ids);
    }

    /// Drops finished transfers that are too old, or too many.
    fn forget_old(&mut self, now: Instant) {
        let finished = self.entries.iter().filter_map(|(&id, entry)| match entry {
            Entry::Running { .. } => None,
            Entry::Finished { at, results, .. } => Some((*at, id, results.len())),
        });
        let mut finished: Vec<(Instant, TransferId, usize)> = finished.collect();
        finished.sort_unstable_by_key(|&(at, ..)| std::cmp::Reverse(at));
        let mut kept = 0;
        for (place, (at, id, results)) in finished.into_iter().enumerate() {
            kept += results;
            let young = now.saturating_duration_since(at) < self.retain;
            // The latest one is kept whatever its size.
            if !young || place >= FINISHED || (place > 0 && kept > RESULTS) {
                self.entries.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{begun_at, header, results};
    use super::*;

    fn lives(_: &TransferId) -> Standing {
        Standing::Served
    }

    fn begins(entrance: &Entrance) -> bool {
        matches!(entrance, Entrance::New { supersedes, unwanted } if supersedes.is_empty() && unwanted.is_empty())
    }

    #[test]
    fn a_transfer_runs_once_and_then_finished_for_a_while() {
        let mut registry = Registry::new(Duration::from_secs(10));
        let now = Instant::now();
        let header = header(1, 3, "/f", None);
        let id = TransferId([1; 16]);
        assert!(begins(&registry.enter(now, &header, lives)));
        assert_eq!(registry.enter(now, &header, lives), Entrance::Running);
        assert_eq!(
            registry.enter(now, &super::super::fixture::header(1, 4, "/f", None), lives),
            Entrance::Taken(3)
        );
        registry.leave(now, &id, Some(results(2)));
        assert_eq!(
            registry.enter(now + Duration::from_secs(9), &header, lives),
            Entrance::Finished(Ask::for_header(&header).unwrap(), results(2))
        );
        assert!(begins(&registry.enter(now + Duration::from_secs(10), &header, lives)));
        registry.leave(now, &id, None);
        assert!(begins(&registry.enter(now, &header, lives)));
    }

    #[test]
    fn the_same_source_for_the_same_file_supersedes() {
        let mut registry = Registry::new(Duration::from_secs(10));
        let now = Instant::now();
        registry.enter(now, &header(1, 0, "/f", Some("a")), lives);
        for other in [header(2, 0, "/g", Some("a")), header(3, 0, "/f", Some("b")), header(4, 0, "/f", None)]
        {
            assert!(begins(&registry.enter(now, &other, lives)));
        }
        let newer = header(5, 7, "/f", Some("a"));
        assert!(registry.would_supersede(&newer));
        let supersedes = vec![TransferId([1; 16])];
        let cancel = Recall::Gone { told: Vec::new(), supersedes: supersedes.clone() };
        assert_eq!(registry.cancel(now, &begun_at(8, 9, 0, "/f", Some("a")), lives), cancel);
        let cancel = Recall::Gone { told: Vec::new(), supersedes: Vec::new() };
        assert_eq!(registry.cancel(now, &begun_at(6, 9, 0, "/f", Some("a")), lives), cancel, "it is newer");
        assert_eq!(registry.enter(now, &newer, lives), Entrance::New { supersedes, unwanted: Vec::new() });
        let older = begun_at(6, 9, 0, "/f", Some("a"));
        assert_eq!(registry.enter(now, &older, lives), Entrance::Outdated);
    }

    #[test]
    fn an_earlier_clock_does_not_matter_where_the_sender_of_the_other_is_gone() {
        let mut registry = Registry::new(Duration::from_secs(10));
        let now = Instant::now();
        let first = TransferId([1; 16]);
        registry.enter(now, &begun_at(1000, 1, 0, "/f", Some("a")), lives);
        let repeated = begun_at(800, 2, 0, "/f", Some("a"));
        assert_eq!(registry.enter(now, &repeated, lives), Entrance::Outdated);
        let orphan = |id: &TransferId| if *id == first { Standing::Orphan } else { Standing::Served };
        let cancel = Recall::Gone { told: Vec::new(), supersedes: vec![first] };
        assert_eq!(registry.cancel(now, &begun_at(800, 9, 0, "/f", Some("a")), orphan), cancel);
        let entrance = Entrance::New { supersedes: vec![first], unwanted: Vec::new() };
        assert_eq!(registry.enter(now, &repeated, orphan), entrance);
        // It has an upstream, and is the one that counts.
        registry.leave(now, &first, None);
        assert_eq!(registry.enter(now, &begun_at(700, 3, 0, "/f", Some("a")), orphan), Entrance::Outdated);
    }

    #[test]
    fn what_is_cancelled_is_not_begun_whatever_comes_first() {
        let mut registry = Registry::new(Duration::from_secs(10));
        let now = Instant::now();
        let header = header(1, 3, "/f", None);
        let gone = |told| Recall::Gone { told, supersedes: Vec::new() };
        assert_eq!(registry.cancel(now, &header, lives), gone(Vec::new()));
        let unwanted = vec!["0".to_owned()];
        assert_eq!(registry.enter(now, &header, lives), Entrance::New { supersedes: Vec::new(), unwanted });
        assert_eq!(registry.cancel(now, &header, lives), Recall::Running);
        let id = TransferId([1; 16]);
        registry.leave(now, &id, Some(results(1)));
        assert_eq!(registry.cancel(now, &header, lives), gone(results(1)));
        // It ends without a result, and is begun anew.
        registry.leave(now, &id, None);
        assert!(
            matches!(registry.enter(now, &header, lives), Entrance::New { unwanted, .. } if unwanted == ["0"])
        );
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut registry = Registry::new(Duration::from_secs(1000));
        let now = Instant::now();
        for transfer in 0..=255 {
            registry.enter(now, &header(transfer, 0, "/f", None), lives);
            let at = now + Duration::from_secs(transfer.into());
            registry.leave(at, &TransferId([transfer; 16]), Some(results(1000)));
        }
        let later = now + Duration::from_secs(300);
        assert!(begins(&registry.enter(later, &header(0, 0, "/f", None), lives)), "the oldest made room");
        assert!(matches!(registry.enter(later, &header(255, 0, "/f", None), lives), Entrance::Finished(..)));
        assert!(registry.entries.len() <= 101);
    }
}
