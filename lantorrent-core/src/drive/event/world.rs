//! What sessions and connections share on the loop: the poll, the timers, the workers, the blocks.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::super::site::Site;
use super::mailbox::Mailbox;
use super::pending::{Look, Pending};
use crate::flow::Stock;
use crate::flow::admission::Slots;
use crate::runtime::Timers;
use crate::runtime::workers::{Then, Workers};
use crate::session::LinkId;

/// The poll wakes up for other threads.
pub(super) const WAKER: Token = Token(0);
/// A peer connects.
pub(super) const LISTENER: Token = Token(1);

/// Bytes that are read at once of what does not go into blocks.
const SCRATCH: usize = 64 << 10;
/// Threads that look up names: more than a name server that is silent can keep busy.
const NAMES: usize = 256;

/// Whose a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Pending,
    /// It is from upstream, in that session.
    Upstream(u64),
    Child(u64, LinkId),
}

/// Whose time a timer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    Session(u64),
    Pending(Token),
    /// Connections can be accepted again.
    Acceptor,
    /// Old partial files are looked for.
    Cleaning,
}

/// What has more to do than it had time for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ready {
    Session(u64),
    Pending(Token),
}

pub(super) struct World {
    pub(super) site: Arc<Site>,
    registry: Registry,
    owners: HashMap<Token, Owner>,
    last: Token,
    pub(super) pending: HashMap<Token, Pending>,
    /// Those of connections that peers have made.
    pub(super) slots: Slots,
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
        let slots = Slots::new(site.capacity);
        Self {
            site,
            registry,
            owners: HashMap::new(),
            last: LISTENER,
            pending: HashMap::new(),
            slots,
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
        Ok(token)
    }

    pub(super) fn owner(&self, token: Token) -> Option<Owner> {
        self.owners.get(&token).copied()
    }

    /// A pending connection is one no more, or again.
    pub(super) fn hand_over(&mut self, token: Token, owner: Owner) {
        self.owners.insert(token, owner);
    }

    /// That connection is closed.
    pub(super) fn forget(&mut self, token: Token) {
        if let Some(Owner::Pending | Owner::Upstream(_)) = self.owners.remove(&token) {
            self.slots.leave(token.0 as u64);
        }
    }

    pub(super) fn add_pending(&mut self, pending: Pending) {
        let token = pending.token;
        self.timers.set(Who::Pending(token), Some(pending.deadline()));
        self.owners.insert(token, Owner::Pending);
        self.pending.insert(token, pending);
        // The poll may have said before that there is something to read.
        self.ready.push_back(Ready::Pending(token));
    }

    pub(super) fn remove_pending(&mut self, token: Token) -> Option<Pending> {
        self.timers.set(Who::Pending(token), None);
        self.pending.remove(&token)
    }

    /// Closes a pending connection.
    pub(super) fn dismiss(&mut self, token: Token) {
        drop(self.remove_pending(token));
        self.forget(token);
    }

    /// Closes all pending connections but those that a session has sent away with its last words.
    pub(super) fn dismiss_pending(&mut self) {
        let all = self.pending.values().filter(|pending| !pending.is_waited_for);
        let tokens: Vec<Token> = all.map(|pending| pending.token).collect();
        for token in tokens {
            self.dismiss(token);
        }
    }

    /// Looks at a pending connection, by `how`.
    pub(super) fn look_at(
        &mut self,
        token: Token,
        how: impl FnOnce(&mut Pending, &Site, &mut [u8]) -> Look,
    ) -> Look {
        let Some(pending) = self.pending.get_mut(&token) else { return Look::Stays };
        let look = how(pending, &self.site, &mut self.scratch);
        self.timers.set(Who::Pending(token), Some(pending.deadline()));
        match look {
            Look::Gone => self.dismiss(token),
            Look::Again => self.ready.push_back(Ready::Pending(token)),
            Look::Stays | Look::Proven(..) => {}
        }
        look
    }

    /// Has a worker look up a name, which may take long.
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
