//! The connections that are open: a bounded number, each of which can be told that the server stops.

use std::collections::HashMap;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::stream::Stream;

/// Who takes longer than that to take an answer may have to go for others.
const SLOW: Duration = Duration::from_secs(2);

/// All who are connected.
#[derive(Debug)]
pub(super) struct Guests {
    most: usize,
    book: Mutex<Book>,
    /// Somebody has left, or the server stops.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    there: HashMap<u64, Entry>,
    is_closing: bool,
}

#[derive(Debug)]
struct Entry {
    stream: Arc<Stream>,
    stage: Stage,
    /// When it got there.
    since: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing of its next request has come.
    Idle,
    /// Not all of its head has.
    Heading,
    Working,
    /// It is to take its answer.
    Telling,
}

impl Entry {
    /// Whether it may have to go for another one, and before which others. Over the network anybody may come.
    fn rank(&self, now: Instant) -> Option<(bool, bool, Instant)> {
        let is_slow = now.saturating_duration_since(self.since) >= SLOW;
        let may_go = match self.stage {
            Stage::Idle | Stage::Heading => true,
            Stage::Working => false,
            Stage::Telling => is_slow,
        };
        may_go.then_some((self.stage == Stage::Telling, matches!(*self.stream, Stream::Unix(_)), self.since))
    }
}

impl Book {
    /// Closes the connection that can be spared most, if one can.
    fn crowd_out(&mut self, now: Instant) -> bool {
        let ranked = self.there.iter().filter_map(|(&number, entry)| Some((entry.rank(now)?, number)));
        let Some((_, number)) = ranked.min() else { return false };
        if let Some(entry) = self.there.remove(&number) {
            entry.stream.shutdown(Shutdown::Both);
        }
        true
    }
}

impl Guests {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, book: Mutex::default(), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the stream back where there is no room for it. Who only holds the line makes room, the oldest first, and
    /// then who does not take an answer.
    pub(super) fn admit(self: &Arc<Self>, stream: Stream) -> Result<Guest, Stream> {
        let mut book = self.lock();
        if book.is_closing || book.there.len() >= self.most && !book.crowd_out(Instant::now()) {
            return Err(stream);
        }
        let stream = Arc::new(stream);
        let number = book.next;
        book.next += 1;
        book.there
            .insert(number, Entry { stream: Arc::clone(&stream), stage: Stage::Idle, since: Instant::now() });
        Ok(Guest { number, stream, guests: Arc::clone(self) })
    }

    pub(super) fn count(&self) -> usize {
        self.lock().there.len()
    }

    #[cfg(test)]
    pub(super) fn is_anybody_busy(&self) -> bool {
        self.lock().there.values().any(|entry| entry.stage != Stage::Idle)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    /// Nobody comes in from now on, who is idle leaves, and who is not leaves after the answer.
    pub(super) fn close(&self) {
        let mut book = self.lock();
        book.is_closing = true;
        for entry in book.there.values().filter(|entry| entry.stage == Stage::Idle) {
            entry.stream.shutdown(Shutdown::Read);
        }
    }

    /// Whatever they are about, it goes no further.
    pub(super) fn cut(&self) {
        for entry in self.lock().there.values() {
            entry.stream.shutdown(Shutdown::Both);
        }
    }

    /// Waits until nobody is there, or for the deadline.
    pub(super) fn wait(&self, deadline: Instant) {
        let mut book = self.lock();
        while !book.there.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            book = self.changed.wait_timeout(book, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    number: u64,
    pub(super) stream: Arc<Stream>,
    guests: Arc<Guests>,
}

impl Guest {
    /// It has had its answer. False if there is not to be another.
    pub(super) fn rest(&self) -> bool {
        self.is_now(Stage::Idle)
    }

    /// Its next request has begun. False if it came too late.
    pub(super) fn begin(&self) -> bool {
        self.is_now(Stage::Heading)
    }

    /// The head of its request is there.
    pub(super) fn work(&self) {
        self.is_now(Stage::Working);
    }

    /// Its answer is.
    pub(super) fn tell(&self) {
        self.is_now(Stage::Telling);
    }

    fn is_now(&self, stage: Stage) -> bool {
        let mut book = self.guests.lock();
        // A thread that starts late makes its connection no younger.
        if let Some(entry) = book.there.get_mut(&self.number).filter(|entry| entry.stage != stage) {
            (entry.stage, entry.since) = (stage, Instant::now());
        }
        !book.is_closing
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.lock().there.remove(&self.number);
        self.guests.changed.notify_all();
    }
}
