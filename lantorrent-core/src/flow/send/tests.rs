use std::sync::Arc;

use super::super::block::{Block, Pool};
use super::super::ring::{DiskOrder, Item};
use super::super::testing::{Cell, Pipe, header, keys};
use super::*;
use crate::session::Control;
use crate::wire::{
    Abort, Code, Extension, FrameReader, FrameWriter, PayloadReader, RootHasher, TransferId, TransferKey,
    limits,
};

const BLOCK: u32 = 4096;
const BYTES: u64 = BLOCK as u64;
const LINK: LinkId = LinkId(7);

struct Bench {
    ring: Cell,
    sender: Sender,
    pipe: Pipe,
    told: Vec<FeedInput>,
    now: Instant,
}

impl Bench {
    /// A child of wire 1, and blocks for it in the ring.
    fn new(blocks: u64, limit: Limit) -> Self {
        let ring = Cell::new(Ring::for_node(8));
        let (now, pool) = (Instant::now(), Pool::new(BLOCK, 8));
        ring.quietly(|ring| ring.add_link(LINK));
        for place in 0..blocks {
            let mut buffer = pool.take();
            buffer.fill(place as u8 + 1);
            let block = Block { buffer, offset: place * BYTES, len: BLOCK, digest: None };
            assert!(ring.with(|ring| ring.push(now, Item::Data(Arc::new(block)))).is_ok());
        }
        let writer = PayloadWriter::new(&header(BLOCK, BYTES, &[]), &keys()).expect("both wires are on");
        let pipe = Pipe { room: usize::MAX, ..Pipe::default() };
        Self { ring, sender: Sender::new(now, LINK, writer, limit), pipe, told: Vec::new(), now }
    }

    fn step(&mut self) -> SendStep<u32> {
        let told = &mut self.told;
        self.sender.step(self.now, &mut self.pipe, &self.ring, &mut |input| told.push(input))
    }

    /// Has a child of wire 2, and blocks for it that only a file has.
    fn behind_the_ring(backing: &Backing<u32>) -> Self {
        let mut bench = Self::new(0, Limit::default());
        let ring = match backing {
            Backing::Whole(file) => Ring::for_source(1, *file),
            Backing::Written(_) | Backing::Former(_) => Ring::for_node(1),
        };
        bench.ring = Cell::new(ring);
        bench.ring.quietly(|ring| ring.add_link(LINK));
        bench.ring.change(|ring| ring.begin(BYTES));
        if let Backing::Written(file) = backing {
            bench.ring.change(|ring| ring.set_backing(*file));
        }
        let key = keys().frame_key(&TransferId([1; 16])).expect("both wires are on");
        let writer = PayloadWriter::Frames(FrameWriter::new(key));
        bench.sender = Sender::new(bench.now, LINK, writer, Limit::default());
        bench.feed();
        assert!(matches!(bench.step(), SendStep::NeedsFile { offset: 0, len: BYTES, .. }));
        bench
    }

    fn feed(&self) {
        self.ring.change(|ring| ring.feed(LINK, 0));
    }

    fn order(&self, order: LinkOrder) {
        self.ring.change(|ring| ring.order_link(LINK, order));
    }
}

#[test]
fn words_go_before_the_payload_and_a_narrow_connection_gets_all_of_it() {
    let mut bench = Bench::new(1, Limit::default());
    bench.feed();
    bench.order(LinkOrder::Send(b"words".to_vec()));
    bench.pipe.room = 0;
    assert!(matches!(bench.step(), SendStep::WouldBlock));
    while bench.pipe.bytes.len() < 5 + BLOCK as usize {
        bench.pipe.room = 1000;
        assert!(matches!(bench.step(), SendStep::Moved(1..=1000)));
        bench.pipe.room = 0;
        assert!(matches!(bench.step(), SendStep::WouldBlock | SendStep::Idle(_)));
    }
    assert!(bench.pipe.bytes.iter().copied().take(5).eq(*b"words"));
    assert!(bench.pipe.bytes.iter().skip(5).all(|&byte| byte == 1));
    assert_eq!(bench.ring.look(|ring| ring.position(LINK)), Some(BYTES));
}

