//! Who has been heard of: the reason why each request gets exactly one result, whatever happens.

use core::ops::RangeInclusive;
use std::collections::{BTreeSet, HashMap};

use crate::wire::{Code, Destination, NodeState, Report};

/// The requests of some nodes, and what is known of each.
#[derive(Debug, Default)]
pub(super) struct Results {
    entries: HashMap<String, Entry>,
    // In the order of the list, for what is said at the end.
    order: Vec<String>,
    /// The first node that anybody has lost sight of. Whoever stands behind it may have the file from it.
    lost_from: Option<u32>,
    /// Whether a result was [deferred](Self::defer) since that was last asked.
    deferred: bool,
}

#[derive(Debug)]
struct Entry {
    index: u32,
    host: String,
    port: u16,
    file: String,
    known: Known,
    /// Whether the chain has said a result in the name of the node that the node did not confirm.
    unconfirmed: bool,
}

impl Entry {
    /// Whether nothing is known that counts.
    fn is_open(&self) -> bool {
        matches!(self.known, Known::Nothing | Known::Doubt(_))
    }
}

#[derive(Debug)]
enum Known {
    Nothing,
    /// Said by somebody else, or deferred; the node's own word would replace it.
    Hearsay(Report),
    /// Said by somebody else, before everybody was asked once more.
    Doubt(Report),
    /// Said in the name of the node, which is to confirm it.
    Held(Report),
    /// Said by the node itself, or on wire 1, where nobody can tell.
    Settled {
        good: bool,
    },
}

/// What a report adds to what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Its request is settled by it.
    Settles,
    /// Good until the node itself is heard.
    Hearsay,
    /// Good if the node itself confirms it.
    Held,
    /// Nothing: it was known already, or is about a request that is not on the list.
    Nothing,
}

impl Results {
    pub(super) fn add(&mut self, destination: &Destination) {
        for request in &destination.requests {
            if self.entries.contains_key(&request.id) {
                continue;
            }
            let entry = Entry {
                index: destination.index,
                host: destination.host.clone(),
                port: destination.port,
                file: request.filename.clone(),
                known: Known::Nothing,
                unconfirmed: false,
            };
            self.order.push(request.id.clone());
            self.entries.insert(request.id.clone(), entry);
        }
    }

    /// Takes note of a report.
    pub(super) fn record(&mut self, report: &Report) -> News {
        let Some(entry) = report.id.as_ref().and_then(|id| self.entries.get_mut(id)) else {
            return News::Nothing;
        };
        if report.index.is_some_and(|index| index != entry.index) {
            return News::Nothing;
        }
        if report.code.is_provisional() {
            self.lost_from = self.lost_from.into_iter().chain([entry.index]).min();
        }
        let settles = report.index.is_none() || report.is_own();
        match (&entry.known, settles) {
            // Nobody but the node itself can know that it has the file.
            (_, false) if report.code.is_success() => News::Nothing,
            // What was said is not certain any more.
            (Known::Hearsay(former), false)
                if report.code.is_provisional() && !former.code.is_provisional() =>
            {
                entry.known = Known::Hearsay(report.clone());
                News::Hearsay
            }
            (Known::Settled { .. }, _) | (Known::Hearsay(_) | Known::Held(_), false) => News::Nothing,
            (_, true) => {
                entry.known = Known::Settled { good: report.code.is_success() };
                News::Settles
            }
            (Known::Nothing, false) => {
                entry.known = Known::Hearsay(report.clone());
                News::Hearsay
            }
            (Known::Doubt(former), false) => {
                entry.known = Known::Hearsay(former.followed_by(report));
                News::Hearsay
            }
        }
    }

    /// Takes note of a report in the name of its node that proves nothing.
    pub(super) fn hold(&mut self, report: &Report) -> News {
        let entry = report.id.as_ref().and_then(|id| self.entries.get_mut(id));
        let Some(entry) = entry.filter(|entry| report.index == Some(entry.index)) else {
            return News::Nothing;
        };
        match entry.known {
            Known::Settled { .. } | Known::Held(_) => News::Nothing,
            Known::Nothing | Known::Hearsay(_) | Known::Doubt(_) => {
                entry.known = Known::Held(report.clone());
                News::Held
            }
        }
    }

    /// What was said in the name of that node counts, since the node itself cannot be asked. Returns it.
    pub(super) fn take_at_its_word(&mut self, node: &Destination) -> Vec<Report> {
        let mut reports = Vec::new();
        for request in &node.requests {
            if let Some(entry) = self.entries.get_mut(&request.id)
                && let Known::Held(report) = &entry.known
            {
                let report = unconfirmed(report);
                entry.known = Known::Settled { good: report.code.is_success() };
                reports.push(report);
            }
        }
        reports
    }

