//! What a proven header becomes.

use std::time::{Duration, Instant};

use super::answer::{PlacedFiles, confirm, is_spoiled};
use super::final_reply::FinalReply;
use super::met::Met;
use super::registry::{Entrance, Found, Recall, Registry};
use super::rendezvous::Kept;
use crate::session::{Ask, FileFault, Gate, NodeInput, NodeSession, Now, Proven, Seed, Standing, UpstreamId};
use crate::wire::{Header, SealedReport, TransferId, Verb};

/// How long to wait for files that are in use. A transfer whose results are out takes a moment to let go of its files,
/// and its source may be here again before that.
pub const PATIENCE: Duration = Duration::from_millis(500);
/// The same where a session was just asked to let go of them, which first has to bring to the disk what there is.
const PATIENCE_WITH_SUPERSEDED: Duration = Duration::from_secs(10);
/// How soon to look again whether a transfer that is in the way has lost its upstream.
pub(super) const CONTEST: Duration = Duration::from_millis(50);

/// A proven header on its way to its verdict.
#[derive(Debug)]
pub struct Attempt {
    contest_until: Instant,
    /// What the files are needed for, and what was found.
    looking: Option<Stage>,
    found: Option<PlacedFiles>,
    /// Whether another process of the node writes the same files for the same source.
    rivals: bool,
}

/// How far the transfer is whose files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    Finished,
}

impl Attempt {
    /// The header was proven at `now`.
    pub fn new(now: Instant, gate: &Gate) -> Self {
        Self { contest_until: now + gate.timing.contest, looking: None, found: None, rivals: false }
    }

    /// The answer to [`Verdict::Look`].
    pub fn looked(&mut self, found: PlacedFiles) {
        self.found = Some(found);
    }

    /// Another process of the node writes these files for the same source.
    pub fn has_rivals(&mut self) {
        self.rivals = true;
    }

    /// What was found for a transfer that has come so far. None if it has to be looked for first.
    fn files(&mut self, stage: Stage) -> Option<PlacedFiles> {
        let found = self.found.take().filter(|_| self.looking == Some(stage));
        self.looking = Some(stage);
        found
    }
}

/// What is to be done for a proven header.
#[derive(Debug)]
#[must_use]
pub enum Verdict {
    /// Start a session, and say [`Admission::leave`] when it is over.
    Start(Start),
    /// Hand the connection over to the session of its transfer, which is running.
    Join(Join),
    /// See whether the files of its transfer are where they were placed, say [`Attempt::looked`], and admit again.
    Look,
    /// Admit again at that time.
    Wait(Instant),
    /// See whether each file could be written, and give [the answer](super::answer_check).
    Probe {
        /// Whether files in use would be let go for the transfer.
        may_supersede: bool,
    },
    /// Say this, and close.
    Close(FinalReply),
}

/// A session that starts.
#[derive(Debug)]
pub struct Start {
    /// Transfers whose sessions are to be told [`NodeInput::Superseded`] first: they write the same files for the same source.
    pub supersedes: Vec<TransferId>,
    /// How long, all in all, to wait for files that are in use.
    pub patience: Duration,
    /// What the session is for.
    pub task: Task,
}

/// What a session is for.
#[derive(Debug)]
pub enum Task {
    /// To take part in its transfer, without the requests of these ids, which were cancelled before.
    TakePart(Vec<String>),
    /// To remove what was written for cancelled requests. Their transfer has ended here with these results, if it has.
    Cancel(Vec<SealedReport>),
}

/// A connection that goes to a running session.
#[derive(Debug)]
pub struct Join {
    /// To be told as [`FileInput::Displaced`](crate::session::FileInput::Displaced) first.
    pub displaced: Vec<(String, FileFault)>,
    /// What it wants of the session.
    pub errand: Errand,
}

/// What a connection wants of a running session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// To be its upstream: [`NodeInput::Claimed`].
    Claim,
    /// To cancel requests: [`NodeInput::Cancelled`].
    Cancel,
    /// To hear how requests end: [`NodeInput::Queried`].
    Query,
}

