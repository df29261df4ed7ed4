//! Which files a node has placed, so that a success that is said once more is still true.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::request::{fault, target};
use super::site::Site;
use crate::flow::admission::PlacedFiles;
use crate::session::FileFault;
use crate::store::Identity;
use crate::wire::{Header, Request, TransferId};

/// Transfers that are remembered; the oldest go first. More than can run and be remembered as finished at a time.
const TRANSFERS: usize = 1024;

/// The files of one transfer, by the ids of their requests.
pub(super) type Files = BTreeMap<String, Identity>;

/// The files of all transfers of a node.
#[derive(Debug, Default)]
pub(super) struct Placed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    transfers: HashMap<TransferId, Files>,
    order: VecDeque<TransferId>,
}

impl Placed {
    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file is in place.
    pub(super) fn add(&self, transfer: TransferId, request: &str, file: Identity) {
        let mut state = self.lock();
        if !state.transfers.contains_key(&transfer) {
            state.order.push_back(transfer);
        }
        state.transfers.entry(transfer).or_default().insert(request.to_owned(), file);
        while state.order.len() > TRANSFERS {
            let oldest = state.order.pop_front();
            oldest.and_then(|transfer| state.transfers.remove(&transfer));
        }
    }

    #[cfg(feature = "event")]
    fn has(&self, transfer: &TransferId) -> bool {
        self.lock().transfers.contains_key(transfer)
    }

    /// Those of that transfer.
    pub(super) fn of(&self, transfer: &TransferId) -> Files {
        self.lock().transfers.get(transfer).cloned().unwrap_or_default()
    }
}

impl Site {
    /// Whether the files that the transfer of `header` has placed are where they were placed. Waits for the disk.
    pub(super) fn look(&self, header: &Header) -> PlacedFiles {
        let Some(envelope) = &header.envelope else { return PlacedFiles::new() };
        let placed = self.placed.of(&envelope.transfer);
        let requests = header.node.requests.iter();
        let known = requests.filter_map(|request| Some((request, *placed.get(&request.id)?)));
        known.map(|(request, file)| (request.id.clone(), self.find_again(header, request, file))).collect()
    }

    /// Whether there is something to look at.
    #[cfg(feature = "event")]
    pub(super) fn has_placed(&self, header: &Header) -> bool {
        header.envelope.as_ref().is_some_and(|envelope| self.placed.has(&envelope.transfer))
    }

    fn find_again(&self, header: &Header, request: &Request, file: Identity) -> Result<(), FileFault> {
        let path = self.hooks.path(header, request)?;
        let target = target(header, request, &path, None, self.durability);
        self.roots.check_placed(&target, file).map_err(|error| fault(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_bounded() {
        let placed = Placed::default();
        let numbered = |number: u16| {
            let mut id = [0; 16];
            id[..2].copy_from_slice(&number.to_be_bytes());
            TransferId(id)
        };
        for number in 0..=TRANSFERS as u16 {
            placed.add(numbered(number), "a", Identity::Block(1));
            placed.add(numbered(number), "b", Identity::Block(2));
        }
        assert_eq!(placed.of(&numbered(0)), Files::new(), "the oldest made room");
        assert_eq!(placed.of(&numbered(1)).len(), 2);
        let state = placed.lock();
        assert_eq!(state.transfers.len(), state.order.len());
    }
}
