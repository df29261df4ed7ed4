//! Going on with what was interrupted.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_core::store::{Durability, Output, Placement, Resume, StoreError, Target};

use crate::{Bench, refused};

pub(crate) const BLOCK: usize = 1000;

/// Somebody who wants a file of some version.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    pub(crate) resume: Resume<'static>,
    pub(crate) length: Option<u64>,
}

pub(crate) const WISH: Wish = Wish {
    resume: Resume { version: b"1", block_size: BLOCK as u32, durability: Durability::Sync },
    length: None,
};

impl Wish {
    pub(crate) fn create(self, bench: &Bench, name: &str) -> Result<Output, StoreError> {
        let path = bench.text(name);
        let (length, resume) = (self.length, Some(self.resume));
        bench.roots.create(&Target { path: &path, placement: Placement::Rename, length, resume })
    }

    pub(crate) fn resumed(self, bench: &Bench, name: &str) -> u64 {
        let output = self.create(bench, name).unwrap();
        let resumed = output.resumed();
        output.keep();
        resumed
    }
}

/// Bytes of which no two blocks are equal.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / BLOCK * 37 + at % 251) as u8).collect()
}

/// Writes all of `content` from block `from` on.
pub(crate) fn write(output: &Output, content: &[u8], from: usize) {
    for (block, data) in content.chunks(BLOCK).enumerate().skip(from) {
        output.write_at(data, (block * BLOCK) as u64).unwrap();
        output.note(blake3::hash(data).as_bytes(), 1);
    }
}

/// Leaves the first part of a file, as an interrupted transfer does.
pub(crate) fn interrupt(bench: &Bench, name: &str, content: &[u8]) {
    let output = WISH.create(bench, name).unwrap();
    output.begin(0);
    write(&output, content, 0);
    output.keep();
}

/// The names beside `name` until it is whole.
pub(crate) fn beside(bench: &Bench, name: &str) -> [std::path::PathBuf; 2] {
    [bench.at(&format!("{name}.lantorrent")), bench.at(&format!("{name}.lantorrent-journal"))]
}

/// What another process would find if that of `from` were killed now.
pub(crate) fn crash(bench: &Bench, from: &str, to: &str) {
    // The journal first: it must never be ahead of the file.
    let (from, to) = (beside(bench, from), beside(bench, to));
    for at in [1, 0] {
        fs::copy(&from[at], &to[at]).unwrap();
    }
}

fn digests_are(output: &Output, content: &[u8]) {
    let digests = output.digests();
    for (block, data) in content.chunks(BLOCK).enumerate() {
        assert_eq!(digests.get(block as u64), Some(*blake3::hash(data).as_bytes()), "block {block}");
    }
    assert_eq!(digests.get(content.len().div_ceil(BLOCK) as u64), None);
}

#[test]
fn what_was_kept_is_gone_on_with() {
    for durability in [Durability::Sync, Durability::NoSync] {
        let bench = Bench::new();
        let all = content(10 * BLOCK + 7);
        let wish = Wish { resume: Resume { durability, ..WISH.resume }, length: Some(all.len() as u64) };
        let output = wish.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), 0);
        output.begin(0);
        assert_eq!(bench.names(), ["a.lantorrent", "a.lantorrent-journal"]);
        write(&output, &all[..4 * BLOCK], 0);
        digests_are(&output, &all[..4 * BLOCK]);
        output.keep();
        assert_eq!(bench.names(), ["a.lantorrent", "a.lantorrent-journal"]);

        // Several times, with nothing new at last.
        for upto in [7, 9, 9] {
            let output = wish.create(&bench, "a").unwrap();
            let resumed = output.resumed() as usize;
            assert!(resumed < upto * BLOCK || upto == 9);
            output.begin(resumed as u64);
            digests_are(&output, &all[..resumed]);
            write(&output, &all[..upto * BLOCK], resumed / BLOCK);
            digests_are(&output, &all[..upto * BLOCK]);
            output.keep();
        }

        let output = wish.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), 9 * BLOCK as u64);
        output.begin(output.resumed());
        write(&output, &all, 9);
        digests_are(&output, &all);
        let digests = output.digests();
        output.finish(all.len() as u64, durability).unwrap();
        assert_eq!(bench.names(), ["a"]);
        assert_eq!(fs::read(bench.at("a")).unwrap(), all);
        assert_eq!(digests.get(10), Some(*blake3::hash(&all[10 * BLOCK..]).as_bytes()), "for late readers");
    }
}

