//! The handle of one torrent, and what it shares with its session: the way to the engine's thread.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::Duration;

use lantorrent_core::runtime::Mailbox;

use super::message::Message;
use super::status::Status;
use crate::InfoHash;
use crate::swarm::Limits;

/// How often a caller that waits for an answer checks that the engine is there to give it.
const WATCH: Duration = Duration::from_millis(200);

/// The way to the engine's thread.
#[derive(Clone)]
pub(super) struct Remote {
    mailbox: Arc<Mailbox<Message>>,
    /// Dropped with the thread, however that ends.
    alive: Weak<()>,
}

impl Remote {
    pub(super) fn new(mailbox: Arc<Mailbox<Message>>, alive: &Arc<()>) -> Self {
        Self { mailbox, alive: Arc::downgrade(alive) }
    }

    /// Never waits for the engine. Nothing happens if that has ended.
    pub(super) fn send(&self, message: Message) {
        if self.is_alive() {
            self.mailbox.send(message);
        }
    }

    /// Waits for an answer. None if the engine has ended.
    pub(super) fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Message) -> Option<T> {
        let (to, from) = mpsc::channel();
        self.send(question(to));
        loop {
            match from.recv_timeout(WATCH) {
                Ok(answer) => return Some(answer),
                // A question that the engine has not taken before its end stays in the mailbox.
                Err(RecvTimeoutError::Timeout) if self.is_alive() => {}
                Err(_) => return None,
            }
        }
    }

    fn is_alive(&self) -> bool {
        self.alive.strong_count() > 0
    }
}

/// A torrent of a session. Clones are handles of the same one.
///
/// It stands for the torrent of that info hash, whether that was added already or not. Dropping it changes nothing, and where
/// the torrent is not there, or the session has ended, its methods do nothing.
#[derive(Clone)]
#[must_use = "a torrent is removed with `remove`, and not by dropping its handle; `let _ =` says that it is not needed"]
pub struct TorrentHandle {
    info_hash: InfoHash,
    remote: Remote,
}

impl std::fmt::Debug for TorrentHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TorrentHandle").field("info_hash", &self.info_hash).finish_non_exhaustive()
    }
}

impl TorrentHandle {
    pub(super) fn new(info_hash: InfoHash, remote: Remote) -> Self {
        Self { info_hash, remote }
    }

    /// The torrent's name among peers.
    pub fn info_hash(&self) -> InfoHash {
        self.info_hash
    }

    /// State, progress and rates. None if the torrent is not in the session, or the session has ended.
    pub fn status(&self) -> Option<Status> {
        self.remote.ask(|to| Message::Status(self.info_hash, to)).flatten()
    }

    /// Takes the torrent out of the session. Its files stay as they are. [`Alert::Removed`](super::Alert::Removed) follows.
    pub fn remove(&self) {
        self.remote.send(Message::Remove(self.info_hash));
    }

    /// Hashes all of the torrent again, whatever journal and records say. Meanwhile it has no peers.
    ///
    /// It ends with [`Alert::Finished`](super::Alert::Finished) if all is right; what is wrong is fetched again, or is a
    /// failure with [`Existing::Serve`](super::Existing::Serve). A torrent that is just being checked is checked again; one
    /// that could not be opened gets a warning and nothing else.
    pub fn recheck(&self) {
        self.remote.send(Message::Recheck(self.info_hash));
    }

    /// Replaces the limits of the torrent.
    ///
    /// The rate at which it may receive is set by its own [`Limit`](lantorrent_core::Limit),
    /// [`AddTorrent::download`](super::AddTorrent): [`Limits::download`](crate::swarm::Limits::download) changes nothing
    /// here.
    pub fn limit(&self, limits: Limits) {
        self.remote.send(Message::Limit(self.info_hash, limits));
    }

    /// Keeps the torrent from being evicted, whether it is there already or added later, until it is
    /// [unpinned](Self::unpin).
    pub fn pin(&self) {
        self.remote.send(Message::Pin(self.info_hash));
    }

    /// Lets the torrent be evicted when others need room ([`Bounds::quota`](super::Bounds::quota)).
    pub fn unpin(&self) {
        self.remote.send(Message::Unpin(self.info_hash));
    }
}
