//! The thread that writes the queue: takes all that has come, makes it durable by one commit, and answers.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::sender::{Reporter, Sender};
use super::{Refusal, RefusalKind, Shared, Submitted, lock, stopping};
use crate::agent::book::{Book, BookError};
use crate::agent::desk::{Effect, Event, Now};
use crate::agent::draft::Draft;
use crate::agent::queue::{Change, Changes, Ticket};
use crate::agent::request::{Record, Wanted};
use crate::agent::underway::BatchId;

/// Answers that have been kept for long enough and are removed by one commit, at most.
const EXPIRED_AT_ONCE: usize = 10_000;
/// The pause before the disk is tried again, at least.
const PAUSE: Duration = Duration::from_secs(1);
/// And as a multiple of how long that takes, so that a large queue on a broken disk does not take all of a processor.
const PAUSES: u32 = 10;

pub(super) type Reply<T> = mpsc::Sender<Result<T, Refusal>>;

/// What the thread is told.
pub(super) enum Command {
    Submit(Vec<(String, Wanted)>, Reply<Vec<Submitted>>),
    Cancel(String, Reply<Record>),
    Acknowledge(String, Reply<()>),
    Began {
        batch: BatchId,
        transfer: String,
    },
    Note(Event),
    /// Something was configured.
    Wake,
    Close,
}

/// Gives an answer, once it is known whether what it speaks of is durable.
type Answer = Box<dyn FnOnce(Result<(), Refusal>)>;