#[test]
fn without_a_wish_nothing_is_resumed() {
    let bench = Bench::new();
    let all = content(3 * BLOCK);
    interrupt(&bench, "a", &all);
    let output = bench.rename("a").unwrap();
    assert_eq!((output.resumed(), output.read_back().unwrap().metadata().unwrap().len()), (0, 0));
    assert_eq!(bench.names(), ["a.lantorrent"], "a journal that fits nothing is no use");
    output.begin(0);
    write(&output, &all, 0);
    digests_are(&output, &all);
    output.keep();
    assert!(bench.names().is_empty(), "what cannot be gone on with is not kept");

    let output = bench.in_place("a").unwrap();
    write(&output, &all, 0);
    digests_are(&output, &all);
    output.keep();
    assert_eq!(bench.names(), ["a"]);
    assert_eq!(fs::read(bench.at("a")).unwrap(), all);
}

#[test]
fn another_version_or_length_begins_anew() {
    let all = content(5 * BLOCK);
    let other = |change: fn(&mut Wish)| {
        let mut wish = WISH;
        change(&mut wish);
        wish
    };
    for wish in [
        other(|wish| wish.resume.version = b"2"),
        other(|wish| wish.resume.version = b""),
        other(|wish| wish.length = Some(5000)),
        other(|wish| wish.length = Some(0)),
    ] {
        let bench = Bench::new();
        interrupt(&bench, "a", &all);
        let output = wish.create(&bench, "a").unwrap();
        assert_eq!((output.resumed(), output.read_back().unwrap().metadata().unwrap().len()), (0, 0));
        assert_eq!(output.digests().get(0), None);
        output.keep();
        assert!(bench.names().is_empty(), "nothing was written");
    }
    let bench = Bench::new();
    interrupt(&bench, "a", &all);
    let no_sync = Resume { durability: Durability::NoSync, ..WISH.resume };
    assert_eq!(Wish { resume: no_sync, ..WISH }.resumed(&bench, "a"), 5 * BLOCK as u64);
    let senseless = Wish { resume: Resume { block_size: 0, ..WISH.resume }, ..WISH };
    let output = senseless.create(&bench, "a").unwrap();
    output.begin(0);
    output.finish(0, Durability::NoSync).unwrap();
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn a_last_block_that_is_short_counts_where_the_length_is_known() {
    let all = content(5 * BLOCK + 1);
    for (length, whole) in [(None, 5 * BLOCK), (Some(all.len() as u64), all.len())] {
        let bench = Bench::new();
        let wish = Wish { length, ..WISH };
        let output = wish.create(&bench, "a").unwrap();
        write(&output, &all, 0);
        output.keep();
        let output = wish.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), whole as u64);
        output.begin(output.resumed());
        digests_are(&output, &all[..whole]);
        write(&output, &all, whole.div_ceil(BLOCK));
        digests_are(&output, &all);
        output.finish(all.len() as u64, Durability::Sync).unwrap();
        assert_eq!(fs::read(bench.at("a")).unwrap(), all);
    }
    // What is not right is not believed either.
    let bench = Bench::new();
    let wish = Wish { length: Some(all.len() as u64), ..WISH };
    let output = wish.create(&bench, "a").unwrap();
    write(&output, &all, 0);
    output.keep();
    let [partial, _] = beside(&bench, "a");
    fs::File::options().write(true).open(partial).unwrap().write_all_at(b"?", 5 * BLOCK as u64).unwrap();
    let output = wish.create(&bench, "a").unwrap();
    assert_eq!(output.resumed(), 5 * BLOCK as u64);
    digests_are(&output, &all[..5 * BLOCK]);
    output.discard();
    // Nor is a hole that is said to have more blocks than are whole, however long the file.
    for block_size in [BLOCK, BLOCK / 2] {
        let output = wish.create(&bench, "a").unwrap();
        output.begin(0);
        output.zero(0, 9 * BLOCK as u64).unwrap();
        output.note(blake3::hash(&[0; BLOCK]).as_bytes(), 6);
        output.keep();
        let resume = Resume { block_size: block_size as u32, ..wish.resume };
        assert_eq!(Wish { resume, ..wish }.resumed(&bench, "a"), 5 * BLOCK as u64);
    }
}

