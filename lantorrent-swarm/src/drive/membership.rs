//! How torrents come to a swarm, and how they go.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::alert::{Alert, TorrentWarning};
use super::engine::Engine;
use super::running::{Phase, Running, TorrentKey};
use super::settings::{AddTorrent, TorrentSource};
use super::sources::Sources;
use super::web::Webs;
use crate::InfoHash;
use crate::metainfo::Info;
use crate::swarm::{Config, Event, Origin, Torrent};

impl Engine {
    pub(super) fn add(&mut self, request: Box<AddTorrent>) {
        let Some(request) = self.disk.defer(request) else { return };
        let hash = request.source.info_hash();
        if self.make_place(hash) && !self.stopping {
            self.take_in_torrent(hash, &request);
        }
    }

    /// Whether it can be added. One that has failed lets another begin anew.
    fn make_place(&mut self, hash: InfoHash) -> bool {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return true };
        torrent.used = Instant::now();
        let failed = matches!(torrent.phase, Phase::Failed(_));
        if failed {
            self.let_go(hash);
        } else {
            self.notify(Alert::Warning(hash, TorrentWarning::AlreadyAdded));
        }
        failed
    }

    fn take_in_torrent(&mut self, hash: InfoHash, request: &AddTorrent) {
        let now = Instant::now();
        self.added += 1;
        let sources = Sources::of(request);
        let config = Config {
            info_hash: hash,
            peer_id: self.peer_id,
            seed: self.random(),
            port: Some(self.port),
            dht_port: self.sources.has_dht().then_some(self.port),
            networks: self.sources.networks().to_vec(),
            web_seeds: sources.web_seeds.len() as u32,
            content: None,
            limits: request.limits,
        };
        let home = self.disk.home(request);
        let mut torrent = Running::new(Torrent::new(config, now), request, home, (self.added, now));
        torrent.webs = Webs::new(sources.web_seeds);
        let key = TorrentKey(hash, self.added);
        self.torrents.insert(hash, torrent);
        for why in sources.left_out {
            self.warn(hash, TorrentWarning::AddressIgnored(why));
        }
        self.sources.add(key, &sources.trackers, &sources.nodes, sources.peers);
        match &request.source {
            TorrentSource::Metainfo(metainfo) => self.open(hash, Arc::new(metainfo.info.clone())),
            TorrentSource::Magnet(_) => self.begin(hash, Phase::Metadata),
        }
        self.found(hash, Origin::Given, &request.peers);
    }

    /// Has the files looked at, in a thread.
    fn open(&mut self, hash: InfoHash, info: Arc<Info>) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        torrent.phase = Phase::Checking;
        torrent.info = Some(Arc::clone(&info));
        let (private, existing) = (info.is_private(), torrent.home.existing);
        let evicted = match self.make_room(hash, existing, info.geometry().length()) {
            Ok(evicted) => evicted,
            Err(no_room) => return self.fail(hash, no_room),
        };
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let (home, key) = (torrent.home.clone(), TorrentKey(hash, torrent.added));
        self.disk.open(key, home, info, evicted);
        if private {
            self.sources.hide(hash);
            self.hear_sources();
        }
    }

    fn begin(&mut self, hash: InfoHash, phase: Phase) {
        if let Some(torrent) = self.torrents.get_mut(&hash) {
            torrent.phase = phase;
        }
        self.seek(hash);
        self.settle(hash);
    }

    pub(super) fn remove(&mut self, hash: InfoHash) {
        self.disk.forget(hash);
        if self.let_go(hash).is_some() {
            self.notify(Alert::Removed(hash));
        }
    }

    /// It is not ours any more, and its peers and trackers hear of that.
    pub(super) fn let_go(&mut self, hash: InfoHash) -> Option<Running> {
        let torrent = self.torrents.get_mut(&hash)?;
        torrent.home.stop.store(true, Ordering::Relaxed);
        torrent.webs.stop_all();
        torrent.machine.handle(Instant::now(), Event::Stop);
        let key = TorrentKey(hash, torrent.added);
        self.settle(hash);
        self.sources.stop(key, &self.torrents);
        self.hear_sources();
        self.timers.set(hash, None);
        let torrent = self.torrents.remove(&hash)?;
        // What is verified is not fetched again at the next start.
        if let Some(content) = torrent.content.clone().filter(|_| torrent.phase != Phase::Seeding) {
            self.disk.sync_last(content);
        }
        Some(torrent)
    }

    /// Peers have said what the torrent is.
    pub(super) fn metadata(&mut self, hash: InfoHash, bytes: &[u8]) {
        match Info::read(bytes) {
            Ok(info) => {
                self.notify(Alert::MetadataReceived(hash));
                self.open(hash, Arc::new(info));
            }
            Err(error) => self.fail(hash, error),
        }
    }
}
