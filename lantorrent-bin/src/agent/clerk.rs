//! The one who writes: takes what is asked of the agent, makes it durable, and answers.

mod sender;
mod watchers;
mod writer;

use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) use self::sender::{Reporter, Sender};
use self::watchers::Watchers;
use self::writer::{Command, Reply, Writer};
use super::book::{Book, Whereabouts};
pub(crate) use super::desk::{Batch, Policy, Totals};
use super::desk::{Desk, Now, Phase};
use super::draft::unknown;
use super::intake;
use super::repository::{Repository, normal};
use super::request::{Record, State, Wanted};
use crate::exit::Failure;

/// What is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    /// None: a random one is made.
    pub(crate) id: Option<String>,
    pub(crate) wanted: Wanted,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) record: Record,
    pub(crate) novelty: Novelty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// The same was handed in before.
    Known,
}

/// Why the agent does not do what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    /// What happened, to which request and file, and what to do.
    pub(crate) detail: String,
    /// The place in the list of what was handed in.
    pub(crate) index: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// An id, a path, a host or a port that cannot be.
    Malformed,
    /// Outside the repository.
    Forbidden,
    /// No such file there, or no such request.
    Missing,
    /// The file is there and cannot be read, or is nothing that can be sent.
    Unusable,
    /// The id belongs to another request; or the request has not ended, and is to be acknowledged.
    Conflict,
    /// The disk of the queue is full.
    NoSpace,
    /// More requests than are kept, or the agent is being stopped, or its disk fails: later it may go.
    Unavailable,
}

/// Which requests are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) state: Option<State>,
    pub(crate) source: Option<String>,
    pub(crate) host: Option<String>,
    /// Those behind this one, in the order in which they were handed in.
    pub(crate) after: Option<String>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// How many requests are looked at in a list before others may look as well.
const LOOK: usize = 10_000;

/// What can be changed while the agent runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) policy: Policy,
    pub(crate) repository: Arc<Repository>,
}

/// Cheap to clone, and usable from any thread.
#[derive(Clone)]
pub(crate) struct Clerk {
    shared: Arc<Mutex<Shared>>,
    commands: mpsc::Sender<Command>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
    queue: Whereabouts,
}

