//! The files of all torrents: the threads that hash and write, what torrents share on disk, and which of them are pinned or
//! being deleted. Everything that waits for the disk is done in a thread, which sends what has come of it to the loop.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use lantorrent_core::runtime::{Mailbox, Workers};

use super::message::{Message, News};
use super::opening;
use super::piece;
use super::pool::Buffer;
use super::running::{Home, TorrentKey};
use super::settings::{AddTorrent, Settings};
use super::trees::Trees;
use crate::InfoHash;
use crate::files::{Content, Durability, OpenFiles, Options, Records};
use crate::metainfo::Info;

/// Torrents whose files are to be deleted.
pub(super) type Evicted = Vec<(InfoHash, Arc<Content>)>;

pub(super) struct Disk {
    threads: Workers,
    mailbox: Arc<Mailbox<Message>>,
    durability: Durability,
    records: Option<Records>,
    trees: Trees,
    open_files: OpenFiles,
    /// Torrents that are never evicted, whether they are there or not.
    pinned: HashSet<InfoHash>,
    /// Torrents whose files are being deleted, each with the one that is to be added after that.
    leaving: HashMap<InfoHash, Option<Box<AddTorrent>>>,
}

impl Disk {
    pub(super) fn new(
        settings: &Settings,
        threads: Workers,
        records: Option<Records>,
        mailbox: Arc<Mailbox<Message>>,
    ) -> Self {
        Self {
            threads,
            mailbox,
            durability: settings.durability,
            records,
            trees: Trees::default(),
            open_files: OpenFiles::new(settings.bounds.open_files),
            pinned: HashSet::new(),
            leaving: HashMap::new(),
        }
    }

    /// Keeps at most so many files open.
    pub(super) fn adjust(&self, open_files: usize) {
        self.open_files.adjust(open_files);
    }

    /// Does something else in one of the threads.
    pub(super) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.threads.spawn(job);
    }

    /// Waits until everything is done that was begun.
    pub(super) fn finish(self) {
        self.threads.finish();
    }

    /// Where that torrent will have its files.
    pub(super) fn home(&self, request: &AddTorrent) -> Home {
        Home {
            folder: request.folder.clone(),
            trees: self.trees.clone(),
            options: Options {
                durability: self.durability,
                records: self.records.clone(),
                open_files: self.open_files.clone(),
            },
            existing: request.existing,
            trust: request.trust,
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Finds out what there is of a torrent. The files of those that make room for it are deleted first.
    pub(super) fn open(&mut self, key: TorrentKey, home: Home, info: Arc<Info>, evicted: Evicted) {
        self.leave(&evicted);
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || {
            delete(evicted, &mailbox);
            let hashed = |bytes| mailbox.send(Message::News(key, News::Hashed(bytes)));
            let opened = opening::open(&home, &info, &hashed);
            mailbox.send(Message::News(key, News::Opened(opened)));
        });
    }

    /// Hashes all of a torrent again.
    pub(super) fn recheck(&self, key: TorrentKey, home: Home, content: Arc<Content>) {
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || {
            let hashed = |bytes| mailbox.send(Message::News(key, News::Hashed(bytes)));
            let opened = opening::recheck(&home, content, &hashed);
            mailbox.send(Message::News(key, News::Opened(opened)));
        });
    }

    /// Hashes a piece, and writes it if it is right.
    pub(super) fn verify(
        &self,
        key: TorrentKey,
        content: Arc<Content>,
        (piece, blocks): (u32, Vec<Buffer>),
        compare: bool,
    ) {
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || {
            let checked = piece::check(&content, piece, &blocks, compare);
            mailbox.send(Message::News(key, News::Checked { piece, checked, blocks }));
        });
    }

    /// Makes durable what was written of a torrent.
    pub(super) fn sync(&self, key: TorrentKey, content: Arc<Content>) {
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || mailbox.send(Message::News(key, News::Synced(content.sync()))));
    }

    /// The same for a torrent that is not in the session any more.
    pub(super) fn sync_last(&self, content: Arc<Content>) {
        self.threads.spawn(move || {
            if let Err(error) = content.sync() {
                log::warn!("{error}");
            }
        });
    }

    /// Gives the files of a torrent their names.
    pub(super) fn rename(&self, key: TorrentKey, content: Arc<Content>) {
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || mailbox.send(Message::News(key, News::Finished(content.finish()))));
    }

    /// Deletes the files of evicted torrents.
    pub(super) fn delete(&mut self, evicted: Evicted) {
        self.leave(&evicted);
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || delete(evicted, &mailbox));
    }

    fn leave(&mut self, evicted: &Evicted) {
        self.leaving.extend(evicted.iter().map(|(hash, _)| (*hash, None)));
    }

    /// Keeps a request until the files of the same torrent are deleted; gives it back if they are not being deleted.
    pub(super) fn defer(&mut self, request: Box<AddTorrent>) -> Option<Box<AddTorrent>> {
        let Some(later) = self.leaving.get_mut(&request.source.info_hash()) else { return Some(request) };
        *later = Some(request);
        None
    }

    /// Drops the request that was kept, if one was.
    pub(super) fn forget(&mut self, torrent: InfoHash) {
        if let Some(later) = self.leaving.get_mut(&torrent) {
            *later = None;
        }
    }

    /// The files of a torrent are deleted. Returns the request that was kept.
    pub(super) fn deleted(&mut self, torrent: InfoHash) -> Option<Box<AddTorrent>> {
        self.leaving.remove(&torrent).flatten()
    }

    pub(super) fn pin(&mut self, torrent: InfoHash) {
        self.pinned.insert(torrent);
    }

    /// Whether it was pinned.
    pub(super) fn unpin(&mut self, torrent: InfoHash) -> bool {
        self.pinned.remove(&torrent)
    }

    pub(super) fn is_pinned(&self, torrent: InfoHash) -> bool {
        self.pinned.contains(&torrent)
    }
}

fn delete(evicted: Evicted, mailbox: &Mailbox<Message>) {
    for (hash, content) in evicted {
        let deleted = content.delete();
        drop(content);
        mailbox.send(Message::Deleted(hash, deleted));
    }
}
