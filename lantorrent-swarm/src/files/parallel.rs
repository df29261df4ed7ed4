//! One thing for every piece, on all cores.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does the work for each of `count` pieces, in no order, on as many threads as there are cores. Ends early with the first
/// error.
pub(super) fn each_piece<E: Send>(count: u32, work: impl Fn(u32) -> Result<(), E> + Sync) -> Result<(), E> {
    let next = AtomicU32::new(0);
    let error = Mutex::new(None);
    let run = || {
        let take = |next: u32| (next < count).then(|| next + 1);
        while let Ok(piece) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            if let Err(first) = work(piece) {
                // The others find nothing left to do.
                next.store(count, Ordering::Relaxed);
                error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(first);
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    thread::scope(|scope| {
        for _ in 1..cores.min(count) {
            // Without the thread it takes longer, and that is all.
            let _ = thread::Builder::new().name("hash".into()).spawn_scoped(scope, run);
        }
        run();
    });
    error.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once() {
        for count in [0, 1, 2, 1000] {
            let seen = Mutex::new(vec![0; count as usize]);
            let done: Result<(), ()> = each_piece(count, |piece| {
                seen.lock().unwrap()[piece as usize] += 1;
                Ok(())
            });
            assert_eq!((done, seen.into_inner().unwrap()), (Ok(()), vec![1; count as usize]));
        }
    }

    #[test]
    fn an_error_ends_it() {
        let done = AtomicU32::new(0);
        let result = each_piece(u32::MAX, |piece| {
            done.fetch_add(1, Ordering::Relaxed);
            if piece >= 100 { Err("no more") } else { Ok(()) }
        });
        assert_eq!(result, Err("no more"));
        assert!(done.load(Ordering::Relaxed) < 1_000_000, "the rest is not even tried");
    }
}
