//! One run: who is there, what is sent, what goes wrong, and what must be true of every run whatever happened.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use lantorrent_core::flow::{Pool, Supply, Zeros};
use lantorrent_core::session::{DirectExchange, Plan, Seed, SourceSession, Timing};
use lantorrent_core::wire::{
    Code, Destination, Features, Keyring, NodeState, Nonce, Password, Progress, Report, Request, SourceHint,
    TransferId, TransferKey, Wire, digest,
};

use crate::forger::Lie;
use crate::later::FEATURE;
use crate::random::Random;
use crate::with::with;
use crate::world::backing::Backing;
use crate::world::content::SimContent;
use crate::world::disk::{Kind, Version};
use crate::world::driver::{Driver, SourceSide};
use crate::world::fault::{Fault, Mishap};
use crate::world::host::{Host, Manner};
use crate::world::link::Side;
use crate::world::machine::{Machine, Session};
use crate::world::net::{ActorId, Net};
use crate::world::{Launch, World};

pub(crate) const BLOCK: u32 = 4096;

pub(crate) const PASSWORD: &str = "a password of these tests";

pub(crate) fn keys() -> Keyring {
    Keyring::new(Password::new(PASSWORD).unwrap()).with_wire_1(Password::new("another one").unwrap()).unwrap()
}

/// Everything that decides a run but its seed.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) wire: Wire,
    pub(crate) degree: u32,
    pub(crate) content: Rc<Vec<u8>>,
    pub(crate) length_known: bool,
    /// Whether the source has spoken with every node before it starts.
    pub(crate) checked: bool,
    pub(crate) manners: Vec<Manner>,
    /// What is at addresses that the name of a host has besides its own, and before it.
    pub(crate) decoys: Vec<(usize, Manner)>,
    /// The hosts in the order of the list, each with its files. A file's id is "place in the list/place in the node".
    pub(crate) list: Vec<(usize, Vec<String>)>,
    pub(crate) kinds: Vec<(usize, &'static str, Kind)>,
    pub(crate) micros_per_block: Vec<(usize, usize)>,
    pub(crate) strangers: Vec<usize>,
    /// Hosts with a process for each connection.
    pub(crate) solo: Vec<usize>,
    /// Hosts that change what they relay.
    pub(crate) forgers: Vec<(usize, Lie)>,
    /// Hosts of a version that says more than this one knows, and has a feature.
    pub(crate) later: Vec<usize>,
    /// Whether the transfer uses that feature.
    pub(crate) uses_feature: bool,
    pub(crate) mishaps: Vec<Mishap>,
    /// Hosts that have something of the file from an earlier time, and how many bytes.
    pub(crate) partials: Vec<(usize, usize)>,
    pub(crate) flip: Option<(usize, Side, u64, u8)>,
    /// Whether that happens to the first connection alone.
    pub(crate) flip_once: bool,
    pub(crate) broken_at: Option<usize>,
    pub(crate) source_micros: usize,
    pub(crate) even_links: bool,
    /// When it must have come to its end.
    pub(crate) limit: Duration,
}

