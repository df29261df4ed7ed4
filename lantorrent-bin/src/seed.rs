//! `lantorrent seed`.

mod folder;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use lantorrent_swarm::files::Tree;
use lantorrent_swarm::{AddTorrent, Alert, Existing, InfoHash, Session, TorrentError};
use serde_json::json;

use crate::exit::{Failure, Status};
use crate::swarm::say::To;
use crate::swarm::{Network, Seed, Stop, addresses, trust};
use crate::terminal;
use crate::text::clean;
use crate::torrent;
use folder::{Change, Folder};

/// How long a signal may go unnoticed.
const GLANCE: Duration = Duration::from_millis(100);

pub(crate) fn run(seed: &Seed) -> Result<Status, Failure> {
    if seed.torrents.is_empty() {
        return Err(Failure::usage("there is nothing to serve", "give one .torrent file or more"));
    }
    let stop = Stop::of_daemon()?;
    Tree::open(&seed.dir)
        .map_err(|error| Failure::usage(error, "give the folder that the files are in with --dir"))?;
    let folder = Folder::new(&seed.dir);
    let mut serving = Serving { seed, to: To::of(seed.json), folder, torrents: HashMap::new(), waiting: 0 };
    let torrents = serving.read()?;
    let mut session = Network {
        port: seed.port.as_ref(),
        no_local: seed.no_local,
        dht: seed.dht,
        dht_nodes: &seed.dht_node,
        download: None,
        upload: seed.upload,
        connections: seed.connections,
        proxy: seed.proxy.as_deref(),
    }
    .start()?;
    serving.listening(&session);
    serving.add(&session, torrents);
    let outcome = serving.run(&mut session, &stop);
    let uploaded: u64 = session.statuses().iter().map(|status| status.progress.uploaded).sum();
    session.stop();
    serving.to.event("stopped", json!({ "uploaded": uploaded }));
    outcome
}

struct Serving<'a> {
    seed: &'a Seed,
    to: To,
    folder: Folder<'a>,
    torrents: HashMap<InfoHash, Torrent>,
    /// Torrents that are looked at, until it is said how many there are.
    waiting: usize,
}

struct Torrent {
    /// Where it is.
    name: String,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    LookedAt,
    Served,
    Failed,
}