#[test]
fn beginning_before_what_is_there_forgets_the_rest() {
    let all = content(20 * BLOCK);
    for from in 0..=12 {
        let bench = Bench::new();
        interrupt(&bench, "a", &all[..5 * BLOCK]);
        let output = WISH.create(&bench, "a").unwrap();
        write(&output, &all[..12 * BLOCK], 5);
        output.keep();

        let output = WISH.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), 12 * BLOCK as u64);
        output.begin((from * BLOCK) as u64);
        digests_are(&output, &all[..from * BLOCK]);
        // It is let go before all is there again.
        write(&output, &all[..(from + 1) * BLOCK], from);
        digests_are(&output, &all[..(from + 1) * BLOCK]);
        output.keep();

        let output = WISH.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), ((from + 1) * BLOCK) as u64);
        write(&output, &all, from + 1);
        digests_are(&output, &all);
        output.finish(all.len() as u64, Durability::Sync).unwrap();
        assert_eq!(fs::read(bench.at("a")).unwrap(), all);
    }
}

#[test]
fn holes_are_resumed_without_reading_them() {
    let bench = Bench::new();
    let zero = *blake3::hash(&[0; BLOCK]).as_bytes();
    let all = content(3 * BLOCK);
    // Nobody reads that much in a test.
    let blocks = 1 << 35;
    let hole = blocks * BLOCK as u64;
    let output = WISH.create(&bench, "a").unwrap();
    write(&output, &all, 0);
    if let Err(error) = output.zero(3 * BLOCK as u64, hole) {
        println!("skipped: no file of {hole} bytes here: {error}");
        return;
    }
    output.note(&zero, blocks);
    output.write_at(&all[..BLOCK], 3 * BLOCK as u64 + hole).unwrap();
    output.note(blake3::hash(&all[..BLOCK]).as_bytes(), 1);
    output.keep();

    let output = WISH.create(&bench, "a").unwrap();
    assert_eq!(output.resumed(), hole + 4 * BLOCK as u64);
    let digests = output.digests();
    assert_eq!(digests.run(3), Some((zero, blocks)));
    assert_eq!(digests.run(3 + blocks - 1), Some((zero, 1)));
    assert_eq!(digests.get(3 + blocks), digests.get(0));
    assert_eq!(digests.run(4 + blocks), None);
    output.begin(1000 * BLOCK as u64);
    assert_eq!(digests.run(3), Some((zero, 997)));
    output.note(&zero, 3);
    assert_eq!(digests.run(500), Some((zero, 503)));
    output.keep();
    assert_eq!(WISH.resumed(&bench, "a"), 1003 * BLOCK as u64);
    // Where the hole is written to, it ends.
    fs::File::options()
        .write(true)
        .open(bench.at("a.lantorrent"))
        .unwrap()
        .write_all_at(b"x", 700 * BLOCK as u64 + 3)
        .unwrap();
    assert_eq!(WISH.resumed(&bench, "a"), 700 * BLOCK as u64);
}

