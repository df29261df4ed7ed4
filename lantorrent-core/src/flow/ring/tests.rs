use std::sync::Arc;

use super::super::block::{Block, Pool};
use super::*;
use crate::wire::{Abort, Code, SignedRoot, limits};

const SIZE: u32 = 4096;
const ONE: LinkId = LinkId(1);
const TWO: LinkId = LinkId(2);

/// A ring whose files have no content, and a clock that stands still unless it is moved.
struct Bench {
    ring: Ring<()>,
    pool: Arc<Pool>,
    now: Instant,
    next: u64,
}

impl Bench {
    fn of(ring: Ring<()>) -> Self {
        Self { ring, pool: Pool::new(SIZE, 4), now: Instant::now(), next: 0 }
    }

    fn item(&self, place: u64) -> Item {
        let buffer = self.pool.take();
        Item::Data(Arc::new(Block { buffer, offset: at(place), len: SIZE, digest: None }))
    }

    /// Pushes the next block. None if there was room.
    fn try_push(&mut self) -> Option<Instant> {
        match self.ring.push(self.now, self.item(self.next)).0 {
            Ok(()) => {
                self.next += 1;
                None
            }
            Err(Full::NoRoom(waiting)) => Some(waiting.until),
            Err(Full::Closed) => panic!("the ring is closed"),
        }
    }

    /// Pushes the next block as a producer that waits as long as it is told to, but for no change.
    fn push(&mut self) -> bool {
        while let Some(until) = self.try_push() {
            if until - self.now >= WAIT {
                return false;
            }
            self.now = until;
        }
        true
    }

    fn add(&mut self, link: LinkId, from: u64) {
        self.ring.add_link(link);
        let _ = self.ring.feed(link, from);
    }

    /// Where the next item of a child begins.
    fn next_of(&mut self, link: LinkId) -> Option<u64> {
        match self.ring.link_work(link) {
            Ok(LinkWork::Item(item)) => Some(item.range().0),
            _ => None,
        }
    }

    fn file_of(&mut self, link: LinkId) -> Option<(u64, u64)> {
        match self.ring.link_work(link) {
            Ok(LinkWork::File { offset, len, .. }) => {
                let item = Item::Hole { offset, span: len };
                assert_eq!(self.ring.has_read(link, Ok(item)).links, [link]);
                assert_eq!(self.next_of(link), Some(offset));
                Some((offset, len))
            }
            _ => None,
        }
    }

    fn next_of_disk(&mut self) -> Option<u64> {
        match self.ring.disk_work() {
            Ok(DiskWork::Write(item)) => Some(item.range().0),
            _ => None,
        }
    }
}

fn at(place: u64) -> u64 {
    place * u64::from(SIZE)
}

#[test]
fn the_disk_throttles_and_a_slow_child_reads_the_file() {
    let mut bench = Bench::of(Ring::for_node(2));
    let _ = bench.ring.set_backing(());
    bench.add(ONE, 0);
    assert!(bench.push() && bench.push());
    assert!(!bench.push(), "the disk has nothing yet");
    let _ = bench.ring.disk_has(at(1));
    let until = bench.try_push().expect("the child is waited for");
    assert_eq!(until - bench.now, Duration::from_millis(200));
    assert!(bench.push(), "but not for ever");
    assert_eq!(bench.file_of(ONE), Some((0, at(1))));
    let _ = bench.ring.link_has(ONE, at(1));
    assert_eq!(bench.next_of(ONE), Some(at(1)));
    assert_eq!(bench.next_of_disk(), Some(at(1)));
}

#[test]
fn a_file_that_fails_later_still_serves_what_it_has() {
    let mut bench = Bench::of(Ring::for_node(1));
    let _ = bench.ring.set_backing(());
    bench.add(ONE, 0);
    assert!(bench.push());
    let _ = bench.ring.disk_has(at(1));
    assert!(bench.push());
    bench.ring.retire_backing();
    let _ = bench.ring.disk_has(at(2));
    assert!(!bench.push(), "the second block is nowhere else");
    assert_eq!(bench.file_of(ONE), Some((0, at(1))));
    let _ = bench.ring.link_has(ONE, at(2));
    assert!(bench.push());
}

#[test]
fn without_a_file_every_child_that_is_fed_is_waited_for() {
    let mut bench = Bench::of(Ring::for_node(1));
    bench.add(ONE, 0);
    bench.add(TWO, 0);
    assert!(bench.push());
    let _ = bench.ring.disk_has(at(1));
    let _ = bench.ring.link_has(ONE, at(1));
    assert!(!bench.push(), "the other child has nothing yet");
    let _ = bench.ring.remove_link(TWO);
    assert!(bench.push());
}

#[test]
fn without_a_file_a_child_that_is_still_to_be_fed_is_waited_for_too() {
    let mut bench = Bench::of(Ring::for_node(1));
    let _ = bench.ring.set_backing(());
    bench.ring.add_link(ONE);
    assert!(bench.push());
    let _ = bench.ring.disk_has(at(1));
    assert!(bench.push(), "the file has it");
    bench.ring.retire_backing();
    let _ = bench.ring.disk_has(at(2));
    assert!(!bench.push());
    let _ = bench.ring.feed(ONE, at(2));
    assert!(bench.push());
    bench.ring.add_link(TWO);
    let _ = bench.ring.link_has(ONE, at(3));
    let _ = bench.ring.disk_has(at(3));
    assert!(!bench.push());
    assert!(bench.ring.remove_link(TWO).producer, "it could not be reached");
    assert!(bench.push());
}

