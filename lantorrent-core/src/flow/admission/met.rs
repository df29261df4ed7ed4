//! Keys that this node shares with the sources of transfers, by connections that those have made to it.

use std::collections::{HashMap, VecDeque};

use crate::session::Proven;
use crate::wire::{Header, ResultKey, TransferId, Verb};

/// Transfers whose key is remembered; the oldest go first. A chain may come to this node long after its source has.
const TRANSFERS: usize = 4096;

/// The latest key of each transfer, and this node's place in it.
#[derive(Debug, Default)]
pub(super) struct Met {
    keys: HashMap<TransferId, (u32, ResultKey)>,
    order: VecDeque<TransferId>,
}

impl Met {
    /// Remembers the key of a connection that the source has made, and gives it to any other that takes part in its transfer
    /// in the same place.
    pub(super) fn acquaint(&mut self, proven: &mut Proven) {
        let Some(envelope) = &proven.header.envelope else { return };
        let index = proven.header.node.index;
        match &proven.node_key {
            Some(key) => self.add(envelope.transfer, index, key.clone()),
            // The answer to a relay that only asks is no result, and must not look like one to the source.
            None if envelope.verb != Verb::Send => {}
            None => {
                let known = self.keys.get(&envelope.transfer).filter(|(place, _)| *place == index);
                proven.node_key = known.map(|(_, key)| key.clone());
            }
        }
    }

    /// The place in the transfer that the source itself has given to this node, where that is another than the header says. A
    /// relay must not give it away.
    pub(super) fn place_beside(&self, header: &Header) -> Option<u32> {
        let (place, _) = self.keys.get(&header.envelope.as_ref()?.transfer)?;
        Some(*place).filter(|place| *place != header.node.index)
    }

    /// The node has this key in that place of the transfer.
    pub(super) fn add(&mut self, transfer: TransferId, index: u32, key: ResultKey) {
        if self.keys.insert(transfer, (index, key)).is_some() {
            return;
        }
        self.order.push_back(transfer);
        if self.order.len() > TRANSFERS
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{header, keys, with};
    use super::*;
    use crate::wire::{Features, Nonce};

    fn proven(header: &Header, key: Option<u8>) -> Proven {
        let nonce = |number| Nonce([number; 16]);
        let node_key = key.and_then(|number| keys().node_key(&nonce(number), &nonce(number)));
        Proven { header: header.clone(), lines: None, node_key, features: Features::default() }
    }

    #[test]
    fn the_latest_key_goes_to_connections_of_the_same_place() {
        let mut met = Met::default();
        let header_of = |index| header(1, index, "/f", None);
        for key in [1, 2] {
            met.acquaint(&mut proven(&header_of(3), Some(key)));
        }
        let mut later = proven(&header_of(3), None);
        met.acquaint(&mut later);
        assert_eq!(later.node_key, proven(&header_of(3), Some(2)).node_key);
        for other in [header_of(4), header(2, 3, "/f", None)] {
            let mut other = proven(&other, None);
            met.acquaint(&mut other);
            assert_eq!(other.node_key, None);
        }
    }

    #[test]
    fn no_relay_gets_answers_that_look_like_results() {
        let mut met = Met::default();
        let send = header(1, 3, "/f", None);
        met.acquaint(&mut proven(&send, Some(1)));
        for verb in [Verb::Check, Verb::Query, Verb::Cancel] {
            let mut asked = proven(&with(verb, send.clone()), None);
            met.acquaint(&mut asked);
            assert_eq!(asked.node_key, None, "{verb:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut met = Met::default();
        let key = proven(&header(1, 0, "/f", None), Some(1)).node_key.unwrap();
        for number in 0..=TRANSFERS as u64 {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            met.add(TransferId(id), 0, key.clone());
        }
        assert_eq!((met.keys.len(), met.order.len()), (TRANSFERS, TRANSFERS));
        assert!(!met.keys.contains_key(&TransferId([0; 16])));
    }
}
