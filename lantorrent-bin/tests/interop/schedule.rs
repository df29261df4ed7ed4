//! Runs cells, many at a time, and tells of each when it is done.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::cell;
use crate::table::Cell;

/// How many run at a time: nearly always each of them waits for somebody's next round.
const AT_A_TIME: usize = 16;

/// A cell's name, and what is wrong if anything is.
type Outcome = (String, Result<(), String>);

/// Runs them, and prints what became of them as other tests do. `left_out` is how many there are besides.
pub(crate) fn run(cells: Vec<Cell>, left_out: usize) -> ExitCode {
    println!("\nrunning {} tests", cells.len());
    let started = Instant::now();
    // What is measured is measured alone.
    let (measured, others): (Vec<Cell>, Vec<Cell>) = cells.into_iter().partition(|cell| cell.is_measured());
    let mut outcomes = work_off(measured, 1);
    outcomes.extend(work_off(others, AT_A_TIME));
    let failures = outcomes.iter().filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)));
    let failed = failures.clone().count();
    for (name, failure) in failures {
        println!("\n---- {name}\n{failure}");
    }
    println!(
        "\ntest result: {}. {} passed; {failed} failed; 0 ignored; 0 measured; {left_out} filtered out; finished in {:.2}s\n",
        if failed == 0 { "ok" } else { "FAILED" },
        outcomes.len() - failed,
        started.elapsed().as_secs_f64()
    );
    ExitCode::from(u8::from(failed > 0))
}

fn work_off(cells: Vec<Cell>, at_a_time: usize) -> Vec<Outcome> {
    let (cells, outcomes) = (Mutex::new(cells.into_iter()), Mutex::new(Vec::new()));
    let next = || cells.lock().unwrap_or_else(PoisonError::into_inner).next();
    let worker = || {
        while let Some(cell) = next() {
            let outcome = run_one(cell);
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
        }
    };
    thread::scope(|scope| (0..at_a_time).for_each(|_| drop(scope.spawn(worker))));
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn run_one(cell: Cell) -> Outcome {
    let started = Instant::now();
    // Whatever happens in there, its processes end when what holds them is dropped.
    let outcome = catch_unwind(AssertUnwindSafe(|| cell::run(cell)));
    let outcome = outcome.unwrap_or_else(|panic| Err(message(&*panic)));
    let (verdict, told) = match &outcome {
        Ok(told) => ("ok", told.as_str()),
        Err(_) => ("FAILED", ""),
    };
    println!("test {} ... {verdict} ({:.1} s{told})", cell.name(), started.elapsed().as_secs_f64());
    (cell.name(), outcome.map(drop))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
        .unwrap_or_else(|| "panicked".into())
}
