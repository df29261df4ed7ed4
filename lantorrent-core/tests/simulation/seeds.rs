//! Many runs, and the seed of the one that failed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `run` with each seed from 0 to `count` - 1, or with that of the environment alone.
pub(crate) fn seeds(count: u64, run: impl Fn(u64)) {
    if let Ok(seed) = std::env::var("LANTORRENT_SEED") {
        return run(seed.parse().expect("LANTORRENT_SEED is a number"));
    }
    for seed in 0..count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("to see this run alone: LANTORRENT_SEED={seed}");
            resume_unwind(panic);
        }
    }
}
