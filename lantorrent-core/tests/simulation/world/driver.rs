//! The driver of one session, as a program would have it: it carries out what the session asks for, moves bytes
//! between connections, disk and memory, and decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use lantorrent_core::session::{Input, LinkId, Output};
use lantorrent_core::wire::{Keyring, PayloadWriter, Progress, Report, TransferId, Wire};

use crate::host::Host;
use crate::link::{ConnId, Read, Side};
use crate::machine::{Happening, Machine};
use crate::net::{ActorId, Event, Net};
use crate::plane::{Feed, Plane};
use crate::storage::{Order, Storage};
use crate::supply::Supply;
use crate::upstream::Upstream;

/// How much may come that is not yet where it must go, in bytes.
const WINDOW: u64 = 32 << 10;

/// What only a node has.
#[derive(Debug)]
pub(crate) struct NodeSide {
    pub(crate) upstream: Upstream,
    pub(crate) storage: Storage,
    pub(crate) transfer: Option<TransferId>,
    /// Whether the payload was accepted with nothing that could be read back.
    pub(crate) only_once: bool,
}

pub(crate) struct Driver {
    pub(crate) id: ActorId,
    pub(crate) machine: Machine,
    pub(crate) writer: PayloadWriter,
    pub(crate) node: Option<NodeSide>,
    pub(crate) supply: Option<Supply>,
    plane: Plane,
    feeds: BTreeMap<LinkId, Feed>,
    told: VecDeque<Happening>,
    armed: Option<Instant>,
    nudged: bool,
    pub(crate) reports: Vec<Report>,
    pub(crate) progress: Vec<Progress>,
}

