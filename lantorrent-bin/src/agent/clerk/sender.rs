//! What the clerk knows of sending.

use std::sync::mpsc;

use lantorrent_core::wire::{Code, limits};

use super::writer::Command;
use crate::agent::desk::{Batch, Event, Verdict};
use crate::agent::request::Record;
use crate::agent::underway::BatchId;
use crate::time::Timestamp;

/// Who sends batches. Called on the thread that writes the queue, so nothing here may wait.
pub(crate) trait Sender: Send {
    /// Begins to send, and tells `reporter` of it: the result of each request, once, and the end.
    fn send(&mut self, batch: Batch, reporter: Reporter);

    /// The request is not wanted any more. Its result is still to be reported, whatever it is.
    fn cancel(&mut self, batch: BatchId, id: &str);

    /// Removes what an earlier transfer may have left on the node of a request that was cancelled, if that can be done.
    fn clean(&mut self, record: &Record);
}

/// How a batch fares. Cheap to clone, and usable from any thread.
#[derive(Clone)]
pub(crate) struct Reporter {
    batch: BatchId,
    clerk: mpsc::Sender<Command>,
}

impl Reporter {
    pub(super) fn new(batch: BatchId, clerk: mpsc::Sender<Command>) -> Self {
        Self { batch, clerk }
    }

    /// The transfer has its id.
    pub(crate) fn began(&self, transfer: &str) {
        self.tell(Command::Began { batch: self.batch, transfer: transfer.to_owned() });
    }

    /// What became of a request.
    pub(crate) fn reported(&self, id: &str, code: Code, reason: &str) {
        let (batch, id, at) = (self.batch, id.to_owned(), Timestamp::now());
        self.tell(Command::Note(Event::Reported { batch, id, at, result: verdict(code, reason) }));
    }

    /// The batch is over. What was not reported has this result; or it waits again, and this was no attempt.
    pub(crate) fn ended(&self, rest: Option<(Code, &str)>) {
        let rest = rest.map(|(code, reason)| verdict(code, reason));
        self.tell(Command::Note(Event::Ended { batch: self.batch, at: Timestamp::now(), rest }));
    }

    fn tell(&self, command: Command) {
        // A queue that is closed does not need it: after a restart, what has no result waits.
        let _ = self.clerk.send(command);
    }
}

fn verdict(code: Code, reason: &str) -> Verdict {
    let mut end = reason.len().min(limits::MESSAGE_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    Verdict { code, reason: reason[..end].to_owned() }
}