impl Join {
    /// What the session is to be told of the connection.
    pub fn input(&self, id: UpstreamId, proven: Box<Proven>) -> NodeInput<'static> {
        match self.errand {
            Errand::Claim => NodeInput::Claimed(id, proven),
            Errand::Cancel => NodeInput::Cancelled(id, proven),
            Errand::Query => NodeInput::Queried(id, proven),
        }
    }
}

impl Task {
    /// The transfer that is to [leave](Admission::leave) with its session. None where the session takes no part in it.
    pub fn transfer(&self, header: &Header) -> Option<TransferId> {
        let transfer = header.transfer();
        transfer.filter(|_| matches!(self, Self::TakePart(_)))
    }

    /// The session.
    pub fn session(self, now: Now, id: UpstreamId, proven: Proven, gate: &Gate, seed: Seed) -> NodeSession {
        let (keys, timing) = (gate.keys.clone(), gate.timing.clone());
        match self {
            Self::TakePart(unwanted) => {
                let mut session = NodeSession::new(now, id, proven, keys, timing, seed);
                session.handle(now, NodeInput::Unwanted(unwanted));
                session
            }
            Self::Cancel(told) => NodeSession::cancel(now, id, proven, keys, timing, &told),
        }
    }
}

/// Gives each proven header of a node its verdict. One for all connections of a process.
#[derive(Debug)]
pub struct Admission {
    gate: Gate,
    registry: Registry,
    met: Met,
    /// Sessions that are running, and how many may. Those that wait for a new upstream have no connection that would be
    /// counted.
    sessions: usize,
    limit: usize,
    stopping: bool,
}

impl Admission {
    /// No transfer yet, and never more than `limit` sessions.
    pub fn new(gate: Gate, limit: usize) -> Self {
        let registry = Registry::new(gate.timing.retain);
        Self { gate, registry, met: Met::default(), sessions: 0, limit, stopping: false }
    }

    /// A header was just proven: the node key of a connection that the source has made is remembered, and any other that
    /// takes part in its transfer gets it.
    pub fn acquaint(&mut self, proven: &mut Proven) {
        self.met.acquaint(proven);
    }

    /// A sender has proven `header`. `standing` says how the session of a running transfer stands, see
    /// [`NodeSession::standing`].
    pub fn admit(
        &mut self,
        now: Instant,
        header: &Header,
        attempt: &mut Attempt,
        standing: impl Fn(&TransferId) -> Standing,
    ) -> Verdict {
        match header.envelope.as_ref().map(|envelope| envelope.verb) {
            Some(Verb::Check) => {
                let may_supersede = attempt.rivals || self.registry.would_supersede(header);
                Verdict::Probe { may_supersede }
            }
            Some(Verb::Cancel) => self.cancel(now, header, attempt, standing),
            Some(Verb::Query) => self.query(now, header, attempt),
            Some(Verb::Send) | None => self.take_part(now, header, attempt, standing),
        }
    }

    fn take_part(
        &mut self,
        now: Instant,
        header: &Header,
        attempt: &mut Attempt,
        standing: impl Fn(&TransferId) -> Standing,
    ) -> Verdict {
        if let Some(place) = self.met.place_beside(header) {
            return Verdict::Close(FinalReply::has_place(place));
        }
        match self.registry.enter(now, header, &standing) {
            Entrance::New { supersedes, unwanted } => {
                let transfer = header.transfer();
                let Some(words) = self.why_not(FinalReply::stopping()) else {
                    return self.start(supersedes, Task::TakePart(unwanted));
                };
                if let Some(transfer) = transfer {
                    self.registry.leave(now, &transfer, None);
                }
                Verdict::Close(words)
            }
            Entrance::Running => match attempt.files(Stage::Running) {
                None => Verdict::Look,
                Some(found) => {
                    let displaced = found.into_iter().filter_map(|(id, found)| Some((id, found.err()?)));
                    Verdict::Join(Join { displaced: displaced.collect(), errand: Errand::Claim })
                }
            },
            Entrance::Spoiled if self.stopping => Verdict::Close(FinalReply::stopping()),
            Entrance::Spoiled => Verdict::Wait(now + CONTEST),
            Entrance::Outdated => attempt.outdated(now, self.stopping),
            Entrance::Taken(place) => Verdict::Close(FinalReply::has_place(place)),
            Entrance::Finished(ask, results) if Self::may_begin_anew(&ask, &results) => {
                self.registry.leave(now, &ask.transfer, None);
                self.take_part(now, header, attempt, standing)
            }
            Entrance::Finished(_, results) => self.tell_again(header, attempt, results),
        }
    }

