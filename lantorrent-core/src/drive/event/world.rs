//! What sessions and connections share on the loop: the poll, the timers, the workers, the blocks.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::super::site::Site;
use super::mailbox::Mailbox;
use super::pending::{Look, Stranger};
use super::stock::Stock;
use crate::runtime::Timers;
use crate::runtime::workers::{Then, Workers};
use crate::session::LinkId;

/// The poll wakes up for other threads.
pub(super) const WAKER: Token = Token(0);
/// Somebody connects.
pub(super) const LISTENER: Token = Token(1);

/// Bytes that are read at once of what does not go into blocks.
const SCRATCH: usize = 64 << 10;
/// Threads that look up names: more than a name server that is silent can keep busy.
const NAMES: usize = 256;

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Stranger,
    /// It is from upstream, in that session.
    Upstream(u64),
    Child(u64, LinkId),
}

/// Whose time a timer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    Session(u64),
    Stranger(Token),
    /// Connections can be accepted again.
    Door,
    /// Old partial files are looked for.
    Cleaning,
}

/// Who has more to do than it had time for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ready {
    Session(u64),
    Stranger(Token),
}

pub(super) struct World {
    pub(super) site: Arc<Site>,
    registry: Registry,
    owners: HashMap<Token, Owner>,
    last: Token,
    pub(super) strangers: HashMap<Token, Stranger>,
    /// Those that introduce themselves, the oldest first.
    greeting: BTreeSet<Token>,
    /// Connections that others have made.
    guests: usize,
    pub(super) ready: VecDeque<Ready>,
    pub(super) timers: Timers<Who>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) disks: Workers,
    /// Started when the first name is to be looked up.
    names: Option<Workers>,
    pub(super) stock: Stock,
    pub(super) scratch: Vec<u8>,
}

impl World {
    pub(super) fn new(site: Arc<Site>, registry: Registry, mailbox: Arc<Mailbox>, disks: Workers) -> Self {
        Self {
            site,
            registry,
            owners: HashMap::new(),
            last: LISTENER,
            strangers: HashMap::new(),
            greeting: BTreeSet::new(),
            guests: 0,
            ready: VecDeque::new(),
            timers: Timers::default(),
            mailbox,
            disks,
            names: None,
            stock: Stock::default(),
            scratch: vec![0; SCRATCH],
        }
    }

    /// From now on the poll watches that connection.
    pub(super) fn take_in(&mut self, socket: &mut TcpStream, owner: Owner) -> io::Result<Token> {
        let token = Token(self.last.0 + 1);
        self.registry.register(socket, token, Interest::READABLE | Interest::WRITABLE)?;
        self.last = token;
        self.owners.insert(token, owner);
        if !matches!(owner, Owner::Child(..)) {
            self.guests += 1;
        }
        Ok(token)
    }

    pub(super) fn owner(&self, token: Token) -> Option<Owner> {
        self.owners.get(&token).copied()
    }

    /// A stranger is one no more, or again.
    pub(super) fn hand_over(&mut self, token: Token, owner: Owner) {
        self.owners.insert(token, owner);
    }

    /// That connection is closed.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(Owner::Stranger | Owner::Upstream(_)) = self.owners.remove(&token) {
            self.guests -= 1;
        }
    }

    /// How many connections others have made, and how many of them introduce themselves.
    pub(super) fn guests(&self) -> (usize, usize) {
        (self.guests, self.greeting.len())
    }

    pub(super) fn add_stranger(&mut self, stranger: Stranger) {
        let token = stranger.token;
        self.timers.set(Who::Stranger(token), Some(stranger.deadline()));
        if stranger.is_greeting() {
            self.greeting.insert(token);
        }
        self.owners.insert(token, Owner::Stranger);
        self.strangers.insert(token, stranger);
        // The poll may have said before that there is something to read.
        self.ready.push_back(Ready::Stranger(token));
    }

    pub(super) fn remove_stranger(&mut self, token: Token) -> Option<Stranger> {
        self.greeting.remove(&token);
        self.timers.set(Who::Stranger(token), None);
        self.strangers.remove(&token)
    }

    /// Closes the connection that has been introducing itself for longest.
    pub(super) fn crowd_out(&mut self) {
        if let Some(&oldest) = self.greeting.first() {
            self.dismiss(oldest);
        }
    }

    /// Closes a stranger's connection.
    pub(super) fn dismiss(&mut self, token: Token) {
        drop(self.remove_stranger(token));
        self.forget(token);
    }

    /// Closes all connections of strangers but those that a session has sent away with its last words.
    pub(super) fn dismiss_strangers(&mut self) {
        let all = self.strangers.values().filter(|stranger| !stranger.is_waited_for);
        let tokens: Vec<Token> = all.map(|stranger| stranger.token).collect();
        for token in tokens {
            self.dismiss(token);
        }
    }

    /// Looks at a stranger, by `how`.
    pub(super) fn look_at(
        &mut self,
        token: Token,
        how: impl FnOnce(&mut Stranger, &Site, &mut [u8]) -> Look,
    ) -> Look {
        let Some(stranger) = self.strangers.get_mut(&token) else { return Look::Stays };
        let look = how(stranger, &self.site, &mut self.scratch);
        self.timers.set(Who::Stranger(token), Some(stranger.deadline()));
        if !stranger.is_greeting() {
            self.greeting.remove(&token);
        }
        match look {
            Look::Gone => self.dismiss(token),
            Look::Again => self.ready.push_back(Ready::Stranger(token)),
            Look::Stays | Look::Proven(..) => {}
        }
        look
    }

    /// Has somebody look up a name, which may take long.
    pub(super) fn look_up(&mut self, job: impl FnMut() -> Then + Send + 'static) -> io::Result<()> {
        if self.names.is_none() {
            self.names = Some(Workers::start("names", NAMES)?);
        }
        if let Some(names) = &self.names {
            names.put(job);
        }
        Ok(())
    }
}
