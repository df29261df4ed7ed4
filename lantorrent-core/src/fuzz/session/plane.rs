//! The node's driver: it steps what a ring, a deadline or the input names, and nothing else.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::child::Child;
use super::files::{Backing, FuzzFiles, Luck, read_back};
use super::outlet::{Outlet, Waits};
use super::upstreams::Upstreams;
use super::{ADDRESSES, BLOCK, keys};
use crate::flow::{Disk, DiskOrder, DiskStep, LinkOrder, Local, Pool, Receiver, Ring, Sender, Shared, Wake};
use crate::rate::Limit;
use crate::session::{FeedOutput, LinkId, LinkInput, LinkOutput, NodeInput, NodeOutput, Now};
use crate::wire::{Header, PayloadWriter};

/// How long files in use are waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// What the disk waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DiskState {
    /// There may be something to do, when the input says so.
    Ready,
    Ring,
    Until(Instant),
}

pub(super) struct Plane {
    ring: Local<Ring<Backing>>,
    pub(super) upstreams: Upstreams,
    disk: Disk<FuzzFiles>,
    disk_state: DiskState,
    pub(super) outlets: BTreeMap<LinkId, Outlet>,
    /// What the session is still to hear.
    pub(super) told: VecDeque<NodeInput<'static>>,
    content: Rc<[u8]>,
    writer: PayloadWriter,
    limit: Limit,
    begun: bool,
    /// Since when the producer waits for room, and how long it has waited before.
    waiting: Option<Instant>,
    waited: Duration,
}

impl Plane {
    /// With a ring of so many blocks.
    pub(super) fn new(
        now: Instant,
        header: &Header,
        capacity: usize,
        limit: Limit,
        content: Rc<[u8]>,
    ) -> Self {
        let files = FuzzFiles::new(header.wire(), Rc::clone(&content));
        let receiver = Receiver::new(header.clone(), keys(), Pool::new(BLOCK, 8), limit.clone());
        Self {
            ring: Local::new(Ring::for_node(capacity)),
            upstreams: Upstreams::new(receiver),
            disk: Disk::new(now, header.clone(), files, PATIENCE),
            disk_state: DiskState::Ring,
            outlets: BTreeMap::new(),
            told: VecDeque::new(),
            content,
            writer: PayloadWriter::new(header, &keys()).expect("both wires are on"),
            limit,
            begun: false,
            waiting: None,
            waited: Duration::ZERO,
        }
    }

    /// Does what the session says.
    pub(super) fn carry_out(&mut self, now: Now, output: NodeOutput) {
        match output {
            NodeOutput::File(output) => self.order_disk(DiskOrder::File(output)),
            NodeOutput::Accept(upstream, from) => {
                if !std::mem::replace(&mut self.begun, true) {
                    self.ring.change(|ring| ring.begin(from));
                }
                let (ring, told) = (&self.ring, &mut self.told);
                let resumed = || ring.look(|ring| ring.resumed_file(from));
                let tell = &mut |input| told.push_back(input);
                self.upstreams.accept(now.instant, upstream, from, resumed, tell);
            }
            NodeOutput::Halt => self.upstreams.halt(),
            NodeOutput::CloseUpstream(id) | NodeOutput::DropUpstream(id) => self.upstreams.remove(id),
            NodeOutput::Link(output) => self.carry_out_link(now, output),
            NodeOutput::Feed(output) => {
                if let FeedOutput::Feed(link, from) = output {
                    self.outlets.get_mut(&link).expect("a link that is open").child.feed(from);
                }
                self.ring.change(|ring| ring.obey(output));
            }
            NodeOutput::Done => self.leave(now.instant),
            NodeOutput::Reply(..) | NodeOutput::Answer(_) => {}
        }
    }

    fn carry_out_link(&mut self, now: Now, output: LinkOutput) {
        match output {
            LinkOutput::LookUp { link, .. } => {
                let addresses = &ADDRESSES[..=usize::from(link.0 % 4 == 2)];
                let addresses = addresses.iter().map(|&ip| (ip, 1).into()).collect();
                self.told.push_back(LinkInput::Found(link, addresses).into());
            }
            LinkOutput::Connect { link, .. } => {
                self.ring.quietly(|ring| ring.add_link(link));
                let sender = Sender::new(now.instant, link, self.writer.clone(), self.limit.clone());
                let child = Child::new(now, Rc::clone(&self.content));
                self.outlets.insert(link, Outlet::new(link, sender, child));
            }
            LinkOutput::Send(link, bytes) => {
                self.ring.change(|ring| ring.order_link(link, LinkOrder::Send(bytes)));
            }
            // A name that was looked up has no link in the ring.
            LinkOutput::Close(link) => {
                self.ring.change(|ring| ring.remove_link(link));
                self.outlets.remove(&link);
            }
        }
    }

    fn order_disk(&self, order: DiskOrder) {
        self.ring.change(|ring| ring.order_disk(order));
    }

