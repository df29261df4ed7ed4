//! The connections from upstream that a session has: one is read, others come to take its place, or are on their way
//! out.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::super::outbox::{FAREWELL, LINGER, Outbox};
use super::doorbell::Arrival;
use super::handshake::drain;
use super::live::Guest;
use crate::session::{Proven, UpstreamId};

#[derive(Debug)]
struct Upstream {
    guest: Arc<Guest>,
    outbox: Outbox,
    first: Vec<u8>,
    reader: Option<Gone>,
}

/// Says that a thread is gone, by being disconnected.
type Gone = mpsc::Receiver<()>;

/// What a thread needs that reads from an upstream.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) guest: Arc<Guest>,
    /// What came behind the greeting.
    pub(super) first: Vec<u8>,
    /// Dropped at the thread's end.
    pub(super) gone: mpsc::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct Upstreams {
    all: HashMap<UpstreamId, Upstream>,
    current: Option<UpstreamId>,
}

impl Upstreams {
    /// Takes in a connection, and returns what the session has to know of it.
    pub(super) fn add(&mut self, arrival: Arrival) -> (UpstreamId, Box<Proven>) {
        let Arrival { guest, proven, first } = arrival;
        let id = UpstreamId(guest.number);
        let outbox = Outbox::default();
        self.all.insert(id, Upstream { guest, outbox, first, reader: None });
        (id, proven)
    }

    /// From now on a thread reads from that one. None if it is not here any more.
    pub(super) fn read(&mut self, id: UpstreamId) -> Option<Reading> {
        let upstream = self.all.get_mut(&id)?;
        let (running, gone) = mpsc::channel();
        upstream.reader = Some(gone);
        self.current = Some(id);
        let first = std::mem::take(&mut upstream.first);
        Some(Reading { guest: Arc::clone(&upstream.guest), first, gone: running })
    }

    /// Whether that one is the last one that was read.
    pub(super) fn is_read(&self, id: UpstreamId) -> bool {
        self.current == Some(id)
    }

    pub(super) fn say(&mut self, id: UpstreamId, bytes: &[u8]) {
        if let Some(upstream) = self.all.get_mut(&id) {
            upstream.outbox.say(&upstream.guest.socket, bytes);
        }
    }

    /// Writes what can be written without waiting. Returns whether something is left.
    pub(super) fn flush(&mut self) -> bool {
        let mut left = false;
        for upstream in self.all.values_mut() {
            left |= upstream.outbox.flush(&upstream.guest.socket);
        }
        left
    }

    /// Says what is left to say, and closes, on a thread of its own: that may take seconds.
    pub(super) fn close(&mut self, id: UpstreamId) {
        let Some(mut upstream) = self.all.remove(&id) else { return };
        // As a rule that is all, and nobody has to wait for a thread to hear it.
        upstream.outbox.flush(&upstream.guest.socket);
        let close = move || upstream.say_goodbye();
        if let Err(error) = thread::Builder::new().name("goodbye".into()).spawn(close) {
            log::error!("no thread for the last words to upstream: {error}");
        }
    }

    /// Closes at once. Whatever is under way is lost.
    pub(super) fn reset(&mut self, id: UpstreamId) {
        if let Some(upstream) = self.all.remove(&id) {
            let _ = SockRef::from(&upstream.guest.socket).set_linger(Some(Duration::ZERO));
            let _ = upstream.guest.socket.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        // Whoever still reads from one would never hear of it otherwise.
        for upstream in self.all.values() {
            let _ = upstream.guest.socket.shutdown(Shutdown::Both);
        }
    }
}

impl Upstream {
    fn say_goodbye(mut self) {
        say_rest(&self.guest, &self.outbox.take());
        match self.reader {
            // Two that read the same connection would each get a part of it.
            Some(reader) => drop(reader.recv_timeout(LINGER)),
            None => drain(&self.guest.socket, LINGER),
        }
        let _ = self.guest.socket.shutdown(Shutdown::Both);
    }
}

/// Says the last word to a connection that no session has, and closes it.
pub(super) fn say_last(guest: &Arc<Guest>, bytes: &[u8]) {
    say_rest(guest, bytes);
    drain(&guest.socket, LINGER);
}

/// Says what is left to say, and that it was the last word.
fn say_rest(guest: &Guest, bytes: &[u8]) {
    let socket = &guest.socket;
    let result: io::Result<()> = socket
        .set_write_timeout(Some(FAREWELL))
        .and_then(|()| (&*socket).write_all(bytes))
        .and_then(|()| socket.shutdown(Shutdown::Write));
    // An upstream that has heard everything may hang up first.
    if let Err(error) = result
        && !bytes.is_empty()
    {
        log::info!("the last words to upstream were lost: {error}");
    }
}
