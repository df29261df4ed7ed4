//! The ring between who brings the payload and who takes it: the disk, and each child. Pure bookkeeping; the waiting
//! is the [`Hub`](super::hub::Hub)'s.
//!
//! Only the disk throttles what comes in, but for a little patience with a child that nearly keeps pace: serving it
//! from the file costs more. A slower one falls behind the ring and is served from the file until it has caught up.
//! Where nothing written can be read back, nothing leaves the ring before every child that is being fed has it. At the
//! source, where the file is all there, the fastest child throttles.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::sync::Arc;

use super::block::Block;
use super::shelf::Shelf;
use crate::session::LinkId;
use crate::wire::Sum;

/// What the ring holds, in order and without a gap.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Data(Arc<Block>),
    Hole { offset: u64, span: u64 },
}

impl Item {
    /// Where it begins and ends.
    pub(super) fn range(&self) -> (u64, u64) {
        match self {
            Self::Data(block) => (block.offset, block.offset + u64::from(block.len)),
            Self::Hole { offset, span } => (*offset, offset + span),
        }
    }
}

/// Where a child is served from that has fallen behind the ring.
#[derive(Debug, Clone)]
pub(super) enum Backing {
    /// Nowhere: nothing is written that could be read again.
    Nothing,
    /// The node's own file, which has what the disk has taken.
    Written(Shelf),
    /// A file that is written no more: it has what the disk had taken by then, and nothing that came later.
    Former(Shelf),
    /// The source's file, or what a stream was spooled to: everything that came.
    Whole(Shelf),
}

/// Whether an item can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room.
    Free,
    /// There is if the oldest item goes, which everybody has.
    ForTheOldest,
    /// There is if the oldest item goes, which a child will then have to be served from the file.
    AtTheCostOfAChild,
    /// There is none: the oldest item is nowhere else yet.
    None,
}

/// What comes next for the disk or a child.
#[derive(Debug)]
pub(super) enum Next {
    Item(Item),
    /// Read at most this many bytes of the file from the offset on.
    File {
        shelf: Shelf,
        offset: u64,
        len: u64,
    },
    End {
        size: u64,
        sum: Sum,
    },
    Wait,
    /// It is not there any more, and was never written where it could be read.
    Gone,
}

#[derive(Debug)]
pub(super) struct Ring {
    items: VecDeque<Item>,
    capacity: usize,
    base: u64,
    head: u64,
    end: Option<(u64, Sum)>,
    backing: Backing,
    /// How far the disk is; None where no disk takes part.
    disk: Option<u64>,
    /// Each child that is being fed.
    children: BTreeMap<LinkId, Fed>,
    farthest: u64,
}

#[derive(Debug, Clone, Copy)]
struct Fed {
    position: u64,
    /// What it needs next cannot be had here, so nothing is kept for it.
    stranded: bool,
}

impl Ring {
    /// A ring of at most `capacity` items that is filled from the network and drained by a disk.
    pub(super) fn for_node(capacity: usize) -> Self {
        Self::new(capacity, Backing::Nothing, Some(0))
    }

    /// A ring that is filled from a file which children can be served from.
    pub(super) fn for_source(capacity: usize, file: Arc<File>) -> Self {
        Self::new(capacity, Backing::Whole(Shelf { file, digests: None }), None)
    }

    fn new(capacity: usize, backing: Backing, disk: Option<u64>) -> Self {
        Self {
            items: VecDeque::new(),
            capacity: capacity.max(1),
            base: 0,
            head: 0,
            end: None,
            backing,
            disk,
            children: BTreeMap::new(),
            farthest: 0,
        }
    }

    /// Everything before `from` is there already, in the files. Said before anything is pushed.
    pub(super) fn begin(&mut self, from: u64) {
        debug_assert!(self.items.is_empty() && self.head == 0, "the payload has begun");
        self.base = from;
        self.head = from;
        self.disk = self.disk.map(|_| from);
    }

    pub(super) fn set_backing(&mut self, backing: Backing) {
        self.backing = backing;
    }

    /// The file behind the ring is written no more: what comes from now on stays until every child has it.
    pub(super) fn retire_backing(&mut self) {
        if let Backing::Written(shelf) = &self.backing {
            self.backing = Backing::Former(shelf.clone());
        }
    }

    /// Whether an item can be appended.
    pub(super) fn room(&self) -> Room {
        match self.items.front() {
            Some(front) if self.items.len() >= self.capacity => self.fate(front),
            _ => Room::Free,
        }
    }

    /// What becomes of the oldest item where it is in the way.
    fn fate(&self, oldest: &Item) -> Room {
        let (start, end) = oldest.range();
        // Who is behind already is served from the file, and not waited for.
        let needs = |fed: &Fed| !fed.stranded && (start..end).contains(&fed.position);
        match self.dispensable(end) {
            false => Room::None,
            true if self.children.values().any(needs) => Room::AtTheCostOfAChild,
            true => Room::ForTheOldest,
        }
    }

