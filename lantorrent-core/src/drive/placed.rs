//! Which files a node has placed, so that a success that is said once more is still true.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::request::{fault, target};
use super::site::Site;
use crate::store::Identity;
use crate::wire::{Code, Header, Report, Request, SealedReport, TransferId};

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

    /// Those of that transfer.
    pub(super) fn of(&self, transfer: &TransferId) -> Files {
        self.lock().transfers.get(transfer).cloned().unwrap_or_default()
    }
}

impl Site {
    /// How the transfer of `header` has ended here, to be said once more. What was a success is a failure now where the path
    /// does not lead to the file any more. Waits for the disk.
    pub(super) fn confirm(&self, header: &Header, results: Vec<SealedReport>) -> Vec<SealedReport> {
        let placed = header.envelope.as_ref().map(|envelope| self.placed.of(&envelope.transfer));
        self.confirm_files(header, results, &placed.unwrap_or_default())
    }

    /// The same for a transfer of another process, which has left these files.
    pub(super) fn confirm_files(
        &self,
        header: &Header,
        mut results: Vec<SealedReport>,
        placed: &Files,
    ) -> Vec<SealedReport> {
        let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
        let Some(key) = transfer.and_then(|transfer| self.gate.keys.result_key(&transfer)) else {
            return results;
        };
        for sealed in &mut results {
            let Ok(report) = sealed.open(&key) else { continue };
            if !(report.code.is_success() && report.is_own() && report.index == Some(header.node.index)) {
                continue;
            }
            if let Err((code, message)) = self.confirm_one(header, &report, placed) {
                log::warn!("a file that was whole is not there any more: {message}");
                *sealed = SealedReport::seal(&Report { code, message, root: None, ..report }, &key);
            }
        }
        results
    }

    fn confirm_one(&self, header: &Header, report: &Report, placed: &Files) -> Result<(), (Code, String)> {
        let of_report = |request: &&Request| Some(&request.id) == report.id.as_ref();
        // Of what this header does not name nothing can be found out here.
        let Some(request) = header.node.requests.iter().find(of_report) else { return Ok(()) };
        let Some(&file) = placed.get(&request.id) else {
            let message =
                format!("{:?} was whole, and whether it is still there is not known", request.filename);
            return Err((Code::CANNOT_WRITE, message));
        };
        let target = target(header, request, None, self.durability);
        self.roots.check_placed(&target, file).map_err(|error| {
            let fault = fault(&error);
            (fault.code, fault.message)
        })
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
