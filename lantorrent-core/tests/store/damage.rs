//! Journals and partial files that are not as they were left.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use lantorrent_core::store::{Durability, Output, Resume};

use crate::Bench;
use crate::random::Random;
use crate::resume::{BLOCK, WISH, Wish, beside, content, interrupt, write};

pub(crate) fn flip(path: &std::path::Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

/// Three records, of 1, 2 and 3 blocks.
fn three_records(bench: &Bench) -> Vec<u8> {
    let all = content(6 * BLOCK);
    interrupt(bench, "a", &all[..BLOCK]);
    for upto in [3, 6] {
        let output = WISH.create(bench, "a").unwrap();
        write(&output, &all[..upto * BLOCK], output.resumed() as usize / BLOCK);
        output.keep();
    }
    all
}

const HEADER: u64 = 96;
/// Where the records end: a number, 40 bytes for each block, a checksum.
const ENDS: [(u64, u64); 3] = [(HEADER + 76, 1), (HEADER + 76 + 116, 3), (HEADER + 76 + 116 + 156, 6)];

#[test]
fn each_byte_of_the_journal_counts() {
    let bench = Bench::new();
    let all = three_records(&bench);
    let [partial, journal] = beside(&bench, "a");
    let good = fs::read(&journal).unwrap();
    assert_eq!(good.len() as u64, ENDS[2].0);
    let restore = |bytes: &[u8]| {
        fs::write(&partial, &all).unwrap();
        fs::write(&journal, bytes).unwrap();
    };
    for at in 0..good.len() as u64 {
        let expected = ENDS.iter().take_while(|(end, _)| *end <= at).last().map_or(0, |(_, blocks)| *blocks);
        restore(&good);
        flip(&journal, at);
        assert_eq!(WISH.resumed(&bench, "a"), expected * BLOCK as u64, "byte {at} flipped");
        restore(&good[..at as usize]);
        assert_eq!(WISH.resumed(&bench, "a"), expected * BLOCK as u64, "{at} bytes left");
        // Anything may stand behind a torn end.
        restore(&[&good[..at as usize], &good[HEADER as usize..]].concat());
        assert!(WISH.resumed(&bench, "a") <= 6 * BLOCK as u64);
    }
    restore(&[&good[..], &[0; 500]].concat());
    assert_eq!(WISH.resumed(&bench, "a"), 6 * BLOCK as u64);
    assert_eq!(fs::read(&journal).unwrap().len(), good.len(), "what is torn is cut off");
}

#[test]
fn records_count_only_in_their_order() {
    let bench = Bench::new();
    let all = three_records(&bench);
    let [partial, journal] = beside(&bench, "a");
    let good = fs::read(&journal).unwrap();
    let [first, second, third] = ENDS.map(|(end, _)| end as usize);
    let (head, one, two, three) = (&good[..96], &good[96..first], &good[first..second], &good[second..third]);
    for (parts, expected) in [
        ([head, one, two, three], 6),
        ([head, one, three, two], 1),
        ([head, two, one, three], 0),
        ([head, one, one, two], 1),
    ] {
        fs::write(&partial, &all).unwrap();
        fs::write(&journal, parts.concat()).unwrap();
        assert_eq!(WISH.resumed(&bench, "a"), expected * BLOCK as u64);
    }
    // Not even where it would be right.
    fs::write(&partial, [&all[..BLOCK], &all[..BLOCK]].concat()).unwrap();
    fs::write(&journal, [head, one, one].concat()).unwrap();
    assert_eq!(WISH.resumed(&bench, "a"), BLOCK as u64);
    // A partial file of the same name and length, of another content.
    fs::write(&partial, vec![0; all.len()]).unwrap();
    fs::write(&journal, &good).unwrap();
    assert_eq!(WISH.resumed(&bench, "a"), 0);
}

#[test]
fn what_differs_from_the_journal_is_not_resumed() {
    let bench = Bench::new();
    let all = three_records(&bench);
    let [partial, journal] = beside(&bench, "a");
    let good = fs::read(&journal).unwrap();
    for at in (0..all.len()).step_by(BLOCK / 3) {
        let expected = at / BLOCK * BLOCK;
        for cut in [false, true] {
            fs::write(&partial, &all).unwrap();
            fs::write(&journal, &good).unwrap();
            if cut {
                File::options().write(true).open(&partial).unwrap().set_len(at as u64).unwrap();
            } else {
                flip(&partial, at as u64);
            }
            let output = WISH.create(&bench, "a").unwrap();
            assert_eq!(output.resumed(), expected as u64);
            assert_eq!(output.read_back().unwrap().metadata().unwrap().len(), expected as u64);
            assert_eq!(output.digests().get((expected / BLOCK) as u64), None);
            write(&output, &all, expected / BLOCK);
            // Half of the times it ends here, else it is resumed once more.
            if at % 2 == 0 {
                output.keep();
                assert_eq!(WISH.resumed(&bench, "a"), all.len() as u64);
            } else {
                output.finish(all.len() as u64, Durability::NoSync).unwrap();
                assert_eq!(fs::read(bench.at("a")).unwrap(), all);
            }
        }
    }
}

/// Content with holes, which the tests below write in chunks of any size.
struct Sample {
    data: Vec<u8>,
    wish: Wish,
}

impl Sample {
    fn new(random: &mut Random) -> Self {
        let blocks = 1 + random.below(40);
        let mut data = Vec::new();
        for _ in 0..blocks {
            match random.below(3) {
                0 => data.extend([0; BLOCK]),
                _ => data.extend((0..BLOCK).map(|_| random.next() as u8)),
            }
        }
        if random.below(2) == 0 {
            data.truncate(data.len() - random.below(BLOCK));
        }
        let length = (random.below(2) == 0).then_some(data.len() as u64);
        let durability = if random.below(8) == 0 { Durability::Sync } else { Durability::NoSync };
        Self { data, wish: Wish { resume: Resume { durability, ..WISH.resume }, length } }
    }

    /// For blocks of that size.
    fn in_blocks(&self, block_size: usize) -> Wish {
        Wish { resume: Resume { block_size: block_size as u32, ..self.wish.resume }, ..self.wish }
    }

    /// Goes on from block `from` on to `upto`, holes as holes.
    fn write(&self, output: &Output, block_size: usize, from: usize, upto: usize) {
        let blocks: Vec<_> = self.data.chunks(block_size).take(upto).collect();
        let mut at = from;
        while at < blocks.len() {
            let zeros = blocks[at..].iter().take_while(|block| **block == vec![0; block_size]).count();
            let offset = (at * block_size) as u64;
            let digest = blake3::hash(blocks[at]);
            if zeros > 0 {
                output.zero(offset, (zeros * block_size) as u64).unwrap();
            } else {
                output.write_at(blocks[at], offset).unwrap();
            }
            output.note(digest.as_bytes(), zeros.max(1) as u64);
            at += zeros.max(1);
        }
    }

    /// How many of the first `bytes` can be gone on with from the end of a block.
    fn whole(&self, bytes: usize, block_size: usize) -> usize {
        if self.wish.length == Some(bytes as u64) { bytes } else { bytes / block_size * block_size }
    }

    /// What is resumed must be right, whatever happened before.
    fn check(&self, output: &Output, block_size: usize) -> usize {
        let resumed = output.resumed() as usize;
        assert!(resumed <= self.data.len() && resumed == self.whole(resumed, block_size));
        let file = output.read_back().unwrap();
        assert_eq!(file.metadata().unwrap().len(), resumed as u64);
        let mut found = vec![0; resumed];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found == self.data[..resumed]);
        let digests = output.digests();
        for (block, data) in found.chunks(block_size).enumerate() {
            assert_eq!(digests.get(block as u64), Some(*blake3::hash(data).as_bytes()));
        }
        assert_eq!(digests.get(resumed.div_ceil(block_size) as u64), None);
        resumed
    }
}

