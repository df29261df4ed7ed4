//! All connections: how many there may be, and for how long.

use std::collections::{HashMap, VecDeque};
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
    open: HashMap<Token, Connection>,
    /// Who has to be gone by when, the next first.
    ends: VecDeque<(Instant, Token)>,
    next: usize,
}

impl Connections {
    /// Their tokens begin with that number.
    pub(super) fn new(first: usize) -> Self {
        Self { open: HashMap::new(), ends: VecDeque::new(), next: first }
    }

    /// The token that the next connection has to be registered under.
    pub(super) fn token(&self) -> Token {
        Token(self.next)
    }

    pub(super) fn add(&mut self, now: Instant, connection: Connection) {
        let token = self.token();
        self.next += 1;
        while self.open.len() >= MOST
            && let Some((_, oldest)) = self.ends.pop_front()
        {
            self.open.remove(&oldest);
        }
        self.open.insert(token, connection);
        self.ends.push_back((now + LIFETIME, token));
    }

    /// Its socket is ready.
    pub(super) fn go_on(&mut self, now: Instant, token: Token, tracker: &mut Tracker) {
        if let Some(connection) = self.open.get_mut(&token)
            && connection.go_on(now, tracker) == Progress::Over
        {
            self.open.remove(&token);
        }
    }

    /// Ends those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some(&(end, token)) = self.ends.front() {
            if end > now && self.open.contains_key(&token) {
                return;
            }
            self.open.remove(&token);
            self.ends.pop_front();
        }
    }

    /// When the next one has to be gone.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ends.front().map(|(end, _)| *end)
    }
}