#[test]
fn a_killed_process_leaves_what_was_recorded() {
    let bench = Bench::new();
    let block = 1 << 20;
    let wish = Wish { resume: Resume { block_size: block as u32, ..WISH.resume }, ..WISH };
    let output = wish.create(&bench, "a").unwrap();
    let data: Vec<_> = (0..200_u8).map(|index| vec![index; block]).collect();
    for (index, data) in data.iter().enumerate() {
        output.write_at(data, (index * block) as u64).unwrap();
        output.note(blake3::hash(data).as_bytes(), 1);
        if index % 40 == 39 {
            crash(&bench, "a", "b");
            let resumed = wish.resumed(&bench, "b");
            let written = ((index + 1) * block) as u64;
            assert!(resumed <= written && written - resumed <= 64 << 20, "{resumed} of {written}");
        }
    }
    // Without more being written, only what is less than a step is missing after a while.
    let patience = Instant::now() + Duration::from_secs(60);
    let recorded = loop {
        crash(&bench, "a", "b");
        let recorded = wish.create(&bench, "b").unwrap();
        if recorded.resumed() > (200 - 16) << 20 {
            break recorded;
        }
        assert!(Instant::now() < patience);
        thread::sleep(Duration::from_millis(20));
    };
    // It goes on, though the other one lives.
    let from = recorded.resumed() as usize / block;
    recorded.begin(recorded.resumed());
    for (index, data) in data.iter().enumerate().skip(from) {
        recorded.write_at(data, (index * block) as u64).unwrap();
        recorded.note(blake3::hash(data).as_bytes(), 1);
    }
    recorded.finish(200 << 20, Durability::NoSync).unwrap();
    output.finish(200 << 20, Durability::NoSync).unwrap();
    let (a, b) = (fs::read(bench.at("a")).unwrap(), fs::read(bench.at("b")).unwrap());
    assert!(a == data.concat() && a == b);
    assert_eq!(bench.names(), ["a", "b"]);
}

#[test]
fn a_crash_between_renaming_and_removing_the_journal_harms_nobody() {
    let bench = Bench::new();
    let all = content(5 * BLOCK);
    interrupt(&bench, "a", &all);
    fs::rename(bench.at("a.lantorrent"), bench.at("a")).unwrap();
    let output = WISH.create(&bench, "a").unwrap();
    assert_eq!(output.resumed(), 0);
    write(&output, &all[..BLOCK], 0);
    assert_eq!(fs::read(bench.at("a")).unwrap(), all);
    output.finish(BLOCK as u64, Durability::Sync).unwrap();
    assert_eq!(bench.names(), ["a"]);
    assert_eq!(fs::read(bench.at("a")).unwrap(), all[..BLOCK]);
}

#[test]
fn what_bears_the_name_of_the_journal_and_is_none_is_left_alone() {
    let all = content(5 * BLOCK);
    let ways: [fn(&Path, &Path); 3] = [
        |victim, journal| symlink(victim, journal).unwrap(),
        |victim, journal| fs::hard_link(victim, journal).unwrap(),
        |_, journal| fs::create_dir(journal).unwrap(),
    ];
    for way in ways {
        let bench = Bench::new();
        let victim = bench.outside.path().join("victim");
        // Even a valid one, in a place where none should be.
        interrupt(&bench, "a", &all);
        let [partial, journal] = beside(&bench, "a");
        fs::rename(&journal, &victim).unwrap();
        let before = fs::read(&victim).unwrap();
        way(&victim, &journal);
        let inode = fs::symlink_metadata(&journal).unwrap().ino();

        let output = WISH.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), 0);
        assert_eq!(fs::metadata(&partial).unwrap().len(), 0);
        write(&output, &all, 0);
        digests_are(&output, &all);
        output.finish(all.len() as u64, Durability::Sync).unwrap();
        assert_eq!(fs::read(bench.at("a")).unwrap(), all);
        WISH.create(&bench, "a").unwrap().keep();
        WISH.create(&bench, "a").unwrap().discard();
        assert_eq!(fs::symlink_metadata(&journal).unwrap().ino(), inode);
        assert_eq!(fs::read(&victim).unwrap(), before);
        assert_eq!(bench.names(), ["a", "a.lantorrent-journal"]);
    }
    // Any other file with that name was to be expected, and makes room.
    let bench = Bench::new();
    fs::write(bench.at("a.lantorrent-journal"), "something").unwrap();
    interrupt(&bench, "a", &all);
    assert_eq!(WISH.resumed(&bench, "a"), all.len() as u64);
}

