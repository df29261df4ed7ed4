//! Many runs, and the seeds of those that failed.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

/// The seed that the environment asks for.
pub(crate) fn only() -> Option<u64> {
    let seed = std::env::var("LANTORRENT_SEED").ok()?;
    Some(seed.parse().expect("LANTORRENT_SEED is a number"))
}

/// The seeds that the environment asks for: the first so many, as `LANTORRENT_SEEDS=60000`, or those of a range, as
/// `LANTORRENT_SEEDS=60000..62000`; without it the first `usual` ones.
pub(crate) fn wanted(usual: u64) -> Range<u64> {
    std::env::var("LANTORRENT_SEEDS").map_or(0..usual, |text| {
        range(&text).expect("LANTORRENT_SEEDS is a number, or a range such as 60000..62000")
    })
}

fn range(text: &str) -> Option<Range<u64>> {
    let (first, end) = text.split_once("..").unwrap_or(("0", text));
    let seeds = first.parse().ok()?..end.parse().ok()?;
    // A window in which nothing is tried would pass whatever is wrong.
    (!seeds.is_empty()).then_some(seeds)
}

/// The command that runs a seed alone. To be asked for on the thread of its test.
pub(crate) fn replay(seed: u64) -> String {
    let test = thread::current();
    // The test's name, unless tests run one after the other.
    let test = test.name().filter(|name| *name != "main").unwrap_or_default();
    let (package, target) = (env!("CARGO_PKG_NAME"), env!("CARGO_CRATE_NAME"));
    format!("LANTORRENT_SEED={seed} cargo test -p {package} --test {target} {test}").trim_end().to_owned()
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

/// Runs `run` with each of the seeds, on all processors, and returns the failures in order.
pub(crate) fn many(seeds: &Range<u64>, run: impl Fn(u64) + Sync) -> Vec<Failure> {
    catch_quietly();
    let next = AtomicU64::new(seeds.start);
    let failures = Mutex::new(Vec::new());
    let work = || {
        CAUGHT.set(Some(String::new()));
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
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

#[test]
fn seeds_are_a_number_or_a_range() {
    assert_eq!(range("60000"), Some(0..60_000));
    assert_eq!(range("60000..62000"), Some(60_000..62_000));
    for wrong in ["", "0", "5..5", "7..5", "..5", "5..", "-1", "a..b"] {
        assert_eq!(range(wrong), None, "{wrong:?}");
    }
}
