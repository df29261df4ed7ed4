//! Batches on their way: one transfer for each, on a thread of its own.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lantorrent_core::session::Timing;
use lantorrent_core::wire::{Code, Keyring, Report};
use lantorrent_core::{Dscp, Error, Limit, Outcome, Target, Transfer, TransferEvent, TransferHandle};

use super::cleaner::Cleaner;
use super::clerk::{self, Batch, Reporter};
use super::metrics::Metrics;
use super::repository::Repository;
use super::request::Record;
use super::transfers::{Beginning, Transfers};

/// Sends what the clerk gives it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sender(Arc<Inner>);

struct Inner {
    setup: Mutex<Setup>,
    limit: Limit,
    transfers: Arc<Transfers>,
    metrics: Arc<Metrics>,
    cleaner: Cleaner,
    running: Mutex<HashMap<u64, Running>>,
    /// Told whenever one has ended.
    ended: Condvar,
}

/// What a transfer needs besides its batch, as the configuration says.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) keys: Keyring,
    pub(crate) timing: Timing,
    pub(crate) repository: Arc<Repository>,
    /// Of what all transfers send together, in bytes a second. Can be changed by [`Sender::limit`] until the configuration
    /// is read again.
    pub(crate) limit: Option<u64>,
    /// How what they send is marked.
    pub(crate) dscp: Option<Dscp>,
}

/// A batch on its way.
struct Running {
    reporter: Reporter,
    /// None until its source is open.
    handle: Option<TransferHandle>,
    /// The target of a request, by its place.
    places: HashMap<String, usize>,
    /// How many requests a target serves that have not been taken back, by its place.
    wanted: Vec<usize>,
    /// Whether what is not done is given back to the clerk.
    is_suspended: bool,
}

/// The targets of a batch: requests that want the same file in the same place share one.
struct Plan {
    targets: Vec<Target>,
    /// The requests of each.
    requests: Vec<Vec<String>>,
}

impl Plan {
    fn of(batch: &Batch) -> Self {
        let mut plan = Self { targets: Vec::new(), requests: Vec::new() };
        let mut places = HashMap::new();
        for record in &batch.requests {
            let target = record.wanted.target();
            let place = *places.entry(target.clone()).or_insert_with(|| {
                plan.targets.push(target);
                plan.requests.push(Vec::new());
                plan.targets.len() - 1
            });
            plan.requests[place].push(record.id.clone());
        }
        plan
    }
}

impl Running {
    fn of(plan: &Plan, reporter: Reporter) -> Self {
        let places = plan.requests.iter().enumerate();
        let places = places.flat_map(|(place, ids)| ids.iter().map(move |id| (id.clone(), place))).collect();
        let wanted = plan.requests.iter().map(Vec::len).collect();
        Self { reporter, handle: None, places, wanted, is_suspended: false }
    }

    /// Takes a request back. Returns the place of a target that nobody wants any more.
    fn take_back(&mut self, id: &str) -> Option<usize> {
        let place = self.places.remove(id)?;
        self.wanted[place] -= 1;
        (self.wanted[place] == 0).then_some(place)
    }
}