    /// The end of a finished transfer, as it is true now.
    fn tell_again(&self, header: &Header, attempt: &mut Attempt, results: Vec<SealedReport>) -> Verdict {
        match attempt.files(Stage::Finished) {
            None => Verdict::Look,
            Some(found) => {
                Verdict::Close(FinalReply::Results(confirm(&self.gate.keys, header, results, &found)))
            }
        }
    }

    fn query(&mut self, now: Instant, header: &Header, attempt: &mut Attempt) -> Verdict {
        match self.registry.find(now, header) {
            Found::Running => Verdict::Join(Join { displaced: Vec::new(), errand: Errand::Query }),
            Found::Elsewhere(place) => Verdict::Close(FinalReply::has_place(place)),
            Found::Finished(results) => self.tell_again(header, attempt, results),
            Found::Nothing => Verdict::Close(FinalReply::unknown()),
        }
    }

    fn cancel(
        &mut self,
        now: Instant,
        header: &Header,
        attempt: &mut Attempt,
        standing: impl Fn(&TransferId) -> Standing,
    ) -> Verdict {
        let (told, supersedes) = match self.registry.cancel(now, header, standing) {
            Recall::Running => {
                return Verdict::Join(Join { displaced: Vec::new(), errand: Errand::Cancel });
            }
            Recall::Gone { told, supersedes } => (told, supersedes),
        };
        let found = if told.is_empty() { Some(PlacedFiles::new()) } else { attempt.files(Stage::Finished) };
        let Some(found) = found else { return Verdict::Look };
        let told = confirm(&self.gate.keys, header, told, &found);
        // What it would say while the node is being stopped might not be true: nothing was looked at.
        match self.why_not(FinalReply::Nothing) {
            Some(words) => Verdict::Close(words),
            None => self.start(supersedes, Task::Cancel(told)),
        }
    }

    fn start(&mut self, supersedes: Vec<TransferId>, task: Task) -> Verdict {
        self.sessions += 1;
        let patience = if supersedes.is_empty() { PATIENCE } else { PATIENCE_WITH_SUPERSEDED };
        Verdict::Start(Start { supersedes, patience, task })
    }

    /// Why no session can start.
    fn why_not(&self, stopping: FinalReply) -> Option<FinalReply> {
        if self.stopping {
            return Some(stopping);
        }
        let full = self.sessions >= self.limit;
        full.then(|| {
            log::warn!("took no part in a transfer: session limit reached ({})", self.limit);
            FinalReply::Nothing
        })
    }

    /// A session is over: that of a transfer, if it [took part](Task::transfer) in one. With `results` it can be asked again
    /// for a while; without, it is forgotten and may begin anew.
    pub fn leave(&mut self, now: Instant, transfer: Option<&TransferId>, results: Option<Vec<SealedReport>>) {
        self.sessions -= 1;
        if let Some(transfer) = transfer {
            self.registry.leave(now, transfer, results);
        }
    }

    /// Whether a transfer that has ended here with those results begins anew for the sender that asks so: its source, where
    /// the node was sent what the source has not signed.
    pub(super) fn may_begin_anew(ask: &Ask, results: &[SealedReport]) -> bool {
        ask.from.is_none() && is_spoiled(ask, results)
    }

