//! Where each connection of a node has a process of its own, as under inetd: how a process finds out from the others what a
//! node with one process knows.
//!
//! ```text
//!              held: hand over ──▶ Leave, or else Erase, Close
//!   cancel ──▶ transfer's name ─┐
//!                               ├─▶ what is kept ──▶ name of each file ──▶ Admit
//!   send ────▶ transfer's name ─┘         └── send, finished ──────────────▶
//!              held ──▶ Close, Follow
//!   check ───▶ name of each file ──▶ Admit
//! ```

use std::time::{Duration, Instant};

use super::decide::{Admission, Attempt, Verdict};
use super::final_reply::FinalReply;
use crate::session::{Answer, Ask};
use crate::wire::{Header, ResultKey, SealedReport, TransferId, Verb};

/// How long it may take until it is known what becomes of a connection. Its sender waits a little longer. A process that
/// gives way first brings to the disk what there is.
const PATIENCE: Duration = Duration::from_secs(4);

/// A name that one process of a node can have at a time. Other processes find it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Of the process that takes part in that transfer.
    Transfer(TransferId),
    /// Of the process that writes a file: which version of it, as JSON, and its path.
    File(Vec<u8>, String),
}

impl Name {
    /// The bytes that stand for it, different from those of any other.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Transfer(transfer) => [b"transfer", &transfer.0[..]].concat(),
            Self::File(source, path) => [b"file", &source[..], path.as_bytes()].concat(),
        }
    }
}

/// What the process does that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// There is none, or it has given way. Where the name was to be taken, this process has it.
    Gone,
    /// It has taken over the connection.
    HasTakenOver,
    /// It refuses.
    Refuses,
    /// It has promised to give way, and has not yet.
    LetsGo,
    /// It has the whole file, and will soon have its results.
    Finishes,
    /// It takes part in the transfer in that place.
    Elsewhere(u32),
    /// Its transfer of the same file is newer.
    Outdates,
    /// It does not answer.
    Silent,
    /// It is no process of this node: anyone can take a name.
    Foreign,
}

impl Holder {
    /// A process that has given this answer. `is_gone` says whether it has given way in time.
    pub fn that_says(answer: Answer, is_gone: impl FnOnce() -> bool) -> Self {
        match answer {
            Answer::Yes if is_gone() => Self::Gone,
            Answer::Yes => Self::LetsGo,
            Answer::No => Self::Refuses,
            Answer::Finishing => Self::Finishes,
            Answer::Elsewhere(place) => Self::Elsewhere(place),
            Answer::Outdated => Self::Outdates,
        }
    }
}

/// What processes of a node have left of a transfer for those that come after them.
#[derive(Debug, Default)]
pub struct Kept {
    /// The node's place in it, and its results, if it has ended.
    pub ended: Option<(u32, Vec<SealedReport>)>,
    /// The ids of cancelled requests.
    pub cancelled: Vec<String>,
    /// The node's place in it, and the key that it has by a connection of the source.
    pub node_key: Option<(u32, ResultKey)>,
}

/// What is to be done next.
#[derive(Debug, Clone)]
#[must_use]
pub enum Step {
    /// Take that name, so that other processes can ask this one. Ask a process that has it to give way, and say
    /// [`Rendezvous::met`].
    Take(Name, Ask),
    /// Ask a process that has that name to give way, and say [`Rendezvous::met`].
    GiveWay(Name, Ask),
    /// Hand the connection over to the process that has that name, and say [`Rendezvous::met`].
    HandOver(Name),
    /// See whether a process has that name, and say [`Rendezvous::met`].
    Meet(Name),
    /// Keep for processes to come that the requests of the header are cancelled, and say [`Rendezvous::recorded`].
    Record,
    /// Keep that no more, and say [`Rendezvous::erased`].
    Erase,
    /// Read what is kept of its transfer, and say [`Rendezvous::recalled`].
    Recall,
    /// Go on at that time.
    Wait(Instant),
    /// [Admit](Admission::admit) the header: all that other processes know is known here.
    Admit,
    /// Nothing: the connection is another process's by now.
    Leave,
    /// Wait until the process that [finishes](Holder::Finishes) is gone, and tell the results that it has kept. See
    /// [`Follower`](super::Follower).
    Follow,
    /// Say this, and close.
    Close(FinalReply),
}

