//! Everything that the agent decides about its requests, without a clock, a disk or a network.
//!
//! What is asked and told becomes changes ([`Desk::draft`]); when those are durable they are taken over
//! ([`Desk::apply`]), and only then anybody can see them. That a request is being sent is not durable: after a restart
//! it waits.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantorrent_core::wire::Code;

use super::alarms::Alarms;
use super::batching::{Batching, Rules};
use super::draft::Draft;
use super::queue::{Change, Changes, Queue, Ticket};
use super::request::{Attempt, Record, State};
use super::retry::Retries;
use super::story::{self, Line};
use super::topology::Topology;
use super::underway::{BatchId, Underway};
use crate::time::Timestamp;

/// The expiry of answers is looked after at least so often: the date may be put right at any time.
const LONGEST_NAP: Duration = Duration::from_secs(3600);

/// Requests that each have a line in the log at the start. Of more there is their number alone.
const TOLD: usize = 1000;

/// An instant, for what happens in this process, and the date, for what is written down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) clock: Instant,
    pub(crate) date: Timestamp,
}

impl Now {
    pub(crate) fn read() -> Self {
        Self { clock: Instant::now(), date: Timestamp::now() }
    }
}

/// What can be configured of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) rules: Rules,
    pub(crate) retries: Retries,
    /// How long the answer of a request is kept that nobody acknowledges.
    pub(crate) keep: Duration,
    pub(crate) topology: Topology,
}

impl Default for Policy {
    fn default() -> Self {
        let keep = Duration::from_secs(7 * 24 * 3600);
        Self { rules: Rules::default(), retries: Retries::default(), keep, topology: Topology::default() }
    }
}

/// Requests for one source file that are to be sent together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) source: String,
    /// In the order of the chain.
    pub(crate) requests: Vec<Arc<Record>>,
}

/// What has happened by itself, and has to become durable however long that takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// The agent has been started.
    Restarted,
    /// A request of a batch has a result.
    Reported { batch: BatchId, id: String, at: Timestamp, result: Verdict },
    /// A batch is over. Those without a result have this one, or none, and wait again.
    Ended { batch: BatchId, at: Timestamp, rest: Option<Verdict> },
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) code: Code,
    pub(crate) reason: String,
}

/// What is to be done on the nodes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The transfer shall let go of the request.
    Cancel { batch: BatchId, id: String },
    /// An earlier transfer may have left something.
    Clean(Arc<Record>),
}

/// What has happened since the agent was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) submitted: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) cancelled: u64,
    /// Attempts that failed and are followed by another.
    pub(crate) retries: u64,
    /// Commits that the disk did not take.
    pub(crate) database_errors: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// Nothing new is begun.
    Stopping,
}

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) queue: Queue,
    pub(crate) totals: Totals,
    pub(crate) phase: Phase,
    policy: Policy,
    batching: Batching,
    /// When requests are tried again.
    alarms: Alarms,
    underway: Underway,
    /// Those of whose file a node may have a part.
    begun: HashSet<Ticket>,
}

impl Desk {
    /// With what was durable before. [`Event::Restarted`] belongs to it.
    pub(crate) fn new(now: Now, records: Vec<(Ticket, Record)>, policy: Policy) -> Self {
        let mut desk = Self {
            queue: Queue::default(),
            totals: Totals::default(),
            phase: Phase::Open,
            batching: Batching::new(policy.rules),
            policy,
            alarms: Alarms::default(),
            underway: Underway::default(),
            begun: HashSet::new(),
        };
        let open = records.iter().filter(|(_, record)| !record.state.is_final()).count();
        if open > TOLD {
            log::info!("{open} requests were found that have not ended");
        }
        for (ticket, record) in records {
            if open <= TOLD {
                log_line(story::found(&record));
            }
            if !record.state.is_final() {
                desk.begun.insert(ticket);
            }
            let record = Arc::new(record);
            desk.queue.apply(ticket, &Change::Put(Arc::clone(&record)));
            desk.settle(now, ticket, Some(&record));
        }
        desk
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn reconfigure(&mut self, policy: Policy) {
        self.batching.reconfigure(policy.rules);
        self.policy = policy;
    }

    /// Begins with changes, which see what is durable and each other.
    pub(crate) fn draft(&self, now: Now) -> Draft<'_> {
        Draft::new(&self.queue, now.date)
    }

