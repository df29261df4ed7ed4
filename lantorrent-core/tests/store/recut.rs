//! Going on in blocks of another size.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};

use lantorrent_core::store::{Durability, Output, Placement, Resume, Target};

use crate::Bench;
use crate::damage::flip;
use crate::random::Random;
use crate::resume::{WISH, Wish, beside, crash};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn in_blocks(block_size: usize, length: Option<usize>) -> Wish {
    let resume = Resume { block_size: block_size as u32, durability: Durability::NoSync, ..WISH.resume };
    Wish { resume, length: length.map(|length| length as u64) }
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = Random::new(length as u64);
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// Writes all of `content` from the byte `from` on.
fn write(output: &Output, content: &[u8], block_size: usize, from: usize) {
    for (block, data) in content.chunks(block_size).enumerate().skip(from.div_ceil(block_size)) {
        output.write_at(data, (block * block_size) as u64).unwrap();
        output.note(blake3::hash(data).as_bytes(), 1);
    }
}

fn interrupt(bench: &Bench, wish: Wish, content: &[u8]) {
    let output = wish.create(bench, "a").unwrap();
    write(&output, content, wish.resume.block_size as usize, 0);
    output.keep();
}

/// The digests are what they would be if all had been written in these blocks.
fn digests_are(output: &Output, content: &[u8], block_size: usize) {
    let digests = output.digests();
    let fresh: Vec<_> = content.chunks(block_size).map(|data| Some(*blake3::hash(data).as_bytes())).collect();
    let found: Vec<_> = (0..fresh.len()).map(|block| digests.get(block as u64)).collect();
    assert!(found == fresh);
    assert_eq!(digests.get(fresh.len() as u64), None);
}

const SIZES: [(usize, usize); 6] = [
    (256 * KIB, 64 * KIB),
    (64 * KIB, 256 * KIB),
    (4 * KIB, MIB),
    (MIB, 4 * KIB),
    // Nothing depends on it that one is a multiple of the other.
    (100 * KIB, 64 * KIB),
    (3 * MIB, 5 * MIB),
];

#[test]
fn blocks_of_another_size_are_gone_on_with() {
    for (old, new) in SIZES {
        for length in [7 * MIB + 1, 2 * MIB, 3 * KIB] {
            let all = noise(length);
            for known in [None, Some(length)] {
                for blocks in [1, length / old / 2, length / old, length.div_ceil(old)] {
                    let bench = Bench::new();
                    let there = (blocks * old).min(length);
                    interrupt(&bench, in_blocks(old, known), &all[..there]);
                    let agreed = if known == Some(there) { there } else { there / old * old };
                    let expected = if known == Some(agreed) { agreed } else { agreed / new * new };

                    let wish = in_blocks(new, known);
                    let output = wish.create(&bench, "a").unwrap();
                    assert_eq!(output.resumed(), expected as u64, "{old} {new} {length} {there}");
                    assert_eq!(output.read_back().unwrap().metadata().unwrap().len(), expected as u64);
                    output.begin(expected as u64);
                    digests_are(&output, &all[..expected], new);
                    assert_eq!(bench.names(), ["a.lantorrent", "a.lantorrent-journal"]);
                    output.keep();
                    // And that is a journal like any other.
                    let output = wish.create(&bench, "a").unwrap();
                    assert_eq!(output.resumed(), expected as u64);
                    digests_are(&output, &all[..expected], new);
                    write(&output, &all, new, expected);
                    digests_are(&output, &all, new);
                    output.finish(length as u64, Durability::NoSync).unwrap();
                    assert!(fs::read(bench.at("a")).unwrap() == all);
                    assert_eq!(bench.names(), ["a"]);
                }
            }
        }
    }
}

#[test]
fn back_and_forth_loses_no_more_than_a_block_each_time() {
    let all = noise(5 * MIB + 777);
    let bench = Bench::new();
    let mut there = 4 * MIB + 300 * KIB;
    interrupt(&bench, in_blocks(4 * KIB, Some(all.len())), &all[..there]);
    for durability in [Durability::Sync, Durability::NoSync] {
        for block_size in [64 * KIB, 256 * KIB, 8 * KIB, MIB, 4 * KIB] {
            let mut wish = in_blocks(block_size, Some(all.len()));
            wish.resume.durability = durability;
            let output = wish.create(&bench, "a").unwrap();
            there = there / block_size * block_size;
            assert_eq!(output.resumed(), there as u64);
            digests_are(&output, &all[..there], block_size);
            output.keep();
        }
    }
    assert_eq!(there, 4 * MIB);
}

#[test]
fn holes_stay_cheap() {
    const HOLE: u64 = 1 << 42;
    let zeros = |length: u64| *blake3::hash(&vec![0; length as usize]).as_bytes();
    let digest = |parts: &[&[u8]]| *blake3::hash(&parts.concat()).as_bytes();
    let data = noise(3 * 4096);
    for (old, new) in [(4096, MIB as u64), (MIB as u64 / 4, 4096), (4096, 3 * 4096)] {
        // So that the data before and behind the hole shares blocks with it, or does not.
        for before in [old, 3 * old] {
            let bench = Bench::new();
            let data = &data[..4096];
            let wish = in_blocks(old as usize, None);
            let output = wish.create(&bench, "a").unwrap();
            let block = [data, &vec![0; old as usize - data.len()]].concat();
            for at in 0..before / old {
                output.write_at(&block, at * old).unwrap();
                output.note(blake3::hash(&block).as_bytes(), 1);
            }
            if let Err(error) = output.zero(before, HOLE) {
                println!("skipped: no file of {HOLE} bytes here: {error}");
                return;
            }
            output.note(&zeros(old), HOLE / old);
            let behind = (2 * new).div_ceil(old) * old;
            for at in 0..behind / old {
                output.write_at(&block, before + HOLE + at * old).unwrap();
                output.note(blake3::hash(&block).as_bytes(), 1);
            }
            output.keep();

            let all = before + HOLE + behind;
            let output = in_blocks(new as usize, None).create(&bench, "a").unwrap();
            assert_eq!(output.resumed(), all / new * new);
            let (digests, file) = (output.digests(), output.read_back().unwrap());
            // In the middle of the hole, and on all its edges.
            let first = before.div_ceil(new);
            let whole = (before + HOLE) / new - first;
            let (found, run) = digests.run(first).unwrap();
            assert_eq!(found, zeros(new));
            assert!(run <= whole && run + 1 >= whole.min(1 << 20), "{run} of {whole}");
            for block in (0..first + 2).chain(first + whole - 2..all / new) {
                let mut bytes = vec![0; new as usize];
                file.read_exact_at(&mut bytes, block * new).unwrap();
                assert_eq!(digests.get(block), Some(digest(&[&bytes])), "{old} {new} {block}");
            }
            assert_eq!(digests.get(all / new), None);
            assert!(fs::metadata(bench.at("a.lantorrent-journal")).unwrap().len() < MIB as u64);
        }
    }
}

#[test]
fn zeros_that_are_no_hole_are_runs_too() {
    let bench = Bench::new();
    let all = vec![0; 4 * MIB + 5];
    interrupt(&bench, in_blocks(4 * KIB, Some(all.len())), &all);
    let output = in_blocks(64 * KIB, Some(all.len())).create(&bench, "a").unwrap();
    assert_eq!(output.resumed(), all.len() as u64);
    assert_eq!(output.digests().run(0).unwrap().1, 64);
    digests_are(&output, &all, 64 * KIB);
}

#[test]
fn what_differs_is_not_resumed_in_other_blocks_either() {
    let all = noise(6 * MIB);
    for (old, new) in SIZES {
        for at in [0, 5 * KIB, MIB - 1, 2 * MIB, 3 * MIB + 77, 6 * MIB - 1] {
            for cut in [false, true] {
                let bench = Bench::new();
                interrupt(&bench, in_blocks(old, None), &all);
                let [partial, _] = beside(&bench, "a");
                if cut {
                    File::options().write(true).open(&partial).unwrap().set_len(at as u64).unwrap();
                } else {
                    flip(&partial, at as u64);
                }
                let output = in_blocks(new, None).create(&bench, "a").unwrap();
                let agreed = at / old * old;
                assert_eq!(output.resumed(), (agreed / new * new) as u64, "{old} {new} {at} {cut}");
                digests_are(&output, &all[..agreed / new * new], new);
            }
        }
    }
}

/// What is in the three files while the new journal is being written, at several moments.
#[test]
fn a_crash_in_between_loses_nothing() {
    let bench = Bench::new();
    let all = noise(40 * MIB);
    let (old, new) = (in_blocks(16 * KIB, None), in_blocks(4 * KIB, None));
    interrupt(&bench, old, &all);
    let copies = RefCell::new(Vec::new());
    let path = bench.text("a");
    let target = Target { path: &path, placement: Placement::Rename, length: None, resume: Some(new.resume) };
    let copy = || {
        let name = format!("copy-{}", copies.borrow().len());
        crash(&bench, "a", &name);
        // The first time there is none yet.
        let _ = fs::copy(bench.at("a.lantorrent-next"), bench.at(&format!("{name}.lantorrent-next")));
        copies.borrow_mut().push(name);
        true
    };
    let output = bench.roots.create_while(&target, &copy).unwrap();
    assert_eq!(output.resumed(), all.len() as u64);
    let copies = copies.take();
    assert!(copies.len() > 8);
    let mut sizes = Vec::new();
    for (at, name) in copies.iter().enumerate() {
        let next = bench.at(&format!("{name}.lantorrent-next"));
        sizes.extend(fs::metadata(&next).map(|next| next.len()));
        // Whoever comes next, for blocks of whatever size.
        let block_size = [4 * KIB, 16 * KIB, 64 * KIB][at % 3];
        let output = in_blocks(block_size, None).create(&bench, name).unwrap();
        assert_eq!(output.resumed(), all.len() as u64);
        digests_are(&output, &all, block_size);
        assert!(!next.exists());
    }
    assert!(sizes.is_sorted() && sizes.last() > sizes.first(), "it is written step by step: {sizes:?}");
    // Nobody has cut the file off yet.
    crash(&bench, "a", "b");
    let [partial, journal] = beside(&bench, "b");
    let longer = [&all[..], &[7; 9999]].concat();
    fs::write(&partial, &longer).unwrap();
    assert_eq!(new.resumed(&bench, "b"), all.len() as u64);
    // A power failure took the end of the new journal.
    let bytes = fs::read(&journal).unwrap();
    for part in [0, 50, 96, bytes.len() / 3, bytes.len() - 1] {
        fs::write(&partial, &longer).unwrap();
        fs::write(&journal, &bytes[..part]).unwrap();
        let output = new.create(&bench, "b").unwrap();
        let resumed = output.resumed() as usize;
        assert!(resumed < all.len() && (resumed > 0) == (part > 96));
        digests_are(&output, &all[..resumed], 4 * KIB);
    }
}

#[test]
fn what_bears_the_name_of_the_next_journal() {
    let all = noise(MIB);
    let ways: [fn(&Bench); 2] = [
        |bench| symlink(bench.outside.path().join("victim"), bench.at("a.lantorrent-next")).unwrap(),
        |bench| fs::create_dir(bench.at("a.lantorrent-next")).unwrap(),
    ];
    for way in ways {
        let bench = Bench::new();
        let victim = bench.outside.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        interrupt(&bench, in_blocks(4 * KIB, None), &all);
        way(&bench);
        let inode = fs::symlink_metadata(bench.at("a.lantorrent-next")).unwrap().ino();
        // In the blocks that there are nobody needs the name.
        assert_eq!(in_blocks(4 * KIB, None).resumed(&bench, "a"), all.len() as u64);
        let output = in_blocks(8 * KIB, None).create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), 0, "it begins anew");
        write(&output, &all, 8 * KIB, 0);
        output.keep();
        assert_eq!(in_blocks(8 * KIB, None).resumed(&bench, "a"), all.len() as u64);
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::symlink_metadata(bench.at("a.lantorrent-next")).unwrap().ino(), inode);
    }
    // Any other file makes room, whoever comes.
    for wish in [None, Some(4 * KIB), Some(8 * KIB)] {
        let bench = Bench::new();
        interrupt(&bench, in_blocks(4 * KIB, None), &all);
        fs::write(bench.at("a.lantorrent-next"), "half a journal").unwrap();
        match wish {
            None => drop(bench.rename("a").unwrap()),
            Some(block_size) => {
                let wish = in_blocks(block_size, None);
                assert_eq!(wish.resumed(&bench, "a"), all.len() as u64);
                wish.create(&bench, "a").unwrap().discard();
            }
        }
        assert!(bench.names().is_empty());
    }
}

#[test]
fn what_others_read_stays_what_it_was() {
    let bench = Bench::new();
    let all = noise(MIB);
    let wish = in_blocks(4 * KIB, None);
    let output = wish.create(&bench, "a").unwrap();
    write(&output, &all, 4 * KIB, 0);
    let digests = output.digests();
    output.keep();
    let next = in_blocks(64 * KIB, None).create(&bench, "a").unwrap();
    digests_are(&next, &all, 64 * KIB);
    for (block, data) in all.chunks(4 * KIB).enumerate() {
        assert_eq!(digests.get(block as u64), Some(*blake3::hash(data).as_bytes()));
    }
}