impl Driver {
    pub(crate) fn new(
        id: ActorId,
        machine: Machine,
        header: &lantorrent_core::wire::Header,
        keys: &Keyring,
    ) -> Self {
        Self {
            id,
            machine,
            writer: PayloadWriter::new(header, keys).expect("the wire has a password"),
            node: None,
            supply: None,
            plane: Plane::default(),
            feeds: BTreeMap::new(),
            told: VecDeque::new(),
            armed: None,
            nudged: false,
            reports: Vec::new(),
            progress: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, net: &mut Net, host: &mut Host) {
        for output in self.machine.begin() {
            self.carry_out(net, host, output);
        }
        self.step(net, host);
        if self.supply.is_some() {
            net.soon(Event::Supply(self.id));
        }
    }

    pub(crate) fn tell(&mut self, input: Input<'static>) {
        self.told.push_back(Happening::Input(input));
    }

    fn link(&self, conn: ConnId) -> Option<LinkId> {
        self.feeds.values().find(|feed| feed.conn == conn).map(Feed::link)
    }

    /// A connection to a child stands, or cannot be made.
    pub(crate) fn dialed(&mut self, conn: ConnId, result: Result<std::net::SocketAddr, &str>) {
        let Some(link) = self.link(conn) else { return };
        self.tell(match result {
            Ok(address) => Input::Connected(link, address),
            Err(why) => Input::Closed(link, why.into()),
        });
    }

    pub(crate) fn readable(&mut self, net: &mut Net, host: &Host, conn: ConnId) {
        let room = self.has_room(host);
        match &mut self.node {
            Some(node) if node.upstream.conn == conn => {
                if node.upstream.wants_to_read(room) {
                    node.upstream.readable(net, &mut self.plane, &mut self.told);
                } else if net.is_reset(conn, Side::Acceptor) && net.random.chance(50) {
                    node.upstream.lost(&mut self.told);
                }
            }
            _ => {
                let Some(link) = self.link(conn) else { return };
                match net.read(conn, Side::Dialer) {
                    Read::Bytes(bytes) => self.told.push_back(Happening::Bytes(link, bytes)),
                    Read::Nothing => {}
                    Read::Eof => self.tell(Input::Closed(link, "it closed the connection".into())),
                    Read::Reset => self.tell(Input::Closed(link, "it reset the connection".into())),
                }
            }
        }
    }

    pub(crate) fn timer(&mut self, net: &Net) {
        self.armed = None;
        if self.machine.deadline().is_some_and(|at| at <= net.now().instant) {
            self.tell(Input::Tick);
        }
    }

    pub(crate) fn disk(&mut self, net: &mut Net, host: &mut Host) {
        if let Some(node) = self.node.as_mut().filter(|_| !self.machine.done) {
            node.storage.work(net, &mut host.disk, &self.plane, &mut self.told);
        }
    }

    pub(crate) fn supply(&mut self, net: &mut Net) {
        let Some(supply) = self.supply.as_mut().filter(|_| !self.machine.done) else { return };
        if let Some(input) = supply.step(&mut self.plane) {
            self.told.push_back(Happening::Input(input));
        } else {
            let delay = net.random.below(supply.micros_per_block + 1) as u64;
            net.after(Duration::from_micros(delay), Event::Supply(self.id));
        }
    }

    /// While the driver does not read, silence is nobody's fault.
    pub(crate) fn nudge(&mut self, host: &Host) {
        self.nudged = false;
        if !self.has_room(host) {
            self.tell(Input::Heard);
        }
    }

    /// Only the disk throttles what comes, unless nothing written can be read back.
    fn has_room(&self, host: &Host) -> bool {
        let Some(node) = &self.node else { return true };
        let near = |position: u64| self.plane.received() - position.min(self.plane.received()) < WINDOW;
        near(node.storage.written)
            && (node.storage.readable(&host.disk)
                || self.feeds.values().all(|feed| near(feed.position.unwrap_or(0))))
    }

    /// Lets the session hear all that happened, and does what it says, until nothing is left to do now.
    pub(crate) fn step(&mut self, net: &mut Net, host: &mut Host) {
        if net.random.chance(1) {
            // A Tick too early harms nobody.
            self.tell(Input::Tick);
        }
        loop {
            while let Some(happening) = self.told.pop_front() {
                for output in self.machine.handle(net.now(), happening) {
                    self.carry_out(net, host, output);
                }
            }
            for feed in self.feeds.values_mut() {
                feed.pump(net, &self.plane, &self.writer, &mut self.told);
            }
            if let Some(node) = &mut self.node {
                node.upstream.pump(net);
            }
            if self.told.is_empty() {
                break;
            }
        }
        host.received = host.received.max(self.plane.received());
        self.wait(net, host);
    }

    fn wait(&mut self, net: &mut Net, host: &Host) {
        let deadline = self.machine.deadline();
        if let Some(at) = deadline.filter(|_| deadline != self.armed) {
            self.armed = deadline;
            net.at(at, Event::Timer(self.id));
        }
        let room = self.has_room(host);
        let Some(node) = &mut self.node else { return };
        if node.upstream.wants_to_read(room) {
            net.announce(node.upstream.conn, Side::Acceptor);
        } else if node.upstream.wants_payload() && !std::mem::replace(&mut self.nudged, true) {
            net.after(Duration::from_millis(500), Event::Nudge(self.id));
        }
        if !self.machine.done {
            node.storage.kick(net, self.id, &host.disk, &self.plane);
        }
    }

    fn carry_out(&mut self, net: &mut Net, host: &mut Host, output: Output) {
        match output {
            Output::Connect { link, host, port } => {
                assert_eq!(port, 2893);
                let to = host.strip_prefix('h').and_then(|number| number.parse().ok());
                let conn = net.dial(self.id, to);
                self.feeds.insert(link, Feed::new(link, conn));
            }
            Output::Send(link, bytes) => self.feed(link).send(bytes),
            Output::Control(link, control) => self.feed(link).control(control),
            Output::Feed(link, from) => {
                // On wire 1 nobody says that he is ready, and a refusal may come late.
                let late =
                    self.writer.wire() == Wire::Two && self.node.as_ref().is_some_and(|node| node.only_once);
                assert!(!late, "a child to be fed with what is not there any more");
                self.feed(link).position = Some(from);
            }
            Output::Close(link) => {
                let feed = self.feeds.remove(&link).expect("only what is open is closed");
                let lose = net.random.chance(30);
                net.close(feed.conn, Side::Dialer, lose);
            }
            Output::Progress(progress) => self.progress.push(progress),
            Output::Report(report) => self.reports.push(report),
            Output::Done if self.node.is_none() => {}
            other => self.carry_out_node(net, host, &other),
        }
    }

    fn feed(&mut self, link: LinkId) -> &mut Feed {
        self.feeds.get_mut(&link).expect("a link that was asked for, and is not closed")
    }

    fn carry_out_node(&mut self, net: &mut Net, host: &mut Host, output: &Output) {
        let node = self.node.as_mut().expect("outputs of a node");
        match output {
            Output::Open(file) => node.storage.order(Order::Open(*file)),
            Output::Place(file, size) => node.storage.order(Order::Place(*file, *size)),
            Output::Discard(file) => node.storage.order(Order::Discard(*file)),
            Output::Accept(_) => {
                node.only_once = !node.storage.readable(&host.disk);
                node.upstream.accept(net, &mut self.plane, &mut self.told);
            }
            Output::Reply(bytes) => node.upstream.out.extend(bytes),
            Output::CloseUpstream => node.upstream.closing = true,
            Output::Done => {
                node.storage.leave(&mut host.disk);
                node.upstream.finish();
                if let Some(transfer) = &node.transfer {
                    host.roster.leave(transfer);
                }
            }
            other => unreachable!("{other:?} is no output of a node"),
        }
    }
}