#[derive(Debug)]
enum State {
    Recording,
    /// What was cancelled cannot be carried out.
    Erasing,
    Transfer,
    Recalling,
    /// That one of the files.
    Files(usize),
    /// The same, at that time: a newer transfer has it.
    Contest(usize, Instant),
    /// This is the last step.
    Over(Step),
}

/// A proven header of wire 2, on its way through what other processes of the node know.
#[derive(Debug)]
pub struct Rendezvous {
    verb: Verb,
    ask: Ask,
    files: Vec<Name>,
    state: State,
    until: Instant,
}

impl Rendezvous {
    /// The header was proven at `now`. None on wire 1, which resumes nothing.
    pub fn new(now: Instant, header: &Header) -> Option<Self> {
        let ask = Ask::for_header(header)?;
        let verb = header.envelope.as_ref()?.verb;
        let state = match verb {
            Verb::Cancel => State::Recording,
            Verb::Check => State::Files(0),
            Verb::Send | Verb::Query => State::Transfer,
        };
        Some(Self { verb, files: files(header, &ask), ask, state, until: now + PATIENCE })
    }

    /// When everything has to be known.
    pub fn deadline(&self) -> Instant {
        self.until
    }

    /// What is to be done next.
    pub fn step(&mut self, now: Instant) -> Step {
        if let State::Contest(file, at) = self.state {
            if at > now {
                return Step::Wait(at);
            }
            self.state = State::Files(file);
        }
        let ask = || self.ask.clone();
        match &self.state {
            State::Recording => Step::Record,
            State::Erasing => Step::Erase,
            State::Transfer => {
                let name = Name::Transfer(self.ask.transfer);
                match self.verb {
                    Verb::Cancel | Verb::Query => Step::HandOver(name),
                    Verb::Send | Verb::Check => Step::Take(name, ask()),
                }
            }
            State::Recalling => Step::Recall,
            State::Files(file) | State::Contest(file, _) => match (self.files.get(*file).cloned(), self.verb)
            {
                (None, _) => Step::Admit,
                (Some(name), Verb::Check) => Step::Meet(name),
                (Some(name), Verb::Cancel) => Step::GiveWay(name, ask()),
                (Some(name), _) => Step::Take(name, ask()),
            },
            State::Over(step) => step.clone(),
        }
    }

    /// It is kept that the requests are cancelled: a process that comes for them from now on knows. One that came before
    /// has the transfer's name.
    pub fn recorded(&mut self) {
        self.state = State::Transfer;
    }

    /// It is not kept any more. The process that has the transfer goes on.
    pub fn erased(&mut self) {
        self.state = State::Over(Step::Close(FinalReply::Nothing));
    }

    /// What is kept of the transfer, for `admission` to know. A process that had its name before has left word by now.
    pub fn recalled(&mut self, now: Instant, kept: Kept, admission: &mut Admission) {
        // One that begins anew asks for its files as at first.
        let is_over = |results: &[_]| !Admission::may_begin_anew(&self.ask, results);
        let is_over = match self.verb {
            // It is answered by what is kept alone.
            Verb::Query => true,
            Verb::Cancel => false,
            Verb::Send | Verb::Check => kept.ended.as_ref().is_some_and(|(_, results)| is_over(results)),
        };
        admission.restore(now, self.ask.transfer, kept);
        self.state = if is_over { State::Over(Step::Admit) } else { State::Files(0) };
    }

    /// The process that has the name of the last step does this.
    pub fn met(&mut self, now: Instant, holder: Holder, attempt: &mut Attempt) {
        self.state = match self.state {
            State::Transfer => self.met_at_transfer(holder),
            State::Files(file) => self.met_at_file(now, file, holder, attempt),
            _ => return,
        };
    }

