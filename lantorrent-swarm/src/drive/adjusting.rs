//! What is changed while torrents run.

use std::cmp::Reverse;
use std::time::Instant;

use mio::Token;

use super::engine::Engine;
use super::settings::Bounds;
use crate::InfoHash;
use crate::swarm::{Event, Limits};

impl Engine {
    pub(super) fn adjust(&mut self, bounds: Bounds) {
        self.settings.bounds = bounds;
        self.disk.adjust(bounds.open_files);
        self.close_useless();
        self.keep_to_quota();
    }

    /// Closes as many connections as are too many: at first those that are not introduced, and then those that no block
    /// went through for longest.
    fn close_useless(&mut self) {
        let mut order: Vec<(Reverse<Option<Instant>>, Token)> =
            self.links.iter().map(|(token, line)| (Reverse(line.useful), *token)).collect();
        order.sort_unstable();
        for (_, token) in order.into_iter().skip(self.settings.bounds.connections) {
            self.lose(token, "there are too many connections");
        }
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
