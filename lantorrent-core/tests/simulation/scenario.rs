//! One run: who is there, what is sent, what goes wrong, and what must be true of every run whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lantorrent_core::session::{Plan, Seed, SourceSession, Timing};
use lantorrent_core::wire::{
    Code, Destination, Keyring, NodeState, Password, Progress, RawWriter, Report, Request, RootHasher, Wire,
};

use crate::disk::Kind;
use crate::driver::Driver;
use crate::host::{Host, Manner};
use crate::link::Side;
use crate::machine::{Machine, Session};
use crate::net::Net;
use crate::random::Random;
use crate::supply::Supply;
use crate::world::{Fault, When, World};

pub(crate) const BLOCK: u32 = 4096;

pub(crate) fn keys() -> Keyring {
    Keyring::new(Password::new("a password of these tests")).with_wire_1(Password::new("another one"))
}

/// Everything that decides a run but its seed.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) wire: Wire,
    pub(crate) degree: u32,
    pub(crate) content: Vec<u8>,
    pub(crate) length_known: bool,
    pub(crate) manners: Vec<Manner>,
    /// The hosts in the order of the list, each with its files. A file's id is "place in the list/place in the node".
    pub(crate) list: Vec<(usize, Vec<String>)>,
    pub(crate) kinds: Vec<(usize, &'static str, Kind)>,
    pub(crate) micros_per_block: Vec<(usize, usize)>,
    pub(crate) strangers: Vec<usize>,
    pub(crate) faults: Vec<(When, Fault)>,
    pub(crate) flip: Option<(usize, Side, u64, u8)>,
    pub(crate) broken_at: Option<usize>,
    pub(crate) source_micros: usize,
}

/// What is left when nothing happens any more.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) reports: BTreeMap<String, Report>,
    pub(crate) progress: Vec<Progress>,
    /// The files of each host.
    pub(crate) files: Vec<BTreeMap<String, Vec<u8>>>,
    pub(crate) begun: Vec<Vec<String>>,
    /// When the source was done; at once if it stands still.
    pub(crate) took: Duration,
}

/// Any content: every size has its blocks of zeros too.
pub(crate) fn content(size: usize) -> Vec<u8> {
    let mut random = Random::new(size as u64);
    let mut content = Vec::with_capacity(size);
    while content.len() < size {
        let block = (size - content.len()).min(BLOCK as usize);
        let zeros = random.chance(15);
        content.extend((0..block).map(|_| if zeros { 0 } else { random.next() as u8 }));
    }
    content
}

impl Scenario {
    /// A chain of `nodes` good hosts, each with one file.
    pub(crate) fn chain(wire: Wire, nodes: usize, size: usize) -> Self {
        Self {
            wire,
            degree: 1,
            content: content(size),
            length_known: true,
            manners: vec![Manner::Node; nodes],
            list: (0..nodes).map(|node| (node, vec!["/f".to_owned()])).collect(),
            kinds: Vec::new(),
            micros_per_block: Vec::new(),
            strangers: Vec::new(),
            faults: Vec::new(),
            flip: None,
            broken_at: None,
            source_micros: 100,
        }
    }