impl Serving<'_> {
    /// Reads the torrents, each once.
    fn read(&mut self) -> Result<Vec<AddTorrent>, Failure> {
        let peers = addresses(&self.seed.peer);
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        for path in &self.seed.torrents {
            let metainfo = torrent::read(path)?;
            let (hash, name) = (metainfo.info.hash(), path.display().to_string());
            if !seen.insert(hash) {
                self.to.warn(&format!("{name} was named before"));
                continue;
            }
            self.torrents.entry(hash).or_insert(Torrent { name, standing: Standing::Failed });
            all.push(
                AddTorrent::new(metainfo, self.seed.dir.clone())
                    .trackers(self.seed.tracker.clone())
                    .peers(peers.clone())
                    .existing(Existing::Serve)
                    .trust(trust(self.seed.check)),
            );
        }
        Ok(all)
    }

    fn add(&mut self, session: &Session, all: Vec<AddTorrent>) {
        self.waiting += all.len();
        for request in all {
            let torrent = session.add(request);
            self.set(torrent.info_hash(), Standing::LookedAt);
        }
    }

    fn listening(&self, session: &Session) {
        match self.to {
            To::People => terminal::announce(&format!("listening on port {}", session.port())),
            To::Programs => self.to.event("listening", json!({ "port": session.port() })),
        }
    }

    fn run(&mut self, session: &mut Session, stop: &Stop) -> Result<Status, Failure> {
        let mut is_new = true;
        while !stop.is_asked() {
            match session.next_alert(GLANCE) {
                Some(Alert::Finished(hash)) => self.whole(hash),
                Some(Alert::Failed(hash, error)) => {
                    self.failed(hash, &error);
                    session.handle(hash).remove();
                }
                Some(Alert::Warning(hash, warning)) => {
                    self.to.warn(&format!("{}: {warning}", self.name(hash)));
                }
                _ => {}
            }
            is_new &= self.count(Standing::Served) == 0;
            // What was there may come back.
            if is_new && self.count(Standing::Failed) == self.torrents.len() {
                return Err(Failure::told(Status::Incomplete, "none of the torrents can be served"));
            }
            self.look_after_folder(session);
            if stop.take_reload() {
                self.look_again(session);
            }
        }
        let all_served = self.count(Standing::Failed) == 0;
        Ok(if all_served { Status::Success } else { Status::Incomplete })
    }

    /// What has the folder's path by now is looked at as at the start.
    fn look_after_folder(&mut self, session: &Session) {
        let folder = self.seed.dir.display();
        match self.folder.change() {
            None => {}
            Some(Change::Gone(why)) => {
                self.to.warn(&format!(
                    "{folder} is not there any more ({why}); what is open of it is served on"
                ));
            }
            Some(Change::Other) => {
                self.to.warn(&format!("{folder} is another folder now; its files are looked at"));
                for torrent in self.torrents.values_mut() {
                    torrent.standing = Standing::Failed;
                }
                self.look_again(session);
            }
        }
    }

    /// Reads the torrents again, and retries those that could not be served. The others are not disturbed.
    fn look_again(&mut self, session: &Session) {
        match self.read() {
            Ok(mut all) => {
                all.retain(|request| {
                    let torrent = self.torrents.get(&request.source.info_hash());
                    torrent.is_some_and(|torrent| torrent.standing == Standing::Failed)
                });
                for request in &all {
                    session.handle(request.source.info_hash()).remove();
                }
                log::info!("the torrents were read again; tried again: {}", all.len());
                self.add(session, all);
            }
            Err(failure) => self.to.warn(&format!("everything stays as it was: {failure}")),
        }
    }

    fn count(&self, standing: Standing) -> usize {
        self.torrents.values().filter(|torrent| torrent.standing == standing).count()
    }

    fn name(&self, hash: InfoHash) -> String {
        self.torrents.get(&hash).map_or_else(|| hash.to_string(), |torrent| torrent.name.clone())
    }

    fn set(&mut self, hash: InfoHash, standing: Standing) {
        if let Some(torrent) = self.torrents.get_mut(&hash) {
            torrent.standing = standing;
        }
    }

    fn whole(&mut self, hash: InfoHash) {
        self.set(hash, Standing::Served);
        let name = self.name(hash);
        self.to.event("serving", json!({ "torrent": name, "info_hash": hash.to_string() }));
        log::debug!("{name} is served");
        self.looked_at();
    }

    fn failed(&mut self, hash: InfoHash, error: &TorrentError) {
        self.set(hash, Standing::Failed);
        let name = self.name(hash);
        match self.to {
            To::People => terminal::note(&format!("lantorrent: {name}: {error}")),
            To::Programs => {
                let (hash, why) = (hash.to_string(), error.to_string());
                self.to.event("failed", json!({ "torrent": name, "info_hash": hash, "message": why }));
            }
        }
        self.looked_at();
    }

    /// Says how many there are when all are known.
    fn looked_at(&mut self) {
        // What happens later does not change that.
        if self.waiting == 0 {
            return;
        }
        self.waiting -= 1;
        let served = self.count(Standing::Served);
        if self.waiting > 0 || served == 0 {
            return;
        }
        match self.to {
            To::People => {
                let all = self.torrents.len();
                terminal::announce(&clean(&format!("serving {served} of {all} torrents")));
            }
            To::Programs => {
                let failed = self.count(Standing::Failed);
                self.to.event("ready", json!({ "serving": served, "failed": failed }));
            }
        }
    }
}
