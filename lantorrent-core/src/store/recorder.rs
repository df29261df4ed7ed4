//! The thread that makes a file durable while it grows: so that the journal can speak of it, and so that little is left
//! to wait for at its end.

use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::writer::{Trouble, Writer};

/// How many bytes go to the disk at once.
const STEP: u64 = 16 << 20;
/// How many bytes the disk, and the journal, may be behind.
const LAG: u64 = 64 << 20;

/// Counts what is noted, lets it be recorded step by step, and makes who is too far ahead wait. The thread begins with
/// the first step, so that a small file does without. Dropping this ends it.
pub(super) struct Recorder {
    shared: Arc<Shared>,
    worker: Mutex<Worker>,
}

struct Shared {
    control: Mutex<Control>,
    changed: Condvar,
}

/// Bytes in the order in which they were noted.
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
    pub(super) fn new(writer: Writer) -> Self {
        let shared = Shared { control: Mutex::default(), changed: Condvar::new() };
        Self { shared: Arc::new(shared), worker: Mutex::new(Worker::Idle(writer)) }
    }

    /// That many bytes more were written and, where there is a journal, their digest noted.
    pub(super) fn noted(&self, bytes: u64) {
        let mut control = self.shared.control();
        if control.off {
            return;
        }
        control.noted += bytes;
        if control.noted - control.asked >= STEP {
            control.asked = control.noted;
            self.shared.changed.notify_all();
            if let Err(error) = self.start() {
                log::warn!(
                    "no thread to write a file to the disk early: its end takes longer, and it cannot be resumed if it \
                     is interrupted: {error}"
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::Duration;

    use tempfile::TempDir;

    use super::super::digests::Digests;
    use super::super::journal::{Header, Journal};
    use super::super::{Durability, Resume, Synced};
    use super::*;

    const MIB: u32 = 1 << 20;
    const WISH: Resume<'_> = Resume { version: b"v", block_size: MIB, durability: Durability::Sync };

    struct Bench {
        digests: Arc<Digests>,
        recorder: Recorder,
        folder: TempDir,
    }

    impl Bench {
        fn new(sync: fn(&File) -> io::Result<Synced>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let make = |name| {
                let mut options = File::options();
                options.read(true).write(true).create(true).truncate(false);
                options.open(folder.path().join(name)).unwrap()
            };
            let journal = Journal::begin(make("journal"), &Header::new(&WISH, None).unwrap()).unwrap();
            let digests = Arc::new(Digests::new(Some(journal)));
            let there = Arc::new(File::open(folder.path()).unwrap());
            let mut writer =
                Writer::new(Arc::clone(&digests), Arc::new(make("partial")), &there, Durability::Sync);
            writer.replace_sync(sync);
            Self { digests, recorder: Recorder::new(writer), folder }
        }

        fn note(&self, blocks: u8) {
            for block in 0..blocks {
                self.digests.note(&[block; 32], 1);
                self.recorder.noted(MIB.into());
            }
        }

        /// What the next process would find.
        fn journal(&self) -> u64 {
            let file = File::options().read(true).write(true).open(self.folder.path().join("journal"));
            Journal::load(file.unwrap(), &Header::new(&WISH, None).unwrap()).unwrap().blocks()
        }
    }

    fn wait_until(condition: impl Fn() -> bool) {
        for _ in 0..2000 {
            if condition() {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("it did not come to that");
    }

    #[test]
    fn a_small_file_needs_no_thread() {
        let bench = Bench::new(|_| panic!("nothing is to be synced yet"));
        bench.note(15);
        assert!(matches!(*bench.recorder.worker(), Worker::Idle(_)));
        assert_eq!(bench.journal(), 0);
    }

    #[test]
    fn nothing_is_recorded_before_it_is_durable_and_who_notes_waits_at_last() {
        static DURABLE: AtomicBool = AtomicBool::new(false);
        let bench = Bench::new(|_| {
            while !DURABLE.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(Synced::Durable)
        });
        let noted = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for block in 0..100 {
                    bench.digests.note(&[block; 32], 1);
                    bench.recorder.noted(MIB.into());
                    noted.fetch_add(1, Ordering::SeqCst);
                }
            });
            wait_until(|| noted.load(Ordering::SeqCst) == 64);
            thread::sleep(Duration::from_millis(50));
            assert_eq!(noted.load(Ordering::SeqCst), 64, "64 MiB may be missing, and no more");
            assert_eq!((bench.journal(), bench.digests.recorded()), (0, 0));
            // What waits can be looked up, and so can what is in the file.
            assert_eq!(bench.digests.get(64).unwrap(), [64; 32]);
            DURABLE.store(true, Ordering::SeqCst);
        });
        bench.recorder.complete();
        assert_eq!((bench.journal(), bench.digests.recorded()), (100, 100));
        for block in 0..100 {
            assert_eq!(bench.digests.get(u64::from(block)).unwrap(), [block; 32]);
        }
        assert!(bench.digests.get(100).is_none());
    }

    #[test]
    fn a_failed_sync_is_final() {
        static BROKEN: AtomicBool = AtomicBool::new(false);
        let bench = Bench::new(|_| {
            if BROKEN.load(Ordering::SeqCst) {
                Err(io::Error::from_raw_os_error(5))
            } else {
                Ok(Synced::Durable)
            }
        });
        bench.note(16);
        wait_until(|| bench.journal() == 16);
        BROKEN.store(true, Ordering::SeqCst);
        // Nobody waits for what will never be.
        bench.note(200);
        wait_until(|| bench.recorder.fault().is_some());
        assert_eq!(bench.recorder.fault().unwrap().raw_os_error(), Some(5));
        BROKEN.store(false, Ordering::SeqCst);
        bench.note(50);
        bench.recorder.complete();
        assert!(bench.recorder.fault().is_some());
        assert_eq!(bench.journal(), 16);
        // Who reads back still finds all.
        assert_eq!(bench.digests.get(16 + 199).unwrap(), [199; 32]);
    }

    #[test]
    fn the_last_sync_can_fail_too() {
        let bench = Bench::new(|_| Err(io::Error::other("broken")));
        bench.note(3);
        bench.recorder.complete();
        assert_eq!(bench.recorder.fault().unwrap().to_string(), "broken");
        assert_eq!(bench.journal(), 0);
    }

    #[test]
    fn a_journal_that_cannot_be_written_hinders_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("journal");
        drop(Journal::begin(File::create(&name).unwrap(), &Header::new(&WISH, None).unwrap()).unwrap());
        let read_only = File::open(&name).unwrap();
        let journal = Journal::load(read_only, &Header::new(&WISH, None).unwrap()).unwrap();
        let mut bench = Bench::new(|_| Ok(Synced::Durable));
        bench.digests = Arc::new(Digests::new(Some(journal)));
        let there = Arc::new(File::open(folder.path()).unwrap());
        let file = Arc::new(tempfile::tempfile().unwrap());
        let writer = Writer::new(Arc::clone(&bench.digests), file, &there, Durability::NoSync);
        bench.recorder = Recorder::new(writer);
        bench.note(250);
        assert!(bench.recorder.fault().is_none());
        assert_eq!(bench.digests.get(249).unwrap(), [249; 32]);
        assert_eq!(bench.digests.recorded(), 0);
        bench.recorder.complete();
        assert!(bench.recorder.fault().is_none());
    }

    #[test]
    fn blocks_larger_than_the_bounds_do_not_wait_for_ever() {
        let bench = Bench::new(|_| Ok(Synced::Durable));
        let writer = bench.recorder.take_writer().unwrap();
        let recorder = Recorder::new(writer);
        for block in 0..5 {
            bench.digests.note(&[block; 32], 1);
            recorder.noted(u32::MAX.into());
            assert!(
                bench.digests.recorded() > u64::from(block),
                "one such block is more than may be missing"
            );
        }
    }
}
