//! What is said to upstream: never waited for while the session runs.

use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::{SendFlags, send};

use super::live::Guest;

/// Bytes that may wait for an upstream that does not listen. A source with the largest list has fewer results.
const MOST: usize = 32 << 20;
/// How long the last words may take.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Outbox {
    guest: Arc<Guest>,
    pending: Vec<u8>,
    broken: bool,
}

impl Outbox {
    pub(super) fn new(guest: Arc<Guest>) -> Self {
        Self { guest, pending: Vec::new(), broken: false }
    }

    /// What is said goes out with the next [`flush`](Self::flush), so that many lines are written as one.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() > MOST {
            self.flush();
        }
        if self.pending.len() > MOST {
            self.give_up("it does not listen");
        }
    }

    /// Writes what can be written without waiting. Returns whether something is left.
    pub(super) fn flush(&mut self) -> bool {
        while !self.pending.is_empty() {
            match send(&self.guest.socket, &self.pending, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => {
                    self.pending.drain(..count);
                }
                Err(rustix::io::Errno::AGAIN) => return true,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => self.give_up(&error.to_string()),
            }
        }
        false
    }

    fn give_up(&mut self, why: &str) {
        log::info!("cannot report to upstream any more: {why}");
        self.broken = true;
        self.pending = Vec::new();
    }

    /// Says what is left to say, and that it was the last word.
    pub(super) fn close(&mut self) {
        let last = std::mem::take(&mut self.pending);
        let socket = &self.guest.socket;
        let result: io::Result<()> = socket
            .set_write_timeout(Some(FAREWELL))
            .and_then(|()| (&*socket).write_all(&last))
            .and_then(|()| socket.shutdown(Shutdown::Write));
        // An upstream that has heard everything may hang up first.
        if let Err(error) = result
            && !last.is_empty()
        {
            log::info!("the last words to upstream were lost: {error}");
        }
    }
}