    /// What the event changes. `chance` gives any number, another one each time.
    pub(crate) fn note(&self, draft: &mut Draft<'_>, event: &Event, chance: &mut dyn FnMut() -> u64) {
        match event {
            Event::Restarted => {
                let taken_back = |record: &Record| !record.state.is_final() && record.cancelled_at.is_some();
                for (ticket, _) in self.queue.iter().filter(|(_, record)| taken_back(record)) {
                    draft.let_go(ticket);
                }
            }
            Event::Reported { batch, id, at, result } => {
                if let Some(ticket) = draft.ticket(id) {
                    self.judge(draft, (*batch, ticket), *at, result, chance);
                }
            }
            Event::Ended { batch, at, rest } => {
                let left = self.underway.get(*batch).into_iter().flat_map(|sent| sent.left.iter().copied());
                for ticket in left {
                    match rest {
                        Some(result) => self.judge(draft, (*batch, ticket), *at, result, chance),
                        None => self.interrupt(draft, (*batch, ticket)),
                    }
                }
            }
        }
    }

    /// Whether the request is without a result in this batch.
    fn is_sent(&self, draft: &Draft<'_>, (batch, ticket): (BatchId, Ticket)) -> bool {
        let is_sending = draft.get(ticket).is_some_and(|record| record.state == State::Sending);
        is_sending && self.underway.of(ticket) == Some(batch)
    }

    fn judge(
        &self,
        draft: &mut Draft<'_>,
        place: (BatchId, Ticket),
        at: Timestamp,
        result: &Verdict,
        chance: &mut dyn FnMut() -> u64,
    ) {
        let Some(sent) = self.underway.get(place.0).filter(|_| self.is_sent(draft, place)) else { return };
        let Verdict { code, reason } = result.clone();
        let attempt = Attempt {
            transfer: sent.transfer.clone(),
            started: sent.started,
            // The date may have been put back meanwhile.
            ended: at.max(sent.started),
            code,
            reason,
        };
        draft.attempted(place.1, attempt, self.policy.retries, chance());
    }

    fn interrupt(&self, draft: &mut Draft<'_>, place: (BatchId, Ticket)) {
        if !self.is_sent(draft, place) {
            return;
        }
        let is_taken_back = draft.get(place.1).is_some_and(|record| record.cancelled_at.is_some());
        // Who is being stopped leaves the cleaning to whoever is started next.
        if is_taken_back && self.phase == Phase::Open {
            draft.let_go(place.1);
        } else {
            draft.interrupted(place.1);
        }
    }

