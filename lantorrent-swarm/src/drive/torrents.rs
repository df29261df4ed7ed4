//! What the loop does for its torrents: it carries out what they say, and tells them what has come of it.

use std::net::SocketAddr;
use std::time::Instant;

use super::alert::{Alert, TorrentWarning};
use super::connections::Served;
use super::engine::Engine;
use super::error::TorrentError;
use super::message::{Message, News};
use super::opening::Opened;
use super::paces::Paces;
use super::running::{Phase, Running, TorrentKey};
use super::status::Status;
use super::web::{Fetch, WebNews};
use crate::InfoHash;
use crate::metainfo::Info;
use crate::swarm::{Action, Event, Fetching, Origin, Sender, Verdict, WebKey};
use crate::wire::Limits;

impl Engine {
    pub(super) fn heard(&mut self, message: Message) {
        match message {
            Message::Add(request) => self.add(request),
            Message::Remove(hash) => self.remove(hash),
            Message::Pin(hash) => self.disk.pin(hash),
            Message::Unpin(hash) => self.unpin(hash),
            Message::Adjust(bounds) => self.adjust(bounds),
            Message::Limit(hash, limits) => self.limit(hash, limits),
            Message::Recheck(hash) => self.recheck(hash),
            Message::Deleted(hash, result) => self.deleted(hash, result),
            // The caller may have given up waiting.
            Message::Status(hash, to) => _ = to.send(self.status(hash)),
            Message::Statuses(to) => {
                _ = to.send(self.torrents.keys().filter_map(|hash| self.status(*hash)).collect());
            }
            Message::Stop => {
                self.stopping = true;
                self.connections.close_listener();
                for hash in self.torrents.keys().copied().collect::<Vec<_>>() {
                    self.remove(hash);
                }
            }
            Message::Tracker(asked, news) => {
                self.sources.heard_of_tracker(asked, news, &self.torrents);
                self.hear_sources();
            }
            Message::Nodes(nodes) => {
                self.sources.meet(&nodes);
                self.hear_sources();
            }
            Message::News(TorrentKey(hash, added), news) => {
                let known = self.torrents.get(&hash).is_some_and(|torrent| torrent.added == added);
                match news {
                    // Whoever they were for, the buffers are of use.
                    News::Checked { blocks, .. } if !known => {
                        self.connections.pool().give_all(blocks);
                    }
                    news if known => self.tell(hash, news),
                    _ => {}
                }
            }
        }
    }

    /// Peers were found.
    pub(super) fn found(&mut self, hash: InfoHash, by: Origin, addresses: &[SocketAddr]) {
        if let Some(torrent) = self.torrents.get_mut(&hash) {
            torrent.found(Instant::now(), by, addresses);
            self.settle(hash);
        }
    }

    pub(super) fn tick(&mut self, now: Instant, hash: InfoHash) {
        if let Some(torrent) = self.torrents.get_mut(&hash) {
            // Both limits may have been changed.
            let download = torrent.allowed_download(&self.settings.download);
            if torrent.limits.download != download {
                torrent.limits.download = download;
                torrent.machine.handle(now, Event::Limits(torrent.limits));
            }
            torrent.machine.handle(now, Event::Tick);
            self.settle(hash);
        }
    }