/// A power cut or a bad disk: some end of the files is lost, or some of their bytes are others.
fn damage(bench: &Bench, random: &mut Random) {
    for path in beside(bench, "a") {
        let Ok(bytes) = fs::read(&path) else { continue };
        let at = random.below(bytes.len() + 1) as u64;
        match random.below(5) {
            0 => File::options().write(true).open(&path).unwrap().set_len(at).unwrap(),
            1 if at < bytes.len() as u64 => flip(&path, at),
            // The length is there, the data is not.
            2 => fs::write(&path, [&bytes[..at as usize], &vec![0; bytes.len() - at as usize]].concat())
                .unwrap(),
            _ => {}
        }
    }
}

#[test]
fn whatever_happens_the_resumed_bytes_are_right() {
    for seed in 0..600 {
        let random = &mut Random::new(seed);
        let bench = Bench::new();
        let sample = Sample::new(random);
        // The same most of the time.
        let block_sizes = [BLOCK, BLOCK, BLOCK, BLOCK / 4, 4 * BLOCK, 333];
        // How much is there, unless something happened to it.
        let mut kept = Some(0);
        let create = |random: &mut Random, kept| {
            let block_size = block_sizes[random.below(block_sizes.len())];
            let output = sample.in_blocks(block_size).create(&bench, "a").unwrap();
            let resumed = sample.check(&output, block_size);
            if let Some(kept) = kept {
                assert_eq!(resumed, sample.whole(kept, block_size), "seed {seed}");
            }
            (output, block_size, resumed)
        };
        for _ in 0..random.below(8) {
            let (output, block_size, resumed) = create(random, kept);
            let (there, blocks) = (resumed.div_ceil(block_size), sample.data.len().div_ceil(block_size));
            let from = if random.below(3) == 0 { random.below(there + 1) } else { there };
            output.begin((from * block_size).min(resumed) as u64);
            let upto = from + random.below(blocks - from + 1);
            sample.write(&output, block_size, from, upto);
            output.keep();
            kept = Some(sample.whole((upto * block_size).min(sample.data.len()), block_size));
            if random.below(2) == 0 {
                damage(&bench, random);
                kept = None;
            }
        }
        let (output, block_size, resumed) = create(random, kept);
        output.begin(resumed as u64);
        sample.write(&output, block_size, resumed.div_ceil(block_size), usize::MAX);
        output.finish(sample.data.len() as u64, Durability::NoSync).unwrap();
        assert!(fs::read(bench.at("a")).unwrap() == sample.data, "seed {seed}");
        assert_eq!(bench.names(), ["a"]);
    }
}
