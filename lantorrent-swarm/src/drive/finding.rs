//! Who is told of a torrent, and when: by the rules for private ones.

use std::sync::Arc;
use std::time::Instant;

use super::dht;
use super::engine::Engine;
use super::message::{Message, News};
use super::running::TorrentKey;
use crate::InfoHash;
use crate::local::LocalEvent;
use crate::metainfo::Contact;
use crate::swarm::Event;

impl Engine {
    /// Looks up where these peers are, in a thread.
    pub(super) fn find_by_name(&self, torrent: TorrentKey, peers: Vec<Contact>) {
        if !peers.is_empty() {
            let mailbox = Arc::clone(&self.mailbox);
            let tell = move || mailbox.send(Message::News(torrent, News::Peers(dht::look_up(&peers))));
            self.trackers.spawn(tell);
        }
    }

    /// The torrent is ready for peers: it is told to trackers, and to others if it is known not to be private, or not known
    /// whether it is.
    pub(super) fn seek(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get(&hash) else { return };
        let (key, private) = (TorrentKey(hash, torrent.added), torrent.is_private());
        self.start_announcing(key);
        if !private {
            self.discover(LocalEvent::Add(hash));
            self.join(hash);
        }
    }

    /// Nobody hears of the torrent any more, but from its trackers.
    pub(super) fn hide(&mut self, hash: InfoHash) {
        self.discover(LocalEvent::Remove(hash));
        self.leave(hash);
    }

    /// There is nothing to serve, and never will be.
    pub(super) fn give_up(&mut self, hash: InfoHash) {
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
        torrent.machine.handle(Instant::now(), Event::Stop);
        let key = TorrentKey(hash, torrent.added);
        self.stop_announcing(key);
        self.hide(hash);
    }
}