    fn tell(&mut self, hash: InfoHash, news: News) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let now = Instant::now();
        match news {
            News::Opened(Ok(opened)) if torrent.doubted => {
                torrent.content = Some(opened.content);
                self.look_again(hash);
            }
            News::Opened(Ok(opened)) => self.opened(now, hash, opened),
            News::Hashed(bytes) => torrent.hashed += bytes,
            News::Checked { piece, checked, blocks } => {
                self.connections.pool().give_all(blocks);
                if checked.verdict == Verdict::Stored
                    && let Some(info) = &torrent.info
                {
                    torrent.durable.wrote(now, info.geometry().size(piece));
                }
                let event = Event::Verified { piece, verdict: checked.verdict, sums: &checked.sums };
                torrent.machine.handle(now, event);
                if let Some(error) = checked.error {
                    self.fail(hash, error);
                }
            }
            News::Synced(result) => {
                torrent.durable.under_way = false;
                if let Err(error) = result {
                    self.fail(hash, error);
                }
            }
            News::Finished(Ok(())) => {
                torrent.phase = Phase::Seeding;
                torrent.used = now;
                let (key, doubted) = (TorrentKey(hash, torrent.added), torrent.doubted);
                self.sources.completed(key, &self.torrents);
                self.hear_sources();
                if doubted {
                    self.look_again(hash);
                } else {
                    self.notify(Alert::Finished(hash));
                    self.keep_to_quota();
                }
            }
            News::Peers(peers) => torrent.found(now, Origin::Given, &peers),
            News::Opened(Err(error)) | News::Finished(Err(error)) => self.fail(hash, error),
            News::Web(web, fetch, news) => self.heard_from_web(now, hash, web, &fetch, news),
        }
        self.settle(hash);
    }

    fn opened(&mut self, now: Instant, hash: InfoHash, opened: Opened) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let description = opened.describe();
        let pieces = description.geometry.pieces();
        let whole = opened.is_whole();
        torrent.phase = if whole { Phase::Seeding } else { Phase::Fetching };
        torrent.opened(now, opened.content, description);
        self.connections.limit_messages(hash, Limits::for_pieces(pieces));
        self.seek(hash);
        if whole {
            self.notify(Alert::Finished(hash));
            self.keep_to_quota();
        } else if self.torrents.get(&hash).is_some_and(|torrent| torrent.machine.is_complete()) {
            // Somebody was killed just before he did this.
            self.finish(hash);
        }
    }

    fn heard_from_web(&mut self, now: Instant, hash: InfoHash, web: WebKey, fetch: &Fetch, news: WebNews) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        if !torrent.webs.is_current(web, fetch) {
            return;
        }
        match news {
            WebNews::Block(span, data) => {
                fetch.taken();
                torrent.receive(now, Sender::Web(web), span, data, self.connections.pool());
            }
            WebNews::Skipped => torrent.machine.handle(now, Event::WebAlive(web)),
            WebNews::NoRanges => {
                torrent.webs.stop(web);
                torrent.machine.handle(now, Event::WebInOrder(web));
            }
            WebNews::Done => {
                torrent.webs.stop(web);
                torrent.machine.handle(now, Event::WebDone(web));
            }
            WebNews::Failed(retry_after, why) => {
                torrent.webs.stop(web);
                torrent.machine.handle(now, Event::WebFailed { web, retry_after });
                self.warn(hash, TorrentWarning::WebSeedFailed(why));
            }
            WebNews::Useless(why) => {
                torrent.webs.stop(web);
                torrent.machine.handle(now, Event::WebUseless(web));
                self.warn(hash, TorrentWarning::WebSeedFailed(why));
            }
        }
    }

    /// It cannot go on. What is there is served all the same.
    pub(super) fn fail(&mut self, hash: InfoHash, error: impl Into<TorrentError>) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        // Several pieces may have been on their way to a disk that is full.
        if matches!(torrent.phase, Phase::Failed(_)) {
            return;
        }
        let (error, nothing) = (error.into(), torrent.content.is_none());
        torrent.machine.handle(Instant::now(), Event::Fetching(Fetching::Off));
        torrent.phase = Phase::Failed(error.clone());
        self.notify(Alert::Failed(hash, error));
        if nothing {
            self.give_up(hash);
        }
    }

    /// Carries out what the torrent says, and sets its clock.
    pub(super) fn settle(&mut self, hash: InfoHash) {
        let now = Instant::now();
        while let Some(action) = self.torrents.get_mut(&hash).and_then(|torrent| torrent.machine.poll()) {
            self.carry_out(now, hash, action);
        }
        self.save_soon(now, hash);
        let torrent = self.torrents.get_mut(&hash);
        if torrent.is_some_and(|torrent| torrent.begins_to_starve(now)) {
            self.warn(hash, TorrentWarning::NoPeers);
        }
        let deadline = self.torrents.get(&hash).and_then(Running::deadline);
        self.timers.set(hash, deadline);
    }

    fn carry_out(&mut self, now: Instant, hash: InfoHash, action: Action) {
        match action {
            Action::Connect(address) => self.connect(now, hash, address),
            Action::Send(peer, message) => self.connections.send(peer, &message),
            Action::Upload(peer, span) => self.connections.upload(peer, span),
            Action::Close(peer, reason) => self.connections.part(peer, &reason),
            Action::Verify { piece, compare } => self.verify(hash, piece, compare),
            Action::Discard(piece) => {
                if let Some(torrent) = self.torrents.get_mut(&hash) {
                    torrent.discard(piece, self.connections.pool());
                }
            }
            Action::Fetch { web, pieces } => self.fetch(hash, web, pieces),
            Action::StopFetch(web) => {
                if let Some(torrent) = self.torrents.get_mut(&hash) {
                    torrent.webs.stop(web);
                }
            }
            Action::WrongWeb(web) => {
                let torrent = self.torrents.get(&hash);
                if let Some(url) = torrent.and_then(|torrent| torrent.webs.urls.get(web.0 as usize)) {
                    let url = url.to_string();
                    self.warn(hash, TorrentWarning::WebSeedMismatch { url });
                }
            }
            Action::Metadata(bytes) => self.metadata(hash, &bytes),
            Action::Complete => self.finish(hash),
            Action::DhtNode(node) => {
                self.sources.meet(&[node]);
                self.hear_sources();
            }
        }
    }

    /// Begins a connection to a peer of that torrent.
    fn connect(&mut self, now: Instant, hash: InfoHash, address: SocketAddr) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        if !self.connections.connect(hash, address, &torrent.machine.handshake()) {
            torrent.machine.handle(now, Event::ConnectFailed(address));
        }
    }

    /// A connection was served: its torrent goes on.
    pub(super) fn served(&mut self, served: Served) {
        let Some(hash) = served.torrent else { return };
        if let Some((piece, error)) = served.unreadable {
            self.unreadable(hash, piece, &error);
        }
        self.settle(hash);
    }

    pub(super) fn served_all(&mut self, all: Vec<Served>) {
        for served in all {
            self.served(served);
        }
    }

    fn verify(&mut self, hash: InfoHash, piece: u32, compare: bool) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let Some(content) = torrent.content.clone() else { return };
        let blocks = torrent.take(piece);
        self.disk.verify(TorrentKey(hash, torrent.added), content, (piece, blocks), compare);
    }

    fn fetch(&mut self, hash: InfoHash, web: WebKey, pieces: std::ops::Range<u32>) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let (Some(info), Some((url, stream, fetch))) = (torrent.info.clone(), torrent.webs.begin(web)) else {
            return;
        };
        let (key, paces) =
            (TorrentKey(hash, torrent.added), Paces::new(&self.settings.download, &torrent.download));
        let server = self.web.server(url, paces, stream);
        self.web.fetch((key, web), server, (info, pieces), fetch);
    }

    /// All pieces are there: the files get their names.
    fn finish(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        let Some(content) = torrent.content.clone().filter(|_| torrent.phase == Phase::Fetching) else {
            return;
        };
        torrent.phase = Phase::Finishing;
        self.disk.rename(TorrentKey(hash, torrent.added), content);
    }

    /// Makes durable what was written, now and then.
    fn save_soon(&mut self, now: Instant, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash).filter(|torrent| torrent.phase == Phase::Fetching)
        else {
            return;
        };
        let Some(content) = torrent.content.clone().filter(|_| torrent.durable.is_due(now)) else { return };
        self.disk.sync(TorrentKey(hash, torrent.added), content);
    }

    /// Tells of something that the torrent can live with, unless it has told that already.
    pub(super) fn warn(&mut self, hash: InfoHash, warning: TorrentWarning) {
        let torrent = self.torrents.get_mut(&hash);
        if torrent.is_some_and(|torrent| torrent.warnings.is_new(&warning)) {
            self.notify(Alert::Warning(hash, warning));
        } else {
            log::debug!("{hash}: {warning}");
        }
    }

    pub(super) fn notify(&self, alert: Alert) {
        // The session outlives its last alert only while it is dropped.
        let _ = self.alerts.send(alert);
    }

    fn status(&self, hash: InfoHash) -> Option<Status> {
        let torrent = self.torrents.get(&hash)?;
        let info = torrent.info.as_deref();
        let name = |info: &Info| crate::text::readable(info.layout().name().as_os_str().as_encoded_bytes());
        Some(Status {
            info_hash: hash,
            name: info.map(name),
            length: info.map(|info| info.geometry().length()),
            have: torrent.have().unwrap_or(0),
            phase: torrent.phase.clone(),
            hashed: torrent.hashed,
            progress: torrent.machine.progress(Instant::now()),
        })
    }
}