    /// Drops what is oldest, which [`room`](Self::room) has allowed.
    pub(super) fn drop_oldest(&mut self) {
        if let Some(front) = self.items.pop_front() {
            self.base = front.range().1;
        }
    }

    /// Drops what everybody has who is to have it. Returns whether nothing is left.
    #[cfg(feature = "event")]
    pub(super) fn trim(&mut self) -> bool {
        while self.items.front().is_some_and(|front| self.fate(front) == Room::ForTheOldest) {
            self.drop_oldest();
        }
        self.items.is_empty()
    }

    /// Whether nobody needs the ring for what ends there.
    fn dispensable(&self, end: u64) -> bool {
        let has = |fed: &Fed| fed.position >= end;
        match self.backing {
            Backing::Whole(_) => self.children.values().any(has),
            _ if self.disk.is_some_and(|disk| disk < end) => false,
            Backing::Written(_) => true,
            Backing::Nothing | Backing::Former(_) => {
                self.children.values().all(|fed| fed.stranded || has(fed))
            }
        }
    }

    /// Appends what comes next. The caller has made room, and keeps the order.
    pub(super) fn push(&mut self, item: Item) {
        let (start, end) = item.range();
        debug_assert_eq!(start, self.head, "the payload has no gap");
        self.head = end;
        self.items.push_back(item);
    }

    pub(super) fn finish(&mut self, size: u64, sum: Sum) {
        self.end = Some((size, sum));
    }

    pub(super) fn next_for_disk(&self) -> Next {
        self.disk.map_or(Next::Wait, |position| self.at(position))
    }

    pub(super) fn disk_has(&mut self, upto: u64) {
        self.disk = Some(upto);
    }

    /// A child gets the payload from that offset on. Until then nothing is kept for it: who asks several candidates
    /// at once would otherwise wait for all of them.
    pub(super) fn feed(&mut self, link: LinkId, from: u64) {
        self.children.insert(link, Fed { position: from, stranded: false });
    }

    pub(super) fn child_has(&mut self, link: LinkId, upto: u64) {
        if let Some(fed) = self.children.get_mut(&link) {
            fed.position = upto;
        }
        self.farthest = self.farthest.max(upto);
    }

    /// A child cannot be served any further.
    pub(super) fn strand(&mut self, link: LinkId) {
        if let Some(fed) = self.children.get_mut(&link) {
            fed.stranded = true;
        }
    }

    pub(super) fn forget(&mut self, link: LinkId) {
        self.children.remove(&link);
    }

    /// How far the child came that came farthest, whether or not it is still there.
    pub(super) fn farthest(&self) -> u64 {
        self.farthest
    }

    /// How far a child is, once it is fed.
    pub(super) fn position(&self, link: LinkId) -> Option<u64> {
        self.children.get(&link).map(|fed| fed.position)
    }

    pub(super) fn next_for_child(&self, link: LinkId) -> Next {
        self.position(link).map_or(Next::Wait, |position| self.at(position))
    }

