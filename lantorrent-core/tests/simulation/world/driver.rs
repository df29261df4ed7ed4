//! The driver of one session, as a program would have it: it carries out what the session asks for, moves bytes
//! between connections, disk and memory, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantorrent_core::Limit;
use lantorrent_core::flow::{
    Disk, DiskOrder, DiskStep, LinkOrder, Pool, Receiver, Ring, Sender, Shared as _, Supply, SupplyStep, Wake,
};
use lantorrent_core::session::{
    Answer, FeedOutput, LinkId, LinkInput, LinkOutput, NodeInput, NodeOutput, SourceInput, SourceOutput,
    Standing, UpstreamId,
};
use lantorrent_core::wire::{Header, Keyring, PayloadWriter, Progress, Report, RootHasher, TransferId, Wire};

use crate::later;
use crate::scenario::PASSWORD;

use super::backing::{Backing, SimRing};
use super::child::{Child, Sent, Waits};
use super::content::SimContent;
use super::files::SimFiles;
use super::host::Host;
use super::link::{ConnId, Read, Side};
use super::machine::{Happening, Machine, Output};
use super::net::{ActorId, Event, Net};
use super::upstreams::Upstreams;
use super::{address, host_at};
use crate::forger::Forger;

/// How long a session waits for files in use: one that was superseded takes a moment to let go.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the last frame to a child may take where the transfer is suspended.
const PARTING: Duration = Duration::from_secs(1);
/// A child whose place in the ring is given up was waited for that long, by all that patience has in the beginning.
const PATIENCE_WITH_CHILDREN: Duration = Duration::from_millis(199);

/// What only a node has.
#[derive(Debug)]
pub(crate) struct NodeSide {
    pub(crate) upstreams: Upstreams,
    disk: Disk<SimFiles>,
    disk_state: DiskState,
    pub(crate) transfer: Option<TransferId>,
    /// Whether it was said where the payload begins.
    begun: bool,
}

/// What the disk of a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiskState {
    /// There may be something to do.
    Ready,
    /// An event is on its way that does it.
    Busy,
    /// There was nothing, and the ring has not named it since.
    Idle,
}

/// What only a source has.
#[derive(Debug)]
pub(crate) struct SourceSide {
    supply: Supply<SimContent>,
    /// How long the source takes to read a block, at most.
    micros_per_block: usize,
    /// Whether an event is on its way that reads the next piece.
    busy: bool,
    over: bool,
    waits_until: Option<Instant>,
}

pub(crate) struct Driver {
    pub(crate) id: ActorId,
    /// The host that it runs on.
    pub(crate) at: usize,
    pub(crate) machine: Machine,
    writer: PayloadWriter,
    pool: Arc<Pool>,
    pub(crate) node: Option<NodeSide>,
    source: Option<SourceSide>,
    ring: SimRing,
    children: BTreeMap<LinkId, Child>,
    /// What a disk is to read again for children.
    reads: BTreeMap<LinkId, (Backing, u64, u64)>,
    lookups: BTreeSet<LinkId>,
    told: VecDeque<Happening>,
    armed: Option<Instant>,
    nudge_at: Option<Instant>,
    /// Since when the producer waits for room, and how long it has waited before.
    waiting: Option<Instant>,
    waited: Duration,
    /// Whether the children's links are closed by force then.
    parting_until: Option<Instant>,
    /// What it has said to processes that asked.
    pub(crate) answers: Vec<Answer>,
    pub(crate) reports: Vec<Report>,
    pub(crate) bypassed: Vec<Report>,
    pub(crate) progress: Vec<Progress>,
}

impl NodeSide {
    pub(crate) fn new(
        net: &Net,
        header: &Header,
        keys: &Keyring,
        truth: Option<Rc<Vec<u8>>>,
        transfer: Option<TransferId>,
    ) -> Self {
        let pool = Pool::new(header.block_size, 8);
        let receiver = Receiver::new(header.clone(), keys.clone(), pool, Limit::default());
        let files = SimFiles::new(header, truth);
        Self {
            upstreams: Upstreams::new(header, receiver),
            disk: Disk::new(net.now().instant, header.clone(), files, PATIENCE),
            disk_state: DiskState::Idle,
            transfer,
            begun: false,
        }
    }
}

impl SourceSide {
    pub(crate) fn new(supply: Supply<SimContent>, micros_per_block: usize) -> Self {
        Self { supply, micros_per_block, busy: false, over: false, waits_until: None }
    }
}

