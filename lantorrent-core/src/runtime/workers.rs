//! Threads for what an event loop must not wait for: started when there is work, and ended when there was none for a while.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread waits for more to do.
const IDLE: Duration = Duration::from_secs(5);
/// After which time a job is tried again that has to wait for something.
pub const RETRY: Duration = Duration::from_millis(10);

/// What comes after a call of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Another call, behind the jobs that wait already.
    More,
    /// Another call after [`RETRY`]: what the job needs is in use.
    Again,
    /// Nothing.
    Over,
}

type Job = Box<dyn FnMut() -> Then + Send>;

/// Up to a number of threads that take jobs in the order in which they were given. Dropping it waits for no thread; every
/// job is still done, unless they are [abandoned](Self::abandon).
#[derive(Debug)]
pub struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    /// There is something for a thread to do, or none is needed any more.
    changed: Condvar,
    /// The last thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// In the order in which their time comes: all wait equally long.
    later: VecDeque<(Instant, Job)>,
    threads: usize,
    idle: usize,
    phase: Phase,
}

/// Open → Closing → Abandoned; either may be left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// Threads end when every job is done.
    Closing,
    /// Threads end when their job returns.
    Abandoned,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads)
            .field("idle", &self.idle)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Workers {
    /// At most `most` threads. The first starts at once, and stays: from then on every job will be done.
    pub fn start(name: &'static str, most: usize) -> io::Result<Self> {
        let (changed, ended) = (Condvar::new(), Condvar::new());
        let this = Self(Arc::new(Shared { name, most, state: Mutex::default(), changed, ended }));
        this.0.lock().threads = 1;
        this.0.spawn()?;
        Ok(this)
    }

    /// Has a thread call `job` until it is over.
    pub fn put(&self, job: impl FnMut() -> Then + Send + 'static) {
        let mut state = self.0.lock();
        if state.phase != Phase::Open {
            return;
        }
        state.jobs.push_back(Box::new(job));
        if state.jobs.len() > state.idle && state.threads < self.0.most {
            state.threads += 1;
            drop(state);
            if let Err(error) = self.0.spawn() {
                // There is at least one, which will come to it.
                log::warn!("no further thread for {}: {error}", self.0.name);
                self.0.leave(self.0.lock());
            }
        } else {
            drop(state);
            self.0.changed.notify_one();
        }
    }

    /// Has a thread call `job` once.
    pub fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        let mut job = Some(job);
        self.put(move || {
            if let Some(job) = job.take() {
                job();
            }
            Then::Over
        });
    }

    /// Drops the jobs that no thread has begun, takes no more, and waits for none: calls that have begun end by themselves.
    pub fn abandon(&self) {
        self.0.close(Phase::Abandoned);
    }

    /// Waits until every job is done.
    pub fn finish(self) {
        self.0.close(Phase::Closing);
        let mut state = self.0.lock();
        while state.threads > 0 {
            state = self.0.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.close(Phase::Closing);
    }
}