#[test]
fn a_child_whose_next_block_is_gone_holds_up_nothing() {
    let mut bench = Bench::of(Ring::for_node(1));
    for place in 1..=2 {
        assert!(bench.push());
        let _ = bench.ring.disk_has(at(place));
    }
    bench.add(ONE, 0);
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::Gone(_))));
    assert!(!bench.push(), "it was not said yet that it cannot be served");
    let _ = bench.ring.strand(ONE);
    assert!(bench.push());
    assert_eq!(bench.ring.position(ONE), Some(0), "an IDLE says where it stands");
}

#[test]
fn what_is_before_the_beginning_comes_from_the_file() {
    let mut bench = Bench::of(Ring::for_node(2));
    let _ = bench.ring.set_backing(());
    let _ = bench.ring.begin(at(3));
    bench.next = 3;
    assert!(bench.push());
    bench.add(ONE, at(1));
    assert_eq!(bench.file_of(ONE), Some((at(1), at(2))));
    let _ = bench.ring.link_has(ONE, at(3));
    assert_eq!(bench.next_of(ONE), Some(at(3)));
    assert!(matches!(bench.ring.disk_work(), Ok(DiskWork::Order(DiskOrder::Begin(from))) if from == at(3)));
    assert_eq!(bench.next_of_disk(), Some(at(3)));
}

#[test]
fn at_the_source_the_fastest_child_throttles() {
    let mut bench = Bench::of(Ring::for_source(1, ()));
    assert!(bench.push());
    assert!(!bench.push());
    bench.add(ONE, 0);
    bench.add(TWO, 0);
    assert!(!bench.push());
    let _ = bench.ring.link_has(TWO, at(1));
    assert!(bench.push());
    assert!(bench.file_of(ONE).is_some());
}

#[test]
fn a_hole_can_be_entered_in_the_middle_and_the_end_comes_last() {
    let mut bench = Bench::of(Ring::for_node(4));
    let pushed = bench.ring.push(bench.now, Item::Hole { offset: 0, span: at(8) });
    assert!(pushed.0.is_ok());
    let _ = bench.ring.finish(at(8), Sum::Root(SignedRoot { root: [0; 32], signature: [0; 64] }));
    bench.ring.add_link(ONE);
    assert!(bench.ring.link_work(ONE).is_err(), "not fed yet");
    let _ = bench.ring.feed(ONE, at(3));
    let Ok(LinkWork::Item(Item::Hole { offset, span })) = bench.ring.link_work(ONE) else {
        panic!("no hole")
    };
    assert_eq!((offset, span), (at(3), at(5)));
    let _ = bench.ring.link_has(ONE, at(8));
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::End { .. })));
    assert!(bench.ring.link_work(ONE).is_err(), "it is told once");
}

#[test]
fn a_change_wakes_those_that_wait_for_it_and_no_other() {
    let mut bench = Bench::of(Ring::for_node(1));
    bench.add(ONE, 0);
    bench.add(TWO, at(5));
    let (_, wake) = bench.ring.push(bench.now, bench.item(0));
    assert_eq!(wake, Wake { producer: false, disk: true, links: vec![ONE, TWO] });
    bench.next = 1;
    let _ = bench.ring.link_has(TWO, at(5));
    let epoch = bench.ring.epoch();
    assert_eq!(bench.ring.disk_has(at(1)), Wake::producer_if(true));
    assert!(bench.ring.epoch() > epoch, "whatever waits since then has missed something");
    assert_eq!(bench.ring.link_has(ONE, at(1)), Wake::producer_if(true));
    assert!(bench.push());
    let order = LinkOrder::Control(Control::Idle);
    assert_eq!(bench.ring.order_link(ONE, order), Wake::link(ONE));
    assert_eq!(bench.ring.order_link(LinkId(9), LinkOrder::Finish), Wake::NONE);
    let mut wake = bench.ring.close();
    wake.links.sort_unstable();
    assert_eq!(wake, Wake { producer: true, disk: true, links: vec![ONE, TWO] });
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::Over)));
    assert!(matches!(bench.ring.push(bench.now, bench.item(2)).0, Err(Full::Closed)));
}

#[test]
fn a_child_that_is_parted_from_gets_nothing_more() {
    let mut bench = Bench::of(Ring::for_node(1));
    bench.add(ONE, 0);
    assert!(bench.push());
    let _ = bench.ring.part(ONE);
    assert!(bench.ring.is_parting() && bench.ring.is_urgent(ONE) && !bench.ring.has_link(ONE));
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::Over)));
    let _ = bench.ring.disk_has(at(1));
    assert!(bench.push(), "nothing is kept for it");
    assert!(bench.ring.has_parted(ONE).0);
    assert!(!bench.ring.has_parted(ONE).0 && !bench.ring.is_parting());
}