impl Driver {
    pub(crate) fn of_node(
        net: &mut Net,
        id: ActorId,
        at: usize,
        machine: Machine,
        (header, keys): (&Header, &Keyring),
        node: NodeSide,
    ) -> Self {
        let ring = Ring::for_node(net.random.within(1, 8));
        Self { node: Some(node), ..Self::new(id, at, machine, header, keys, ring) }
    }

    pub(crate) fn of_source(
        net: &mut Net,
        id: ActorId,
        at: usize,
        machine: Machine,
        (header, keys): (&Header, &Keyring),
        (source, backing): (SourceSide, Backing),
    ) -> Self {
        let ring = Ring::for_source(net.random.within(1, 8), backing);
        Self { source: Some(source), ..Self::new(id, at, machine, header, keys, ring) }
    }

    fn new(
        id: ActorId,
        at: usize,
        machine: Machine,
        header: &Header,
        keys: &Keyring,
        ring: Ring<Backing>,
    ) -> Self {
        Self {
            id,
            at,
            machine,
            writer: PayloadWriter::new(header, keys).expect("the wire has a password"),
            pool: Pool::new(header.block_size, 8),
            node: None,
            source: None,
            ring: SimRing::new(ring),
            children: BTreeMap::new(),
            reads: BTreeMap::new(),
            lookups: BTreeSet::new(),
            told: VecDeque::new(),
            armed: None,
            nudge_at: None,
            waiting: None,
            waited: Duration::ZERO,
            parting_until: None,
            answers: Vec::new(),
            reports: Vec::new(),
            bypassed: Vec::new(),
            progress: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, net: &mut Net, host: &mut Host) {
        for output in self.machine.begin() {
            self.carry_out(net, host, output);
        }
        self.step(net, host);
    }

    pub(crate) fn tell(&mut self, happening: impl Into<Happening>) {
        self.told.push_back(happening.into());
    }

    pub(crate) fn stop(&mut self, grace: Duration) {
        match self.node {
            Some(_) => self.tell(NodeInput::Stop(grace)),
            None => self.tell(SourceInput::Stop),
        }
    }

    fn child(&mut self, conn: ConnId) -> Option<&mut Child> {
        self.children.values_mut().find(|child| child.conn == conn)
    }

    /// A connection to a child stands, or cannot be made.
    pub(crate) fn connected(&mut self, net: &mut Net, conn: ConnId, result: Result<SocketAddr, &str>) {
        let Some(child) = self.child(conn) else { return };
        child.connected = result.is_ok();
        let link = child.link;
        net.announce(conn, Side::Dialer);
        self.tell(match result {
            Ok(address) => LinkInput::Connected(link, address),
            Err(why) => LinkInput::Closed(link, why.into()),
        });
    }

    pub(crate) fn readable(&mut self, net: &mut Net, conn: ConnId) {
        if let Some(node) = self.node.as_mut().filter(|node| node.upstreams.owns(conn)) {
            return node.upstreams.readable(net, conn);
        }
        let Some(link) = self.child(conn).filter(|child| child.connected).map(|child| child.link) else {
            return;
        };
        match net.read(conn, Side::Dialer) {
            Read::Bytes(bytes) => self.told.push_back(Happening::Bytes(link, bytes)),
            Read::Nothing => {}
            Read::Eof => self.tell(LinkInput::Closed(link, "it closed the connection".into())),
            Read::Reset => self.tell(LinkInput::Closed(link, "it reset the connection".into())),
        }
    }

    /// A connection that was full may have room.
    pub(crate) fn writable(&mut self, conn: ConnId) {
        if let Some(child) = self.child(conn) {
            child.waits.take_if(|waits| *waits == Waits::Socket);
        }
    }

    pub(crate) fn timer(&mut self, net: &Net) {
        self.armed = None;
        if self.machine.deadline().is_some_and(|at| at <= net.now().instant) {
            self.tell(Happening::Tick);
        }
    }

    /// The disk does one thing.
    pub(crate) fn disk(&mut self, net: &mut Net, host: &mut Host) {
        if let Some(step) = self.step_disk(net, host) {
            let Some(node) = &mut self.node else { return };
            node.disk_state = DiskState::Ready;
            match step {
                DiskStep::Moved => {}
                DiskStep::Idle(_) | DiskStep::Over => node.disk_state = DiskState::Idle,
                DiskStep::Until(at) => {
                    node.disk_state = DiskState::Busy;
                    net.at(at, Event::Disk(self.id));
                }
            }
        }
    }

    fn step_disk(&mut self, net: &mut Net, host: &mut Host) -> Option<DiskStep> {
        let node = self.node.as_mut()?;
        let (now, told) = (net.now().instant, &mut self.told);
        let files = node.disk.files();
        std::mem::swap(&mut files.disk, &mut host.disk);
        std::mem::swap(&mut files.random, &mut net.random);
        let tell = &mut |input| told.push_back(Happening::from(input));
        let step = node.disk.step(now, &self.ring, tell);
        let files = node.disk.files();
        std::mem::swap(&mut files.disk, &mut host.disk);
        std::mem::swap(&mut files.random, &mut net.random);
        Some(step)
    }

    /// A disk has read again what a child is to be sent.
    pub(crate) fn read_back(&mut self, link: LinkId, host: &Host) {
        let Some((backing, offset, len)) = self.reads.remove(&link) else { return };
        let item = if host.disk.broken {
            Err("the disk is broken".to_owned())
        } else {
            backing.item(&self.pool, offset, len, self.writer.wire() == Wire::Two)
        };
        self.ring.change(|ring| ring.has_read(link, item));
    }

    /// The source reads one piece of its file.
    pub(crate) fn supply(&mut self, net: &Net) {
        let Some(source) = self.source.as_mut().filter(|_| !self.machine.done) else { return };
        source.busy = false;
        let (now, told) = (net.now().instant, &mut self.told);
        let tell = &mut |input| told.push_back(Happening::from(input));
        loop {
            match source.supply.step(now, &self.ring, tell) {
                // What was read before is in the ring.
                SupplyStep::Moved(0) => {}
                SupplyStep::Moved(_) => break,
                SupplyStep::NeedsRoom { until, .. } => {
                    source.waits_until = Some(until);
                    self.waiting = Some(now);
                    break;
                }
                SupplyStep::Over => {
                    source.over = true;
                    break;
                }
            }
        }
    }

    pub(crate) fn halted(&mut self) {
        let told = &mut self.told;
        if let Some(node) = &mut self.node {
            node.upstreams.halted(&mut |input| told.push_back(Happening::from(input)));
        }
    }

    /// The time has come for what waits for it.
    pub(crate) fn nudge(&mut self, net: &mut Net) {
        let now = net.now().instant;
        self.nudge_at.take_if(|at| *at <= now);
        let is_due = |at: &mut Instant| *at <= now;
        if let Some(node) = &mut self.node {
            node.upstreams.waits_until.take_if(is_due);
        }
        if let Some(source) = &mut self.source {
            source.waits_until.take_if(is_due);
        }
        for child in self.children.values_mut() {
            child.waits.take_if(|waits| matches!(waits, Waits::Until(at) if *at <= now));
        }
        if self.parting_until.take_if(is_due).is_some() {
            for child in std::mem::take(&mut self.children).into_values() {
                net.close(child.conn, Side::Dialer, true);
            }
        }
    }

    /// Lets the session hear all that happened, and does what it says, until nothing is left to do now.
    pub(crate) fn step(&mut self, net: &mut Net, host: &mut Host) {
        if net.random.chance(1) {
            // A Tick too early harms nobody.
            self.tell(Happening::Tick);
        }
        // A node without upstream shows its children no sign of life.
        let is_heard =
            self.writer.wire() == Wire::Two && self.machine.standing(net.now()) != Standing::Orphan;
        if host.is_later && is_heard && net.random.chance(10) {
            self.extend(net, host);
        }
        loop {
            while let Some(happening) = self.told.pop_front() {
                self.note(net, &happening);
                host.ended |= matches!(happening, Happening::Node(NodeInput::End { .. }));
                for output in self.machine.handle(net.now(), happening) {
                    self.carry_out(net, host, output);
                }
            }
            let moved = self.move_payload(net, host);
            if self.told.is_empty() && !moved {
                break;
            }
        }
        self.wait(net, host);
    }

    /// Sends the children something that only a later version knows.
    fn extend(&mut self, net: &mut Net, host: &mut Host) {
        let most = if net.random.chance(5) { 8192 } else { 100 };
        let extension = later::extension(&mut net.random, most);
        host.extended.push([extension.head(), extension.data()].concat());
        self.ring.change(|ring| ring.extend(&extension));
    }

    fn note(&self, net: &Net, happening: &Happening) {
        net.note(self.at, || match happening {
            Happening::Tick => "<- Tick".to_owned(),
            Happening::Node(NodeInput::File(input)) => format!("<- {}", cut(&format!("{input:?}"))),
            Happening::Node(input) => format!("<- {}", cut(&format!("{input:?}"))),
            Happening::Source(input) => format!("<- {}", cut(&format!("{input:?}"))),
            Happening::Link(input) => format!("<- {}", cut(&format!("{input:?}"))),
            Happening::Feed(input) => format!("<- {}", cut(&format!("{input:?}"))),
            Happening::Bytes(link, bytes) => {
                format!("<- {link:?} says {}", cut(&String::from_utf8_lossy(bytes)))
            }
        });
    }

    /// Steps the machines that may go on, once each. Returns whether that moved anything.
    fn move_payload(&mut self, net: &mut Net, host: &mut Host) -> bool {
        self.wake(net.now().instant);
        let mut moved = false;
        for link in self.children.keys().copied().collect::<Vec<_>>() {
            moved |= self.send(net, link);
        }
        moved |= self.receive(net, host);
        if let Some(node) = &mut self.node {
            node.upstreams.pump(net);
        }
        moved
    }

    /// Has those machines look again that the ring names, and no others: one that is forgotten waits for ever.
    fn wake(&mut self, now: Instant) {
        let Wake { producer, disk, links } = self.ring.take_woken();
        if producer {
            self.node.iter_mut().for_each(|node| node.upstreams.waits_until = None);
            self.source.iter_mut().for_each(|source| source.waits_until = None);
        }
        let waits = self.node.as_ref().and_then(|node| node.upstreams.waits_until);
        let waits = waits.or(self.source.as_ref().and_then(|source| source.waits_until));
        if waits.is_none()
            && let Some(since) = self.waiting.take()
        {
            self.waited += now - since;
        }
        if let Some(node) = self.node.as_mut().filter(|node| disk && node.disk_state == DiskState::Idle) {
            node.disk_state = DiskState::Ready;
        }
        for link in links {
            if let Some(child) = self.children.get_mut(&link) {
                child.waits.take_if(|waits| matches!(waits, Waits::Ring | Waits::Until(_)));
            }
        }
    }

    fn send(&mut self, net: &mut Net, link: LinkId) -> bool {
        let Some(child) = self.children.get_mut(&link) else { return false };
        let told = &mut self.told;
        let sent = child.send(net, &self.ring, &mut |input| told.push_back(Happening::from(input)));
        child.is_at(self.ring.look(|ring| ring.position(link)));
        match sent {
            Sent::Something => true,
            Sent::Nothing => false,
            Sent::NeedsFile(backing, offset, len) => {
                child.from_file = true;
                let was_waited_for = self.waited >= PATIENCE_WITH_CHILDREN;
                assert!(
                    !std::mem::take(&mut child.from_memory) || was_waited_for,
                    "a child lost its place in the ring after {:?} of waiting",
                    self.waited
                );
                self.reads.insert(link, (backing, offset, len));
                net.within(100, Event::ReadBack(self.id, link));
                true
            }
            Sent::Over => {
                if self.ring.with(|ring| ring.has_parted(link)) {
                    net.close(child.conn, Side::Dialer, false);
                    self.children.remove(&link);
                }
                false
            }
        }
    }

    fn receive(&mut self, net: &mut Net, host: &mut Host) -> bool {
        let Some(node) = &mut self.node else { return false };
        let before = node.upstreams.offset();
        let told = &mut self.told;
        let tell = &mut |input| told.push_back(Happening::from(input));
        let heard = host.overhears.then_some(&mut host.heard);
        let moved = node.upstreams.receive(net, &self.ring, heard, tell);
        if node.upstreams.waits_until.is_some() && self.waiting.is_none() {
            self.waiting = Some(net.now().instant);
        }
        if let (Some(before), Some(after)) = (before, node.upstreams.offset()) {
            host.received = host.received.max(after);
            host.taken += after - before;
        }
        moved
    }

    /// Sees to it that what is not woken before is looked at in time.
    fn wait(&mut self, net: &mut Net, host: &Host) {
        self.check_waits();
        let deadline = self.machine.deadline();
        if let Some(at) = deadline.filter(|_| deadline != self.armed) {
            self.armed = deadline;
            net.at(at, Event::Timer(self.id));
        }
        let turns = self.children.values().filter_map(|child| match child.waits {
            Some(Waits::Until(at)) => Some(at),
            _ => None,
        });
        let node = self.node.as_ref().and_then(|node| node.upstreams.waits_until);
        let source = self.source.as_ref().and_then(|source| source.waits_until);
        let next = turns.chain(node).chain(source).chain(self.parting_until).min();
        if let Some(at) = next.filter(|at| self.nudge_at.is_none_or(|nudge_at| *at < nudge_at)) {
            self.nudge_at = Some(at);
            net.at(at, Event::Nudge(self.id));
        }
        if let Some(source) = &mut self.source
            && !(source.busy || source.over || source.waits_until.is_some() || self.machine.done)
        {
            source.busy = true;
            net.within(source.micros_per_block + 1, Event::Supply(self.id));
        }
        let Some(node) = &mut self.node else { return };
        for conn in node.upstreams.shut() {
            net.announce(conn, Side::Acceptor);
        }
        if node.disk_state == DiskState::Ready {
            node.disk_state = DiskState::Busy;
            let wrote = std::mem::take(&mut node.disk.files().wrote);
            let most = 100 + if wrote { host.disk.micros_per_block } else { 0 };
            net.within(most, Event::Disk(self.id));
        }
    }

    /// Nothing waits for what is there already.
    fn check_waits(&self) {
        for child in self.children.values().filter(|child| child.waits == Some(Waits::Ring)) {
            let has_work = self.ring.look(|ring| ring.has_link(child.link) && ring.has_link_work(child.link));
            assert!(!has_work, "{:?} was forgotten", child.link);
        }
        let disk = self.node.as_ref().filter(|node| node.disk_state == DiskState::Idle);
        assert!(disk.is_none() || !self.ring.look(Ring::has_disk_work), "the disk was forgotten");
        let waits = self.node.as_ref().and_then(|node| node.upstreams.waits_until);
        let waits = waits.or(self.source.as_ref().and_then(|source| source.waits_until));
        assert!(waits.is_none() || !self.ring.look(Ring::has_room), "the producer was forgotten");
    }

    fn carry_out(&mut self, net: &mut Net, host: &mut Host, output: Output) {
        net.note(self.at, || format!("-> {}", cut(&format!("{:?}", Said(&output)))));
        match output {
            Output::Link(LinkOutput::LookUp { link, host, port }) => {
                assert_eq!(port, 2893);
                let host: usize =
                    host.strip_prefix('h').and_then(|number| number.parse().ok()).expect("a host");
                let decoys = net.decoys.iter().filter(|(other, _)| *other == host).map(|(_, decoy)| *decoy);
                let addresses = decoys.chain([host]).map(address).collect();
                self.lookups.insert(link);
                self.tell(LinkInput::Found(link, addresses));
            }
            Output::Link(LinkOutput::Connect { link, to }) => {
                let conn = net.dial(self.id, self.at, Some(host_at(to)));
                self.ring.quietly(|ring| ring.add_link(link));
                let sender = Sender::new(net.now().instant, link, self.writer.clone(), Limit::default());
                let mut child = Child::new(link, conn, sender);
                child.forger = host.lie.map(|lie| Forger::new(lie, host.keys.clone()));
                self.children.insert(link, child);
            }
            Output::Link(LinkOutput::Close(link)) if self.lookups.remove(&link) => {}
            Output::Link(LinkOutput::Send(link, mut bytes)) => {
                self.check_link(link);
                if host.is_later {
                    bytes = later::header(PASSWORD, &bytes, None).unwrap_or(bytes);
                }
                self.ring.change(|ring| ring.order_link(link, LinkOrder::Send(bytes)));
            }
            Output::Feed(output) => {
                let (FeedOutput::Control(link, _) | FeedOutput::Feed(link, _) | FeedOutput::Finish(link)) =
                    output;
                self.check_link(link);
                self.ring.change(|ring| ring.obey(output));
            }
            Output::Link(LinkOutput::Close(link)) => {
                self.ring.change(|ring| ring.remove_link(link));
                let child = self.children.remove(&link).expect("only what is open is closed");
                let lose = net.random.chance(30);
                net.close(child.conn, Side::Dialer, lose);
            }
            Output::Source(SourceOutput::Part(link)) => self.ring.change(|ring| ring.part(link)),
            Output::Source(SourceOutput::Progress(progress)) => self.progress.push(progress),
            Output::Source(SourceOutput::Report(report)) => self.reports.push(report),
            Output::Source(SourceOutput::Bypassed(report)) => self.bypassed.push(report),
            Output::Source(other) => unreachable!("{other:?} has a name of its own"),
            Output::Node(output) => self.carry_out_node(net, host, output),
            Output::Done if self.node.is_none() => {
                self.parting_until = Some(net.now().instant + PARTING);
            }
            Output::Done => self.leave(net, host),
        }
    }

    fn check_link(&self, link: LinkId) {
        assert!(self.children.contains_key(&link), "a link that was asked for, and is not closed");
    }

    fn order_disk(&self, order: DiskOrder) {
        self.ring.change(|ring| ring.order_disk(order));
    }

    fn carry_out_node(&mut self, net: &mut Net, host: &mut Host, output: NodeOutput) {
        let node = self.node.as_mut().expect("outputs of a node");
        match output {
            NodeOutput::File(output) => self.order_disk(DiskOrder::File(output)),
            NodeOutput::Accept(upstream, from) => self.accept(net, host, upstream, from),
            NodeOutput::Halt => self.halt(net),
            NodeOutput::Reply(upstream, bytes) => node.upstreams.reply(upstream, bytes),
            NodeOutput::CloseUpstream(upstream) => node.upstreams.close(upstream),
            NodeOutput::DropUpstream(upstream) => {
                if node.upstreams.abandon(net, upstream) {
                    self.halt(net);
                }
            }
            NodeOutput::Answer(answer) => self.answers.push(answer),
            other => unreachable!("{other:?} has a name of its own"),
        }
    }

    fn halt(&mut self, net: &mut Net) {
        if let Some(node) = &mut self.node
            && node.upstreams.is_reading()
            && !std::mem::replace(&mut node.upstreams.halting, true)
        {
            net.within(2000, Event::Halted(self.id));
        }
    }

    fn accept(&mut self, net: &Net, host: &mut Host, upstream: UpstreamId, from: u64) {
        host.upstreams += 1;
        let node = self.node.as_mut().expect("outputs of a node");
        if !std::mem::replace(&mut node.begun, true) {
            self.ring.change(|ring| ring.begin(from));
        }
        let (ring, told) = (&self.ring, &mut self.told);
        let block_size = self.pool.block_size();
        let root = || {
            let Some(Backing::Inode(inode)) = ring.look(|ring| ring.resumed_file(from)) else { return None };
            let mut root = RootHasher::new(block_size as u32);
            let digests = &inode.borrow().digests;
            digests[..from.div_ceil(block_size) as usize].iter().for_each(|digest| root.block(digest));
            Some(root)
        };
        let tell = &mut |input| told.push_back(Happening::from(input));
        node.upstreams.accept(net.now().instant, upstream, from, root, tell);
    }

    /// The session is over: what is open by now has no name, and gets none from it.
    fn leave(&mut self, net: &mut Net, host: &mut Host) {
        self.ring.change(Ring::close);
        self.order_disk(DiskOrder::Leave);
        while self.step_disk(net, host).is_some_and(|step| step != DiskStep::Over) {}
        let node = self.node.as_mut().expect("outputs of a node");
        node.upstreams.finish();
        self.told.clear();
        if let Some(transfer) = &node.transfer {
            host.leave(net.now().instant, transfer, self.machine.results());
        }
    }
}

/// An output as the story tells it: what goes over the network as text.
struct Said<'a>(&'a Output);

impl std::fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Output::Node(NodeOutput::Reply(id, bytes)) => {
                write!(f, "Reply({id:?}) {}", String::from_utf8_lossy(bytes))
            }
            Output::Link(LinkOutput::Send(link, bytes)) => write!(f, "Send({link:?}) {} bytes", bytes.len()),
            Output::Link(output) => output.fmt(f),
            Output::Feed(output) => output.fmt(f),
            Output::Node(output) => output.fmt(f),
            Output::Source(output) => output.fmt(f),
            Output::Done => f.write_str("Done"),
        }
    }
}

fn cut(text: &str) -> &str {
    let text = text.trim_end();
    text.char_indices().nth(160).map_or(text, |(end, _)| &text[..end])
}