impl Shared {
    // No call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(self: &Arc<Self>) -> io::Result<()> {
        let shared = Arc::clone(self);
        thread::Builder::new().name(self.name.into()).spawn(move || shared.work()).map(drop)
    }

    fn close(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase != Phase::Abandoned {
            state.phase = phase;
        }
        let dropped = (state.phase == Phase::Abandoned)
            .then(|| (std::mem::take(&mut state.jobs), std::mem::take(&mut state.later)));
        drop(state);
        drop(dropped);
        self.changed.notify_all();
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            self.carry_out(job);
        }
    }

    fn carry_out(&self, mut job: Job) {
        // A job that panics costs no thread. The panic has been reported.
        let then = catch_unwind(AssertUnwindSafe(&mut job)).unwrap_or_else(|_| {
            log::error!("a job for {} has panicked", self.name);
            Then::Over
        });
        let mut state = self.lock();
        if state.phase == Phase::Abandoned {
            return;
        }
        match then {
            Then::Over => {}
            Then::More => {
                state.jobs.push_back(job);
                drop(state);
                // What is before it may take long.
                self.changed.notify_one();
            }
            Then::Again => state.later.push_back((Instant::now() + RETRY, job)),
        }
    }

    /// Waits for something to do. None if this thread is not needed any more.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.later.front().is_some_and(|(at, _)| *at <= now) {
                return state.later.pop_front().map(|(_, job)| job);
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            let soon = state.later.front().map(|(at, _)| *at - now);
            if state.phase != Phase::Open && soon.is_none() {
                self.leave(state);
                return None;
            }
            state.idle += 1;
            let (guard, timeout) = self
                .changed
                .wait_timeout(state, soon.unwrap_or(IDLE))
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if timeout.timed_out() && soon.is_none() && state.jobs.is_empty() && state.threads > 1 {
                self.leave(state);
                return None;
            }
        }
    }

    /// One thread less.
    fn leave(&self, mut state: MutexGuard<'_, State>) {
        state.threads -= 1;
        if state.threads == 0 {
            self.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_job_that_waits_for_something_holds_up_no_other() {
        let workers = Workers::start("test", 1).unwrap();
        let (done, heard) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let mut tries = 0;
        let waiting = done.clone();
        workers.put(move || {
            tries += 1;
            if gate.try_recv().is_err() {
                return Then::Again;
            }
            waiting.send(tries).unwrap();
            Then::Over
        });
        workers.spawn(move || done.send(0).unwrap());
        assert_eq!(heard.recv().unwrap(), 0);
        open.send(()).unwrap();
        assert!(heard.recv().unwrap() >= 1);
    }

    #[test]
    fn there_are_no_more_threads_than_allowed() {
        let workers = Workers::start("test", 3).unwrap();
        let (done, heard) = mpsc::channel();
        for _ in 0..50 {
            let done = done.clone();
            workers.spawn(move || {
                thread::sleep(Duration::from_millis(1));
                done.send(()).unwrap();
            });
            assert!(workers.0.lock().threads <= 3);
        }
        (0..50).for_each(|_| heard.recv().unwrap());
    }

    #[test]
    fn jobs_begin_in_the_order_in_which_they_were_given() {
        let workers = Workers::start("test", 1).unwrap();
        let (done, heard) = mpsc::channel();
        let mut calls = 0;
        let first = done.clone();
        workers.put(move || {
            calls += 1;
            first.send(0).unwrap();
            if calls < 3 { Then::More } else { Then::Over }
        });
        for number in 1..=9 {
            let done = done.clone();
            workers.spawn(move || done.send(number).unwrap());
        }
        workers.finish();
        drop(done);
        let others: Vec<_> = heard.iter().filter(|number| *number > 0).collect();
        assert_eq!(others, (1..=9).collect::<Vec<_>>());
    }

    #[test]
    fn every_job_is_done_before_it_is_finished() {
        let (done, heard) = mpsc::channel();
        let workers = Workers::start("test", 3).unwrap();
        for number in 0..100 {
            let (done, mut tries) = (done.clone(), number % 3);
            workers.put(move || {
                if tries > 0 {
                    tries -= 1;
                    return Then::Again;
                }
                done.send(number).unwrap();
                Then::Over
            });
        }
        workers.finish();
        let mut numbers: Vec<_> = heard.try_iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn every_job_is_done_after_it_was_dropped() {
        let (done, heard) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let workers = Workers::start("test", 1).unwrap();
        workers.spawn(move || wait.recv().unwrap());
        workers.spawn(move || done.send(7).unwrap());
        drop(workers);
        go.send(()).unwrap();
        assert_eq!(heard.recv(), Ok(7));
    }

    #[test]
    fn no_job_is_waited_for_that_is_abandoned() {
        let (go, wait) = mpsc::channel::<()>();
        let (done, heard) = mpsc::channel();
        let workers = Workers::start("test", 1).unwrap();
        let first = done.clone();
        workers.put(move || {
            first.send("begun").unwrap();
            assert!(wait.recv().is_err());
            first.send("ended").unwrap();
            Then::More
        });
        let late = done.clone();
        workers.spawn(move || done.send("never").unwrap());
        assert_eq!(heard.recv(), Ok("begun"));
        workers.abandon();
        workers.spawn(move || late.send("late").unwrap());
        drop((workers, go));
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["ended"]);
    }

    #[test]
    fn a_job_that_panics_costs_no_thread() {
        let (done, heard) = mpsc::channel();
        let workers = Workers::start("test", 1).unwrap();
        workers.spawn(|| panic!("one of the test"));
        workers.spawn(move || done.send(7).unwrap());
        assert_eq!(heard.recv(), Ok(7));
        workers.finish();
    }
}