fn extension(data: &[u8]) -> Extension {
    Extension::new(0xc0, ([0; 3], 0, 0), data).expect("a type that is forwarded")
}

impl Bench {
    /// The extension that is next for a child.
    fn extension_of(&mut self, link: LinkId) -> Option<Vec<u8>> {
        match self.ring.link_work(link) {
            Ok(LinkWork::Extension(extension)) => Some(extension.data().to_vec()),
            _ => None,
        }
    }
}

#[test]
fn an_extension_goes_to_each_child_that_is_fed_and_wakes_no_other() {
    let mut bench = Bench::of(Ring::for_node(4));
    bench.add(ONE, 0);
    bench.ring.add_link(TWO);
    let epoch = bench.ring.epoch();
    assert_eq!(bench.ring.extend(&extension(b"1")), Wake::link(ONE));
    assert!(bench.ring.epoch() > epoch);
    assert!(bench.ring.has_link_work(ONE) && !bench.ring.has_link_work(TWO));
    assert_eq!(bench.extension_of(ONE), Some(b"1".to_vec()));
    let _ = bench.ring.feed(TWO, 0);
    assert_eq!(bench.extension_of(TWO), None, "what came before it was fed is not kept");
    assert_eq!(bench.ring.position(ONE), Some(0), "it is no progress");
    // Behind the end too, but not to a child that is parted from, nor to one that cannot be served.
    let _ = bench.ring.finish(0, Sum::Root(SignedRoot { root: [0; 32], signature: [0; 64] }));
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::End { .. })));
    let _ = bench.ring.strand(TWO);
    assert_eq!(bench.ring.extend(&extension(b"2")), Wake::link(ONE));
    assert_eq!(bench.extension_of(ONE), Some(b"2".to_vec()));
    let _ = bench.ring.extend(&extension(b"3"));
    let _ = bench.ring.part(ONE);
    assert_eq!(bench.ring.extend(&extension(b"4")), Wake::NONE);
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::Over)));
}

#[test]
fn an_extension_goes_between_the_blocks_and_takes_turns_with_them() {
    let mut bench = Bench::of(Ring::for_node(4));
    bench.add(ONE, 0);
    assert!(bench.push() && bench.push());
    for data in [b"1", b"2", b"3"] {
        let _ = bench.ring.extend(&extension(data));
    }
    let _ = bench.ring.order_link(ONE, LinkOrder::Control(Control::Idle));
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::Order(_))), "orders go first");
    assert_eq!(bench.extension_of(ONE), Some(b"1".to_vec()));
    assert_eq!(bench.next_of(ONE), Some(0));
    let _ = bench.ring.link_has(ONE, at(1));
    assert_eq!(bench.extension_of(ONE), Some(b"2".to_vec()));
    assert_eq!(bench.next_of(ONE), Some(at(1)));
    let _ = bench.ring.link_has(ONE, at(2));
    assert_eq!(bench.extension_of(ONE), Some(b"3".to_vec()));
    assert!(!bench.ring.has_link_work(ONE) && bench.ring.link_work(ONE).is_err());
}

#[test]
fn what_a_child_does_not_take_of_extensions_is_bounded_and_dropped() {
    let mut bench = Bench::of(Ring::for_node(4));
    bench.add(ONE, 0);
    let most = vec![7; limits::EXTENSION_BYTES];
    let fit = limits::EXTENSION_RATE as usize / extension(&most).size();
    for place in 0..10 {
        let wake = bench.ring.extend(&extension(&most));
        assert_eq!(wake.is_none(), place >= fit, "{place}");
    }
    let taken = std::iter::from_fn(|| bench.extension_of(ONE)).count();
    assert_eq!(taken, fit);
    assert_eq!(bench.ring.extend(&extension(&most)), Wake::link(ONE), "there is room again");
}

#[test]
fn no_extension_follows_an_abort() {
    let mut bench = Bench::of(Ring::for_node(4));
    bench.add(ONE, 0);
    let _ = bench.ring.extend(&extension(b"1"));
    let abort = Abort { code: Code::ABORTED, reason: String::new() };
    let _ = bench.ring.order_link(ONE, LinkOrder::Control(Control::Abort(abort)));
    assert_eq!(bench.ring.extend(&extension(b"2")), Wake::NONE);
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::Order(_))));
    assert!(bench.ring.link_work(ONE).is_err());
}

#[test]
fn an_extension_goes_out_while_a_file_is_read() {
    let mut bench = Bench::of(Ring::for_source(1, ()));
    bench.ring.add_link(ONE);
    let _ = bench.ring.begin(at(1));
    let _ = bench.ring.feed(ONE, 0);
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::File { .. })));
    assert!(!bench.ring.has_link_work(ONE));
    let _ = bench.ring.extend(&extension(b"1"));
    assert!(bench.ring.has_link_work(ONE));
    assert_eq!(bench.extension_of(ONE), Some(b"1".to_vec()));
    assert!(matches!(bench.ring.link_work(ONE), Ok(LinkWork::AwaitsFile(_))));
}
