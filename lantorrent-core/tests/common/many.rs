//! Many runs, and the seeds of those that failed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

/// The seed that the environment asks for.
pub(crate) fn only() -> Option<u64> {
    let seed = std::env::var("LANTORRENT_SEED").ok()?;
    Some(seed.parse().expect("LANTORRENT_SEED is a number"))
}

/// A run that failed, and how.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) seed: u64,
    pub(crate) message: String,
}

thread_local! {
    /// What went wrong on this thread, where that is not to be printed at once.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn catch_quietly() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let quiet = CAUGHT
                .with_borrow_mut(|caught| caught.as_mut().map(|message| *message = describe(info)).is_some());
            if !quiet {
                loud(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map_or(String::new(), |at| format!("{}:{}: ", at.file(), at.line()));
    let payload = info.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    place + text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic")
}

/// Runs `run` with each seed from 0 to `count` - 1, on all processors, and returns the failures in order.
pub(crate) fn many(count: u64, run: impl Fn(u64) + Sync) -> Vec<Failure> {
    catch_quietly();
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let work = || {
        CAUGHT.set(Some(String::new()));
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= count {
                return;
            }
            if catch_unwind(AssertUnwindSafe(|| run(seed))).is_err() {
                let message = CAUGHT.replace(Some(String::new())).unwrap_or_default();
                failures.lock().expect("no thread panics here").push(Failure { seed, message });
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let mut failures = failures.into_inner().expect("no thread panics here");
    failures.sort_unstable_by_key(|failure| failure.seed);
    failures
}
