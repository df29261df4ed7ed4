//! What is said to upstream: never waited for while the session runs.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::{SendFlags, send};

/// Bytes that may wait for an upstream that does not listen. A source with the largest list has fewer results.
const MOST: usize = 32 << 20;
/// How long the last words may take.
pub(super) const FAREWELL: Duration = Duration::from_secs(5);
/// How long to listen to an upstream that was told the last word, so that it can read it before the connection is gone.
pub(super) const LINGER: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: Vec<u8>,
    broken: bool,
}

impl Outbox {
    /// What is said goes out with the next [`flush`](Self::flush), so that many lines are written as one.
    pub(super) fn say(&mut self, socket: &impl AsFd, bytes: &[u8]) {
        if self.broken {
            return;
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() > MOST {
            self.flush(socket);
        }
        if self.pending.len() > MOST {
            self.give_up("it does not listen");
        }
    }

    /// Writes what can be written without waiting. Returns whether something is left.
    pub(super) fn flush(&mut self, socket: &impl AsFd) -> bool {
        while !self.pending.is_empty() {
            match send(socket, &self.pending, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
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

    /// What is left to say.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }
}
