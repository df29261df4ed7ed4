use std::collections::BTreeMap;

use super::super::testing::{Cell, header};
use super::*;

/// What became of each file: its bytes, and its fate.
#[derive(Default)]
struct Store {
    open: BTreeMap<usize, Vec<(u64, u64)>>,
    ended: Vec<(usize, &'static str)>,
    /// Which file each is to be a copy of.
    copies: BTreeMap<usize, usize>,
    in_use: bool,
    fails: Option<usize>,
}

fn fault() -> FileFault {
    FileFault { code: Code::CANNOT_WRITE, message: "made up".into() }
}

impl Files for Store {
    type Backing = u32;

    fn open(
        &mut self,
        file: usize,
        originals: &[usize],
        _wanted: &dyn Fn() -> bool,
    ) -> Result<Made<u32>, Refused> {
        if self.in_use {
            return Err(Refused::InUse(fault()));
        }
        self.open.insert(file, Vec::new());
        let copy_of = self.copies.get(&file).copied().filter(|original| originals.contains(original));
        Ok(Made { resumed: 0, backing: Some(file as u32), copy_of })
    }

    fn begin(&mut self, _file: usize, _from: u64) {}

    fn write(&mut self, file: usize, item: &Item, _notes: &[Note]) -> Result<(), FileFault> {
        if self.fails == Some(file) {
            return Err(fault());
        }
        self.open.get_mut(&file).expect("it is open").push(item.range());
        Ok(())
    }

    fn backing(&self, file: usize) -> Option<u32> {
        Some(file as u32)
    }

    fn seal(&mut self, _file: usize, _size: u64) -> Result<(), FileFault> {
        Ok(())
    }

    fn copy(
        &mut self,
        copy: usize,
        original: usize,
        _size: u64,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        let content = self.open[&original].clone();
        self.open.insert(copy, content);
        Ok(())
    }

    fn take_over(
        &mut self,
        heir: usize,
        original: usize,
        _upto: u64,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        self.copy(heir, original, 0, wanted)
    }

    fn place(&mut self, file: usize, _size: u64) -> Result<(), FileFault> {
        self.ended.push((file, "placed"));
        Ok(())
    }

    fn discard(&mut self, file: usize) {
        self.ended.push((file, "discarded"));
    }

    fn keep(&mut self, file: usize) {
        self.ended.push((file, "kept"));
    }

    fn remove(&mut self, _request: &Request) -> Result<(), Refused> {
        Ok(())
    }
}

struct Bench {
    ring: Cell,
    disk: Disk<Store>,
    now: Instant,
    told: Vec<FileInput>,
}

impl Bench {
    fn new(store: Store) -> Self {
        let mut header = header(4096, 8192, &["/a", "/b", "/c"]);
        // Copies are for wire 2.
        header.envelope = Some(envelope());
        let now = Instant::now();
        let disk = Disk::new(now, header, store, Duration::from_secs(1));
        Self { ring: Cell::new(Ring::for_node(4)), disk, now, told: Vec::new() }
    }

    fn order(&self, order: DiskOrder) {
        self.ring.change(|ring| ring.order_disk(order));
    }

    /// Steps until there is nothing to do now.
    fn run(&mut self) -> DiskStep {
        loop {
            let told = &mut self.told;
            let step = self.disk.step(self.now, &self.ring, &mut |input| told.push(input));
            if step != DiskStep::Moved {
                return step;
            }
        }
    }

    fn push(&mut self, offset: u64) {
        let item = Item::Hole { offset, span: 4096 };
        assert!(self.ring.with(|ring| ring.push(self.now, item)).is_ok());
    }
}

fn envelope() -> crate::wire::Envelope {
    use crate::wire::{Envelope, Nonce, TransferKey};
    Envelope::new(TransferKey::new(&[1; 32]).signer(), Nonce([2; 16]), 0, ([10, 0, 0, 1], 1).into())
}

#[test]
fn files_are_not_opened_for_a_transfer_that_is_over() {
    let mut bench = Bench::new(Store::default());
    bench.order(DiskOrder::File(FileOutput::Open(0)));
    bench.ring.change(Ring::close);
    bench.order(DiskOrder::Leave);
    assert_eq!(bench.run(), DiskStep::Over);
    assert!(bench.told.is_empty() && bench.disk.files().open.is_empty());
}

#[test]
fn a_file_in_use_is_waited_for_but_not_for_ever() {
    let mut bench = Bench::new(Store { in_use: true, ..Store::default() });
    bench.order(DiskOrder::File(FileOutput::Open(0)));
    let DiskStep::Until(at) = bench.run() else { panic!("it is not waited for") };
    assert_eq!(at, bench.now + RETRY);
    bench.disk.files().in_use = false;
    bench.now = at;
    assert!(matches!(bench.run(), DiskStep::Idle(_)));
    assert!(matches!(bench.told.pop(), Some(FileInput::Opened(0, Ok(_)))));
    bench.disk.files().in_use = true;
    bench.order(DiskOrder::File(FileOutput::Open(1)));
    bench.now += Duration::from_secs(2);
    assert!(matches!(bench.run(), DiskStep::Idle(_)));
    assert!(matches!(bench.told.pop(), Some(FileInput::Opened(1, Err(_)))));
}

#[test]
fn a_copy_takes_over_for_its_original_that_fails_and_is_the_original_of_the_others() {
    let copies = BTreeMap::from([(1, 0), (2, 0)]);
    let mut bench = Bench::new(Store { copies, ..Store::default() });
    (0..3).for_each(|file| bench.order(DiskOrder::File(FileOutput::Open(file))));
    bench.ring.change(|ring| ring.begin(0));
    bench.push(0);
    assert!(matches!(bench.run(), DiskStep::Idle(_)));
    assert_eq!(bench.disk.files().open[&1], [], "it is to be a copy");
    bench.disk.files().fails = Some(0);
    bench.push(4096);
    let sum = crate::wire::Sum::Root(crate::wire::SignedRoot { root: [0; 32], signature: [0; 64] });
    bench.ring.change(|ring| ring.finish(8192, sum));
    assert!(matches!(bench.run(), DiskStep::Idle(_)));
    assert!(bench.told.iter().any(|input| matches!(input, FileInput::WriteFailed(0, _))));
    assert!(bench.told.iter().any(|input| matches!(input, FileInput::Written(8192))));
    for file in 0..3 {
        bench.order(DiskOrder::File(FileOutput::Place(file, 8192)));
    }
    assert!(matches!(bench.run(), DiskStep::Idle(_)));
    let files = bench.disk.files();
    assert_eq!(files.ended, [(0, "discarded"), (1, "placed"), (2, "placed")]);
    assert_eq!(files.open[&1], [(0, 4096), (4096, 8192)]);
    assert_eq!(files.open[&2], files.open[&1]);
}

#[test]
fn what_has_no_name_at_the_end_is_kept() {
    let mut bench = Bench::new(Store::default());
    bench.order(DiskOrder::File(FileOutput::Open(0)));
    bench.order(DiskOrder::File(FileOutput::Open(1)));
    bench.order(DiskOrder::File(FileOutput::Discard(0)));
    bench.order(DiskOrder::Leave);
    assert_eq!(bench.run(), DiskStep::Over);
    assert_eq!(bench.disk.files().ended, [(0, "discarded"), (1, "kept")]);
}
