//! The threads that fetch from web seeds, for all torrents.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use lantorrent_core::runtime::{Mailbox, Workers};

use super::http::Client;
use super::message::{Message, News};
use super::paces::Paces;
use super::running::TorrentKey;
use super::web::{self, Fetch, Server, Stream};
use crate::metainfo::Info;
use crate::swarm::WebKey;
use crate::url::Url;

pub(super) struct WebFetches {
    threads: Workers,
    client: Client,
    mailbox: Arc<Mailbox<Message>>,
}

impl WebFetches {
    pub(super) fn new(threads: Workers, client: Client, mailbox: Arc<Mailbox<Message>>) -> Self {
        Self { threads, client, mailbox }
    }

    /// The web seed at that URL, to be asked as fast as that.
    pub(super) fn server(&self, url: Url, paces: Paces, stream: Arc<Mutex<Stream>>) -> Server {
        Server { client: self.client.clone(), url, paces, stream }
    }

    /// Fetches pieces from a web seed of a torrent. Its news go to the loop.
    pub(super) fn fetch(
        &self,
        (key, web): (TorrentKey, WebKey),
        server: Server,
        (info, pieces): (Arc<Info>, Range<u32>),
        fetch: Fetch,
    ) {
        let mailbox = Arc::clone(&self.mailbox);
        self.threads.spawn(move || {
            let tell = |news| mailbox.send(Message::News(key, News::Web(web, fetch.clone(), news)));
            web::fetch(server, &info, pieces, &fetch, &tell);
        });
    }

    /// Drops what is queued, and cuts off what is under way.
    pub(super) fn abandon(&self) {
        self.threads.abandon();
        self.client.shut_down();
    }
}