    /// Takes over what has become durable.
    pub(crate) fn apply(&mut self, now: Now, changes: &Changes) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (&ticket, change) in changes {
            let before = self.queue.apply(ticket, change);
            log_line(story::tell(before.as_deref(), change));
            let after = match change {
                Change::Put(record) => Some(record),
                Change::Remove(_) => None,
            };
            self.count(before.as_deref(), after.map(Arc::as_ref));
            effects.extend(
                before.as_deref().zip(after).and_then(|(before, after)| self.effect(ticket, before, after)),
            );
            self.settle(now, ticket, after);
        }
        effects
    }

    fn count(&mut self, before: Option<&Record>, after: Option<&Record>) {
        let Some(after) = after else { return };
        self.totals.submitted += u64::from(before.is_none());
        if before.is_some_and(|before| before.state == after.state) {
            return;
        }
        let attempts = before.map_or(0, |before| before.attempts.len());
        match after.state {
            State::Done => self.totals.done += 1,
            State::Failed => self.totals.failed += 1,
            State::Cancelled => self.totals.cancelled += 1,
            State::Waiting => self.totals.retries += u64::from(after.attempts.len() > attempts),
            State::Sending => {}
        }
    }

    fn effect(&self, ticket: Ticket, before: &Record, after: &Arc<Record>) -> Option<Effect> {
        let reported = after.attempts.len() > before.attempts.len();
        match after.state {
            State::Sending if before.cancelled_at.is_none() && after.cancelled_at.is_some() => {
                let batch = self.underway.of(ticket)?;
                Some(Effect::Cancel { batch, id: after.id.clone() })
            }
            // A node that reports has been told.
            State::Cancelled
                if before.state != State::Cancelled && !reported && self.begun.contains(&ticket) =>
            {
                Some(Effect::Clean(Arc::clone(after)))
            }
            _ => None,
        }
    }

    /// Puts a request where its state says that it belongs.
    fn settle(&mut self, now: Now, ticket: Ticket, record: Option<&Arc<Record>>) {
        if record.is_some_and(|record| record.state == State::Sending) {
            return;
        }
        self.batching.withdraw(ticket);
        self.alarms.clear(ticket);
        self.underway.release(ticket);
        match record {
            Some(record) if record.state == State::Waiting => {
                // What was taken back ends by itself, and is not sent until then.
                if record.cancelled_at.is_none() {
                    self.wait(now, ticket, record);
                }
            }
            _ => {
                self.begun.remove(&ticket);
            }
        }
    }

    fn wait(&mut self, now: Now, ticket: Ticket, record: &Arc<Record>) {
        match record.retry_at.map(|at| at.since(now.date)) {
            Some(pause) if !pause.is_zero() => {
                // However far the date has been put back since that was written down.
                let longest = self.policy.retries.longest_pause(record.attempts.len());
                self.alarms.set(ticket, now.clock + pause.min(longest));
            }
            _ => self.batching.arrive(now.clock, ticket, Arc::clone(record)),
        }
    }

    /// A batch that is to be sent now, if there is one. From here on its requests are being sent.
    pub(crate) fn start(&mut self, now: Now) -> Option<Batch> {
        while let Some(ticket) = self.alarms.ring(now.clock) {
            if let Some(record) = self.queue.get(ticket) {
                self.batching.arrive(now.clock, ticket, Arc::clone(record));
            }
        }
        if self.phase == Phase::Stopping {
            return None;
        }
        let load = self.batching.next(now.clock)?;
        let id = self.underway.start(now.date, Arc::clone(&load.source), &load.tickets);
        let mut requests = Vec::with_capacity(load.tickets.len());
        for ticket in load.tickets {
            let Some(record) = self.queue.get(ticket) else { continue };
            let record = Arc::new(Record { state: State::Sending, retry_at: None, ..Record::clone(record) });
            self.queue.apply(ticket, &Change::Put(Arc::clone(&record)));
            self.begun.insert(ticket);
            requests.push(record);
        }
        let topology = &self.policy.topology;
        requests.sort_by(|one, other| {
            let (one, other) = (&one.wanted, &other.wanted);
            topology.compare((&one.host, one.port), (&other.host, other.port))
        });
        Some(Batch { id, source: load.source.as_ref().into(), requests })
    }

    /// The transfer of a batch has its id.
    pub(crate) fn began(&mut self, batch: BatchId, transfer: &str) {
        self.underway.began(batch, transfer);
        let Some(sent) = self.underway.get(batch) else { return };
        for record in sent.left.iter().filter_map(|&ticket| self.queue.get(ticket)) {
            log_line(Some(story::began(record, transfer, sent.size)));
        }
    }

    /// The batch is over, and the results of all its requests are durable.
    pub(crate) fn ended(&mut self, batch: BatchId) {
        if let Some(source) = self.underway.end(batch) {
            self.batching.ended(&source);
        }
    }

    /// When there may be something to [`start`](Self::start).
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let batch = match self.phase {
            Phase::Open => self.batching.deadline(),
            Phase::Stopping => None,
        };
        [batch, self.alarms.next()].into_iter().flatten().min()
    }

    /// When answers are to be looked through for those that have been kept for long enough.
    pub(crate) fn expiry(&self, now: Now) -> Option<Instant> {
        let at = self.queue.first_ended()?.after(self.policy.keep);
        Some(now.clock + at.since(now.date).min(LONGEST_NAP))
    }
}

fn log_line(line: Option<Line>) {
    if let Some(line) = line {
        line.log();
    }
}

#[cfg(test)]
mod tests;
