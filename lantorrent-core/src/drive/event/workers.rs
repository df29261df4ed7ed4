//! Threads for what the loop must not wait for: started when there is work, and ended when there was none for a while.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::disk::{RETRY, Then};

/// How long a thread waits for more to do.
const IDLE: Duration = Duration::from_secs(5);

/// Something to do. What is not over is done again: behind all others, or after a while.
pub(super) type Job = Box<dyn FnMut() -> Then + Send>;

#[derive(Debug)]
pub(super) struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: &'static str,
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// In the order in which their time comes: all wait equally long.
    later: VecDeque<(Instant, Job)>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("threads", &self.threads)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

impl Workers {
    /// At most so many threads. The first starts at once, and stays: from then on whatever is to be done will be.
    pub(super) fn start(name: &'static str, most: usize) -> io::Result<Self> {
        let shared = Shared { name, most, state: Mutex::default(), changed: Condvar::new() };
        let this = Self(Arc::new(shared));
        this.0.lock().threads = 1;
        this.0.spawn()?;
        Ok(this)
    }

    pub(super) fn put(&self, job: Job) {
        let mut state = self.0.lock();
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.threads < self.0.most {
            state.threads += 1;
            drop(state);
            if let Err(error) = self.0.spawn() {
                // There is at least one, which will come to it.
                log::warn!("no further thread for files or names: {error}");
                self.0.lock().threads -= 1;
            }
        } else {
            drop(state);
            self.0.changed.notify_one();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
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

    fn work(&self) {
        while let Some(mut job) = self.next() {
            match job() {
                Then::Over => {}
                Then::More => {
                    self.lock().jobs.push_back(job);
                    // What is before it may take long.
                    self.changed.notify_one();
                }
                Then::Again => self.lock().later.push_back((Instant::now() + RETRY, job)),
            }
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
            if state.closed && soon.is_none() {
                state.threads -= 1;
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
                state.threads -= 1;
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_waits_for_something_holds_up_nobody() {
        let workers = Workers::start("test", 1).unwrap();
        let (done, heard) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let mut tries = 0;
        let waiting = done.clone();
        workers.put(Box::new(move || {
            tries += 1;
            if gate.try_recv().is_err() {
                return Then::Again;
            }
            waiting.send(tries).unwrap();
            Then::Over
        }));
        workers.put(Box::new(move || {
            done.send(0).unwrap();
            Then::Over
        }));
        assert_eq!(heard.recv().unwrap(), 0);
        open.send(()).unwrap();
        assert!(heard.recv().unwrap() >= 1);
    }

    #[test]
    fn there_are_only_so_many() {
        let workers = Workers::start("test", 3).unwrap();
        let (done, heard) = mpsc::channel();
        for _ in 0..50 {
            let done = done.clone();
            workers.put(Box::new(move || {
                thread::sleep(Duration::from_millis(1));
                done.send(()).unwrap();
                Then::Over
            }));
            assert!(workers.0.lock().threads <= 3);
        }
        (0..50).for_each(|_| heard.recv().unwrap());
    }
}