    fn at(&self, position: u64) -> Next {
        if position < self.base {
            return match &self.backing {
                Backing::Nothing => Next::Gone,
                Backing::Written(shelf) | Backing::Former(shelf) | Backing::Whole(shelf) => {
                    Next::File { shelf: shelf.clone(), offset: position, len: self.base - position }
                }
            };
        }
        if position >= self.head {
            // A child may know more of the file than has come here yet.
            return match self.end {
                Some((size, sum)) if position >= size => Next::End { size, sum },
                _ => Next::Wait,
            };
        }
        let place = self.items.partition_point(|item| item.range().1 <= position);
        match &self.items[place] {
            Item::Hole { offset, span } => {
                Next::Item(Item::Hole { offset: position, span: offset + span - position })
            }
            data @ Item::Data(_) => Next::Item(data.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::Pool;
    use super::*;

    const SIZE: u32 = 4096;
    const ONE: LinkId = LinkId(1);
    const TWO: LinkId = LinkId(2);

    fn data(pool: &Arc<Pool>, place: u64) -> Item {
        let buffer = pool.take();
        let offset = place * u64::from(SIZE);
        Item::Data(Arc::new(Block { buffer, offset, len: SIZE, digest: None }))
    }

    fn at(place: u64) -> u64 {
        place * u64::from(SIZE)
    }

    fn offset(next: &Next) -> Option<u64> {
        match next {
            Next::Item(item) => Some(item.range().0),
            _ => None,
        }
    }

    /// Makes room as for a child that nobody has patience with.
    fn make_room(ring: &mut Ring) -> bool {
        loop {
            match ring.room() {
                Room::Free => return true,
                Room::None => return false,
                Room::ForTheOldest | Room::AtTheCostOfAChild => ring.drop_oldest(),
            }
        }
    }

    fn file() -> Arc<File> {
        Arc::new(File::open("/dev/null").unwrap())
    }

    fn shelf() -> Shelf {
        Shelf { file: file(), digests: None }
    }

    #[test]
    fn the_disk_throttles_and_a_slow_child_reads_the_file() {
        let pool = Pool::new(SIZE, 4);
        let mut ring = Ring::for_node(2);
        ring.set_backing(Backing::Written(shelf()));
        ring.feed(ONE, 0);
        for place in 0..2 {
            assert!(make_room(&mut ring));
            ring.push(data(&pool, place));
        }
        assert!(!make_room(&mut ring), "the disk has nothing yet");
        ring.disk_has(at(1));
        assert_eq!(ring.room(), Room::AtTheCostOfAChild);
        assert!(make_room(&mut ring), "the child need not be waited for");
        ring.push(data(&pool, 2));
        assert!(matches!(ring.next_for_child(ONE), Next::File { offset: 0, len, .. } if len == at(1)));
        ring.child_has(ONE, at(1));
        assert_eq!(offset(&ring.next_for_child(ONE)), Some(at(1)));
        assert_eq!(offset(&ring.next_for_disk()), Some(at(1)));
    }

    #[test]
    fn a_file_that_fails_later_still_serves_what_it_has() {
        let pool = Pool::new(SIZE, 4);
        let mut ring = Ring::for_node(1);
        ring.set_backing(Backing::Written(shelf()));
        ring.feed(ONE, 0);
        ring.push(data(&pool, 0));
        ring.disk_has(at(1));
        assert!(make_room(&mut ring));
        ring.push(data(&pool, 1));
        ring.retire_backing();
        ring.disk_has(at(2));
        assert!(!make_room(&mut ring), "the second block is nowhere else");
        assert!(matches!(ring.next_for_child(ONE), Next::File { offset: 0, len, .. } if len == at(1)));
        ring.child_has(ONE, at(2));
        assert!(make_room(&mut ring));
    }

    #[test]
    fn without_a_file_every_child_that_is_fed_is_waited_for() {
        let pool = Pool::new(SIZE, 4);
        let mut ring = Ring::for_node(1);
        ring.feed(ONE, 0);
        ring.feed(TWO, 0);
        ring.push(data(&pool, 0));
        ring.disk_has(at(1));
        ring.child_has(ONE, at(1));
        assert!(!make_room(&mut ring), "the other child has nothing yet");
        ring.forget(TWO);
        assert!(make_room(&mut ring));
    }

    #[test]
    fn a_child_whose_next_block_is_gone_holds_up_nobody() {
        let pool = Pool::new(SIZE, 4);
        let mut ring = Ring::for_node(1);
        ring.push(data(&pool, 0));
        ring.disk_has(at(1));
        assert!(make_room(&mut ring));
        ring.push(data(&pool, 1));
        ring.disk_has(at(2));
        ring.feed(ONE, 0);
        assert!(matches!(ring.next_for_child(ONE), Next::Gone));
        assert!(!make_room(&mut ring), "nobody has said yet that it cannot be helped");
        ring.strand(ONE);
        assert!(make_room(&mut ring));
        assert_eq!(ring.position(ONE), Some(0), "an IDLE says where it stands");
    }

    #[test]
    fn what_is_before_the_beginning_comes_from_the_file() {
        let pool = Pool::new(SIZE, 4);
        let mut ring = Ring::for_node(2);
        ring.set_backing(Backing::Written(shelf()));
        ring.begin(at(3));
        ring.push(data(&pool, 3));
        ring.feed(ONE, at(1));
        let Next::File { offset: from, len, .. } = ring.next_for_child(ONE) else { panic!("no file") };
        assert_eq!((from, len), (at(1), at(2)));
        ring.child_has(ONE, at(3));
        assert_eq!(offset(&ring.next_for_child(ONE)), Some(at(3)));
        assert_eq!(offset(&ring.next_for_disk()), Some(at(3)));
    }

    #[test]
    fn at_the_source_the_fastest_child_throttles() {
        let pool = Pool::new(SIZE, 4);
        let mut ring = Ring::for_source(1, file());
        ring.push(data(&pool, 0));
        assert!(!make_room(&mut ring));
        ring.feed(ONE, 0);
        ring.feed(TWO, 0);
        assert!(!make_room(&mut ring));
        ring.child_has(TWO, at(1));
        assert!(make_room(&mut ring));
        assert!(matches!(ring.next_for_child(ONE), Next::File { .. }));
    }

    #[test]
    fn a_hole_can_be_entered_in_the_middle_and_the_end_comes_last() {
        let mut ring = Ring::for_node(4);
        ring.push(Item::Hole { offset: 0, span: at(8) });
        let sum = Sum::Root([0; 32]);
        ring.finish(at(8), sum);
        assert!(matches!(ring.next_for_child(ONE), Next::Wait), "not fed yet");
        ring.feed(ONE, at(3));
        let Next::Item(Item::Hole { offset, span }) = ring.next_for_child(ONE) else { panic!("no hole") };
        assert_eq!((offset, span), (at(3), at(5)));
        ring.child_has(ONE, at(8));
        assert!(matches!(ring.next_for_child(ONE), Next::End { .. }));
    }
}
