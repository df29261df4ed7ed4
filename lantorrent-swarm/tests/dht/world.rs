//! A network of nodes: datagrams take their time, some get lost, and all of it is the same again with the same seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_swarm::dht::{DhtAction, DhtEvent, DhtNode, DhtSettings, Mode, NodeId};
use lantorrent_swarm::{Compact, InfoHash, Seed};

/// `SplitMix64`.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn id(&mut self) -> NodeId {
        NodeId(std::array::from_fn(|_| self.next() as u8))
    }

    pub(crate) fn seed(&mut self) -> Seed {
        Seed(std::array::from_fn(|_| self.next() as u8))
    }
}

/// What a machine that is no node of ours does with a datagram: what it sends, and to whom.
pub(crate) type Stranger = Box<dyn FnMut(&mut Chance, SocketAddr, &[u8]) -> Vec<(SocketAddr, Vec<u8>)>>;

/// When it arrives, which one it is, from where, to where, and what.
type Datagram = (Instant, u64, SocketAddr, SocketAddr, Vec<u8>);

pub(crate) struct World {
    pub(crate) chance: Chance,
    pub(crate) now: Instant,
    pub(crate) nodes: BTreeMap<SocketAddr, DhtNode>,
    pub(crate) strangers: BTreeMap<SocketAddr, Stranger>,
    /// Of a hundred datagrams.
    pub(crate) lost: u64,
    pub(crate) sent: u64,
    /// Who has found whom.
    pub(crate) found: BTreeMap<(SocketAddr, InfoHash), BTreeSet<SocketAddr>>,
    travelling: BinaryHeap<Reverse<Datagram>>,
    deadlines: BTreeSet<(Instant, SocketAddr)>,
}

pub(crate) fn address(number: u32) -> SocketAddr {
    (std::net::Ipv4Addr::from_bits(0x0a00_0000 + number), 6881).into()
}

pub(crate) fn torrent(number: u32) -> InfoHash {
    InfoHash::of(&number.to_be_bytes())
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance(seed),
            now: Instant::now(),
            nodes: BTreeMap::new(),
            strangers: BTreeMap::new(),
            lost: 0,
            sent: 0,
            found: BTreeMap::new(),
            travelling: BinaryHeap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// A node with a random name.
    pub(crate) fn node(&mut self, number: u32) -> SocketAddr {
        let id = self.chance.id();
        self.node_of(address(number), id, Mode::Full)
    }

    pub(crate) fn node_of(&mut self, address: SocketAddr, id: NodeId, mode: Mode) -> SocketAddr {
        let settings = DhtSettings::new(id, Compact::of(&address), mode, self.chance.seed());
        let node = DhtNode::new(settings, self.now);
        self.deadlines.insert((node.deadline(self.now), address));
        self.nodes.insert(address, node);
        address
    }

    /// Nodes from that number on, each of which knows one that came before it.
    pub(crate) fn crowd(&mut self, first: u32, count: u32) -> Vec<SocketAddr> {
        let mut nodes: Vec<SocketAddr> = Vec::new();
        for number in first..first + count {
            let node = self.node(number);
            if !nodes.is_empty() {
                let known = nodes[self.chance.below(nodes.len() as u64) as usize];
                self.tell(node, DhtEvent::Meet(known));
            }
            nodes.push(node);
            self.run(Duration::from_millis(200));
        }
        nodes
    }

    pub(crate) fn tell(&mut self, node: SocketAddr, event: DhtEvent<'_>) {
        let Some(machine) = self.nodes.get_mut(&node) else { return };
        let actions = machine.handle(self.now, event);
        let due = machine.deadline(self.now);
        assert!(due > self.now, "a node that never rests");
        self.deadlines.retain(|(_, of)| *of != node);
        self.deadlines.insert((due, node));
        for action in actions {
            match action {
                DhtAction::Send(to, datagram) => self.send(node, to, datagram),
                DhtAction::Found(torrent, peers) => {
                    self.found.entry((node, torrent)).or_default().extend(peers);
                }
            }
        }
    }

    pub(crate) fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: Vec<u8>) {
        assert!(datagram.len() < 1400, "{}", datagram.len());
        self.sent += 1;
        if self.chance.below(100) >= self.lost {
            let arrives = self.now + Duration::from_micros(200 + self.chance.below(50_000));
            self.travelling.push(Reverse((arrives, self.sent, from, to, datagram)));
        }
    }

    /// The node is gone without a word.
    pub(crate) fn kill(&mut self, node: SocketAddr) {
        self.nodes.remove(&node);
        self.deadlines.retain(|(_, of)| *of != node);
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let arrival = self.travelling.peek().map(|Reverse((at, ..))| *at);
            let deadline = self.deadlines.first().map(|(at, _)| *at);
            let Some(next) = arrival.into_iter().chain(deadline).min().filter(|&next| next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let Some(Reverse((_, _, from, to, datagram))) = self.travelling.pop() else { break };
                self.arrives(from, to, &datagram);
            } else if let Some((_, node)) = self.deadlines.pop_first() {
                self.tell(node, DhtEvent::Tick);
            }
        }
        self.now = until;
    }

    fn arrives(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if let Some(stranger) = self.strangers.get_mut(&to) {
            let answers = stranger(&mut self.chance, from, datagram);
            for (other, answer) in answers {
                self.send(to, other, answer);
            }
        } else {
            self.tell(to, DhtEvent::Received(from, datagram));
        }
    }

    pub(crate) fn join(&mut self, node: SocketAddr, torrent: InfoHash) {
        self.tell(node, DhtEvent::Join { torrent, port: Some(7000) });
    }

    pub(crate) fn has_found(&self, node: SocketAddr, torrent: InfoHash, peer: SocketAddr) -> bool {
        let peer = SocketAddr::new(peer.ip(), 7000);
        self.found.get(&(node, torrent)).is_some_and(|peers| peers.contains(&peer))
    }
}
