//! What a proven header becomes.

use std::time::{Duration, Instant};

use super::answer::{PlacedFiles, confirm};
use super::last_words::LastWords;
use super::registry::{Entrance, Recall, Registry};
use super::rendezvous::Kept;
use crate::session::{FileFault, Gate, Input, NodeSession, Now, Proven, Seed, UpstreamId};
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
    Close(LastWords),
}

/// A session that starts.
#[derive(Debug)]
pub struct Start {
    /// Transfers whose sessions are to be told [`Input::Superseded`] first: they write the same files for the same source.
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
    /// To be told as [`Input::Displaced`] first.
    pub displaced: Vec<(String, FileFault)>,
    /// Whether it cancels requests: [`Input::Cancelled`], and else [`Input::Claimed`].
    pub cancels: bool,
}

impl Join {
    /// What the session is to be told of the connection.
    pub fn input(&self, id: UpstreamId, proven: Box<Proven>) -> Input<'static> {
        if self.cancels { Input::Cancelled(id, proven) } else { Input::Claimed(id, proven) }
    }
}

impl Task {
    /// The transfer that is to [leave](Admission::leave) with its session. None where the session takes no part in it.
    pub fn transfer(&self, header: &Header) -> Option<TransferId> {
        let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
        transfer.filter(|_| matches!(self, Self::TakePart(_)))
    }

    /// The session.
    pub fn session(self, now: Now, id: UpstreamId, proven: Proven, gate: &Gate, seed: Seed) -> NodeSession {
        let (keys, timing) = (gate.keys.clone(), gate.timing.clone());
        match self {
            Self::TakePart(unwanted) => {
                let mut session = NodeSession::new(now, id, proven, keys, timing, seed);
                session.handle(now, Input::Unwanted(unwanted));
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
        Self { gate, registry, sessions: 0, limit, stopping: false }
    }

    /// A sender has proven `header`. `is_orphan` says whether the session of a running transfer has lost its upstream, see
    /// [`NodeSession::is_orphan`].
    pub fn admit(
        &mut self,
        now: Instant,
        header: &Header,
        attempt: &mut Attempt,
        is_orphan: impl Fn(&TransferId) -> bool,
    ) -> Verdict {
        match header.envelope.as_ref().map(|envelope| envelope.verb) {
            Some(Verb::Check) => {
                let may_supersede = attempt.rivals || self.registry.would_supersede(header);
                Verdict::Probe { may_supersede }
            }
            Some(Verb::Cancel) => self.cancel(now, header, attempt, is_orphan),
            _ => self.take_part(now, header, attempt, is_orphan),
        }
    }

    fn take_part(
        &mut self,
        now: Instant,
        header: &Header,
        attempt: &mut Attempt,
        is_orphan: impl Fn(&TransferId) -> bool,
    ) -> Verdict {
        match self.registry.enter(now, header, is_orphan) {
            Entrance::New { supersedes, unwanted } => {
                let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
                let Some(words) = self.why_not(LastWords::stopping()) else {
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
                    Verdict::Join(Join { displaced: displaced.collect(), cancels: false })
                }
            },
            Entrance::Outdated => attempt.outdated(now, self.stopping),
            Entrance::Taken(place) => Verdict::Close(LastWords::has_place(place)),
            Entrance::Finished(results) => match attempt.files(Stage::Finished) {
                None => Verdict::Look,
                Some(found) => {
                    Verdict::Close(LastWords::Results(confirm(&self.gate.keys, header, results, &found)))
                }
            },
        }
    }

    fn cancel(
        &mut self,
        now: Instant,
        header: &Header,
        attempt: &mut Attempt,
        is_orphan: impl Fn(&TransferId) -> bool,
    ) -> Verdict {
        let (told, supersedes) = match self.registry.cancel(now, header, is_orphan) {
            Recall::Running => {
                return Verdict::Join(Join { displaced: Vec::new(), cancels: true });
            }
            Recall::Gone { told, supersedes } => (told, supersedes),
        };
        let found = if told.is_empty() { Some(PlacedFiles::new()) } else { attempt.files(Stage::Finished) };
        let Some(found) = found else { return Verdict::Look };
        let told = confirm(&self.gate.keys, header, told, &found);
        // What it would say while the node is being stopped might not be true: nothing was looked at.
        match self.why_not(LastWords::Nothing) {
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
    fn why_not(&self, stopping: LastWords) -> Option<LastWords> {
        if self.stopping {
            return Some(stopping);
        }
        let full = self.sessions >= self.limit;
        full.then(|| {
            log::warn!("took no part in a transfer: session limit reached ({})", self.limit);
            LastWords::Nothing
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

    /// Other processes of the node have left this of a transfer.
    pub fn restore(&mut self, now: Instant, transfer: TransferId, kept: Kept) {
        if !kept.cancelled.is_empty() {
            self.registry.cancelled(now, transfer, kept.cancelled);
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
            Verdict::Close(LastWords::superseded())
        } else {
            Verdict::Wait(now + CONTEST)
        }
    }
}
