//! Requests that were cancelled on a node, so that none of them is written when its header comes later, by way of the
//! chain.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::wire::{Request, TransferId};

/// Transfers of which something was cancelled that are remembered; the oldest go first.
const TRANSFERS: usize = 1024;
/// Requests that are remembered, of all of them together.
const REQUESTS: usize = 100_000;

/// The cancelled requests of a node, by transfer.
#[derive(Debug)]
pub(super) struct Cancelled {
    transfers: HashMap<TransferId, Cancel>,
    retain: Duration,
}

#[derive(Debug)]
struct Cancel {
    ids: BTreeSet<String>,
    at: Instant,
}

impl Cancelled {
    pub(super) fn new(retain: Duration) -> Self {
        Self { transfers: HashMap::new(), retain }
    }

    /// These are cancelled.
    pub(super) fn add(&mut self, now: Instant, transfer: TransferId, ids: impl IntoIterator<Item = String>) {
        let cancel =
            self.transfers.entry(transfer).or_insert_with(|| Cancel { ids: BTreeSet::new(), at: now });
        cancel.at = now;
        cancel.ids.extend(ids);
        self.forget_old(now);
    }

    /// Which of these are.
    pub(super) fn among(&mut self, now: Instant, transfer: &TransferId, requests: &[Request]) -> Vec<String> {
        self.forget_old(now);
        let Some(cancel) = self.transfers.get(transfer) else { return Vec::new() };
        let ids = requests.iter().map(|request| &request.id);
        ids.filter(|id| cancel.ids.contains(*id)).cloned().collect()
    }

    /// Drops those that are too old, or too many.
    fn forget_old(&mut self, now: Instant) {
        self.transfers.retain(|_, cancel| now.saturating_duration_since(cancel.at) < self.retain);
        let count =
            |transfers: &HashMap<TransferId, Cancel>| transfers.values().map(|cancel| cancel.ids.len()).sum();
        let mut requests: usize = count(&self.transfers);
        // The latest one is kept whatever its size.
        while self.transfers.len() > TRANSFERS || requests > REQUESTS && self.transfers.len() > 1 {
            let oldest =
                self.transfers.iter().min_by_key(|(_, cancel)| cancel.at).map(|(&transfer, _)| transfer);
            let Some(cancel) = oldest.and_then(|transfer| self.transfers.remove(&transfer)) else { return };
            requests -= cancel.ids.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str) -> Request {
        Request { filename: "/f".into(), id: id.into(), rename: true }
    }

    fn numbered(number: u16) -> TransferId {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        TransferId(id)
    }

    #[test]
    fn what_is_cancelled_is_known_for_a_while_and_in_its_transfer_alone() {
        let mut cancelled = Cancelled::new(Duration::from_secs(10));
        let now = Instant::now();
        let (one, two) = (numbered(1), numbered(2));
        cancelled.add(now, one, ["a".into(), "b".into()]);
        cancelled.add(now, one, ["c".into()]);
        let asked = [request("b"), request("x"), request("c")];
        assert_eq!(cancelled.among(now + Duration::from_secs(9), &one, &asked), ["b", "c"]);
        assert_eq!(cancelled.among(now, &two, &asked), [""; 0]);
        assert_eq!(cancelled.among(now + Duration::from_secs(10), &one, &asked), [""; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut cancelled = Cancelled::new(Duration::from_secs(100_000));
        let now = Instant::now();
        let at = |number: u16| now + Duration::from_secs(number.into());
        for number in 0..=TRANSFERS as u16 {
            cancelled.add(at(number), numbered(number), ["a".into()]);
        }
        let known = |cancelled: &mut Cancelled, number: u16| {
            !cancelled.among(at(2000), &numbered(number), &[request("a")]).is_empty()
        };
        assert!(!known(&mut cancelled, 0), "the oldest made room");
        assert!(known(&mut cancelled, 1));
        cancelled.add(at(1999), numbered(1999), (0..=REQUESTS).map(|id| id.to_string()));
        assert!(!known(&mut cancelled, TRANSFERS as u16));
        assert_eq!(cancelled.among(at(2000), &numbered(1999), &[request("0")]), ["0"], "the latest is kept");
    }
}