/// What is left when nothing happens any more.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) reports: BTreeMap<String, Report>,
    pub(crate) progress: Vec<Progress>,
    /// The files of each host.
    pub(crate) files: Vec<BTreeMap<String, Vec<u8>>>,
    pub(crate) begun: Vec<Vec<String>>,
    /// What each host had when a process of it died, if one has.
    pub(crate) outlived: Vec<Option<BTreeSet<String>>>,
    /// When the source was done; at once if it stands still.
    pub(crate) took: Duration,
    /// For the network to carry a block over one link, as a rule.
    pub(crate) block_time: Duration,
    /// Whether the source lived to its end.
    pub(crate) told: bool,
    /// When each of the mishaps has happened.
    pub(crate) struck: Vec<Option<Duration>>,
    /// How much of the payload each host has received, all in all.
    pub(crate) taken: Vec<u64>,
    /// How often each host began to read the payload from somebody.
    pub(crate) upstreams: Vec<u32>,
    /// The hosts that the source itself has turned to.
    pub(crate) sourced: BTreeSet<usize>,
    /// Who was bypassed for a time, by place in the list.
    pub(crate) bypassed: BTreeSet<u32>,
    /// How far the payload came on each host.
    pub(crate) received: Vec<u64>,
    /// How much each host has for a later transfer to go on with.
    pub(crate) kept: Vec<u64>,
    /// The names of the files that each host has something of that has no name yet.
    pub(crate) partials: Vec<BTreeSet<String>>,
    /// When the last thing happened.
    pub(crate) quiet: Duration,
    /// The frames of later versions that each host had from its upstream, and that it made itself; without their tags.
    pub(crate) heard: Vec<Vec<Vec<u8>>>,
    pub(crate) extended: Vec<Vec<Vec<u8>>>,
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
            content: content(size).into(),
            length_known: true,
            checked: true,
            manners: vec![Manner::Node; nodes],
            decoys: Vec::new(),
            list: (0..nodes).map(|node| (node, vec!["/f".to_owned()])).collect(),
            kinds: Vec::new(),
            micros_per_block: Vec::new(),
            strangers: Vec::new(),
            solo: Vec::new(),
            forgers: Vec::new(),
            later: Vec::new(),
            uses_feature: false,
            mishaps: Vec::new(),
            partials: Vec::new(),
            flip: None,
            flip_once: false,
            broken_at: None,
            source_micros: 100,
            even_links: false,
            // No run needs more, whatever goes wrong: the longest wait is for a result, half an hour.
            limit: Duration::from_secs(4000),
        }
    }

    /// The place of the source among the hosts: behind all others.
    pub(crate) fn source(&self) -> usize {
        self.manners.len()
    }

    pub(crate) fn destinations(&self) -> Vec<Destination> {
        let node = |(place, (host, files)): (usize, &(usize, Vec<String>))| {
            Destination::new(
                format!("h{host}"),
                2893,
                files
                    .iter()
                    .enumerate()
                    .map(|(file, name)| Request::new(name.clone(), format!("{place}/{file}")))
                    .collect(),
            )
        };
        self.list.iter().enumerate().map(node).collect()
    }

    fn hosts(&self) -> Vec<Host> {
        let strange = || {
            Keyring::new(Password::new("wrong").unwrap())
                .with_wire_1(Password::new("wrong as well").unwrap())
                .unwrap()
        };
        let mut hosts: Vec<Host> =
            self.manners.iter().map(|manner| Host::new(manner.clone(), keys(), Timing::default())).collect();
        for &(host, name, kind) in &self.kinds {
            hosts[host].disk.kinds.insert(name.into(), kind);
        }
        for &(host, micros) in &self.micros_per_block {
            hosts[host].disk.micros_per_block = micros;
        }
        for &host in &self.strangers {
            hosts[host].keys = strange();
        }
        for &host in &self.solo {
            hosts[host].solo = true;
        }
        for &(host, lie) in &self.forgers {
            hosts[host].lie = Some(lie);
        }
        for &(host, bytes) in &self.partials {
            let content = &self.content[..bytes];
            let digests = content.chunks(BLOCK as usize).map(digest).collect();
            hosts[host].disk.leave_partial("/f", self.version(), content.to_vec(), digests);
        }
        hosts.push(Host::new(Manner::Refuses, keys(), Timing::default()));
        for &host in &self.later {
            hosts[host].is_later = true;
        }
        for host in hosts.iter_mut().filter(|_| !self.later.is_empty()) {
            host.overhears = true;
        }
        let decoys = self.decoys.iter().map(|(_, manner)| manner.clone());
        hosts.extend(decoys.map(|manner| Host::new(manner, strange(), Timing::default())));
        hosts
    }

    fn hint(&self) -> SourceHint {
        with(SourceHint::new("the file".into()), |it| {
            it.size = Some(self.content.len() as u64);
            it.mtime = Some(1);
        })
    }

    fn length(&self) -> Option<u64> {
        self.length_known.then_some(self.content.len() as u64)
    }

    fn version(&self) -> Version {
        Version { source: self.hint(), length: self.length(), block_size: BLOCK }
    }

    fn launch(&self) -> Launch {
        let scenario = self.clone();
        Box::new(move |id, net, hosts, cancelled| scenario.source_driver(id, net, hosts, cancelled))
    }

    /// What a check before the start leaves behind: a key that the source shares with each node.
    fn meet(&self, net: &mut Net, hosts: &mut [Host], transfer: TransferId) -> DirectExchange {
        let mut known = DirectExchange::default();
        for (index, (host, _)) in (0..).zip(&self.list).filter(|_| self.checked) {
            let (nonce, challenge) = (Nonce(net.random.bytes()), Nonce(net.random.bytes()));
            let key = keys().node_key(&nonce, &challenge).expect("wire 2 is on");
            hosts[*host].meet(net.now().instant, transfer, index, key.clone());
            known.add(index, key);
        }
        known
    }

    fn source_driver(
        &self,
        id: ActorId,
        net: &mut Net,
        hosts: &mut [Host],
        cancelled: BTreeSet<String>,
    ) -> Driver {
        let key = TransferKey::new(&net.random.bytes());
        let feature = |has: bool| if has { Features::new([FEATURE]).unwrap() } else { Features::SUPPORTED };
        let plan = with(Plan::new(self.wire, self.destinations(), BLOCK), |it| {
            it.features = feature(self.later.contains(&self.source()));
            it.features_in_use = feature(self.uses_feature);
            it.exchange = self.meet(net, hosts, key.transfer());
            it.key = Some(key);
            it.degree = self.degree;
            it.length = self.length();
            it.source = Some(self.hint());
            it.begun = Some(net.unix_millis());
            it.cancelled = cancelled;
        });
        let seed = Seed(net.random.bytes());
        let session = SourceSession::new(net.now(), plan, keys(), Timing::default(), seed);
        let header = session.header().clone();
        let key = session.key();
        let machine = Machine::new(Session::Source(Box::new(session)));
        let content = Rc::clone(&self.content);
        let backing = Backing::Source { content: Rc::clone(&content), broken_at: self.broken_at };
        let content = SimContent { content, block_size: BLOCK, broken_at: self.broken_at };
        let (now, pool) = (net.now().instant, Pool::new(BLOCK, 8));
        let supply = Supply::new(now, content, Zeros::Sent, key, BLOCK, pool);
        let source = SourceSide::new(supply, self.source_micros);
        Driver::of_source(net, id, self.source(), machine, (&header, &keys()), (source, backing))
    }

    /// Runs to the end. Panics if anything is not as it must be in every run.
    pub(crate) fn run(&self, seed: u64) -> Outcome {
        let net = Net::new(Random::new(seed), self.content.len());
        let (content, mishaps) = (Rc::clone(&self.content), self.mishaps.clone());
        let mut world = World::new(net, self.hosts(), self.source(), content, mishaps, self.launch());
        let decoys = self.decoys.iter().enumerate();
        world.net.decoys = decoys.map(|(at, (host, _))| (*host, self.source() + 1 + at)).collect();
        world.net.even_links = self.even_links;
        world.flip = self.flip;
        world.flip_once = self.flip_once;
        let took = world.run(self.limit);
        for source in world.sources().filter(|source| source.machine.done) {
            self.check_reports_of(source);
        }
        let reports = world.source().map(Self::reports).unwrap_or_default();
        let progress = world.source().map(|source| source.progress.clone()).unwrap_or_default();
        let by_source = |host: &Host| host.proven.iter().any(|(_, from)| from.is_none());
        let sourced = (0..self.list.len()).filter(|&host| by_source(&world.hosts[host])).collect();
        let bypassed = world.sources().flat_map(|source| &source.bypassed);
        let bypassed = bypassed.filter_map(|report| report.index).collect();
        let awake = world.hosts.iter().enumerate().filter(|&(place, _)| !world.is_asleep(place));
        for (place, host) in awake {
            let locked = host.disk.partials.iter().find(|(_, partial)| partial.locked);
            assert!(locked.is_none(), "h{place} keeps {:?} open", locked.map(|(name, _)| name));
        }
        check_nonces(&world);
        let outcome = Outcome {
            reports,
            progress,
            begun: world.hosts.iter().map(|host| host.begun.clone()).collect(),
            outlived: world.hosts.iter().map(|host| host.outlived.clone()).collect(),
            taken: world.hosts.iter().map(|host| host.taken).collect(),
            struck: std::mem::take(&mut world.struck),
            upstreams: world.hosts.iter().map(|host| host.upstreams).collect(),
            sourced,
            quiet: world.net.elapsed(),
            heard: world.hosts.iter().map(|host| host.heard.clone()).collect(),
            extended: world.hosts.iter().map(|host| host.extended.clone()).collect(),
            bypassed,
            received: world.hosts.iter().map(|host| host.received).collect(),
            partials: world.hosts.iter().map(|host| host.disk.partials.keys().cloned().collect()).collect(),
            kept: world.hosts.iter().map(|host| host.disk.kept("/f")).collect(),
            files: world.hosts.into_iter().map(|host| host.disk.files).collect(),
            took: took.unwrap_or_default(),
            block_time: world.net.block_time(),
            told: took.is_some(),
        };
        if outcome.told {
            self.check_reports(&outcome);
            self.check_progress(&outcome);
        }
        self.check_files(&outcome);
        outcome
    }

    /// What a source has told, by request.
    fn reports(source: &Driver) -> BTreeMap<String, Report> {
        let id = |report: &Report| report.id.clone().expect("the source says which request it means");
        source.reports.iter().map(|report| (id(report), report.clone())).collect()
    }

    fn check_reports_of(&self, source: &Driver) {
        let told = Self::reports(source);
        assert_eq!(told.len(), source.reports.len(), "a request with two reports");
        let asked = self.destinations();
        let asked = asked.iter().flat_map(|node| &node.requests).map(|request| &request.id);
        assert!(told.keys().eq(asked.collect::<BTreeSet<_>>()), "one report for each request");
    }

    pub(crate) fn kind(&self, host: usize, name: &str) -> Kind {
        let found = self.kinds.iter().rfind(|&&(other, file, _)| other == host && file == name);
        found.map_or(Kind::Good, |&(_, _, kind)| kind)
    }

    fn check_reports(&self, outcome: &Outcome) {
        for (place, (host, files)) in self.list.iter().enumerate() {
            for (file, name) in files.iter().enumerate() {
                let report = &outcome.reports[&format!("{place}/{file}")];
                assert_eq!(report.file.as_ref(), Some(name), "{report:?}");
                let found = outcome.files[*host].get(name);
                if report.code.is_success() {
                    assert!(found == Some(&self.content), "a success, and not the file: {report:?}");
                    assert_ne!(self.kind(*host, name), Kind::CannotPlace);
                } else if report.is_own()
                    && report.code != Code::TAKING_PART
                    && !self.is_sent_again(outcome)
                    && !self.may_begin_anew(*host, outcome)
                    && !outcome.has_forgotten(*host, name, report.code)
                {
                    assert!(found.is_none(), "the node says it has not got it, and it has: {report:?}");
                }
            }
        }
    }

    /// Whether a process of that host may have done what another one could not, whose result is known.
    pub(crate) fn may_begin_anew(&self, host: usize, outcome: &Outcome) -> bool {
        self.solo.contains(&host) && outcome.begun[host].len() > self.list[host].1.len()
    }

    /// Whether another source has come after the first one.
    fn is_sent_again(&self, outcome: &Outcome) -> bool {
        let struck = self.mishaps.iter().zip(&outcome.struck).filter(|(_, struck)| struck.is_some());
        struck.map(|(mishap, _)| mishap).any(|mishap| {
            [Fault::Kill(self.source()), Fault::Suspend].contains(&mishap.fault) && mishap.ends.is_some()
                || mishap.fault == Fault::Again
        })
    }

    fn check_files(&self, outcome: &Outcome) {
        for file in outcome.files.iter().flat_map(BTreeMap::values) {
            assert!(*file == *self.content, "something else has the name of the file");
        }
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
    /// Whether a node says so of what it did in a life that it has forgotten, or has forgotten since that it said so:
    /// nothing on its disk tells where a file came from, or that it was cancelled. PROTOCOL.md, "Cancel" and "Results".
    pub(crate) fn has_forgotten(&self, host: usize, name: &str, code: Code) -> bool {
        self.outlived[host].as_ref().is_some_and(|had| had.contains(name) || code == Code::CANCELLED)
    }

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

fn check_nonces(world: &World) {
    let nonces = world.hosts.iter().flat_map(|host| &host.proven);
    let nonces: Vec<_> = nonces.map(|(nonce, _)| nonce.0).collect();
    let different: BTreeSet<_> = nonces.iter().collect();
    assert_eq!(different.len(), nonces.len(), "each header has a nonce of its own");
}
