//! When the sources of peers are told of a torrent: by the rules for private ones.

use std::time::Instant;

use super::engine::Engine;
use super::peer_sources::SourceNews;
use super::running::TorrentKey;
use crate::InfoHash;
use crate::swarm::Event;

impl Engine {
    /// The torrent is ready for peers: it is told to trackers, and to others if it is known not to be private, or not known
    /// whether it is.
    pub(super) fn seek(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get(&hash) else { return };
        let (key, private) = (TorrentKey(hash, torrent.added), torrent.is_private());
        self.sources.announce(key, &self.torrents);
        if !private {
            self.sources.publish(hash);
        }
        self.hear_sources();
    }

    /// There is nothing to serve, and never will be.
    pub(super) fn give_up(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        torrent.machine.handle(Instant::now(), Event::Stop);
        let key = TorrentKey(hash, torrent.added);
        self.sources.stop(key, &self.torrents);
        self.hear_sources();
    }

    /// Passes on what the sources have found.
    pub(super) fn hear_sources(&mut self) {
        for news in self.sources.take_news() {
            match news {
                SourceNews::Found(hash, by, peers) => self.found(hash, by, &peers),
                SourceNews::Warning(hash, warning) => self.warn(hash, warning),
            }
        }
    }
}
