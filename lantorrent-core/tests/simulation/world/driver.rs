//! The driver of one session, as a program would have it: it carries out what the session asks for, moves bytes
//! between connections, disk and memory, and decides nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_core::session::{
    Answer, FeedOutput, LinkId, LinkInput, LinkOutput, NodeInput, NodeOutput, SourceInput, SourceOutput,
    UpstreamId,
};
use lantorrent_core::wire::{Header, Keyring, PayloadWriter, Progress, Report, TransferId};

use super::feed::{Feed, Next};
use super::host::Host;
use super::link::{ConnId, Read, Side};
use super::machine::{Happening, Machine, Output};
use super::net::{ActorId, Event, Net};
use super::ring::{Backing, Ring};
use super::storage::{Order, Storage};
use super::supply::Supply;
use super::upstream::Upstreams;
use super::{address, host_at};

/// What only a node has.
#[derive(Debug)]
pub(crate) struct NodeSide {
    pub(crate) upstreams: Upstreams,
    pub(crate) storage: Storage,
    pub(crate) transfer: Option<TransferId>,
    /// Whether it was said where the payload begins.
    pub(crate) begun: bool,
}

pub(crate) struct Driver {
    pub(crate) id: ActorId,
    /// The host that it runs on.
    pub(crate) at: usize,
    pub(crate) machine: Machine,
    pub(crate) writer: PayloadWriter,
    pub(crate) node: Option<NodeSide>,
    pub(crate) supply: Option<Supply>,
    pub(crate) ring: Ring,
    feeds: BTreeMap<LinkId, Feed>,
    lookups: BTreeSet<LinkId>,
    told: VecDeque<Happening>,
    armed: Option<Instant>,
    nudged: bool,
    /// What it has said to processes that asked.
    pub(crate) answers: Vec<Answer>,
    pub(crate) reports: Vec<Report>,
    pub(crate) bypassed: Vec<Report>,
    pub(crate) progress: Vec<Progress>,
}