impl Sender {
    pub(crate) fn new(setup: Setup, transfers: Arc<Transfers>, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Inner {
            limit: Limit::new(setup.limit),
            setup: Mutex::new(setup),
            transfers,
            metrics,
            cleaner: Cleaner::default(),
            running: Mutex::default(),
            ended: Condvar::new(),
        }))
    }

    /// Shared by all transfers, and changed by whoever has it.
    pub(crate) fn limit(&self) -> Limit {
        self.0.limit.clone()
    }

    /// Holds for transfers that begin from now on; the limit also for those that run.
    pub(crate) fn reconfigure(&self, setup: Setup) {
        self.0.limit.set(setup.limit);
        *self.0.setup.lock().unwrap_or_else(PoisonError::into_inner) = setup;
    }

    /// Interrupts all transfers, so that they can be gone on with later, and waits at most that long for their end.
    pub(crate) fn suspend(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut running = self.running();
        for batch in running.values_mut() {
            batch.is_suspended = true;
            if let Some(handle) = &batch.handle {
                handle.suspend();
            }
        }
        while !running.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return log::warn!("{} transfers are left as they are", running.len());
            }
            running = self.0.ended.wait_timeout(running, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// From its source to its end.
    fn run(&self, batch: &Batch, plan: Plan, reporter: &Reporter) {
        let failure = self.transfer(batch, plan, reporter).err();
        let running = self.running().remove(&batch.id);
        // What was suspended has not failed.
        let failure = failure.filter(|_| running.is_none_or(|running| !running.is_suspended));
        reporter.ended(failure.as_ref().map(|(code, reason)| (*code, reason.as_str())));
        self.0.ended.notify_all();
    }

    fn transfer(&self, batch: &Batch, plan: Plan, reporter: &Reporter) -> Result<(), (Code, String)> {
        let setup = self.setup();
        let source = setup.repository.open(&batch.source);
        let source = source.map_err(|refusal| (Code::SOURCE_FAILED, refusal.detail))?;
        let size = source.metadata().map_or(0, |metadata| metadata.len());
        let transfer = Transfer::from_open_file(source, &batch.source, setup.keys);
        let transfer = transfer.map_err(|error| failure(&error))?;
        let mut transfer = transfer.timing(setup.timing).limit(self.limit());
        if let Some(dscp) = setup.dscp {
            transfer = transfer.dscp(dscp);
        }
        for target in plan.targets {
            transfer = transfer.to(target);
        }
        if !self.take_up(batch.id, transfer.handle()) {
            return Ok(());
        }
        let desk = Desk {
            sender: self.clone(),
            batch: batch.id,
            source: batch.source.clone(),
            size,
            requests: plan.requests,
            reporter: reporter.clone(),
        };
        let outcome = transfer.on_event(move |event| desk.hear(event)).send();
        let sent = outcome.as_ref().map_or(0, Outcome::sent);
        self.0.transfers.ended(batch.id, sent);
        self.0.metrics.sent_bytes.add(sent);
        outcome.map(drop).map_err(|error| failure(&error))
    }

    /// From now on the transfer can be reached. False if it need not begin.
    fn take_up(&self, batch: u64, handle: TransferHandle) -> bool {
        let mut running = self.running();
        let Some(running) = running.get_mut(&batch).filter(|running| !running.is_suspended) else {
            return false;
        };
        for (place, &wanted) in running.wanted.iter().enumerate() {
            if wanted == 0 {
                take_back(&handle, place);
            }
        }
        running.handle = Some(handle);
        true
    }

    fn setup(&self) -> Setup {
        self.0.setup.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl clerk::Sender for Sender {
    fn send(&mut self, batch: Batch, reporter: Reporter) {
        let plan = Plan::of(&batch);
        self.running().insert(batch.id, Running::of(&plan, reporter.clone()));
        let (this, id, again) = (self.clone(), batch.id, reporter.clone());
        let run = move || this.run(&batch, plan, &reporter);
        if let Err(error) = std::thread::Builder::new().name("transfer".into()).spawn(run) {
            self.running().remove(&id);
            again.ended(Some((Code::UNKNOWN, &format!("the agent has no thread to send with: {error}"))));
        }
    }

    /// Others that want the same file in the same place still get it; where there are none, the node is told to
    /// remove it.
    fn cancel(&mut self, batch: u64, id: &str) {
        let mut running = self.running();
        let Some(batch) = running.get_mut(&batch) else { return };
        match (batch.take_back(id), &batch.handle) {
            (Some(place), Some(handle)) => take_back(handle, place),
            // Its transfer cancels it as soon as it is there.
            (Some(_), None) => {}
            (None, _) => batch.reporter.reported(id, Code::CANCELLED, Code::CANCELLED.meaning()),
        }
    }

    fn clean(&mut self, record: &Record) {
        self.0.cleaner.clean(record, &self.setup());
    }
}

/// The target in that place is not wanted any more.
fn take_back(transfer: &TransferHandle, place: usize) {
    if let Err(error) = transfer.cancel(place) {
        log::error!("cannot cancel: {error}");
    }
}

/// Hears what a transfer says, for the clerk and for who looks at it.
struct Desk {
    sender: Sender,
    batch: u64,
    source: String,
    size: u64,
    requests: Vec<Vec<String>>,
    reporter: Reporter,
}

impl Desk {
    fn hear(&self, event: &TransferEvent) {
        let transfers = &self.sender.0.transfers;
        match event {
            TransferEvent::Begun { transfer, nodes, .. } => {
                transfers.begun(&Beginning {
                    batch: self.batch,
                    transfer: *transfer,
                    source: &self.source,
                    size: self.size,
                    nodes,
                    requests: &self.requests,
                });
                self.sender.0.metrics.transfers.add(1);
                self.reporter.began(&transfer.to_string());
            }
            TransferEvent::Progress(progress) => {
                transfers.progressed(self.batch, progress.sent, progress.size, &progress.nodes);
            }
            TransferEvent::Bypassed(report) => log::warn!("{}: {}", self.source, report.message),
            TransferEvent::Ended(ended) => self.report(ended.report()),
            _ => {}
        }
    }

    fn report(&self, report: &Report) {
        let Some(place) = report.id.as_deref().and_then(|id| id.parse::<usize>().ok()) else { return };
        let is_good = report.code.is_success();
        self.sender.0.transfers.reported(self.batch, place, is_good);
        // Others go back to the clerk as they came.
        if !is_good && self.is_suspended() {
            return;
        }
        for id in self.requests.get(place).into_iter().flatten() {
            self.reporter.reported(id, report.code, &report.message);
        }
    }

    fn is_suspended(&self) -> bool {
        self.sender.running().get(&self.batch).is_some_and(|running| running.is_suspended)
    }
}

/// Why nothing of a batch was sent.
fn failure(error: &Error) -> (Code, String) {
    let code = if matches!(error, Error::Source { .. }) { Code::SOURCE_FAILED } else { Code::UNKNOWN };
    (code, error.to_string())
}
