//! What a node has reported, and which reports can follow each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::{Report, Wire};

/// The place of the node that is tested.
const SELF: u32 = 0;

pub(super) struct Reports {
    wire: Wire,
    /// By request, in the order in which they were made first.
    known: BTreeMap<String, Vec<Report>>,
    /// Claims that came: each may bring another list, for which everybody behind is asked anew.
    pub(super) claims: usize,
    /// Nodes behind that were sent all of the payload.
    pub(super) served: BTreeSet<u32>,
}

impl Reports {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, known: BTreeMap::new(), claims: 0, served: BTreeSet::new() }
    }

    /// A report goes out, perhaps once more: a new upstream is told again what the former one was told.
    pub(super) fn add(&mut self, report: Report) {
        let id = report.id.clone().expect("a result names its request");
        let settles = |report: &Report| settles(self.wire, report);
        let known = self.known.entry(id).or_default();
        if known.contains(&report) {
            return;
        }
        if !settles(&report) {
            assert!(!report.code.is_success(), "in the name of another: {report:?}");
            assert!(!known.iter().any(settles), "after the node's own word: {report:?}");
            let served = place(&report).is_some_and(|place| self.served.contains(&place));
            // Children forge reports in its name too, and name no host.
            let by_self = report.by == Some(SELF) && report.host.is_some();
            assert!(!(served && by_self) || report.code.is_provisional(), "it was served: {report:?}");
        }
        known.push(report);
    }

    /// How many different ones there are for a request.
    pub(super) fn count(&self, id: &str) -> usize {
        self.known.get(id).map_or(0, Vec::len)
    }

    pub(super) fn check(&self) {
        for (id, reports) in &self.known {
            let own = reports.iter().filter(|report| settles(self.wire, report)).count();
            assert!(own <= 1, "{id} is settled {own} times: {reports:#?}");
            // What others say may turn out to be less certain than it was, once for each list.
            assert!(reports.len() - own <= 2 * (1 + self.claims), "{id}: {reports:#?}");
        }
    }
}

/// The place of the node that it is about. The ids of this target's requests begin with it.
fn place(report: &Report) -> Option<u32> {
    let (place, _) = report.id.as_deref()?.split_once('/')?;
    place.parse().ok()
}

/// Whether it is the last word: the node's own, or one of wire 1, where that cannot be told.
fn settles(wire: Wire, report: &Report) -> bool {
    wire == Wire::One || report.is_own() || report.by.is_some() && report.by == place(report)
}