#[test]
fn a_limit_holds_it_back_which_the_session_hears_now_and_then() {
    let mut bench = Bench::new(1, Limit::new(Some(Limit::LEAST)));
    bench.feed();
    assert!(matches!(bench.step(), SendStep::Moved(_)), "the first turn comes at once");
    for _ in 0..3 {
        let SendStep::Until(at) = bench.step() else { panic!("the next does not") };
        assert!(at > bench.now);
    }
    let held =
        |told: &[FeedInput]| told.iter().filter(|input| matches!(input, FeedInput::HeldBack(LINK))).count();
    assert_eq!(held(&bench.told), 1);
}

#[test]
fn what_is_urgent_ends_the_frame_under_way_at_once() {
    for parts in [false, true] {
        let mut bench = Bench::new(2, Limit::new(Some(Limit::LEAST)));
        bench.feed();
        assert!(matches!(bench.step(), SendStep::Moved(_)));
        assert!(matches!(bench.step(), SendStep::Until(_)));
        if parts {
            bench.ring.change(|ring| ring.part(LINK));
        } else {
            let abort = Abort { code: Code::STOPPED, reason: "it is enough".into() };
            bench.order(LinkOrder::Control(Control::Abort(abort)));
        }
        assert!(matches!(bench.step(), SendStep::Moved(_)));
        assert_eq!(bench.pipe.bytes.len(), BLOCK as usize, "what follows is understood");
        assert!(!bench.sender.is_writing());
        if parts {
            assert!(matches!(bench.step(), SendStep::Over));
        }
    }
}

#[test]
fn what_has_left_the_ring_is_asked_for_and_a_child_that_cannot_have_it_is_told() {
    let mut bench = Bench::new(8, Limit::default());
    bench.ring.change(|ring| ring.set_backing(3));
    bench.ring.change(|ring| ring.disk_has(8 * BYTES));
    let pool = Pool::new(BLOCK, 1);
    let block = Block { buffer: pool.take(), offset: 8 * BYTES, len: BLOCK, digest: None };
    assert!(bench.ring.with(|ring| ring.push(bench.now, Item::Data(Arc::new(block)))).is_ok());
    bench.feed();
    let SendStep::NeedsFile { backing, offset, len } = bench.step() else { panic!("it is in memory") };
    assert_eq!((*backing.file(), offset, len), (3, 0, BYTES));
    let SendStep::AwaitsFile { epoch, until: None } = bench.step() else { panic!("it is not read yet") };
    bench.ring.change(|ring| ring.has_read(LINK, Err("it is damaged".into())));
    assert!(bench.ring.look(Ring::epoch) > epoch);
    assert!(matches!(bench.step(), SendStep::Moved(0)));
    assert!(matches!(bench.told.pop(), Some(FeedInput::Unservable(LINK))));
    assert!(matches!(bench.step(), SendStep::Idle(_)));
    // Its orders still go out.
    bench.order(LinkOrder::Finish);
    assert!(matches!(bench.step(), SendStep::Finish));
    bench.ring.change(|ring| ring.order_disk(DiskOrder::Leave));
    bench.ring.change(Ring::close);
    assert!(matches!(bench.step(), SendStep::Over));
}

#[test]
fn a_child_is_told_that_this_side_lives_while_its_file_is_slow_and_is_given_up_where_it_hangs() {
    let mut bench = Bench::behind_the_ring(&Backing::Written(3));
    let SendStep::AwaitsFile { until: Some(until), .. } = bench.step() else { panic!("it does not wait") };
    bench.order(LinkOrder::Control(Control::Idle));
    while let SendStep::Moved(_) = bench.step() {}
    assert!(matches!(bench.told[..], [FeedInput::Sent(LINK, 0)]));
    bench.now += (until - bench.now) / 2;
    assert!(matches!(bench.step(), SendStep::AwaitsFile { .. }));
    bench.now = until;
    assert!(matches!(bench.step(), SendStep::Moved(0)));
    assert!(matches!(bench.told.pop(), Some(FeedInput::Unservable(LINK))));
    bench.ring.change(|ring| ring.has_read(LINK, Ok(Item::Hole { offset: 0, span: BYTES })));
    assert!(matches!(bench.step(), SendStep::Idle(_)), "it came too late");
}

