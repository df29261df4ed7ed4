//! The thread that makes a partial file durable while it grows, so that the journal can speak of it.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::writer::{Trouble, Writer};

/// How many bytes go to the disk at once.
const STEP: u64 = 16 << 20;
/// How many bytes the journal may be behind.
const LAG: u64 = 64 << 20;

/// Counts what is noted, lets it be recorded step by step, and makes who is too far ahead wait. The thread begins with
/// the first step, so that a small file does without. Dropping this ends it.
pub(super) struct Recorder {
    block_size: u64,
    shared: Arc<Shared>,
    worker: Mutex<Worker>,
}

struct Shared {
    control: Mutex<Control>,
    changed: Condvar,
}

/// Bytes in the order in which they were noted. A hole counts as one block, however long it is: it costs neither the
/// disk nor whoever receives it again more than that.
#[derive(Debug, Default)]
struct Control {
    noted: u64,
    /// Up to where the thread has been asked to record.
    asked: u64,
    recorded: u64,
    /// The thread shall end.
    stop: bool,
    /// Nothing is recorded any more.
    off: bool,
    /// Why the file itself could not be made durable.
    fault: Option<io::Error>,
}

enum Worker {
    Idle(Writer),
    Running(JoinHandle<Writer>),
    Gone,
}

impl Recorder {
    pub(super) fn new(writer: Writer, block_size: u32) -> Self {
        let shared = Shared { control: Mutex::default(), changed: Condvar::new() };
        let (block_size, worker) = (u64::from(block_size), Mutex::new(Worker::Idle(writer)));
        Self { block_size, shared: Arc::new(shared), worker }
    }

    /// One more block, or hole, was written and its digest noted.
    pub(super) fn noted(&self) {
        let mut control = self.shared.control();
        if control.off {
            return;
        }
        control.noted += self.block_size;
        if control.noted - control.asked >= STEP {
            control.asked = control.noted;
            self.shared.changed.notify_all();
            if let Err(error) = self.start() {
                log::warn!(
                    "no thread for a journal, so a file cannot be resumed if it is interrupted: {error}"
                );
                control.off = true;
            }
        }
        while control.noted - control.recorded > LAG && !control.off {
            control = self.shared.wait(control);
        }
    }

    /// Why the file could not be made durable, if it could not.
    pub(super) fn fault(&self) -> Option<io::Error> {
        let control = self.shared.control();
        control.fault.as_ref().map(|error| match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::new(error.kind(), error.to_string()),
        })
    }

    /// Ends the thread after what it is at.
    pub(super) fn stop(&self) {
        drop(self.take_writer());
    }

    /// Records all that was noted, as the last thing.
    pub(super) fn complete(&self) {
        let Some(mut writer) = self.take_writer() else { return };
        if self.shared.control().off {
            return;
        }
        if let Err(trouble) = writer.step().and_then(|()| writer.sync_journal()) {
            self.shared.give_up(trouble);
        }
    }

    fn take_writer(&self) -> Option<Writer> {
        self.shared.control().stop = true;
        self.shared.changed.notify_all();
        match mem::replace(&mut *self.worker(), Worker::Gone) {
            Worker::Idle(writer) => Some(writer),
            Worker::Running(thread) => thread.join().ok(),
            Worker::Gone => None,
        }
    }

    fn start(&self) -> io::Result<()> {
        let mut worker = self.worker();
        *worker = match mem::replace(&mut *worker, Worker::Gone) {
            Worker::Idle(writer) => {
                let shared = Arc::clone(&self.shared);
                let run = move || shared.record_until_stopped(writer);
                Worker::Running(thread::Builder::new().name("journal".into()).spawn(run)?)
            }
            worker => worker,
        };
        Ok(())
    }

    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorder").field(&*self.shared.control()).finish()
    }
}

impl Shared {
    fn record_until_stopped(&self, mut writer: Writer) -> Writer {
        while let Some(noted) = self.next() {
            if let Err(trouble) = writer.step() {
                self.give_up(trouble);
                break;
            }
            self.control().recorded = noted;
            self.changed.notify_all();
        }
        writer
    }

    /// Waits until there is something to record, and says up to where: all that was noted before this is in the file.
    fn next(&self) -> Option<u64> {
        let mut control = self.control();
        loop {
            if control.stop {
                return None;
            }
            if control.asked > control.recorded {
                return Some(control.noted);
            }
            control = self.wait(control);
        }
    }

    fn give_up(&self, trouble: Trouble) {
        let mut control = self.control();
        control.off = true;
        match trouble {
            Trouble::File(error) => control.fault = Some(error),
            Trouble::Journal(error) => {
                log::warn!("a journal cannot be written, so a file can be resumed only in part: {error}");
            }
        }
        self.changed.notify_all();
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, control: MutexGuard<'a, Control>) -> MutexGuard<'a, Control> {
        self.changed.wait(control).unwrap_or_else(PoisonError::into_inner)
    }
}
