//! What the loop does about its quota: torrents are evicted, and others find no room.

use super::alert::{Alert, TorrentWarning};
use super::disk::Evicted;
use super::engine::Engine;
use super::quota::{self, Hold, Kept, NoRoom};
use super::running::Phase;
use super::settings::Existing;
use crate::InfoHash;
use crate::files::FilesError;

impl Engine {
    /// Finds room for a torrent. Others are evicted for it, and their files are to be deleted before it is opened.
    pub(super) fn make_room(
        &mut self,
        torrent: InfoHash,
        existing: Existing,
        length: u64,
    ) -> Result<Evicted, NoRoom> {
        // What it takes is not ours.
        let Some(quota) = self.settings.bounds.quota.filter(|_| existing != Existing::Serve) else {
            return Ok(Evicted::new());
        };
        let others = self.kept().filter(|kept| kept.key != torrent);
        quota::make_room(quota, length, others).map(|evicted| self.evict(&evicted))
    }

    /// Evicts what is more than the quota.
    pub(super) fn keep_to_quota(&mut self) {
        let Some(quota) = self.settings.bounds.quota else { return };
        let evicted = quota::keep_to(quota, self.kept());
        if !evicted.is_empty() {
            let evicted = self.evict(&evicted);
            self.disk.delete(evicted);
        }
    }

    pub(super) fn unpin(&mut self, torrent: InfoHash) {
        if self.disk.unpin(torrent) {
            self.keep_to_quota();
        }
    }

    /// The torrents that count: all whose files are ours to make and change.
    fn kept(&self) -> impl Iterator<Item = Kept<InfoHash>> {
        let ours = self.torrents.iter().filter(|(_, torrent)| torrent.home.existing != Existing::Serve);
        ours.filter_map(|(hash, torrent)| {
            // Nothing was made of one that has failed before it was open.
            let none = torrent.content.is_none() && matches!(torrent.phase, Phase::Failed(_));
            let info = torrent.info.as_ref().filter(|_| !none)?;
            let idle = torrent.phase == Phase::Seeding && !self.disk.is_pinned(*hash);
            let hold = if idle { Hold::Idle } else { Hold::Needed };
            Some(Kept { key: *hash, length: info.geometry().length(), used: torrent.used, hold })
        })
    }

    fn evict(&mut self, torrents: &[InfoHash]) -> Evicted {
        let content = |hash: &InfoHash| Some((*hash, self.let_go(*hash)?.content?));
        torrents.iter().filter_map(content).collect()
    }

    /// The files of a torrent are gone. It may be wanted again already.
    pub(super) fn deleted(&mut self, hash: InfoHash, result: Result<(), FilesError>) {
        if let Err(error) = result {
            self.notify(Alert::Warning(hash, TorrentWarning::NotDeleted(error.into())));
        }
        self.notify(Alert::Evicted(hash));
        if let Some(request) = self.disk.deleted(hash) {
            self.add(request);
        }
    }
}