    /// What was said in the name of that node is not so, by its own word.
    pub(super) fn reopen(&mut self, node: &Destination) {
        for request in &node.requests {
            if let Some(entry) = self.entries.get_mut(&request.id)
                && matches!(entry.known, Known::Held(_))
            {
                entry.known = Known::Nothing;
                entry.unconfirmed = true;
            }
        }
    }

    /// Takes note of a node's own report that is not final yet: the node is to be asked again.
    pub(super) fn defer(&mut self, report: &Report) -> News {
        let entry = report.id.as_ref().and_then(|id| self.entries.get_mut(id));
        let Some(entry) = entry.filter(|entry| report.index == Some(entry.index)) else {
            return News::Nothing;
        };
        if matches!(entry.known, Known::Settled { .. }) {
            return News::Nothing;
        }
        entry.known = Known::Hearsay(report.clone());
        self.deferred = true;
        News::Hearsay
    }

    /// Whether a result was deferred since this was last asked.
    pub(super) fn take_deferred(&mut self) -> bool {
        std::mem::take(&mut self.deferred)
    }

    /// What others said of the requests of those nodes as if it was certain.
    pub(super) fn hearsay<'a>(
        &self,
        nodes: impl IntoIterator<Item = &'a Destination>,
    ) -> impl Iterator<Item = &Report> {
        let ids = nodes.into_iter().flat_map(|node| &node.requests).map(|request| &request.id);
        ids.filter_map(|id| match &self.entries.get(id)?.known {
            Known::Hearsay(report) if !report.code.is_provisional() && !report.is_own() => Some(report),
            _ => None,
        })
    }

    /// What was only said by others counts for nothing any more, unless nothing else is ever heard.
    pub(super) fn doubt_hearsay(&mut self) {
        for entry in self.entries.values_mut() {
            if let Known::Hearsay(report) = &entry.known {
                entry.known = Known::Doubt(report.clone());
            }
        }
    }

    /// Whether the node itself has said what became of everything that it was asked for.
    pub(super) fn settled(&self, node: &Destination) -> bool {
        let mut entries = node.requests.iter().filter_map(|request| self.entries.get(&request.id));
        entries.all(|entry| matches!(entry.known, Known::Settled { .. }))
    }

    /// What has become of a node, where there is word of everything that it was asked for.
    pub(super) fn fate(&self, node: &Destination) -> Option<NodeState> {
        let mut fate = NodeState::Done;
        for request in &node.requests {
            match self.entries.get(&request.id).map(|entry| &entry.known) {
                Some(Known::Settled { good: true }) => {}
                Some(Known::Held(report)) if report.code.is_success() => {}
                Some(Known::Settled { good: false } | Known::Hearsay(_) | Known::Held(_)) => {
                    fate = NodeState::Failed;
                }
                Some(Known::Nothing | Known::Doubt(_)) | None => return None,
            }
        }
        Some(fate)
    }

    /// How many nodes there are, and how many of them were said to be in this way by others.
    pub(super) fn said_of(&self, code: Code) -> (usize, usize) {
        let nodes: BTreeSet<u32> = self.entries.values().map(|entry| entry.index).collect();
        let said = self.entries.values().filter(
            |entry| matches!(&entry.known, Known::Hearsay(report) | Known::Doubt(report) if report.code == code),
        );
        (nodes.len(), said.map(|entry| entry.index).collect::<BTreeSet<u32>>().len())
    }

    /// Whether a report is about another file than its request asks for.
    pub(super) fn names_another_file(&self, report: &Report) -> bool {
        let entry = report.id.as_ref().and_then(|id| self.entries.get(id));
        entry.is_some_and(|entry| report.file.as_ref() != Some(&entry.file))
    }

    /// The place of the node that was asked for this.
    pub(super) fn index(&self, id: &str) -> Option<u32> {
        self.entries.get(id).map(|entry| entry.index)
    }

    /// How many of the nodes at those places have said that they have all they were asked for, and how many have not.
    pub(super) fn done(&self, places: &RangeInclusive<u32>) -> (u32, u32) {
        let entries = self.order.iter().filter_map(|id| self.entries.get(id));
        let asked: Vec<(u32, bool)> = entries
            .filter(|entry| places.contains(&entry.index))
            .map(|entry| (entry.index, matches!(entry.known, Known::Settled { good: true })))
            .collect();
        let nodes = asked.chunk_by(|one, next| one.0 == next.0);
        nodes.fold((0, 0), |(done, open), node| {
            if node.iter().all(|&(_, good)| good) { (done + 1, open) } else { (done, open + 1) }
        })
    }

    /// Whether there is word of no request of those nodes.
    pub(super) fn heard_of_none<'a>(&self, nodes: impl IntoIterator<Item = &'a Destination>) -> bool {
        let mut ids = nodes.into_iter().flat_map(|node| &node.requests).map(|request| &request.id);
        ids.all(|id| self.entries.get(id).is_some_and(Entry::is_open))
    }

    /// Whether there is word of every request of those nodes.
    pub(super) fn heard_of_all<'a>(&self, nodes: impl IntoIterator<Item = &'a Destination>) -> bool {
        self.unheard(nodes).next().is_none()
    }

    /// The requests of those nodes that nobody said anything of.
    pub(super) fn unheard<'a>(
        &self,
        nodes: impl IntoIterator<Item = &'a Destination>,
    ) -> impl Iterator<Item = &'a str> {
        nodes
            .into_iter()
            .flat_map(|node| &node.requests)
            .map(|request| request.id.as_str())
            .filter(|id| self.entries.get(*id).is_some_and(Entry::is_open))
    }

    /// A report about a request that somebody else than its node makes. None for an unknown id.
    pub(super) fn about(&self, id: &str, code: Code, message: &str) -> Option<Report> {
        let entry = self.entries.get(id)?;
        Some(Report {
            host: Some(entry.host.clone()),
            port: Some(entry.port),
            file: Some(entry.file.clone()),
            id: Some(id.to_owned()),
            index: Some(entry.index),
            ..Report::refusal(code, message)
        })
    }

    /// Reports for whatever there is no word of.
    pub(super) fn unreported(&self) -> Vec<Report> {
        let open = self.order.iter().filter(|id| self.entries.get(*id).is_some_and(Entry::is_open));
        open.filter_map(|id| self.about(id, Code::NEVER_REPORTED, "it was not asked")).collect()
    }

    /// Settles everything: what is only known from others becomes final, and what nobody answered for is 509.
    pub(super) fn close(&mut self) -> Vec<Report> {
        let lost_from = self.lost_from.unwrap_or(u32::MAX);
        let mut last = Vec::new();
        for id in std::mem::take(&mut self.order) {
            let never = self.about(&id, Code::NEVER_REPORTED, "no word from the node: not known to be whole");
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            match std::mem::replace(&mut entry.known, Known::Settled { good: false }) {
                Known::Settled { .. } => {}
                Known::Nothing => last.extend(never),
                // Another node may have served it, of which the one that speaks for it knows nothing.
                Known::Hearsay(report) | Known::Doubt(report)
                    if report.code.is_provisional()
                        || entry.unconfirmed && !report.is_own()
                        || entry.index > lost_from
                            && (report.code.is_absence() || report.code.is_end_of_transfer()) =>
                {
                    last.push(Report {
                        message: format!("not known to be whole: {}", report.message),
                        code: Code::NEVER_REPORTED,
                        ..report
                    });
                }
                Known::Hearsay(report) | Known::Doubt(report) => last.push(report),
                Known::Held(report) => last.push(unconfirmed(&report)),
            }
        }
        last
    }
}

