//! A host: what it does with connections, and what outlives each of them.

use std::fmt;
use std::time::Duration;

use lantorrent_core::session::{Proven, Roster, Timing};
use lantorrent_core::wire::{Keyring, Nonce};

use crate::disk::Disk;

/// What a liar writes towards its parent once it was let in.
pub(crate) type Script = fn(&mut Proven, &Keyring) -> Vec<u8>;

/// What a host does with a connection.
#[derive(Clone)]
pub(crate) enum Manner {
    /// A node as it should be.
    Node,
    /// Nobody listens.
    Refuses,
    /// No answer at all, not even a refusal.
    BlackHole,
    /// Accepts, and says nothing.
    Mute,
    /// Accepts, and says this.
    Says(&'static [u8]),
    /// Knows the password, and says what the script makes. After the payload it goes on to listen.
    Liar(Script),
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Refuses => "refuses",
            Self::BlackHole => "black hole",
            Self::Mute => "mute",
            Self::Says(_) => "says nonsense",
            Self::Liar(_) => "liar",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) manner: Manner,
    pub(crate) keys: Keyring,
    pub(crate) timing: Timing,
    pub(crate) disk: Disk,
    pub(crate) roster: Roster,
    pub(crate) stopping: Option<Duration>,
    /// It stands still, and its connections with it.
    pub(crate) frozen: bool,
    /// The ids of each request whose transfer was begun here, each time that it was.
    pub(crate) begun: Vec<String>,
    /// The nonce of each header that was proven here.
    pub(crate) nonces: Vec<Nonce>,
    /// How far the payload came here.
    pub(crate) received: u64,
}

impl Host {
    pub(crate) fn new(manner: Manner, keys: Keyring, timing: Timing) -> Self {
        Self {
            manner,
            keys,
            timing,
            disk: Disk::default(),
            roster: Roster::default(),
            stopping: None,
            frozen: false,
            begun: Vec::new(),
            nonces: Vec::new(),
            received: 0,
        }
    }
}

impl crate::random::Random {
    /// Some way of not being a node.
    pub(crate) fn pick_manner(&mut self) -> Manner {
        match self.below(4) {
            0 => Manner::Refuses,
            1 => Manner::BlackHole,
            2 => Manner::Mute,
            _ => Manner::Says(b"220 mail.example ESMTP\r\n"),
        }
    }
}
