//! What the source has by speaking with nodes directly: keys, what a result is worth by them, and features. PROTOCOL.md,
//! "Direct exchange".

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::wire::{Features, LineError, Report, ResultKey, SealedReport};

/// Keys kept for each node: each try to reach it makes one, and the node uses the last that it has heard of.
const EACH: usize = 16;

/// What the source has by connections of its own to nodes, by their places in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectExchange {
    keys: BTreeMap<u32, VecDeque<ResultKey>>,
    features: BTreeMap<u32, Features>,
    /// Nodes that have had a key since before the transfer, and use no other than theirs.
    bound: BTreeSet<u32>,
}

impl DirectExchange {
    /// One more key of the node at that place.
    pub fn add(&mut self, index: u32, key: ResultKey) {
        let keys = self.keys.entry(index).or_default();
        if keys.len() == EACH {
            keys.pop_front();
        }
        keys.push_back(key);
    }

    /// What the node at that place can do.
    pub fn add_features(&mut self, index: u32, features: Features) {
        self.features.insert(index, features);
    }

    /// Those of `ours` that every node at these places has said to have.
    pub fn features_of_all(&self, ours: &Features, places: impl IntoIterator<Item = u32>) -> Features {
        let none = Features::default();
        let of = |place| self.features.get(&place).unwrap_or(&none);
        places.into_iter().fold(ours.clone(), |common, place| common.shared_with(of(place)))
    }

    /// The transfer begins: nodes that have a key by now use it from their first word on.
    pub(super) fn bind(&mut self) {
        self.bound = self.keys.keys().copied().collect();
    }

    /// What a result is worth that came by way of a chain. `transfer` is the key that every node has.
    ///
    /// # Errors
    /// It is no report.
    pub(super) fn weigh(&self, sealed: &SealedReport, transfer: &ResultKey) -> Result<Word, LineError> {
        let report = sealed.read()?;
        let mut keys = report.by.and_then(|by| self.keys.get(&by)).into_iter().flatten();
        let opens = match sealed.key_id() {
            None => {
                let is_bound = report.by.is_some_and(|by| self.bound.contains(&by));
                !is_bound && sealed.open(transfer).is_ok()
            }
            Some(_) => keys.any(|key| sealed.open(key).is_ok()),
        };
        let proof = match sealed.key_id() {
            _ if !opens => Proof::Forged,
            None if report.is_own() => Proof::Missing,
            _ => Proof::Given,
        };
        Ok(Word { report, proof })
    }
}

/// A report, and what it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) report: Report,
    pub(super) proof: Proof,
}

/// Whether a report is of the node that it names as its maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is, as far as this side can tell.
    Given,
    /// It is a node's own, under the key that every node of the transfer has.
    Missing,
    /// It is not.
    Forged,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Code, Keyring, Nonce, Password, TransferId};

    fn keys() -> Keyring {
        Keyring::new(Password::new("a secret of many bytes").unwrap())
    }

    fn node_key(number: u8) -> ResultKey {
        keys().node_key(&Nonce([number; 16]), &Nonce([number; 16])).unwrap()
    }

    fn said(index: u32, by: u32) -> Report {
        Report { index: Some(index), by: Some(by), ..Report::refusal(Code::CANNOT_OPEN, "") }
    }

    #[test]
    fn a_result_is_worth_what_its_key_proves() {
        let transfer = keys().result_key(&TransferId([1; 16])).unwrap();
        let mut known = DirectExchange::default();
        let weigh = |known: &DirectExchange, report: &Report, key: &ResultKey| {
            known.weigh(&SealedReport::seal(report, key), &transfer).unwrap().proof
        };
        let (own, hearsay) = (said(4, 4), said(4, 3));
        assert_eq!(weigh(&known, &own, &transfer), Proof::Missing);
        assert_eq!(weigh(&known, &hearsay, &transfer), Proof::Given);
        assert_eq!(weigh(&known, &own, &node_key(1)), Proof::Forged, "nobody has met it");
        known.add(4, node_key(1));
        known.add(4, node_key(2));
        known.add(3, node_key(3));
        assert_eq!(weigh(&known, &own, &transfer), Proof::Missing, "said before it had one");
        known.bind();
        for (report, key, is_true) in [
            (&own, node_key(1), true),
            (&own, node_key(2), true),
            (&own, node_key(3), false),
            (&own, transfer.clone(), false),
            (&hearsay, node_key(3), true),
            (&hearsay, node_key(1), false),
            (&hearsay, transfer.clone(), false),
        ] {
            let expected = if is_true { Proof::Given } else { Proof::Forged };
            assert_eq!(weigh(&known, report, &key), expected);
        }
    }

    #[test]
    fn a_transfer_uses_what_all_its_nodes_have() {
        let features = |names: &[&str]| Features::new(names.iter().copied()).unwrap();
        let mut known = DirectExchange::default();
        known.add_features(0, features(&["a", "b", "c"]));
        known.add_features(2, features(&["b", "c"]));
        let ours = features(&["b", "d"]);
        assert_eq!(known.features_of_all(&ours, [0, 2]), features(&["b"]));
        assert!(known.features_of_all(&ours, [0, 1, 2]).is_empty(), "one has not been heard");
        assert_eq!(known.features_of_all(&ours, []), ours);
    }

    #[test]
    fn the_latest_keys_of_a_node_are_kept() {
        let mut known = DirectExchange::default();
        (0..=EACH as u8).for_each(|number| known.add(0, node_key(number)));
        let is_kept = |key: &ResultKey| known.keys[&0].contains(key);
        assert_eq!((is_kept(&node_key(0)), is_kept(&node_key(1))), (false, true));
    }
}