/// A result that the node itself has not confirmed.
fn unconfirmed(report: &Report) -> Report {
    let message = format!("{} (as the chain says; the node itself did not confirm it)", report.message);
    Report { message, ..report.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Request;

    const NODE: u32 = 4;

    fn results() -> Results {
        let mut results = Results::default();
        add(&mut results, NODE, "r");
        results
    }

    fn add(results: &mut Results, index: u32, id: &str) {
        let requests = vec![Request { filename: "/f".into(), id: id.into(), rename: true }];
        let host = "h".into();
        results.add(&Destination { host, port: 1, index, requests, degree: None, block_size: None });
    }

    fn said(results: &Results, code: Code, by: u32) -> Report {
        Report { by: Some(by), ..results.about("r", code, "").unwrap() }
    }

    /// What becomes of it after these were said, each by the node at that place.
    fn end(words: &[(Code, u32, News)]) -> Option<Code> {
        let mut results = results();
        for &(code, by, news) in words {
            let report = said(&results, code, by);
            assert_eq!(results.record(&report), news, "{code} by {by} of {words:?}");
        }
        results.close().pop().map(|report| report.code)
    }

    #[test]
    fn only_the_node_itself_says_that_it_has_the_file() {
        let success = (Code::SUCCESS, 3, News::Nothing);
        assert_eq!(end(&[success]), Some(Code::NEVER_REPORTED));
        assert_eq!(end(&[(Code::CANNOT_CONNECT, 3, News::Hearsay), success]), Some(Code::CANNOT_CONNECT));
        assert_eq!(end(&[(Code::SUCCESS, NODE, News::Settles), success]), None);
    }

    #[test]
    fn what_is_said_becomes_less_certain_and_never_more() {
        let (dead, lost) = ((Code::CANNOT_CONNECT, 3), (Code::LOST, 1));
        let heard = |(code, by), news| (code, by, news);
        let words = [heard(dead, News::Hearsay), heard(lost, News::Hearsay), heard(dead, News::Nothing)];
        assert_eq!(end(&words[..1]), Some(Code::CANNOT_CONNECT));
        assert_eq!(end(&words), Some(Code::NEVER_REPORTED));
        assert_eq!(
            end(&[heard(lost, News::Hearsay), heard(dead, News::Nothing)]),
            Some(Code::NEVER_REPORTED)
        );
        // The node's own word ends that.
        let own = (Code::CANNOT_OPEN, NODE, News::Settles);
        assert_eq!(end(&[words[0], own, heard(lost, News::Nothing)]), None);
    }

    #[test]
    fn the_end_of_the_transfer_says_nothing_of_nodes_behind_one_that_was_lost() {
        for (lost, code) in [(None, Code::STOPPED), (Some(NODE - 1), Code::NEVER_REPORTED)] {
            let mut results = results();
            if let Some(lost) = lost {
                add(&mut results, lost, "lost");
                let report = Report { by: Some(1), ..results.about("lost", Code::LOST, "").unwrap() };
                assert_eq!(results.record(&report), News::Hearsay);
            }
            let report = said(&results, Code::STOPPED, 3);
            assert_eq!(results.record(&report), News::Hearsay);
            let last = results.close().into_iter().find(|report| report.id.as_deref() == Some("r"));
            assert_eq!(last.map(|report| report.code), Some(code));
        }
    }

    #[test]
    fn a_refusal_does_not_undo_a_result_that_was_not_confirmed() {
        let mut results = results();
        let node = Destination::new("h".into(), 1, vec![Request::new("/f".into(), "r".into())]);
        assert_eq!(results.hold(&said(&results, Code::SUCCESS, NODE)), News::Held);
        results.reopen(&node);
        let refused = Report { by: None, ..results.about("r", Code::ACCESS_DENIED, "").unwrap() };
        assert_eq!(results.record(&refused), News::Hearsay);
        assert_eq!(results.close().pop().map(|report| report.code), Some(Code::NEVER_REPORTED));
        assert_eq!(end(&[(Code::ACCESS_DENIED, 3, News::Hearsay)]), Some(Code::ACCESS_DENIED));
    }

    #[test]
    fn what_is_deferred_counts_until_more_is_heard_and_is_told_in_the_end() {
        let spoiled = |results: &Results| said(results, Code::WRONG_CHECKSUM, NODE);
        let deferred = || {
            let mut results = results();
            let report = spoiled(&results);
            assert_eq!((results.defer(&report), results.take_deferred()), (News::Hearsay, true));
            assert!(!results.take_deferred());
            results
        };
        let end = |mut results: Results| results.close().pop().map(|report| report.code);
        assert_eq!(end(deferred()), Some(Code::WRONG_CHECKSUM));
        // Others know it no better, before everybody is asked anew and afterwards.
        for later in [Code::CANNOT_CONNECT, Code::STOPPED] {
            let mut results = deferred();
            let report = said(&results, later, 1);
            assert_eq!(results.record(&report), News::Nothing);
            results.doubt_hearsay();
            assert_eq!(results.record(&report), News::Hearsay);
            assert_eq!(end(results), Some(Code::WRONG_CHECKSUM), "{later}");
        }
        // It was served anew, and may have everything.
        let mut results = deferred();
        results.doubt_hearsay();
        let report = said(&results, Code::LOST, 1);
        assert_eq!(results.record(&report), News::Hearsay);
        assert_eq!(end(results), Some(Code::NEVER_REPORTED));
        // Its own word ends that, and is not taken back.
        let mut results = deferred();
        let report = said(&results, Code::SUCCESS, NODE);
        assert_eq!(results.record(&report), News::Settles);
        let report = spoiled(&results);
        assert_eq!(results.defer(&report), News::Nothing);
        assert_eq!(end(results), None);
    }
}