/// What somebody asked for and waits for.
type Ask = Box<dyn FnOnce(&mut Draft<'_>) -> Answer>;

pub(super) struct Writer {
    shared: Arc<Mutex<Shared>>,
    book: Book,
    sender: Box<dyn Sender>,
    inbox: Receiver<Command>,
    /// For reporters.
    commands: mpsc::Sender<Command>,
    /// What has to become durable, and has not.
    events: Vec<Event>,
    /// Requests of which nobody knows how they are on the disk, since a commit with them has failed.
    doubtful: BTreeSet<Ticket>,
    /// When the book is to be opened again that was shut by an error.
    reopen_at: Instant,
    closing: bool,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Mutex<Shared>>,
        book: Book,
        sender: Box<dyn Sender>,
        inbox: Receiver<Command>,
        commands: mpsc::Sender<Command>,
    ) -> Self {
        Self {
            shared,
            book,
            sender,
            inbox,
            commands,
            events: vec![Event::Restarted],
            doubtful: BTreeSet::new(),
            reopen_at: Instant::now(),
            closing: false,
        }
    }

    pub(super) fn run(mut self) {
        // What was found at the start.
        let mut asks = Vec::new();
        loop {
            self.turn(asks);
            if self.closing {
                return;
            }
            asks = self.receive();
        }
    }

    /// Waits until there is something to do, and takes all that has come.
    fn receive(&mut self) -> Vec<Ask> {
        let mut asks = Vec::new();
        let first = match self.deadline() {
            Some(deadline) => {
                match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => return asks,
                    received => received.ok(),
                }
            }
            None => self.inbox.recv().ok(),
        };
        // It has a sender of its own, so the channel never ends; and if it did, so would this.
        let mut next = Some(first.unwrap_or(Command::Close));
        while let Some(command) = next {
            asks.extend(self.sort(command));
            next = self.inbox.try_recv().ok();
        }
        asks
    }

    fn sort(&mut self, command: Command) -> Option<Ask> {
        match command {
            Command::Submit(list, reply) => Some(ask(reply, |draft| draft.submit(list))),
            Command::Cancel(id, reply) => {
                Some(ask(reply, move |draft| draft.cancel(&id).map(|record| Record::clone(&record))))
            }
            Command::Acknowledge(id, reply) => Some(ask(reply, move |draft| draft.acknowledge(&id))),
            Command::Began { batch, transfer } => {
                lock(&self.shared).desk.began(batch, &transfer);
                None
            }
            Command::Note(event) => {
                self.events.push(event);
                None
            }
            Command::Wake => None,
            Command::Close => {
                self.closing = true;
                None
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let shared = lock(&self.shared);
        let due = if self.book.is_shut() { Some(self.reopen_at) } else { shared.desk.expiry(Now::read()) };
        [due, shared.desk.deadline()].into_iter().flatten().min()
    }

    fn turn(&mut self, asks: Vec<Ask>) {
        let is_open = !self.book.is_shut() || self.reopen();
        if is_open {
            self.record(asks);
        } else {
            self.refuse(asks);
        }
        self.start_batches();
    }

    /// Opens the book again if it is time, and first of all writes what has to be written.
    fn reopen(&mut self) -> bool {
        let started = Instant::now();
        if started < self.reopen_at && !self.closing {
            return false;
        }
        match self.book.reopen() {
            Ok(()) => self.record(Vec::new()),
            Err(error) => drop(self.failed(&error)),
        }
        if self.book.is_shut() {
            self.reopen_at = Instant::now() + (started.elapsed() * PAUSES).max(PAUSE);
            return false;
        }
        log::info!("the queue can be written again");
        lock(&self.shared).trouble = None;
        true
    }

    /// Makes all durable that has happened and is asked for, and answers.
    fn record(&mut self, asks: Vec<Ask>) {
        let now = Now::read();
        let (changes, answers) = self.draft(now, asks);
        match self.commit(&changes) {
            Ok(()) => {
                let effects = self.apply(now, &changes);
                for answer in answers {
                    answer(Ok(()));
                }
                for effect in effects {
                    self.carry_out(effect);
                }
            }
            Err(error) => {
                self.reopen_at = now.clock + PAUSE;
                self.doubtful.extend(changes.keys());
                let refusal = self.failed(&error);
                for answer in answers {
                    answer(Err(refusal.clone()));
                }
            }
        }
    }

    fn draft(&self, now: Now, asks: Vec<Ask>) -> (Changes, Vec<Answer>) {
        let shared = lock(&self.shared);
        let mut draft = shared.desk.draft(now);
        // Without random numbers all pauses are of the same length.
        let mut chance = || getrandom::u64().unwrap_or(u64::MAX / 2);
        for event in &self.events {
            shared.desk.note(&mut draft, event, &mut chance);
        }
        draft.expire(shared.desk.policy().keep, EXPIRED_AT_ONCE);
        let answers = asks.into_iter().map(|ask| ask(&mut draft)).collect();
        (draft.finish(), answers)
    }

    fn commit(&mut self, changes: &Changes) -> Result<(), BookError> {
        let doubtful: Vec<(Ticket, Option<Arc<Record>>)> = {
            let queue = &lock(&self.shared).desk.queue;
            let unchanged = self.doubtful.iter().filter(|ticket| !changes.contains_key(ticket));
            unchanged.map(|&ticket| (ticket, queue.get(ticket).map(Arc::clone))).collect()
        };
        if changes.is_empty() && doubtful.is_empty() {
            return Ok(());
        }
        let known = doubtful.iter().map(|(ticket, record)| (*ticket, record.as_deref()));
        let new = changes.iter().map(|(&ticket, change)| match change {
            Change::Put(record) => (ticket, Some(record.as_ref())),
            Change::Remove(_) => (ticket, None),
        });
        self.book.commit(known.chain(new))?;
        self.doubtful.clear();
        Ok(())
    }

    fn apply(&mut self, now: Now, changes: &Changes) -> Vec<Effect> {
        let mut shared = lock(&self.shared);
        let effects = shared.desk.apply(now, changes);
        for event in self.events.drain(..) {
            if let Event::Ended { batch, .. } = event {
                shared.desk.ended(batch);
            }
        }
        for (&ticket, change) in changes {
            match change {
                Change::Put(record) if !record.state.is_final() => {}
                _ => shared.watchers.ring(ticket),
            }
        }
        effects
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Cancel { batch, id } => self.sender.cancel(batch, &id),
            Effect::Clean(record) => self.sender.clean(&record),
        }
    }

    /// Lets everybody know that nothing can be written.
    fn failed(&mut self, error: &BookError) -> Refusal {
        let kind = match error {
            BookError::NoSpace(_) => RefusalKind::NoSpace,
            BookError::Broken(_) => RefusalKind::Unavailable,
        };
        let detail =
            format!("{error}; it goes on by itself when that is put right, and has lost nothing until then");
        let refusal = Refusal { kind, detail, index: None };
        let mut shared = lock(&self.shared);
        shared.desk.totals.database_errors += 1;
        if shared.trouble.as_ref() != Some(&refusal) {
            log::error!("{}", refusal.detail);
            shared.trouble = Some(refusal.clone());
        }
        refusal
    }

    fn refuse(&self, asks: Vec<Ask>) {
        let (shared, now) = (lock(&self.shared), Now::read());
        let trouble = shared.trouble.clone().unwrap_or_else(stopping);
        let mut draft = shared.desk.draft(now);
        for ask in asks {
            // Its draft is thrown away.
            ask(&mut draft)(Err(trouble.clone()));
        }
    }

    fn start_batches(&mut self) {
        loop {
            let batch = lock(&self.shared).desk.start(Now::read());
            let Some(batch) = batch else { return };
            let reporter = Reporter::new(batch.id, self.commands.clone());
            self.sender.send(batch, reporter);
        }
    }
}

fn ask<T: 'static>(
    reply: Reply<T>,
    change: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal> + 'static,
) -> Ask {
    Box::new(move |draft| {
        let result = change(draft);
        Box::new(move |durable| {
            // Who asked may have gone.
            let _ = reply.send(durable.and(result));
        })
    })
}
