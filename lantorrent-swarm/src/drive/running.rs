//! One torrent under way: its state machine, and what belongs to it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use lantorrent_core::Limit;

use super::assembly::Assembly;
use super::error::TorrentError;
use super::intake::Listener;
use super::pool::{Buffer, Pool};
use super::settings::{AddTorrent, Existing, Trust};
use super::starvation::Starvation;
use super::trees::Trees;
use super::warnings::Warnings;
use super::web::Webs;
use crate::files::{Content, Options};
use crate::metainfo::Info;
use crate::swarm::{self, Event, Fate, Origin, PeerKey, Sender, Torrent};
use crate::tracker::{Standing, Stats};
use crate::wire::Message;
use crate::{BLOCK, InfoHash, Span};

/// Written bytes after which they are made durable.
const SYNC_BYTES: u64 = 64 << 20;
/// And the time after which they are, if they are fewer.
const SYNC_AFTER: Duration = Duration::from_secs(5);

/// Peers that are remembered until the files are open.
const EARLY: usize = 200;

/// All torrents of a session.
pub(super) type Torrents = HashMap<InfoHash, Running>;

pub(super) struct Running {
    pub(super) machine: Torrent,
    pub(super) info: Option<Arc<Info>>,
    /// None while the metadata is not known, or the files are not open.
    pub(super) content: Option<Arc<Content>>,
    assembly: Assembly,
    pub(super) webs: Webs,
    pub(super) home: Home,
    /// As the machine knows them.
    pub(super) limits: swarm::Limits,
    pub(super) download: Limit,
    pub(super) upload: Limit,
    pub(super) durable: Durable,
    pub(super) phase: Phase,
    pub(super) warnings: Warnings,
    starvation: Starvation,
    /// Peers that were found before the files were open.
    early: Vec<(Origin, SocketAddr)>,
    /// When it was added, became whole, or was sent from.
    pub(super) used: Instant,
    /// It is to be checked as soon as it is open.
    pub(super) doubted: bool,
    /// Bytes that were hashed while it was looked at.
    pub(super) hashed: u64,
    /// The how manieth torrent that was added.
    pub(super) added: u64,
}

/// Where a torrent's files are, and what to do there.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) folder: std::path::PathBuf,
    pub(super) trees: Trees,
    pub(super) options: Options,
    pub(super) existing: Existing,
    pub(super) trust: Trust,
    /// It is not wanted any more: whoever hashes may stop.
    pub(super) stop: Arc<AtomicBool>,
}

/// How far a torrent is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// What is there of it is being looked at, and hashed where nothing proves it.
    Checking,
    /// What it is has yet to come from peers.
    Metadata,
    /// Pieces are fetched.
    Fetching,
    /// All pieces are there, and their files get their names.
    Finishing,
    /// All is there and in place. Peers are served.
    Seeding,
    /// It cannot go on, for that reason.
    Failed(TorrentError),
}

/// What is written and not durable yet.
#[derive(Default)]
pub(super) struct Durable {
    bytes: u64,
    since: Option<Instant>,
    /// Somebody makes it so.
    pub(super) under_way: bool,
}

impl Durable {
    pub(super) fn wrote(&mut self, now: Instant, bytes: u32) {
        self.bytes += u64::from(bytes);
        self.since.get_or_insert(now);
    }

    /// Whether it is time to make it durable; if so, it counts as done.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let due = !self.under_way
            && self.since.is_some_and(|since| self.bytes >= SYNC_BYTES || now >= since + SYNC_AFTER);
        if due {
            *self = Self { under_way: true, ..Self::default() };
        }
        due
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| !self.under_way).map(|since| since + SYNC_AFTER)
    }
}

impl Running {
    pub(super) fn new(
        machine: Torrent,
        request: &AddTorrent,
        home: Home,
        (added, now): (u64, Instant),
    ) -> Self {
        Self {
            machine,
            info: None,
            content: None,
            assembly: Assembly::default(),
            webs: Webs::default(),
            home,
            limits: request.limits,
            download: request.download.clone(),
            upload: request.upload.clone(),
            durable: Durable::default(),
            phase: Phase::Checking,
            warnings: Warnings::default(),
            starvation: Starvation::new(request.peer_timeout),
            early: Vec::new(),
            used: now,
            doubted: false,
            hashed: 0,
            added,
        }
    }

