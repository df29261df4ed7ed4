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
pub(super) struct Tombstones {
    graves: HashMap<TransferId, Grave>,
    retain: Duration,
}

#[derive(Debug)]
struct Grave {
    ids: BTreeSet<String>,
    at: Instant,
}

impl Tombstones {
    pub(super) fn new(retain: Duration) -> Self {
        Self { graves: HashMap::new(), retain }
    }

    /// These are cancelled.
    pub(super) fn add(&mut self, now: Instant, transfer: TransferId, requests: &[Request]) {
        let grave = self.graves.entry(transfer).or_insert_with(|| Grave { ids: BTreeSet::new(), at: now });
        grave.at = now;
        grave.ids.extend(requests.iter().map(|request| request.id.clone()));
        self.forget_old(now);
    }

    /// Which of these are.
    pub(super) fn among(&mut self, now: Instant, transfer: &TransferId, requests: &[Request]) -> Vec<String> {
        self.forget_old(now);
        let Some(grave) = self.graves.get(transfer) else { return Vec::new() };
        let ids = requests.iter().map(|request| &request.id);
        ids.filter(|id| grave.ids.contains(*id)).cloned().collect()
    }

    /// Drops those that are too old, or too many.
    fn forget_old(&mut self, now: Instant) {
        self.graves.retain(|_, grave| now.saturating_duration_since(grave.at) < self.retain);
        let count = |graves: &HashMap<TransferId, Grave>| graves.values().map(|grave| grave.ids.len()).sum();
        let mut requests: usize = count(&self.graves);
        // The latest one is kept whatever its size.
        while self.graves.len() > TRANSFERS || requests > REQUESTS && self.graves.len() > 1 {
            let oldest = self.graves.iter().min_by_key(|(_, grave)| grave.at).map(|(&transfer, _)| transfer);
            let Some(grave) = oldest.and_then(|transfer| self.graves.remove(&transfer)) else { return };
            requests -= grave.ids.len();
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
        let mut tombstones = Tombstones::new(Duration::from_secs(10));
        let now = Instant::now();
        let (one, two) = (numbered(1), numbered(2));
        tombstones.add(now, one, &[request("a"), request("b")]);
        tombstones.add(now, one, &[request("c")]);
        let asked = [request("b"), request("x"), request("c")];
        assert_eq!(tombstones.among(now + Duration::from_secs(9), &one, &asked), ["b", "c"]);
        assert_eq!(tombstones.among(now, &two, &asked), [""; 0]);
        assert_eq!(tombstones.among(now + Duration::from_secs(10), &one, &asked), [""; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut tombstones = Tombstones::new(Duration::from_secs(100_000));
        let now = Instant::now();
        let at = |number: u16| now + Duration::from_secs(number.into());
        for number in 0..=TRANSFERS as u16 {
            tombstones.add(at(number), numbered(number), &[request("a")]);
        }
        let known = |tombstones: &mut Tombstones, number: u16| {
            !tombstones.among(at(2000), &numbered(number), &[request("a")]).is_empty()
        };
        assert!(!known(&mut tombstones, 0), "the oldest made room");
        assert!(known(&mut tombstones, 1));
        let many: Vec<Request> = (0..=REQUESTS).map(|id| request(&id.to_string())).collect();
        tombstones.add(at(1999), numbered(1999), &many);
        assert!(!known(&mut tombstones, TRANSFERS as u16));
        assert_eq!(tombstones.among(at(2000), &numbered(1999), &many[..1]), ["0"], "the latest is kept");
    }
}
