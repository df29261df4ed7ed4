//! The same with one seed after another.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::many::{only, replay};

/// Runs `run` with each seed from 0 to `count` - 1, or with that of the environment alone.
pub(crate) fn seeds(count: u64, run: impl Fn(u64)) {
    if let Some(seed) = only() {
        return run(seed);
    }
    for seed in 0..count {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(seed))) {
            eprintln!("to see this run alone: {}", replay(seed));
            resume_unwind(panic);
        }
    }
}