    fn met_at_transfer(&self, holder: Holder) -> State {
        State::Over(match holder {
            Holder::Gone => return State::Recalling,
            Holder::HasTakenOver => Step::Leave,
            Holder::Refuses | Holder::Silent if self.verb == Verb::Cancel => return State::Erasing,
            Holder::Refuses | Holder::LetsGo => Step::Close(FinalReply::Left),
            Holder::Finishes => Step::Follow,
            Holder::Elsewhere(place) => Step::Close(FinalReply::has_place(place)),
            Holder::Silent => {
                log::warn!("another process of this node has the transfer, and does not answer");
                // Nothing that is known now would be true if it wakes up.
                Step::Close(FinalReply::Nothing)
            }
            Holder::Outdates | Holder::Foreign => {
                log::warn!("the name that goes with a transfer is not to be had");
                return State::Recalling;
            }
        })
    }

    fn met_at_file(&self, now: Instant, file: usize, holder: Holder, attempt: &mut Attempt) -> State {
        match (holder, self.verb) {
            // A cancel leaves a newer transfer alone.
            (Holder::Gone, _) | (Holder::Foreign, Verb::Check) | (Holder::Outdates, Verb::Cancel) => {}
            (_, Verb::Check) => {
                attempt.has_rivals();
                return State::Over(Step::Admit);
            }
            (Holder::Outdates, _) => match attempt.outdated(now, false) {
                Verdict::Wait(at) if at < self.until => return State::Contest(file, at),
                Verdict::Close(words) => return State::Over(Step::Close(words)),
                _ => return State::Over(Step::Close(FinalReply::superseded())),
            },
            // Its lock tells whether the file can be had all the same.
            (holder, _) => log::warn!("another process keeps the name that goes with a file: {holder:?}"),
        }
        State::Files(file + 1)
    }
}

