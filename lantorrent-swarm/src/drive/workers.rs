//! Threads for what the loop must not wait for: hashing, writing, opening files, asking by HTTP.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// Something to do.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// So many threads that take jobs in the order in which they were given. All that was given is done before they end,
/// unless they are abandoned.
#[derive(Debug)]
pub(super) struct Workers {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    abandoned: Arc<AtomicBool>,
}

impl Workers {
    pub(super) fn start(name: &str, count: usize) -> io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        let abandoned = Arc::new(AtomicBool::new(false));
        let start = |_| {
            let (queue, abandoned) = (Arc::clone(&queue), Arc::clone(&abandoned));
            thread::Builder::new().name(name.into()).spawn(move || work(&queue, &abandoned))
        };
        let threads = (0..count).map(start).collect::<io::Result<_>>()?;
        Ok(Self { jobs: Some(jobs), threads, abandoned })
    }

    pub(super) fn put(&self, job: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            // There is somebody at the other end for as long as this lives.
            let _ = jobs.send(Box::new(job));
        }
    }

    /// Does nothing more of what was given, and waits for nobody: what is under way ends when it ends.
    pub(super) fn abandon(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.jobs = None;
        self.threads.clear();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a worker has panicked");
            }
        }
    }
}

fn work(queue: &Mutex<Receiver<Job>>, abandoned: &AtomicBool) {
    loop {
        // One waits for the next job, and the others for the lock.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) if !abandoned.load(Ordering::Relaxed) => job(),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_before_they_end() {
        let (done, heard) = mpsc::channel();
        let workers = Workers::start("test", 3).unwrap();
        for number in 0..100 {
            let done = done.clone();
            workers.put(move || done.send(number).unwrap());
        }
        drop((workers, done));
        let mut numbers: Vec<_> = heard.iter().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_is_waited_for_that_is_abandoned() {
        let (go, wait) = mpsc::channel::<()>();
        let (done, heard) = mpsc::channel();
        let mut workers = Workers::start("test", 1).unwrap();
        let first = done.clone();
        workers.put(move || {
            first.send("begun").unwrap();
            assert!(wait.recv().is_err());
            first.send("ended").unwrap();
        });
        workers.put(move || done.send("never").unwrap());
        assert_eq!(heard.recv(), Ok("begun"));
        workers.abandon();
        drop((workers, go));
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["ended"]);
    }
}