    /// The place of the source among the hosts: behind all others.
    pub(crate) fn source(&self) -> usize {
        self.manners.len()
    }

    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let node = |(place, (host, files)): (usize, &(usize, Vec<String>))| Destination {
            host: format!("h{host}"),
            port: 2893,
            index: 0,
            requests: files
                .iter()
                .enumerate()
                .map(|(file, name)| Request {
                    filename: name.clone(),
                    id: format!("{place}/{file}"),
                    rename: true,
                })
                .collect(),
            degree: None,
            block_size: None,
        };
        self.list.iter().enumerate().map(node).collect()
    }

    fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> =
            self.manners.iter().map(|manner| Host::new(manner.clone(), keys(), Timing::default())).collect();
        for &(host, name, kind) in &self.kinds {
            hosts[host].disk.kinds.insert(name.into(), kind);
        }
        for &(host, micros) in &self.micros_per_block {
            hosts[host].disk.micros_per_block = micros;
        }
        for &host in &self.strangers {
            hosts[host].keys =
                Keyring::new(Password::new("wrong")).with_wire_1(Password::new("wrong as well"));
        }
        hosts.push(Host::new(Manner::Refuses, keys(), Timing::default()));
        hosts
    }

    /// Runs to the end. Panics if anything is not as it must be in every run.
    pub(crate) fn run(&self, seed: u64) -> Outcome {
        let net = Net::new(Random::new(seed), self.content.len());
        let mut world = World::new(net, self.hosts(), self.content.clone(), self.faults.clone());
        world.flip = self.flip;
        let start = |id, net: &mut Net| {
            let plan = Plan {
                wire: self.wire,
                destinations: self.destinations(),
                degree: self.degree,
                block_size: BLOCK,
                length: self.length_known.then_some(self.content.len() as u64),
                source: None,
            };
            let seed = Seed(net.random.bytes());
            let session = SourceSession::new(net.now(), plan, keys(), Timing::default(), seed);
            let header = session.header().clone();
            let machine = Machine::new(Session::Source(Box::new(session)));
            let mut driver = Driver::new(id, machine, &header, &keys());
            driver.supply = Some(Supply {
                content: self.content.clone(),
                block_size: BLOCK,
                wire: self.wire,
                broken_at: self.broken_at,
                micros_per_block: self.source_micros,
                root: RootHasher::new(BLOCK),
                md5: RawWriter::default(),
            });
            driver
        };
        let took = world.run(start, self.source());
        let driver = world.source();
        let mut reports = BTreeMap::new();
        for report in &driver.reports {
            let id = report.id.clone().expect("the source says which request it means");
            assert!(reports.insert(id, report.clone()).is_none(), "a second report: {report:?}");
        }
        let progress = driver.progress.clone();
        let killed: BTreeSet<usize> = self.gone();
        for (place, host) in world.hosts.iter().enumerate() {
            let left = host.disk.partials.is_empty() || killed.contains(&place);
            assert!(left, "h{place} keeps {:?}", host.disk.partials.keys());
        }
        let nonces: Vec<_> = world.hosts.iter().flat_map(|host| &host.nonces).map(|nonce| nonce.0).collect();
        let different: BTreeSet<_> = nonces.iter().collect();
        assert_eq!(different.len(), nonces.len(), "each header has a nonce of its own");
        let begun = world.hosts.iter().map(|host| host.begun.clone()).collect();
        let files = world.hosts.into_iter().map(|host| host.disk.files).collect();
        let outcome = Outcome { reports, progress, files, begun, took: took.unwrap_or_default() };
        if took.is_some() {
            self.check_reports(&outcome);
            self.check_progress(&outcome);
        }
        self.check(&outcome);
        outcome
    }

    /// Hosts that leave without tidying up.
    fn gone(&self) -> BTreeSet<usize> {
        let gone = |&(_, fault): &(When, Fault)| match fault {
            Fault::Kill(host) | Fault::Freeze(host) => Some(host),
            Fault::Stop(..) => None,
        };
        self.faults.iter().filter_map(gone).collect()
    }

    fn kind(&self, host: usize, name: &str) -> Kind {
        let found = self.kinds.iter().find(|&&(other, file, _)| other == host && file == name);
        found.map_or(Kind::Good, |&(_, _, kind)| kind)
    }

    fn check_reports(&self, outcome: &Outcome) {
        let asked: BTreeSet<String> = self
            .destinations()
            .iter()
            .flat_map(|node| &node.requests)
            .map(|request| request.id.clone())
            .collect();
        let told: BTreeSet<String> = outcome.reports.keys().cloned().collect();
        assert_eq!(told, asked, "one report for each request");
        for (place, (host, files)) in self.list.iter().enumerate() {
            for (file, name) in files.iter().enumerate() {
                let report = &outcome.reports[&format!("{place}/{file}")];
                assert_eq!(report.file.as_ref(), Some(name), "{report:?}");
                let found = outcome.files[*host].get(name);
                if report.code.is_success() {
                    assert_eq!(found, Some(&self.content), "a success, and not the file: {report:?}");
                    assert_ne!(self.kind(*host, name), Kind::CannotPlace);
                } else if report.is_own() && report.code != Code::TAKING_PART {
                    assert_eq!(found, None, "the node says it has not got it, and it has: {report:?}");
                }
            }
        }
    }

    fn check(&self, outcome: &Outcome) {
        for file in outcome.files.iter().flat_map(BTreeMap::values) {
            assert_eq!(file, &self.content, "something else has the name of the file");
        }
        let mut begun: Vec<&String> = outcome.begun.iter().flatten().collect();
        begun.sort();
        let count = begun.len();
        begun.dedup();
        assert_eq!(begun.len(), count, "a node was sent the payload twice");
    }

    fn check_progress(&self, outcome: &Outcome) {
        let size = self.content.len() as u64;
        let nodes = self.list.len() as u32;
        for progress in &outcome.progress {
            assert!(progress.least <= progress.greatest, "{progress:?}");
            assert!(progress.greatest <= size, "{progress:?}");
            let count: u32 = progress.states.values().sum();
            assert!(count <= nodes, "more nodes than there are: {progress:?}");
            assert!(progress.changed.iter().all(|change| change.index < nodes), "{progress:?}");
        }
        let last = outcome.progress.last().expect("progress is told at the end at least");
        assert!(last.count(NodeState::Done) <= nodes, "{last:?}");
    }
}

impl Outcome {
    /// The code for the first file of each node of the list.
    pub(crate) fn codes(&self) -> Vec<u16> {
        let first = self.reports.iter().filter(|(id, _)| id.ends_with("/0"));
        let mut codes: Vec<(usize, u16)> = first
            .map(|(id, report)| (id.trim_end_matches("/0").parse().expect("a number"), report.code.0))
            .collect();
        codes.sort_unstable();
        codes.into_iter().map(|(_, code)| code).collect()
    }
}
