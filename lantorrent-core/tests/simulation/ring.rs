//! The ring alone, between a producer, a disk and children of any speed: one step after the other of what may go on, and
//! time passes where nothing may.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use lantorrent_core::flow::{DiskOrder, DiskWork, Full, Item, LinkWork, Ring, Wake};
use lantorrent_core::session::LinkId;
use lantorrent_core::wire::{SignedRoot, Sum};

use crate::random::Random;
use crate::seeds::seeds;

const SPAN: u64 = 4096;

/// One whose step may be the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Machine {
    Producer,
    Disk,
    Link(LinkId),
}

struct World {
    random: Random,
    ring: Ring<u64>,
    now: Instant,
    /// What may go on.
    ready: BTreeSet<Machine>,
    /// When the producer looks for room again.
    until: Option<Instant>,
    items: u64,
    pushed: u64,
    finished: bool,
    written: u64,
    /// Up to where the backing file has the payload that is written no more.
    former: Option<u64>,
    children: BTreeMap<LinkId, Child>,
    next_link: u32,
}

#[derive(Debug, Default)]
struct Child {
    position: u64,
    ended: bool,
    stranded: bool,
    /// Takes nothing, for as long as it is there.
    stuck: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let ring = Ring::for_node(random.within(1, 6));
        let items = random.within(1, 60) as u64;
        Self {
            random,
            ring,
            now: Instant::now(),
            ready: [Machine::Producer].into(),
            until: None,
            items,
            pushed: 0,
            finished: false,
            written: 0,
            former: None,
            children: BTreeMap::new(),
            next_link: 0,
        }
    }

    fn wake(&mut self, wake: Wake) {
        let Wake { producer, disk, links } = wake;
        if producer {
            self.until = None;
            self.ready.insert(Machine::Producer);
        }
        self.ready.extend(disk.then_some(Machine::Disk));
        self.ready.extend(links.into_iter().map(Machine::Link));
    }

    fn run(&mut self) {
        if self.random.chance(50) {
            let wake = self.ring.set_backing(0);
            self.wake(wake);
        }
        let start = self.now;
        while !self.is_over() {
            // Patience is for a moment: a child that takes nothing costs it once.
            assert!(self.now - start < Duration::from_secs(60), "it does not come to an end");
            if self.random.chance(8) {
                self.happen();
            }
            let among: Vec<Machine> = self.ready.iter().copied().collect();
            if among.is_empty() {
                self.pass_time();
            } else {
                let machine = self.random.pick(&among);
                self.step(machine);
            }
        }
    }

    fn is_over(&self) -> bool {
        let is_done = |child: &Child| child.ended || child.stranded || child.stuck;
        self.finished && self.written == self.items * SPAN && self.children.values().all(is_done)
    }

    /// Children come and go, and the file may fail.
    fn happen(&mut self) {
        match self.random.below(6) {
            0 | 1 if self.children.len() < 4 => {
                let link = LinkId(self.next_link);
                self.next_link += 1;
                self.ring.add_link(link);
                let position = self.random.within(0, self.pushed as usize) as u64 * SPAN;
                // Without a file one that hangs would hold up everything until a session closes it.
                let stuck = self.former.is_none() && self.ring.has_backing() && self.random.chance(20);
                self.children.insert(link, Child { position, stuck, ..Child::default() });
                let wake = self.ring.feed(link, position);
                self.wake(wake);
            }
            2 => {
                let links: Vec<LinkId> = self.children.keys().copied().collect();
                if !links.is_empty() {
                    let link = self.random.pick(&links);
                    self.children.remove(&link);
                    let wake = self.ring.remove_link(link);
                    self.wake(wake);
                    self.ready.remove(&Machine::Link(link));
                }
            }
            3 if self.ring.has_backing() && self.former.is_none() && self.random.chance(30) => {
                self.former = Some(self.written);
                self.ring.retire_backing();
                // A session closes those that hang.
                let stuck: Vec<LinkId> =
                    self.children.iter().filter(|(_, child)| child.stuck).map(|(link, _)| *link).collect();
                for link in stuck {
                    self.children.remove(&link);
                    let wake = self.ring.remove_link(link);
                    self.wake(wake);
                    self.ready.remove(&Machine::Link(link));
                }
            }
            _ => {}
        }
    }

    fn pass_time(&mut self) {
        let until = self.until.take().expect("nothing can happen any more, and it is not over");
        assert!(!self.ring.has_room(), "the producer was forgotten");
        self.now = self.now.max(until);
        self.ready.insert(Machine::Producer);
    }

    fn step(&mut self, machine: Machine) {
        self.ready.remove(&machine);
        match machine {
            Machine::Producer => self.produce(),
            Machine::Disk => self.write(),
            Machine::Link(link) => self.send(link),
        }
    }

    fn produce(&mut self) {
        if self.pushed == self.items {
            if !std::mem::replace(&mut self.finished, true) {
                let wake = self
                    .ring
                    .finish(self.items * SPAN, Sum::Root(SignedRoot { root: [0; 32], signature: [0; 64] }));
                self.wake(wake);
            }
            return;
        }
        let item = Item::Hole { offset: self.pushed * SPAN, span: SPAN };
        let (result, wake) = self.ring.push(self.now, item);
        self.wake(wake);
        match result {
            Ok(()) => {
                self.pushed += 1;
                self.ready.insert(Machine::Producer);
            }
            Err(Full::NoRoom(waiting)) => self.until = Some(waiting.until),
            Err(Full::Closed) => panic!("it is not closed"),
        }
    }

    fn write(&mut self) {
        match self.ring.disk_work() {
            Ok(DiskWork::Order(DiskOrder::Begin(_)) | DiskWork::End(_)) => {}
            Ok(DiskWork::Order(order)) => panic!("nothing has ordered {order:?}"),
            Ok(DiskWork::Write(item)) => {
                assert_eq!(item.range().0, self.written, "the disk writes without a gap");
                self.written = item.range().1;
                let wake = self.ring.disk_has(self.written);
                self.wake(wake);
            }
            Err(_) => return,
        }
        self.ready.insert(Machine::Disk);
    }

    fn send(&mut self, link: LinkId) {
        let Some(child) = self.children.get_mut(&link).filter(|child| !child.stuck) else { return };
        let upto = match self.ring.link_work(link) {
            Ok(LinkWork::Item(item)) => {
                assert_eq!(item.range().0, child.position, "a child is sent the payload without a gap");
                item.range().1
            }
            Ok(LinkWork::File { offset, len, .. }) => {
                assert_eq!(offset, child.position);
                let has = self.former.unwrap_or(self.written);
                let upto = (offset + SPAN.min(len)).min(has);
                let item = if upto > offset {
                    Ok(Item::Hole { offset, span: upto - offset })
                } else {
                    assert!(self.former.is_some(), "what left the ring is in the file");
                    Err("the file does not have it".to_owned())
                };
                assert!(matches!(self.ring.link_work(link), Ok(LinkWork::AwaitsFile(_))));
                let wake = self.ring.has_read(link, item);
                return self.wake(wake);
            }
            Ok(LinkWork::End { size, .. }) => {
                assert_eq!(size, child.position);
                child.ended = true;
                return;
            }
            Ok(LinkWork::Gone(_)) => return self.strand(link),
            Ok(LinkWork::AwaitsFile(_)) => panic!("woken although nothing was read"),
            Ok(LinkWork::Extension(_)) => panic!("nothing was to be forwarded"),
            Ok(LinkWork::Order(order)) => panic!("nothing has ordered {order:?}"),
            Ok(LinkWork::Over) => panic!("it is not closed"),
            Err(_) => return,
        };
        child.position = upto;
        let wake = self.ring.link_has(link, upto);
        self.wake(wake);
        self.ready.insert(Machine::Link(link));
    }

    fn strand(&mut self, link: LinkId) {
        if let Some(child) = self.children.get_mut(&link) {
            child.stranded = true;
        }
        let wake = self.ring.strand(link);
        self.wake(wake);
    }
}

#[test]
fn whatever_comes_and_goes_everything_gets_through() {
    seeds(2000, |seed| World::new(seed).run());
}
