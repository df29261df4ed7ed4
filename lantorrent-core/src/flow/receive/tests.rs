use super::super::ring::{LinkWork, Ring};
use super::super::stock::Stock;
use super::super::testing::{Cell, Pipe, header, keys};
use super::super::wake::Wake;
use super::*;
use crate::session::LinkId;
use crate::wire::{Envelope, Extension, FrameWriter, Nonce, TransferKey};

const BLOCK: u32 = 4096;
const BYTES: u64 = BLOCK as u64;

struct Bench {
    ring: Cell,
    receiver: Receiver,
    pipe: Pipe,
    told: Vec<NodeInput<'static>>,
    now: Instant,
}

impl Bench {
    /// A receiver of wire 1 that takes its blocks from there.
    fn new(capacity: usize, stock: &mut Stock, limit: Limit) -> Self {
        let header = header(BLOCK, 100 * BYTES, &[]);
        let mut receiver = Receiver::new(header, keys(), stock.pool(BLOCK), limit);
        let now = Instant::now();
        assert_eq!(receiver.accept(now, 0, &mut |_| ()), Needed::Nothing);
        let ring = Cell::new(Ring::for_node(capacity));
        Self { ring, receiver, pipe: Pipe::default(), told: Vec::new(), now }
    }

    fn step(&mut self) -> ReceiveStep {
        let told = &mut self.told;
        self.receiver.step(self.now, &mut self.pipe, &self.ring, &mut |input| told.push(input))
    }

    fn comes(&mut self, bytes: u64) {
        self.pipe.bytes.extend(std::iter::repeat_n(7, bytes as usize));
    }

    fn is_heard(&mut self) -> bool {
        self.told.drain(..).any(|input| matches!(input, NodeInput::Heard))
    }

    fn disk_has(&self, upto: u64) {
        self.ring.change(|ring| ring.disk_has(upto));
    }
}

#[test]
fn a_block_is_waited_for_where_others_have_many_and_never_again_where_it_is_there() {
    let mut stock = Stock::default();
    let mut bench = Bench::new(4, &mut stock, Limit::default());
    bench.comes(BYTES + 100);
    assert_eq!(bench.step(), ReceiveStep::Moved(BYTES));
    let pool = stock.pool(1 << 20);
    let others: Vec<_> = (0..8).map(|_| pool.take()).collect();
    assert!(matches!(bench.step(), ReceiveStep::NeedsRoom { .. }), "it has one in the ring");
    drop(others);
    assert_eq!(bench.step(), ReceiveStep::Moved(100));
    let _others: Vec<_> = (0..8).map(|_| pool.take()).collect();
    assert_eq!(bench.step(), ReceiveStep::WouldBlock, "only its connection can have something new");
}

#[test]
fn a_transfer_without_a_block_gets_one_however_many_the_others_have() {
    let mut stock = Stock::default();
    let mut bench = Bench::new(4, &mut stock, Limit::default());
    let pool = stock.pool(1 << 20);
    let _others: Vec<_> = (0..8).map(|_| pool.take()).collect();
    for place in 1..=3 {
        bench.comes(BYTES);
        assert_eq!(bench.step(), ReceiveStep::Moved(BYTES));
        // The disk takes it, and no child needs it.
        bench.disk_has(place * BYTES);
    }
}

#[test]
fn while_there_is_no_room_silence_is_excused_and_nothing_is_lost() {
    let mut bench = Bench::new(1, &mut Stock::default(), Limit::default());
    bench.comes(2 * BYTES);
    assert_eq!(bench.step(), ReceiveStep::Moved(BYTES));
    let ReceiveStep::NeedsRoom { epoch, until } = bench.step() else { panic!("there is room for one") };
    assert!(bench.receiver.has_pending());
    assert!(until - bench.now <= WAIT && !bench.is_heard());
    bench.now = until;
    assert!(matches!(bench.step(), ReceiveStep::NeedsRoom { .. }), "the disk has nothing yet");
    assert!(bench.is_heard());
    bench.disk_has(BYTES);
    assert!(bench.ring.take_woken().producer);
    assert!(bench.ring.look(Ring::epoch) > epoch);
    assert_eq!(bench.step(), ReceiveStep::Moved(0), "what was pending goes into the ring");
    let told = &mut bench.told;
    bench.receiver.halt(&mut |input| told.push(input));
    let Some(NodeInput::Halted { offset, cause: None }) = bench.told.pop() else {
        panic!("{:?}", bench.told)
    };
    assert_eq!(offset, 2 * BYTES);
}

