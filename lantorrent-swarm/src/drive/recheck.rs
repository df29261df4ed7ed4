//! Torrents that are hashed again because somebody asks for it, or because they can be read no more.

use std::io;
use std::time::Instant;

use rustix::io::Errno;

use super::alert::TorrentWarning;
use super::engine::Engine;
use super::running::{Phase, TorrentKey};
use crate::InfoHash;
use crate::swarm::{Event, Fetching};

impl Engine {
    /// Has all of it hashed: at once, or as soon as it is open.
    pub(super) fn recheck(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        match torrent.phase {
            Phase::Checking | Phase::Metadata | Phase::Finishing => torrent.doubted = true,
            _ if torrent.content.is_some() => self.look_again(hash),
            _ => self.warn(hash, TorrentWarning::NotOpen),
        }
    }

    /// A piece that was there cannot be read.
    pub(super) fn unreadable(&mut self, hash: InfoHash, piece: u32, error: &io::Error) {
        if Errno::from_io_error(error) == Some(Errno::MFILE) {
            return log::debug!("piece {piece} of {hash} cannot be read now: {error}");
        }
        self.warn(hash, TorrentWarning::Unreadable { cause: error.to_string() });
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        match torrent.phase {
            // Who has found one piece damaged does not know how it is with the others; and the files are not to be
            // written to.
            Phase::Seeding => self.look_again(hash),
            _ => torrent.machine.handle(Instant::now(), Event::Lost(piece)),
        }
    }

    pub(super) fn look_again(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let Some(content) = torrent.content.take() else { return };
        let now = Instant::now();
        torrent.webs.stop_all();
        torrent.machine.handle(now, Event::Recheck);
        torrent.machine.handle(now, Event::Fetching(Fetching::On));
        (torrent.phase, torrent.doubted, torrent.hashed) = (Phase::Checking, false, 0);
        let (home, key) = (torrent.home.clone(), TorrentKey(hash, torrent.added));
        self.disk.recheck(key, home, content);
        self.settle(hash);
    }
}