#[test]
fn a_journal_of_somebody_else_is_not_removed() {
    let bench = Bench::new();
    let output = WISH.create(&bench, "a").unwrap();
    fs::write(bench.at("other"), "stranger").unwrap();
    fs::rename(bench.at("other"), bench.at("a.lantorrent-journal")).unwrap();
    output.discard();
    assert_eq!(bench.names(), ["a.lantorrent-journal"]);
    assert_eq!(fs::read(bench.at("a.lantorrent-journal")).unwrap(), b"stranger");
}

#[test]
fn discard_drop_and_failure_leave_nothing() {
    let all = content(5 * BLOCK);
    let endings: [fn(Output); 3] = [Output::discard, drop, |output| {
        refused!(output.finish(u64::MAX, Durability::Sync), StoreError::NoSpace { .. });
    }];
    for end in endings {
        let bench = Bench::new();
        end(WISH.create(&bench, "a").unwrap());
        assert!(bench.names().is_empty());
        interrupt(&bench, "a", &all);
        let output = WISH.create(&bench, "a").unwrap();
        assert_eq!(output.resumed(), all.len() as u64);
        end(output);
        assert!(bench.names().is_empty());
    }
}

#[test]
fn what_is_kept_is_free_at_once_though_somebody_reads_it() {
    let bench = Bench::new();
    let all = content(9 * BLOCK);
    let output = WISH.create(&bench, "a").unwrap();
    write(&output, &all[..5 * BLOCK], 0);
    refused!(WISH.create(&bench, "a"), StoreError::InUse { .. });
    let (reader, digests) = (output.read_back().unwrap(), output.digests());
    output.keep();
    let next = WISH.create(&bench, "a").unwrap();
    assert_eq!(next.resumed(), 5 * BLOCK as u64);
    refused!(WISH.create(&bench, "a"), StoreError::InUse { .. });
    write(&next, &all, 5);
    next.keep();
    let mut found = [0; BLOCK];
    reader.read_exact_at(&mut found, 4 * BLOCK as u64).unwrap();
    assert_eq!(digests.get(4), Some(*blake3::hash(&found).as_bytes()));
    // Another version overwrites the file, and what was known of the first one stays.
    let other = Wish { resume: Resume { version: b"2", ..WISH.resume }, ..WISH };
    let output = other.create(&bench, "a").unwrap();
    write(&output, &[7; 5 * BLOCK], 0);
    output.keep();
    assert_eq!(digests.get(4), Some(*blake3::hash(&found).as_bytes()));
    reader.read_exact_at(&mut found, 4 * BLOCK as u64).unwrap();
    assert_ne!(digests.get(4), Some(*blake3::hash(&found).as_bytes()));
}

#[test]
fn several_files_are_written_at_once() {
    let bench = Bench::new();
    thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let bench = &bench;
            scope.spawn(move || {
                let all = content(40 * BLOCK);
                for upto in 1..=40 {
                    let output = WISH.create(bench, name).unwrap();
                    assert_eq!(output.resumed(), ((upto - 1) * BLOCK) as u64);
                    write(&output, &all[..upto * BLOCK], upto - 1);
                    output.keep();
                }
                WISH.create(bench, name).unwrap().finish(all.len() as u64, Durability::NoSync).unwrap();
                assert_eq!(fs::read(bench.at(name)).unwrap(), all);
            });
        }
    });
    assert_eq!(bench.names(), ["a", "b", "c"]);
}

#[test]
fn digests_are_read_while_they_are_written() {
    let bench = Bench::new();
    let wish = Wish {
        resume: Resume { block_size: 1 << 20, durability: Durability::NoSync, ..WISH.resume },
        ..WISH
    };
    let output = wish.create(&bench, "a").unwrap();
    let digests = output.digests();
    let digest = |block: u64| *blake3::hash(&block.to_be_bytes()).as_bytes();
    let blocks = 20_000;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut next = 0;
                while next < blocks {
                    match digests.get(next) {
                        Some(found) => assert_eq!(found, digest(next)),
                        None => continue,
                    }
                    assert_eq!(digests.get(next / 2), Some(digest(next / 2)));
                    next += 1;
                }
            });
        }
        for block in 0..blocks {
            output.note(&digest(block), 1);
        }
    });
}