#[test]
fn a_limit_is_waited_for_and_silence_excused_meanwhile() {
    let limit = Limit::new(Some(Limit::LEAST));
    let mut bench = Bench::new(4, &mut Stock::default(), limit.clone());
    bench.comes(BYTES);
    let ReceiveStep::Moved(count) = bench.step() else { panic!("the first turn comes at once") };
    assert!(count < BYTES);
    let ReceiveStep::Until(at) = bench.step() else { panic!("the next does not") };
    assert!(at > bench.now && bench.is_heard());
    limit.set(None);
    assert_eq!(bench.step(), ReceiveStep::Moved(BYTES - count), "there is no limit any more");
}

#[test]
fn the_next_upstream_goes_on_exactly_where_the_last_one_stopped() {
    let header = Header { envelope: None, ..header(BLOCK, 8 * BYTES, &[]) };
    let mut receiver = Receiver::new(header, keys(), Stock::default().pool(BLOCK), Limit::default());
    let (now, mut told) = (Instant::now(), Vec::new());
    assert_eq!(receiver.accept(now, BYTES, &mut |input| told.push(input)), Needed::SumBefore(BYTES));
    receiver.begin(now, BYTES, None, &mut |input| told.push(input));
    let refused = told.pop();
    assert!(matches!(refused, Some(NodeInput::Halted { offset, cause: Some(_) }) if offset == BYTES));
    assert!(!receiver.is_reading());
    // What comes too late is not taken for something else.
    receiver.begin(now, BYTES, Some(RootHasher::new(BLOCK)), &mut |input| told.push(input));
    assert!(!receiver.is_reading() && told.is_empty());
}

#[test]
fn a_closed_ring_ends_it() {
    let mut bench = Bench::new(1, &mut Stock::default(), Limit::default());
    bench.comes(BYTES);
    bench.ring.change(Ring::close);
    assert_eq!(bench.step(), ReceiveStep::Over);
    assert!(matches!(bench.told.pop(), Some(NodeInput::Halted { cause: None, .. })));
    assert_eq!(bench.step(), ReceiveStep::Over);
    assert_ne!(bench.ring.take_woken(), Wake::NONE);
}

#[test]
fn extensions_are_signs_of_life_and_those_to_be_forwarded_go_to_the_children() {
    let mut stock = Stock::default();
    let mut bench = Bench::new(4, &mut stock, Limit::default());
    let signer = TransferKey::new(&[1; 32]).signer();
    let transfer = signer.transfer();
    let envelope = Some(Envelope::new(signer, Nonce([2; 16]), 0, ([10, 0, 0, 1], 1).into()));
    let header = Header { envelope, ..header(BLOCK, BYTES, &[]) };
    bench.receiver = Receiver::new(header, keys(), stock.pool(BLOCK), Limit::default());
    assert_eq!(bench.receiver.accept(bench.now, 0, &mut |_| ()), Needed::Nothing);
    let (fed, waits) = (LinkId(1), LinkId(2));
    bench.ring.quietly(|ring| [fed, waits].map(|link| ring.add_link(link)));
    bench.ring.change(|ring| ring.feed(fed, 0));
    let _ = bench.ring.take_woken();
    let writer = FrameWriter::new(keys().frame_key(&transfer).expect("both wires are on"));
    for kind in [0x80, 0xbf, 0xc0, 0xff] {
        let extension = Extension::new(kind, ([1, 2, 3], 4, 5), b"data").expect("a type to be ignored");
        let (before, tag) = writer.encode(&Frame::Extension(extension.clone())).expect("a frame");
        bench.pipe.bytes.extend([&before[..], &tag].concat());
        while let ReceiveStep::Moved(_) = bench.step() {}
        assert!(matches!(bench.told[..], [NodeInput::Heard]), "{kind:#x}: {:?}", bench.told);
        bench.told.clear();
        let forwarded = kind >= 0xc0;
        let woken = if forwarded { Wake::link(fed) } else { Wake::NONE };
        assert_eq!(bench.ring.take_woken(), woken, "{kind:#x}");
        let work = bench.ring.quietly(|ring| ring.link_work(fed));
        let found = matches!(work, Ok(LinkWork::Extension(found)) if found == extension);
        assert_eq!(found, forwarded, "{kind:#x}");
        assert!(bench.ring.look(|ring| !ring.has_link_work(waits)));
    }
    let told = &mut bench.told;
    bench.receiver.halt(&mut |input| told.push(input));
    assert!(matches!(bench.told.pop(), Some(NodeInput::Halted { offset: 0, cause: None })));
}