/// The names of the files that the header asks for, in an order that is the same for every process, so that no two wait for
/// each other. None without a source: nothing goes on with them.
fn files(header: &Header, ask: &Ask) -> Vec<Name> {
    let Some(source) = ask.source.as_ref().and_then(|source| serde_json::to_vec(source).ok()) else {
        return Vec::new();
    };
    let mut files: Vec<&String> = header.node.requests.iter().map(|request| &request.filename).collect();
    files.sort_unstable();
    files.dedup();
    files.into_iter().map(|file| Name::File(source.clone(), file.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{from, header, keys, own_results, results, with};
    use super::*;
    use crate::session::{Gate, Proven, Standing, Timing};
    use crate::wire::Code;

    struct Process {
        rendezvous: Rendezvous,
        admission: Admission,
        attempt: Attempt,
        now: Instant,
    }

    impl Process {
        fn new(header: &Header) -> Self {
            let timing = Timing::default();
            let gate = Gate { timing, ..Gate::new(keys()) };
            let now = Instant::now();
            let rendezvous = Rendezvous::new(now, header).unwrap();
            let attempt = Attempt::new(now, &gate);
            Self { rendezvous, admission: Admission::new(gate, 9), attempt, now }
        }

        fn step(&mut self) -> Step {
            self.rendezvous.step(self.now)
        }

        fn met(&mut self, holder: Holder) -> Step {
            self.rendezvous.met(self.now, holder, &mut self.attempt);
            self.step()
        }

        fn recalled(&mut self, kept: Kept) -> Step {
            self.rendezvous.recalled(self.now, kept, &mut self.admission);
            self.step()
        }

        fn admit(&mut self, header: &Header) -> Verdict {
            self.admission.admit(self.now, header, &mut self.attempt, |_| Standing::Served)
        }
    }

    fn ended() -> Kept {
        Kept { ended: Some((0, results(1))), ..Kept::default() }
    }

    #[test]
    fn every_name_is_taken_and_then_the_header_is_admitted() {
        let header = header(1, 0, "/f", Some("a"));
        let mut process = Process::new(&header);
        assert!(matches!(process.step(), Step::Take(Name::Transfer(_), _)));
        assert!(matches!(process.met(Holder::Gone), Step::Recall));
        assert!(matches!(process.recalled(Kept::default()), Step::Take(Name::File(..), _)));
        assert!(matches!(process.met(Holder::Silent), Step::Admit));
        assert!(matches!(process.admit(&header), Verdict::Start(_)));
    }

    #[test]
    fn the_process_that_has_the_transfer_decides() {
        let header = header(1, 0, "/f", Some("a"));
        let first = |holder| {
            let mut process = Process::new(&header);
            let _ = process.step();
            process.met(holder)
        };
        for holder in [Holder::Refuses, Holder::LetsGo] {
            assert!(matches!(first(holder), Step::Close(FinalReply::Left)), "{holder:?}");
        }
        assert!(matches!(first(Holder::Finishes), Step::Follow));
        assert!(matches!(first(Holder::Elsewhere(7)), Step::Close(FinalReply::Refusal(..))));
        assert!(matches!(first(Holder::Silent), Step::Close(FinalReply::Nothing)));
        assert!(matches!(first(Holder::Foreign), Step::Recall), "anyone can take a name");
    }

    #[test]
    fn a_finished_transfer_is_told_as_by_any_node() {
        let header = header(1, 0, "/f", Some("a"));
        let mut process = Process::new(&header);
        let _ = process.step();
        let _ = process.met(Holder::Gone);
        assert!(matches!(process.recalled(ended()), Step::Admit), "no file of another process is asked for");
        assert!(matches!(process.admit(&header), Verdict::Look));
    }

    #[test]
    fn one_that_begins_anew_takes_its_files_as_at_first() {
        let spoiled =
            || Kept { ended: Some((0, own_results(1, 0, &[Code::WRONG_CHECKSUM]))), ..Kept::default() };
        let source = header(1, 0, "/f", Some("a"));
        let mut process = Process::new(&source);
        let _ = process.step();
        let _ = process.met(Holder::Gone);
        assert!(matches!(process.recalled(spoiled()), Step::Take(Name::File(..), _)));
        assert!(matches!(process.met(Holder::Gone), Step::Admit));
        assert!(matches!(process.admit(&source), Verdict::Start(_)));
        let relayed = from(Some(2), source);
        let mut process = Process::new(&relayed);
        let _ = process.step();
        let _ = process.met(Holder::Gone);
        assert!(matches!(process.recalled(spoiled()), Step::Admit));
        assert!(matches!(process.admit(&relayed), Verdict::Look), "the results");
    }

    #[test]
    fn a_newer_transfer_of_the_file_is_waited_for() {
        let mut process = Process::new(&header(1, 0, "/f", Some("a")));
        let _ = process.step();
        let _ = process.met(Holder::Gone);
        let _ = process.recalled(Kept::default());
        let Step::Wait(until) = process.met(Holder::Outdates) else { panic!("it waits") };
        process.now = until;
        assert!(matches!(process.step(), Step::Take(Name::File(..), _)));
        process.now += Duration::from_secs(2);
        assert!(matches!(process.met(Holder::Outdates), Step::Close(FinalReply::Refusal(..))));
    }

    #[test]
    fn a_cancel_goes_to_the_process_that_has_the_transfer() {
        let header = with(Verb::Cancel, header(1, 0, "/f", Some("a")));
        let recorded = || {
            let mut process = Process::new(&header);
            assert!(matches!(process.step(), Step::Record), "first: or a process could come between");
            process.rendezvous.recorded();
            assert!(matches!(process.step(), Step::HandOver(Name::Transfer(_))));
            process
        };
        assert!(matches!(recorded().met(Holder::HasTakenOver), Step::Leave));
        for holder in [Holder::Silent, Holder::Refuses] {
            let mut process = recorded();
            assert!(matches!(process.met(holder), Step::Erase), "{holder:?}");
            process.rendezvous.erased();
            assert!(matches!(process.step(), Step::Close(FinalReply::Nothing)), "{holder:?}");
        }
        // No process has it. What it has left of the files is removed, and rivals give way, if they are older.
        for holder in [Holder::Gone, Holder::Outdates] {
            let mut process = recorded();
            assert!(matches!(process.met(Holder::Gone), Step::Recall));
            assert!(matches!(process.recalled(ended()), Step::GiveWay(Name::File(..), _)));
            assert!(matches!(process.met(holder), Step::Admit));
            assert!(matches!(process.admit(&header), Verdict::Look));
        }
    }

    #[test]
    fn a_query_goes_to_the_process_that_has_the_transfer() {
        let header = with(Verb::Query, header(1, 0, "/f", Some("a")));
        let first = |holder| {
            let mut process = Process::new(&header);
            assert!(matches!(process.step(), Step::HandOver(Name::Transfer(_))), "it takes no name");
            process.met(holder)
        };
        assert!(matches!(first(Holder::HasTakenOver), Step::Leave));
        assert!(matches!(first(Holder::Silent), Step::Close(FinalReply::Nothing)));
        assert!(matches!(first(Holder::Gone), Step::Recall));
        assert!(matches!(first(Holder::Foreign), Step::Recall), "anyone can take a name");
    }

    #[test]
    fn a_query_is_answered_by_what_is_kept_alone() {
        let header = with(Verb::Query, header(1, 0, "/f", Some("a")));
        let recalled = |kept| {
            let mut process = Process::new(&header);
            let _ = process.step();
            let _ = process.met(Holder::Gone);
            assert!(matches!(process.recalled(kept), Step::Admit), "no other process is asked for its files");
            process.admit(&header)
        };
        assert!(matches!(recalled(ended()), Verdict::Look));
        let unknown = recalled(Kept::default());
        assert!(matches!(unknown, Verdict::Close(FinalReply::Refusal(Code::NEVER_REPORTED, _))));
    }

    #[test]
    fn the_key_of_the_source_is_known_to_the_next_process() {
        let header = from(Some(2), header(1, 3, "/f", None));
        let nonce = crate::wire::Nonce([1; 16]);
        let key = keys().node_key(&nonce, &nonce).unwrap();
        for (place, is_known) in [(3, true), (4, false)] {
            let mut process = Process::new(&header);
            let _ = process.step();
            let _ = process.met(Holder::Gone);
            let _ = process.recalled(Kept { node_key: Some((place, key.clone())), ..Kept::default() });
            let features = crate::wire::Features::default();
            let mut proven = Proven { header: header.clone(), lines: None, node_key: None, features };
            process.admission.acquaint(&mut proven);
            assert_eq!(proven.node_key.is_some(), is_known, "{place}");
        }
    }

    #[test]
    fn what_was_cancelled_is_known_to_the_next_process() {
        let header = header(1, 0, "/f", None);
        let mut process = Process::new(&header);
        let _ = process.step();
        let _ = process.met(Holder::Gone);
        let kept = Kept { cancelled: vec!["0".into()], ..Kept::default() };
        assert!(
            matches!(process.recalled(kept), Step::Admit),
            "without a source no other process goes on with it"
        );
        let verdict = process.admit(&header);
        let Verdict::Start(start) = verdict else { panic!("{verdict:?}") };
        assert!(matches!(start.task, super::super::Task::TakePart(unwanted) if unwanted == ["0"]));
    }

    #[test]
    fn a_check_asks_nothing_of_others() {
        let header = with(Verb::Check, header(1, 0, "/f", Some("a")));
        for (holder, expected) in [(Holder::Gone, false), (Holder::Foreign, false), (Holder::Refuses, true)] {
            let mut process = Process::new(&header);
            assert!(matches!(process.step(), Step::Meet(Name::File(..))));
            assert!(matches!(process.met(holder), Step::Admit));
            let verdict = process.admit(&header);
            let Verdict::Probe { may_supersede } = verdict else { panic!("{verdict:?}") };
            assert_eq!(may_supersede, expected, "{holder:?}");
        }
    }
}
