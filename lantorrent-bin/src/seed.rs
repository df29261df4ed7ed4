//! `lantorrent seed`.

use std::collections::HashMap;
use std::time::Duration;

use lantorrent_swarm::InfoHash;
use lantorrent_swarm::drive::{Adding, Existing, Notice, Swarm, Wanted};
use lantorrent_swarm::files::Tree;
use serde_json::json;

use crate::exit::{Failure, Status};
use crate::swarm::say::To;
use crate::swarm::{Network, Seed, Stop, addresses, trust};
use crate::terminal;
use crate::text::clean;
use crate::torrent;

/// How long a signal may go unnoticed.
const GLANCE: Duration = Duration::from_millis(100);

pub(crate) fn run(seed: &Seed) -> Result<Status, Failure> {
    if seed.torrents.is_empty() {
        return Err(Failure::usage("there is nothing to serve", "give one .torrent file or more"));
    }
    Tree::open(&seed.dir)
        .map_err(|error| Failure::usage(error, "give the folder that the files are in with --dir"))?;
    let mut serving =
        Serving { to: To::of(seed.json), names: HashMap::new(), waiting: 0, failed: 0, whole: 0 };
    let adding = torrents(seed, &mut serving)?;
    let stop = Stop::on_signals()?;
    let mut swarm = Network {
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
    serving.listening(&swarm);
    for adding in adding {
        swarm.add(adding);
    }
    let outcome = serving.run(&mut swarm, &stop);
    let uploaded: u64 = swarm.status().iter().map(|status| status.progress.uploaded).sum();
    swarm.stop();
    serving.to.event("stopped", json!({ "uploaded": uploaded }));
    outcome
}

/// What is to be served, each torrent once.
fn torrents(seed: &Seed, serving: &mut Serving) -> Result<Vec<Adding>, Failure> {
    let peers = addresses(&seed.peer);
    let mut all = Vec::new();
    for path in &seed.torrents {
        let metainfo = torrent::read(path)?;
        let name = path.display().to_string();
        if serving.names.insert(metainfo.info.hash(), name).is_some() {
            serving.to.warn(&format!("{} was named before", path.display()));
            continue;
        }
        all.push(Adding {
            trackers: seed.tracker.clone(),
            peers: peers.clone(),
            existing: Existing::Serve,
            trust: trust(seed.check),
            ..Adding::new(Wanted::Metainfo(Box::new(metainfo)), seed.dir.clone())
        });
    }
    serving.waiting = all.len();
    Ok(all)
}

struct Serving {
    to: To,
    /// Where the torrents are.
    names: HashMap<InfoHash, String>,
    /// Torrents that are looked at still.
    waiting: usize,
    failed: usize,
    whole: usize,
}

impl Serving {
    fn listening(&self, swarm: &Swarm) {
        match self.to {
            To::People => terminal::print_line(&format!("listening on port {}", swarm.port())),
            To::Programs => self.to.event("listening", json!({ "port": swarm.port() })),
        }
    }

    fn run(&mut self, swarm: &mut Swarm, stop: &Stop) -> Result<Status, Failure> {
        while !stop.is_asked() {
            match swarm.notice(GLANCE) {
                Some(Notice::Whole(hash)) => self.whole(hash),
                Some(Notice::Failed(hash, why)) => {
                    self.failed(hash, &why);
                    swarm.remove(hash);
                }
                Some(Notice::Warning(hash, why)) => self.to.warn(&format!("{}: {why}", self.name(hash))),
                Some(Notice::Metadata(_) | Notice::Removed(_) | Notice::Evicted(_)) | None => {}
            }
            if self.failed == self.names.len() {
                return Err(Failure::told(Status::Incomplete, "none of the torrents can be served"));
            }
        }
        Ok(if self.failed == 0 { Status::Success } else { Status::Incomplete })
    }

    fn name(&self, hash: InfoHash) -> String {
        self.names.get(&hash).map_or_else(|| hash.to_string(), Clone::clone)
    }

    fn whole(&mut self, hash: InfoHash) {
        self.whole += 1;
        let name = self.name(hash);
        self.to.event("serving", json!({ "torrent": name, "info_hash": hash.to_string() }));
        log::debug!("{name} is served");
        self.looked_at();
    }

    fn failed(&mut self, hash: InfoHash, why: &str) {
        self.failed += 1;
        let name = self.name(hash);
        match self.to {
            To::People => terminal::note(&format!("lantorrent: {name}: {why}")),
            To::Programs => {
                let hash = hash.to_string();
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
        if self.waiting > 0 || self.whole == 0 {
            return;
        }
        match self.to {
            To::People => {
                let all = self.names.len();
                terminal::print_line(&clean(&format!("serving {} of {all} torrents", self.whole)));
            }
            To::Programs => {
                self.to.event("ready", json!({ "serving": self.whole, "failed": self.failed }));
            }
        }
    }
}
