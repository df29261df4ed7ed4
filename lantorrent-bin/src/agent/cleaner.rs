//! Removes what interrupted attempts have left on the nodes of requests that were taken back.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

use lantorrent_core::{Cancel, Error};

use super::request::Record;
use super::sender::Setup;

/// What waits to be removed. More is left to the nodes, which remove what nobody comes back for.
const WAITING: usize = 10_000;
/// Nodes that are asked at the same time.
const TOGETHER: usize = 256;

/// One thread, as long as there is something to remove.
#[derive(Default)]
pub(super) struct Cleaner(Mutex<Option<SyncSender<Leftover>>>);

/// What one request may have left on its node.
struct Leftover {
    record: Record,
    setup: Setup,
}

impl Cleaner {
    /// Does not wait.
    pub(super) fn clean(&self, record: &Record, setup: &Setup) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::sync_channel(WAITING);
            // Without a thread nobody receives, which is said below.
            let _ = std::thread::Builder::new().name("cleaner".into()).spawn(move || run(&receiver));
            sender
        });
        let id = record.id.clone();
        if queue.try_send(Leftover { record: record.clone(), setup: setup.clone() }).is_err() {
            log::warn!("request {id}: what it may have left on its node is left to the node");
        }
    }
}

fn run(queue: &Receiver<Leftover>) {
    while let Ok(first) = queue.recv() {
        let mut together = vec![first];
        together.extend(queue.try_iter().take(TOGETHER - 1));
        // Each names its file by version, and most are of the same one.
        together.sort_by(|one, other| one.record.wanted.source.cmp(&other.record.wanted.source));
        for same in together.chunk_by(|one, other| one.record.wanted.source == other.record.wanted.source) {
            if let Err(error) = remove(same) {
                log::warn!(
                    "what requests for {} have left is left to the nodes: {error}",
                    same[0].record.wanted.source
                );
            }
        }
    }
}

fn remove(same: &[Leftover]) -> Result<(), Error> {
    let Leftover { record, setup } = &same[0];
    let source = Cancel::source(&record.wanted.source)?;
    let cancel = Cancel::new(setup.keys.clone(), source).timing(setup.timing.clone());
    let outcome =
        same.iter().fold(cancel, |cancel, leftover| cancel.to(leftover.record.wanted.target())).run()?;
    for (leftover, report) in same.iter().zip(outcome.reports()) {
        log::info!("request {}: what it left on its node: {}", leftover.record.id, report.message);
    }
    Ok(())
}