/// What everybody may look at. Nothing is in it that is not durable, but for which requests are being sent.
struct Shared {
    desk: Desk,
    watchers: Watchers,
    repository: Arc<Repository>,
    /// Why nothing can be written now.
    trouble: Option<Refusal>,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clerk {
    /// Opens the queue in the file `queue`, or makes it, and goes on with what is in it: batches are given to `sender`.
    pub(crate) fn start(queue: &Path, settings: Settings, sender: Box<dyn Sender>) -> Result<Self, Failure> {
        let (book, records) = Book::open(queue)?;
        let queue = book.whereabouts();
        let desk = Desk::new(Now::read(), records, settings.policy);
        let shared =
            Shared { desk, watchers: Watchers::default(), repository: settings.repository, trouble: None };
        let shared = Arc::new(Mutex::new(shared));
        let (commands, inbox) = mpsc::channel();
        let writer = Writer::new(Arc::clone(&shared), book, sender, inbox, commands.clone());
        let writer = thread::Builder::new()
            .name("queue".into())
            .spawn(move || writer.run())
            .map_err(|error| Failure::no_thread(&error))?;
        Ok(Self { shared, commands, writer: Arc::new(Mutex::new(Some(writer))), queue })
    }

    /// Takes all of them, durably, or none.
    pub(crate) fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Submitted>, Refusal> {
        if lock(&self.shared).desk.phase == Phase::Stopping {
            return Err(stopping());
        }
        let list = self.take_in(submissions)?;
        self.ask(|reply| Command::Submit(list, reply))
    }

    /// Looks at each of them before any is handed in.
    fn take_in(&self, submissions: Vec<Submission>) -> Result<Vec<(String, Wanted)>, Refusal> {
        let repository = self.repository();
        let mut readable: HashSet<String> = HashSet::new();
        let mut list = Vec::with_capacity(submissions.len());
        for (index, submission) in submissions.into_iter().enumerate() {
            let at_index = |refusal| Refusal { index: Some(index), ..refusal };
            let (id, wanted) = intake::accept(submission).map_err(at_index)?;
            // Who asks again asks for the answer, and the file may be gone by now.
            if !readable.contains(&wanted.source) && !self.is_known(&id) {
                repository.open(&wanted.source).map_err(at_index)?;
                readable.insert(wanted.source.clone());
            }
            list.push((id, wanted));
        }
        Ok(list)
    }

    fn is_known(&self, id: &str) -> bool {
        lock(&self.shared).desk.queue.ticket(id).is_some()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Record> {
        let record = lock(&self.shared).desk.queue.find(id).map(Arc::clone)?;
        Some(Record::clone(&record))
    }

    /// The request when it has ended, or as it stands after `patience`, or when the agent is being stopped.
    pub(crate) fn wait(&self, id: &str, patience: Duration) -> Option<Record> {
        let (watch, bell) = {
            let mut shared = lock(&self.shared);
            let ticket = shared.desk.queue.ticket(id)?;
            let record = shared.desk.queue.get(ticket).map(Arc::clone)?;
            if record.state.is_final() || shared.desk.phase == Phase::Stopping {
                drop(shared);
                return Some(Record::clone(&record));
            }
            shared.watchers.add(ticket)
        };
        if bell.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            lock(&self.shared).watchers.remove(watch);
        }
        self.find(id)
    }

    /// In the order in which they were handed in. Fails if `after` is not known any more.
    pub(crate) fn list(&self, filter: &Filter) -> Result<Vec<Record>, Refusal> {
        let mut after = match &filter.after {
            Some(id) => Some(lock(&self.shared).desk.queue.ticket(id).ok_or_else(|| unknown(id))?),
            None => None,
        };
        // In the form in which they are kept.
        let source = filter.source.as_ref().map(|source| normal(source).unwrap_or_else(|_| source.clone()));
        let filter = &Filter { source, ..filter.clone() };
        let mut records = Vec::new();
        while records.len() < filter.limit {
            let left = filter.limit - records.len();
            let (found, next) = lock(&self.shared).desk.queue.scan(filter, after, left, LOOK);
            records.extend(found.iter().map(|record| Record::clone(record)));
            if next.is_none() {
                break;
            }
            after = next;
        }
        Ok(records)
    }

    /// How many requests are in each state, in the order of [`State::ALL`].
    pub(crate) fn count(&self) -> [usize; 5] {
        lock(&self.shared).desk.queue.count()
    }

    /// What has happened since the agent was started.
    pub(crate) fn totals(&self) -> Totals {
        lock(&self.shared).desk.totals
    }

    /// Takes a request back. What has ended stays as it is, and is no error.
    pub(crate) fn cancel(&self, id: &str) -> Result<Record, Refusal> {
        self.ask(|reply| Command::Cancel(id.to_owned(), reply))
    }

    /// Forgets a request that has ended.
    pub(crate) fn acknowledge(&self, id: &str) -> Result<(), Refusal> {
        self.ask(|reply| Command::Acknowledge(id.to_owned(), reply))
    }

    /// Whether requests can be taken; else, why not.
    pub(crate) fn health(&self) -> Result<(), String> {
        let shared = lock(&self.shared);
        match &shared.trouble {
            Some(trouble) => Err(trouble.detail.clone()),
            None if shared.desk.phase == Phase::Stopping => Err(stopping().detail),
            None => {
                drop(shared);
                self.queue.check()
            }
        }
    }

    /// Where sources are opened, for sending as for asking.
    pub(crate) fn repository(&self) -> Arc<Repository> {
        Arc::clone(&lock(&self.shared).repository)
    }

    /// From now on this holds, for what waits as well. What is being sent is not stopped.
    pub(crate) fn reconfigure(&self, settings: Settings) {
        {
            let mut shared = lock(&self.shared);
            shared.desk.reconfigure(settings.policy);
            shared.repository = settings.repository;
        }
        // It is no error that it is gone.
        let _ = self.commands.send(Command::Wake);
    }

    /// Takes no new request, begins no new batch, and lets go of all that [`wait`](Self::wait). What is being sent goes
    /// on, and is recorded, until [`close`](Self::close).
    pub(crate) fn stop(&self) {
        let mut shared = lock(&self.shared);
        shared.desk.phase = Phase::Stopping;
        shared.watchers.ring_all();
    }

    /// Makes durable what has been reported until now, and closes the queue.
    pub(crate) fn close(&self) {
        self.stop();
        let _ = self.commands.send(Command::Close);
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            log::error!("the thread that writes the queue has failed");
        }
    }

    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = mpsc::channel();
        self.commands.send(command(reply)).map_err(|_| stopping())?;
        answer.recv().unwrap_or_else(|_| Err(stopping()))
    }
}

fn stopping() -> Refusal {
    let detail = "the agent is being stopped; ask again when it has been started".into();
    Refusal { kind: RefusalKind::Unavailable, detail, index: None }
}

#[cfg(test)]
mod killed;
#[cfg(test)]
mod tests;