    /// Whether peers are of use to it: not while it is known what it is, and not what there is of it.
    pub(super) fn is_ready(&self) -> bool {
        self.info.is_none() || self.content.is_some()
    }

    /// Whether only its trackers may know of it (BEP 27). Not while it is not known what it is.
    pub(super) fn is_private(&self) -> bool {
        self.info.as_deref().is_some_and(Info::is_private)
    }

    /// Peers were found: now, or before it was ready for them.
    pub(super) fn found(&mut self, now: Instant, by: Origin, addresses: &[SocketAddr]) {
        if self.is_ready() {
            self.machine.handle(now, Event::Found { by, addresses });
        } else {
            let room = EARLY.saturating_sub(self.early.len());
            self.early.extend(addresses.iter().take(room).map(|address| (by, *address)));
        }
    }

    /// The files are open.
    pub(super) fn opened(&mut self, now: Instant, content: Arc<Content>, description: swarm::Content) {
        self.content = Some(content);
        self.machine.handle(now, Event::Content(description));
        for (by, address) in std::mem::take(&mut self.early) {
            self.found(now, by, &[address]);
        }
    }

    /// A block has come. Whether it is kept.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        sender: Sender,
        span: Span,
        data: Buffer,
        pool: &mut Pool,
    ) {
        match (self.machine.received(now, sender, span), &self.info) {
            (Fate::Keep, Some(info)) => self.assembly.put(info.geometry(), span, data, pool),
            _ => pool.give(data),
        }
    }

    pub(super) fn take(&mut self, piece: u32) -> Vec<Buffer> {
        self.assembly.take(piece)
    }

    pub(super) fn discard(&mut self, piece: u32, pool: &mut Pool) {
        self.assembly.discard(piece, pool);
    }

    /// Bytes in pieces that are there. None while it is not known what there is.
    pub(super) fn have(&self) -> Option<u64> {
        let (info, have) = (self.info.as_deref()?, self.machine.have()?);
        Some(have.iter().map(|piece| u64::from(info.geometry().size(piece))).sum())
    }

    /// As its trackers are told.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        let progress = self.machine.progress(now);
        let length = self.info.as_deref().map(|info| info.geometry().length());
        // Who does not know what is missing lacks something all the same.
        let left = length.zip(self.have()).map_or(length.unwrap_or(BLOCK.into()), |(all, have)| all - have);
        let stats = Stats { uploaded: progress.uploaded, downloaded: progress.downloaded, left };
        Standing { stats, peers: progress.peers }
    }

    /// Bytes that may be received in a second, if there is a limit here or for all.
    pub(super) fn allowed_download(&self, all: &Limit) -> Option<u64> {
        all.get().into_iter().chain(self.download.get()).min()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let own = [self.durable.deadline(), self.starvation.deadline()];
        self.machine.deadline().into_iter().chain(own.into_iter().flatten()).min()
    }

    /// Whether it has just had nothing to fetch from for too long.
    pub(super) fn begins_to_starve(&mut self, now: Instant) -> bool {
        if !matches!(self.phase, Phase::Metadata | Phase::Fetching) {
            self.starvation.rest();
            return false;
        }
        let machine = &self.machine;
        self.starvation.begins(now, || {
            let progress = machine.progress(now);
            (progress.peers, progress.downloaded)
        })
    }
}

/// What a torrent hears from one of its peers.
pub(super) struct Ear<'a> {
    pub(super) torrent: &'a mut Running,
    pub(super) peer: PeerKey,
    pub(super) now: Instant,
    /// A block has come.
    pub(super) has_got: bool,
}

impl Listener for Ear<'_> {
    fn hear(&mut self, message: Message) {
        self.torrent.machine.handle(self.now, Event::Message(self.peer, message));
    }

    fn wants(&mut self, span: Span) -> bool {
        self.torrent.machine.expects(self.now, self.peer, span) == Fate::Keep
    }

    fn receive(&mut self, span: Span, data: Buffer, pool: &mut Pool) {
        self.has_got = true;
        self.torrent.receive(self.now, Sender::Peer(self.peer), span, data, pool);
    }
}

/// Names a torrent in messages of its threads: the hash, and the how manieth torrent that was added, so that what is late is
/// not taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TorrentKey(pub(super) InfoHash, pub(super) u64);
