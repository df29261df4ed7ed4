//! What is changed while torrents run.

use std::time::Instant;

use super::engine::Engine;
use super::settings::Bounds;
use crate::InfoHash;
use crate::swarm::{Event, Limits};

impl Engine {
    pub(super) fn adjust(&mut self, bounds: Bounds) {
        self.settings.bounds = bounds;
        self.disk.adjust(bounds.open_files);
        let closed = self.connections.adjust(bounds.connections, &mut self.torrents);
        self.served_all(closed);
        self.keep_to_quota();
    }

    pub(super) fn limit(&mut self, hash: InfoHash, limits: Limits) {
        if let Some(torrent) = self.torrents.get_mut(&hash) {
            let download = torrent.allowed_download(&self.settings.download);
            torrent.limits = Limits { download, ..limits };
            torrent.machine.handle(Instant::now(), Event::Limits(torrent.limits));
            self.settle(hash);
        }
    }
}