impl Driver {
    pub(crate) fn new(
        net: &mut Net,
        id: ActorId,
        at: usize,
        machine: Machine,
        header: &Header,
        keys: &Keyring,
    ) -> Self {
        Self {
            id,
            at,
            machine,
            writer: PayloadWriter::new(header, keys).expect("the wire has a password"),
            node: None,
            supply: None,
            ring: Ring::new(net.random.within(1, 8), header.block_size),
            feeds: BTreeMap::new(),
            lookups: BTreeSet::new(),
            told: VecDeque::new(),
            armed: None,
            nudged: false,
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

    fn child(&mut self, conn: ConnId) -> Option<&mut Feed> {
        self.feeds.values_mut().find(|feed| feed.conn == conn)
    }

    /// A connection to a child stands, or cannot be made.
    pub(crate) fn connected(&mut self, net: &mut Net, conn: ConnId, result: Result<SocketAddr, &str>) {
        let Some(child) = self.child(conn) else { return };
        child.connected = result.is_ok();
        let link = child.link();
        net.announce(conn, Side::Dialer);
        self.tell(match result {
            Ok(address) => LinkInput::Connected(link, address),
            Err(why) => LinkInput::Closed(link, why.into()),
        });
    }

    pub(crate) fn readable(&mut self, net: &mut Net, host: &Host, conn: ConnId) {
        let room = self.has_room(host);
        if let Some(node) = self.node.as_mut().filter(|node| node.upstreams.owns(conn)) {
            return node.upstreams.readable(net, conn, room, &mut self.ring, &mut self.told);
        }
        let Some(link) = self.child(conn).filter(|child| child.connected).map(|child| child.link()) else {
            return;
        };
        match net.read(conn, Side::Dialer) {
            Read::Bytes(bytes) => self.told.push_back(Happening::Bytes(link, bytes)),
            Read::Nothing => {}
            Read::Eof => self.tell(LinkInput::Closed(link, "it closed the connection".into())),
            Read::Reset => self.tell(LinkInput::Closed(link, "it reset the connection".into())),
        }
    }

    pub(crate) fn timer(&mut self, net: &Net) {
        self.armed = None;
        if self.machine.deadline().is_some_and(|at| at <= net.now().instant) {
            self.tell(Happening::Tick);
        }
    }

    pub(crate) fn disk(&mut self, net: &mut Net, host: &mut Host) {
        if let Some(node) = self.node.as_mut().filter(|_| !self.machine.done) {
            node.storage.work(net, self.id, &mut host.disk, &self.ring, &mut self.told);
        }
    }

    pub(crate) fn supply(&mut self) {
        let Some(supply) = self.supply.as_mut().filter(|_| !self.machine.done) else { return };
        supply.busy = false;
        let input = supply.step(&mut self.ring);
        self.tell(input);
    }

    pub(crate) fn halted(&mut self) {
        if let Some(node) = &mut self.node {
            node.upstreams.halted(&self.ring, &mut self.told);
        }
    }

    /// While the driver does not read, silence is nobody's fault.
    pub(crate) fn nudge(&mut self, host: &Host) {
        self.nudged = false;
        if !self.has_room(host) {
            let quiet = self.node.is_some();
            if quiet {
                self.tell(NodeInput::Heard);
            }
        }
    }

    fn has_room(&mut self, host: &Host) -> bool {
        let children = self.feeds.values().map(|feed| feed.position);
        match &self.node {
            Some(node) => {
                let backing = node.storage.backing(&host.disk);
                self.ring.has_room(backing, Some(node.storage.written.unwrap_or(0)), children)
            }
            None => self.ring.has_room(Backing::Whole, None, children),
        }
    }

    /// Lets the session hear all that happened, and does what it says, until nothing is left to do now.
    pub(crate) fn step(&mut self, net: &mut Net, host: &mut Host) {
        if net.random.chance(1) {
            // A Tick too early harms nobody.
            self.tell(Happening::Tick);
        }
        loop {
            while let Some(happening) = self.told.pop_front() {
                self.note(net, &happening);
                for output in self.machine.handle(net.now(), happening) {
                    self.carry_out(net, host, output);
                }
            }
            self.pump(net, host);
            let moved = self.take_payload(net, host);
            if self.told.is_empty() && !moved {
                break;
            }
        }
        host.received = host.received.max(self.ring.head);
        host.ended |= self.ring.end.is_some();
        self.wait(net, host);
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

    fn pump(&mut self, net: &mut Net, host: &Host) {
        let (ring, told) = (&self.ring, &mut self.told);
        for feed in self.feeds.values_mut() {
            let file = |offset: u64| match (&self.node, &self.supply) {
                (Some(node), _) => node.storage.read(&host.disk, ring, offset),
                (None, Some(supply)) => supply.read(offset),
                (None, None) => Next::Gone,
            };
            feed.pump(net, ring, &file, &self.writer, told);
        }
        if let Some(node) = &mut self.node {
            node.upstreams.pump(net);
        }
    }

    /// Takes one more frame, if there is one and room for it. Returns whether that moved anything.
    fn take_payload(&mut self, net: &mut Net, host: &mut Host) -> bool {
        let waits = |node: &NodeSide| node.upstreams.reads().is_some_and(|(_, idle)| !idle);
        if !self.node.as_ref().is_some_and(waits) || !self.has_room(host) {
            return false;
        }
        let before = self.ring.head;
        if let Some(node) = &mut self.node {
            node.upstreams.take(net, &mut self.ring, &mut self.told);
        }
        host.taken += self.ring.head - before;
        true
    }

    fn wait(&mut self, net: &mut Net, host: &Host) {
        let deadline = self.machine.deadline();
        if let Some(at) = deadline.filter(|_| deadline != self.armed) {
            self.armed = deadline;
            net.at(at, Event::Timer(self.id));
        }
        let room = self.has_room(host);
        if let Some(supply) = &mut self.supply
            && room
            && !(supply.busy || supply.over || self.machine.done)
        {
            supply.busy = true;
            net.within(supply.micros_per_block + 1, Event::Supply(self.id));
        }
        let Some(node) = &mut self.node else { return };
        if let Some((conn, idle)) = node.upstreams.reads() {
            if room && idle {
                net.announce(conn, Side::Acceptor);
            } else if !std::mem::replace(&mut self.nudged, true) {
                net.after(Duration::from_millis(500), Event::Nudge(self.id));
            }
        }
        for conn in node.upstreams.shut() {
            net.announce(conn, Side::Acceptor);
        }
        if !self.machine.done {
            node.storage.kick(net, self.id, &host.disk, &self.ring);
        }
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
                self.feeds.insert(link, Feed::new(link, conn));
            }
            Output::Link(LinkOutput::Close(link)) if self.lookups.remove(&link) => {}
            Output::Link(LinkOutput::Send(link, bytes)) => self.feed(link).send(bytes),
            Output::Feed(FeedOutput::Control(link, control)) => self.feed(link).control(control),
            Output::Feed(FeedOutput::Feed(link, from)) => self.feed(link).position = Some(from),
            Output::Feed(FeedOutput::Finish(link)) => {
                let conn = self.feed(link).conn;
                net.shut_down(conn, Side::Dialer);
            }
            Output::Link(LinkOutput::Close(link)) => {
                let feed = self.feeds.remove(&link).expect("only what is open is closed");
                let lose = net.random.chance(30);
                net.close(feed.conn, Side::Dialer, lose);
            }
            Output::Source(SourceOutput::Part(link)) => {
                let feed = self.feeds.remove(&link).expect("only who is fed is parted from");
                net.close(feed.conn, Side::Dialer, false);
            }
            Output::Source(SourceOutput::Progress(progress)) => self.progress.push(progress),
            Output::Source(SourceOutput::Report(report)) => self.reports.push(report),
            Output::Source(SourceOutput::Bypassed(report)) => self.bypassed.push(report),
            Output::Source(other) => unreachable!("{other:?} has a name of its own"),
            Output::Node(output) => self.carry_out_node(net, host, output),
            Output::Done => self.leave(net, host),
        }
    }

    fn feed(&mut self, link: LinkId) -> &mut Feed {
        self.feeds.get_mut(&link).expect("a link that was asked for, and is not closed")
    }

    fn carry_out_node(&mut self, net: &mut Net, host: &mut Host, output: NodeOutput) {
        let node = self.node.as_mut().expect("outputs of a node");
        match output {
            NodeOutput::Open(file) => node.storage.order(Order::Open(file)),
            NodeOutput::Place(file, size) => node.storage.order(Order::Place(file, size)),
            NodeOutput::Discard(file) => node.storage.order(Order::Discard(file)),
            NodeOutput::Keep(file) => node.storage.order(Order::Keep(file)),
            NodeOutput::Remove(request) => node.storage.order(Order::Remove(request)),
            NodeOutput::Accept(upstream, from) => self.accept(host, upstream, from),
            NodeOutput::Halt => node.upstreams.halt(net, self.id),
            NodeOutput::Reply(upstream, bytes) => node.upstreams.reply(upstream, bytes),
            NodeOutput::CloseUpstream(upstream) => node.upstreams.close(upstream),
            NodeOutput::DropUpstream(upstream) => node.upstreams.abandon(net, self.id, upstream),
            NodeOutput::Answer(answer) => self.answers.push(answer),
            other => unreachable!("{other:?} has a name of its own"),
        }
    }

    fn leave(&mut self, net: &mut Net, host: &mut Host) {
        if let Some(node) = &mut self.node {
            node.storage.leave(&mut host.disk);
            node.upstreams.finish();
            if let Some(transfer) = &node.transfer {
                host.leave(net.now().instant, transfer, self.machine.results());
            }
        }
    }

    fn accept(&mut self, host: &mut Host, upstream: UpstreamId, from: u64) {
        host.upstreams += 1;
        let node = self.node.as_mut().expect("outputs of a node");
        if !std::mem::replace(&mut node.begun, true) {
            let journal = node.storage.journal(&host.disk, from);
            self.ring.begin(from, journal.unwrap_or_default());
            node.storage.order(Order::Begin(from));
        }
        node.upstreams.accept(upstream, &self.ring);
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