    /// The session is over.
    fn leave(&mut self, now: Instant) {
        self.ring.change(Ring::close);
        self.order_disk(DiskOrder::Leave);
        self.upstreams.finish();
        loop {
            match self.disk.step(now, &self.ring, &mut |_| {}) {
                DiskStep::Moved => {}
                DiskStep::Over => break,
                step => panic!("{step:?} although the transfer is over"),
            }
        }
        assert!(self.disk.files().are_closed());
        self.told.clear();
    }

    /// The disk does one thing, if it has one to do. Returns whether it did.
    pub(super) fn disk(&mut self, now: Instant, luck: Luck) -> bool {
        if self.disk_state != DiskState::Ready {
            return false;
        }
        let told = &mut self.told;
        self.disk.files().luck = luck;
        let step = self.disk.step(now, &self.ring, &mut |input| {
            told.push_back(input.into());
        });
        self.disk_state = match step {
            DiskStep::Moved => DiskState::Ready,
            DiskStep::Idle(_) => DiskState::Ring,
            DiskStep::Until(at) => DiskState::Until(at),
            DiskStep::Over => panic!("over before it is told so"),
        };
        self.disk_state == DiskState::Ready
    }

    /// A file has been read again for a child, or could not be.
    pub(super) fn read_back(&mut self, link: LinkId, fails: bool) {
        let Some(outlet) = self.outlets.get_mut(&link) else { return };
        let Some((backing, offset, len)) = outlet.needs.take() else { return };
        let wire = self.writer.wire();
        let item = if fails { Err("made up".into()) } else { read_back(&backing, offset, len, wire) };
        self.ring.change(|ring| ring.has_read(link, item));
    }

    /// Stops to read, if the session wants that.
    pub(super) fn halted(&mut self) {
        let told = &mut self.told;
        self.upstreams.halted(&mut |input| told.push_back(input));
    }

    /// Steps what may go on, once each. Returns whether that moved anything.
    pub(super) fn step(&mut self, now: Now) -> bool {
        self.wake();
        if let Some(since) = self.waiting.take_if(|_| !self.upstreams.waits_for_room()) {
            self.waited += now.instant.duration_since(since);
        }
        let (ring, told) = (&self.ring, &mut self.told);
        let tell = &mut |input| {
            // What the payload sums up to is known to the files before they are placed.
            if let NodeInput::End { sum, .. } = &input {
                self.disk.files().sum = Some(*sum);
            }
            told.push_back(input);
        };
        let mut moved = self.upstreams.receive(now.instant, ring, tell);
        if self.upstreams.waits_for_room() {
            self.waiting.get_or_insert(now.instant);
        }
        for outlet in self.outlets.values_mut() {
            moved |= outlet.send(now, self.waited, ring, tell);
        }
        moved
    }

    /// Has those look again that the ring names: one that is forgotten waits for ever.
    fn wake(&mut self) {
        let Wake { producer, disk, links } = self.ring.take_woken();
        if producer {
            self.upstreams.waits_until = None;
        }
        if disk && self.disk_state == DiskState::Ring {
            self.disk_state = DiskState::Ready;
        }
        for link in links {
            if let Some(outlet) = self.outlets.get_mut(&link) {
                outlet.waits.take_if(|waits| matches!(waits, Waits::Ring | Waits::Until(_)));
            }
        }
    }

    /// When something is to be looked at although nothing has named it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let turns = self.outlets.values().filter_map(|outlet| match outlet.waits {
            Some(Waits::Until(at)) => Some(at),
            _ => None,
        });
        let disk = match self.disk_state {
            DiskState::Until(at) => Some(at),
            _ => None,
        };
        turns.chain(disk).chain(self.upstreams.waits_until).min()
    }

    /// The time has come for what waits for it.
    pub(super) fn tick(&mut self, now: Instant) {
        self.upstreams.waits_until.take_if(|at| *at <= now);
        if matches!(self.disk_state, DiskState::Until(at) if at <= now) {
            self.disk_state = DiskState::Ready;
        }
        for outlet in self.outlets.values_mut() {
            outlet.waits.take_if(|waits| matches!(waits, Waits::Until(at) if *at <= now));
        }
    }

    /// Nothing waits for what is there already.
    pub(super) fn check_waits(&self) {
        for (&link, outlet) in &self.outlets {
            let has_work = self.ring.look(|ring| ring.has_link_work(link));
            assert!(outlet.waits != Some(Waits::Ring) || !has_work, "{link:?} was forgotten");
        }
        let has_work = self.ring.look(Ring::has_disk_work);
        assert!(self.disk_state != DiskState::Ring || !has_work, "the disk was forgotten");
        if self.upstreams.waits_for_room() {
            assert!(!self.ring.look(Ring::has_room), "the producer was forgotten");
            let is_fed = |outlet: &Outlet| !outlet.is_stranded;
            let disk_waits = self.disk_state == DiskState::Ring;
            assert!(!disk_waits || self.outlets.values().any(is_fed), "the producer waits for nobody");
        }
    }
}
