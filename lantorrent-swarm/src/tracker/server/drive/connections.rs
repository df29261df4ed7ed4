//! All connections: how many there may be, and for how long.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mio::Token;

use super::connection::{Connection, Progress};
use crate::tracker::server::Tracker;

/// Connections at the same time: fewer than a process may have descriptors. A further one takes the oldest one's place,
/// since whoever comes with a request has it answered at once.
const MOST: usize = 900;
/// How long one may take for all that it wants.
const LIFETIME: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Connections {
    /// Each with when it has to be gone. All may stay equally long, so that the oldest is the next.
    open: BTreeMap<Token, (Instant, Connection)>,
    next: usize,
}

impl Connections {
    /// Their tokens begin with that number.
    pub(super) fn new(first: usize) -> Self {
        Self { open: BTreeMap::new(), next: first }
    }

    /// The token that the next connection has to be registered under.
    pub(super) fn token(&self) -> Token {
        Token(self.next)
    }

    pub(super) fn add(&mut self, now: Instant, connection: Connection) {
        let token = self.token();
        self.next += 1;
        while self.open.len() >= MOST {
            self.open.pop_first();
        }
        self.open.insert(token, (now + LIFETIME, connection));
    }

    /// Its socket is ready.
    pub(super) fn go_on(&mut self, now: Instant, token: Token, tracker: &mut Tracker) {
        if let Some((_, connection)) = self.open.get_mut(&token)
            && connection.go_on(now, tracker) == Progress::Over
        {
            self.open.remove(&token);
        }
    }

    /// Ends those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.deadline().is_some_and(|end| end <= now) {
            self.open.pop_first();
        }
    }

    /// When the next one has to be gone.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.first_key_value().map(|(_, (end, _))| *end)
    }
}