#[test]
fn the_file_of_a_source_is_waited_for_as_long_as_it_takes() {
    let mut bench = Bench::behind_the_ring(&Backing::Whole(3));
    bench.now += Duration::from_secs(3600);
    assert!(matches!(bench.step(), SendStep::AwaitsFile { until: None, .. }));
    bench.ring.change(|ring| ring.has_read(LINK, Ok(Item::Hole { offset: 0, span: BYTES })));
    while let SendStep::Moved(_) = bench.step() {}
    assert_eq!(bench.ring.look(|ring| ring.position(LINK)), Some(BYTES));
}

impl Bench {
    /// Has a child of wire 2 that is fed from a ring which only holes are in.
    fn of_wire_2(limit: Limit) -> Self {
        let mut bench = Self::new(0, Limit::default());
        bench.sender = Sender::new(bench.now, LINK, PayloadWriter::Frames(frame_writer()), limit);
        bench.feed();
        bench
    }

    fn extend(&self, data: &[u8]) {
        let extension = Extension::new(0xc0, ([1, 2, 3], 4, 5), data).expect("a type that is forwarded");
        self.ring.change(|ring| ring.extend(&extension));
    }

    fn drain(&mut self) -> usize {
        let before = self.pipe.bytes.len();
        while let SendStep::Moved(_) = self.step() {}
        self.pipe.bytes.len() - before
    }
}

fn frame_writer() -> FrameWriter {
    FrameWriter::new(keys().frame_key(&TransferId([1; 16])).expect("both wires are on"))
}

#[test]
fn an_extension_goes_out_as_it_is_and_the_session_hears_nothing_of_it() {
    let mut bench = Bench::of_wire_2(Limit::default());
    bench.extend(b"1");
    assert!(bench.ring.with(|ring| ring.push(bench.now, Item::Hole { offset: 0, span: BYTES })).is_ok());
    bench.extend(b"2");
    bench.drain();
    assert!(bench.told.is_empty(), "{:?}", bench.told);
    let key = keys().frame_key(&TransferId([1; 16])).expect("both wires are on");
    let signer = TransferKey::new(&[1; 32]).signer();
    let mut reader = PayloadReader::Frames(FrameReader::new(key, signer, RootHasher::new(BLOCK), None, 0));
    let (bytes, mut block, mut used, mut found) = (Vec::from(bench.pipe.bytes), [0; 4096], 0, Vec::new());
    while used < bytes.len() {
        let (count, frame) = reader.push(&bytes[used..], &mut block).expect("frames");
        used += count;
        found.extend(frame);
    }
    let extension = |data| Frame::Extension(Extension::new(0xc0, ([1, 2, 3], 4, 5), data).unwrap());
    assert_eq!(found, [extension(b"1"), Frame::Hole { offset: 0, span: BYTES }, extension(b"2")]);
}

#[test]
fn extensions_beyond_the_rate_are_dropped_and_nothing_waits_for_them() {
    let mut bench = Bench::of_wire_2(Limit::default());
    let (start, data, mut sent) = (bench.now, vec![7; 10_000], 0);
    for _ in 0..1000 {
        bench.now += Duration::from_millis(10);
        bench.extend(&data);
        bench.extend(&data);
        sent += bench.drain() as u64;
        let allowed = limits::EXTENSION_RATE * (1000 + (bench.now - start).as_millis() as u64) / 1000;
        assert!(sent <= allowed, "{sent} of {allowed}");
    }
    assert!(sent >= limits::EXTENSION_RATE * 10, "{sent}");
    assert!(matches!(bench.step(), SendStep::Idle(_)));
}

#[test]
fn extensions_count_towards_the_limit() {
    let mut bench = Bench::of_wire_2(Limit::new(Some(Limit::LEAST)));
    bench.extend(&[7; 1000]);
    assert!(matches!(bench.step(), SendStep::Moved(1..100)), "the first turn comes at once");
    assert!(matches!(bench.step(), SendStep::Until(_)));
    assert!(matches!(bench.told[..], [FeedInput::HeldBack(LINK)]));
}