    /// Other processes of the node have left this of a transfer.
    pub fn restore(&mut self, now: Instant, transfer: TransferId, kept: Kept) {
        if !kept.cancelled.is_empty() {
            self.registry.cancelled(now, transfer, kept.cancelled);
        }
        if let Some((index, key)) = kept.node_key {
            self.met.add(transfer, index, key);
        }
        if let Some((index, results)) = kept.ended {
            self.registry.finish(now, transfer, index, results);
        }
    }

    /// From now on no session starts.
    pub fn stop(&mut self) {
        self.stopping = true;
    }
}

impl Attempt {
    /// A newer transfer of the same file is under way, which may be about to lose its upstream.
    pub(super) fn outdated(&self, now: Instant, stopping: bool) -> Verdict {
        if stopping || now >= self.contest_until {
            Verdict::Close(FinalReply::superseded())
        } else {
            Verdict::Wait(now + CONTEST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{begun_at, from, header, keys, own_results, results, with};
    use super::*;
    use crate::wire::Code;

    fn gate() -> Gate {
        Gate::new(keys())
    }

    /// A node, and a way to ask it at some time.
    struct Node {
        admission: Admission,
        start: Instant,
    }

    impl Node {
        fn new(limit: usize) -> Self {
            Self { admission: Admission::new(gate(), limit), start: Instant::now() }
        }

        fn attempt(&self) -> Attempt {
            Attempt::new(self.start, &gate())
        }

        fn admit(&mut self, millis: u64, header: &Header, attempt: &mut Attempt) -> Verdict {
            let now = self.start + Duration::from_millis(millis);
            self.admission.admit(now, header, attempt, |_| Standing::Served)
        }

        fn first(&mut self, header: &Header) -> Verdict {
            let mut attempt = self.attempt();
            self.admit(0, header, &mut attempt)
        }

        fn leave(&mut self, header: &Header, results: Option<Vec<SealedReport>>) {
            let transfer = header.transfer();
            self.admission.leave(self.start, transfer.as_ref(), results);
        }
    }

    fn gone() -> PlacedFiles {
        let fault = FileFault { code: crate::wire::Code::CANNOT_WRITE, message: "it is gone".into() };
        [("0".to_owned(), Err(fault))].into()
    }

    #[test]
    fn a_transfer_starts_is_joined_and_is_told_again() {
        let (mut node, header) = (Node::new(9), header(1, 0, "/f", None));
        let Verdict::Start(start) = node.first(&header) else { panic!("it starts") };
        assert_eq!((start.supersedes, start.patience), (Vec::new(), PATIENCE));
        assert_eq!(start.task.transfer(&header), Some(TransferId([1; 16])));
        let mut second = node.attempt();
        assert!(matches!(node.admit(0, &header, &mut second), Verdict::Look));
        second.looked(gone());
        let Verdict::Join(join) = node.admit(0, &header, &mut second) else { panic!("it joins") };
        assert!(join.errand == Errand::Claim && join.displaced.len() == 1);
        node.leave(&header, Some(results(1)));
        assert!(matches!(node.first(&header), Verdict::Look));
    }

    #[test]
    fn files_are_looked_at_again_when_the_transfer_has_ended_meanwhile() {
        let (mut node, header) = (Node::new(9), header(1, 0, "/f", None));
        assert!(matches!(node.first(&header), Verdict::Start(_)));
        let mut second = node.attempt();
        assert!(matches!(node.admit(0, &header, &mut second), Verdict::Look));
        // Nothing was in place by then.
        second.looked(PlacedFiles::new());
        node.leave(&header, Some(results(1)));
        assert!(matches!(node.admit(0, &header, &mut second), Verdict::Look));
        second.looked(PlacedFiles::new());
        let words = node.admit(0, &header, &mut second);
        assert!(matches!(&words, Verdict::Close(FinalReply::Results(told)) if told.len() == 1), "{words:?}");
    }

    #[test]
    fn an_older_transfer_waits_and_is_refused() {
        let mut node = Node::new(9);
        assert!(matches!(node.first(&begun_at(9, 1, 0, "/f", Some("a"))), Verdict::Start(_)));
        let (older, mut attempt) = (begun_at(8, 2, 0, "/f", Some("a")), node.attempt());
        let Verdict::Wait(until) = node.admit(1000, &older, &mut attempt) else { panic!("it waits") };
        assert_eq!(until, node.start + Duration::from_secs(1) + CONTEST);
        let last = node.admit(2000, &older, &mut attempt);
        assert!(matches!(last, Verdict::Close(FinalReply::Refusal(..))), "{last:?}");
        // While it waits the other one may lose its upstream.
        let mut attempt = node.attempt();
        let now = node.start;
        let verdict = node.admission.admit(now, &older, &mut attempt, |_| Standing::Orphan);
        let Verdict::Start(start) = verdict else { panic!("{verdict:?}") };
        assert_eq!(start.supersedes, [TransferId([1; 16])]);
        assert!(start.patience > PATIENCE);
    }

    #[test]
    fn a_node_that_stops_starts_nothing() {
        let mut node = Node::new(9);
        let (running, mut attempt) = (header(1, 0, "/f", Some("a")), node.attempt());
        assert!(matches!(node.first(&running), Verdict::Start(_)));
        node.admission.stop();
        let refused = node.first(&begun_at(9, 2, 0, "/f", Some("a")));
        assert!(matches!(refused, Verdict::Close(FinalReply::Refusal(..))), "{refused:?}");
        let cancel = node.first(&with(Verb::Cancel, header(3, 0, "/f", None)));
        assert!(matches!(cancel, Verdict::Close(FinalReply::Nothing)), "{cancel:?}");
        // What runs is joined.
        assert!(matches!(node.admit(0, &running, &mut attempt), Verdict::Look));
        let cancel = node.first(&with(Verb::Cancel, running));
        assert!(matches!(cancel, Verdict::Join(Join { errand: Errand::Cancel, .. })), "{cancel:?}");
    }

    #[test]
    fn sessions_are_limited_and_each_leaves_room() {
        let mut node = Node::new(2);
        let (one, two) = (header(1, 0, "/a", None), header(2, 0, "/b", None));
        assert!(matches!(node.first(&one), Verdict::Start(_)));
        assert!(matches!(node.first(&with(Verb::Cancel, two.clone())), Verdict::Start(_)));
        assert!(matches!(node.first(&two), Verdict::Close(FinalReply::Nothing)));
        node.admission.leave(node.start, None, None);
        let Verdict::Start(start) = node.first(&two) else { panic!("there is room") };
        assert!(matches!(start.task, Task::TakePart(unwanted) if unwanted == ["0"]), "it was cancelled");
        let (mut wire_1, mut attempt) = (header(3, 0, "/c", None), node.attempt());
        wire_1.envelope = None;
        assert!(matches!(node.admit(0, &wire_1, &mut attempt), Verdict::Close(FinalReply::Nothing)));
    }

    #[test]
    fn a_check_disturbs_nothing() {
        let mut node = Node::new(1);
        let check = with(Verb::Check, header(2, 0, "/f", Some("a")));
        assert!(matches!(node.first(&check), Verdict::Probe { may_supersede: false }));
        let mut attempt = node.attempt();
        attempt.has_rivals();
        assert!(matches!(node.admit(0, &check, &mut attempt), Verdict::Probe { may_supersede: true }));
        assert!(matches!(node.first(&header(1, 0, "/f", Some("a"))), Verdict::Start(_)));
        assert!(matches!(node.first(&check), Verdict::Probe { may_supersede: true }));
    }

    #[test]
    fn a_node_takes_the_place_that_its_source_has_given_it() {
        let (mut node, checked) = (Node::new(9), header(1, 3, "/f", None));
        let nonce = crate::wire::Nonce([1; 16]);
        let kept = Kept { node_key: keys().node_key(&nonce, &nonce).map(|key| (3, key)), ..Kept::default() };
        node.admission.restore(node.start, checked.envelope.as_ref().unwrap().transfer, kept);
        let other = node.first(&from(Some(1), header(1, 4, "/f", None)));
        assert!(matches!(other, Verdict::Close(FinalReply::Refusal(Code::TAKING_PART, _))), "{other:?}");
        assert!(matches!(node.first(&from(Some(1), checked)), Verdict::Start(_)));
    }

    #[test]
    fn a_query_begins_nothing_and_is_told_what_is_known() {
        let (mut node, query_elsewhere) = (Node::new(1), with(Verb::Query, header(1, 4, "/f", None)));
        let header = header(1, 3, "/f", None);
        let query = with(Verb::Query, header.clone());
        let unknown = node.first(&query);
        assert!(
            matches!(&unknown, Verdict::Close(FinalReply::Refusal(Code::NEVER_REPORTED, _))),
            "{unknown:?}"
        );
        assert!(matches!(node.first(&header), Verdict::Start(_)), "there is room");
        let running = node.first(&query);
        assert!(
            matches!(&running, Verdict::Join(Join { errand: Errand::Query, displaced }) if displaced.is_empty())
        );
        let elsewhere = node.first(&query_elsewhere);
        assert!(matches!(elsewhere, Verdict::Close(FinalReply::Refusal(Code::TAKING_PART, _))));
        node.leave(&header, Some(own_results(1, 3, &[Code::SUCCESS])));
        node.admission.stop();
        let mut attempt = node.attempt();
        assert!(
            matches!(node.admit(0, &query, &mut attempt), Verdict::Look),
            "whether the file is still there"
        );
        attempt.looked(PlacedFiles::new());
        let told = node.admit(0, &query, &mut attempt);
        assert!(matches!(&told, Verdict::Close(FinalReply::Results(told)) if told.len() == 1), "{told:?}");
    }

    #[test]
    fn what_its_source_has_not_signed_begins_anew_for_the_source_alone() {
        let place = 3;
        let header = header(1, place, "/f", Some("a"));
        for (codes, anew) in [
            (&[Code::WRONG_CHECKSUM][..], true),
            (&[Code::WRONG_CHECKSUM, Code::NO_SPACE], true),
            (&[Code::WRONG_CHECKSUM, Code::SUCCESS], false),
            (&[Code::ABORTED], false),
            (&[Code::SUCCESS], false),
            (&[], false),
        ] {
            let mut node = Node::new(9);
            assert!(matches!(node.first(&header), Verdict::Start(_)));
            let mut results = own_results(1, place, codes);
            // What others say of it, or it of others, is not its own end.
            results.extend(own_results(1, place + 1, &[Code::WRONG_CHECKSUM, Code::SUCCESS]));
            node.leave(&header, Some(results));
            let relayed = from(Some(2), header.clone());
            assert!(matches!(node.first(&relayed), Verdict::Look), "{codes:?}: the results");
            let verdict = node.first(&header);
            assert_eq!(matches!(verdict, Verdict::Start(_)), anew, "{codes:?}: {verdict:?}");
        }
    }

    #[test]
    fn the_source_waits_for_a_session_that_is_about_to_end_so() {
        let header = header(1, 3, "/f", Some("a"));
        let mut node = Node::new(9);
        assert!(matches!(node.first(&header), Verdict::Start(_)));
        let (start, mut attempt) = (node.start, node.attempt());
        let mut admit = |header: &Header, admission: &mut Admission| {
            admission.admit(start, header, &mut attempt, |_| Standing::Spoiled)
        };
        assert!(matches!(admit(&header, &mut node.admission), Verdict::Wait(_)));
        let relayed = from(Some(2), header.clone());
        assert!(matches!(admit(&relayed, &mut node.admission), Verdict::Look), "it joins");
        node.admission.stop();
        assert!(matches!(admit(&header, &mut node.admission), Verdict::Close(_)));
    }
}
