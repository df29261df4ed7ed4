//! One child: what it is sent, and what that waits for.

use std::time::Instant;

use lantorrent_core::flow::{SendStep, Sender, Tell};
use lantorrent_core::session::{FeedInput, LinkId};

use super::backing::{Backing, SimRing};
use super::link::{ConnId, Side};
use super::net::Net;
use super::socket::{Forging, Socket};
use crate::forger::Forger;

#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) conn: ConnId,
    pub(crate) link: LinkId,
    /// Whether the connection stands. Nothing is read or written before.
    pub(crate) connected: bool,
    pub(crate) sender: Sender,
    /// What changes what it is sent.
    pub(crate) forger: Option<Forger>,
    /// What has to happen before there is something to send; none if there may be.
    pub(crate) waits: Option<Waits>,
    /// How far it was when that was last looked at, and whether it is being sent what was read from a file.
    pub(crate) position: Option<u64>,
    pub(crate) from_file: bool,
    /// Whether what it was sent last came from memory.
    pub(crate) from_memory: bool,
}

/// What a child's sender waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waits {
    Socket,
    Ring,
    Until(Instant),
}

/// What came of sending.
pub(crate) enum Sent {
    Something,
    Nothing,
    NeedsFile(Backing, u64, u64),
    /// Its link is closed, or its last frame is out.
    Over,
}

impl Child {
    pub(crate) fn new(link: LinkId, conn: ConnId, sender: Sender) -> Self {
        Self {
            conn,
            link,
            connected: false,
            sender,
            forger: None,
            waits: None,
            position: None,
            from_file: false,
            from_memory: false,
        }
    }

    /// Takes note of how far it is.
    pub(crate) fn is_at(&mut self, position: Option<u64>) {
        if self.position.is_some() && position > self.position {
            self.from_memory = !std::mem::take(&mut self.from_file);
        }
        self.position = position;
    }

    pub(crate) fn send(&mut self, net: &mut Net, ring: &SimRing, tell: &mut Tell<'_, FeedInput>) -> Sent {
        if !self.connected || self.waits.is_some() {
            return Sent::Nothing;
        }
        let now = net.now().instant;
        let mut socket = Socket { net, conn: self.conn, side: Side::Dialer };
        let step = match &mut self.forger {
            None => self.sender.step(now, &mut socket, ring, tell),
            Some(forger) => self.sender.step(now, &mut Forging { socket, forger }, ring, tell),
        };
        self.waits = Some(match step {
            SendStep::Moved(_) => return Sent::Something,
            SendStep::WouldBlock => Waits::Socket,
            SendStep::Until(at) | SendStep::AwaitsFile { until: Some(at), .. } => Waits::Until(at),
            SendStep::Idle(_) | SendStep::AwaitsFile { until: None, .. } => Waits::Ring,
            SendStep::NeedsFile { backing, offset, len } => {
                return Sent::NeedsFile(backing.file().clone(), offset, len);
            }
            SendStep::Finish => {
                net.shut_down(self.conn, Side::Dialer);
                return Sent::Something;
            }
            SendStep::Over => return Sent::Over,
            // A writer of this network finds out when it reads.
            SendStep::Failed(error) => panic!("{error}"),
        });
        Sent::Nothing
    }
}
