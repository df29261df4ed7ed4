//! Opening what nobody wants any more.

use std::cell::Cell;
use std::fs;

use lantorrent_core::store::{Output, Placement, Resume, StoreError, Target};

use crate::resume::{WISH, Wish, beside};
use crate::{Bench, refused};

const MIB: usize = 1 << 20;
const BLOCK: usize = 64 << 10;

fn in_blocks(block_size: usize) -> Wish {
    Wish { resume: Resume { block_size: block_size as u32, ..WISH.resume }, ..WISH }
}

/// Asks for the file until that was asked `times` times whether it is wanted.
fn create_until(bench: &Bench, wish: Wish, times: usize) -> (Result<Output, StoreError>, usize) {
    let path = bench.text("a");
    let resume = Some(wish.resume);
    let target = Target { path: &path, placement: Placement::Rename, length: wish.length, resume };
    let asked = Cell::new(0);
    let wanted = || {
        asked.set(asked.get() + 1);
        asked.get() < times
    };
    (bench.roots.create_while(&target, &wanted), asked.get())
}

fn interrupt(bench: &Bench, content: &[u8]) {
    let output = in_blocks(BLOCK).create(bench, "a").unwrap();
    for (block, data) in content.chunks(BLOCK).enumerate() {
        output.write_at(data, (block * BLOCK) as u64).unwrap();
        output.note(blake3::hash(data).as_bytes(), 1);
    }
    output.keep();
}

#[test]
fn what_is_not_wanted_any_more_stays_as_it_was() {
    let all: Vec<u8> = (0..20 * MIB).map(|at| (at % 251) as u8).collect();
    for block_size in [BLOCK, 4 << 10, MIB, 12 * MIB] {
        let bench = Bench::new();
        interrupt(&bench, &all);
        let before = beside(&bench, "a").map(|path| fs::read(path).unwrap());
        // At the beginning, and then each 4 MiB.
        for times in 1..=5 {
            let (result, asked) = create_until(&bench, in_blocks(block_size), times);
            let text = refused!(result, StoreError::NotWanted { .. });
            assert!(text.contains("not wanted any more"), "{text}");
            assert_eq!(asked, times, "it ends at once");
            assert_eq!(bench.names(), ["a.lantorrent", "a.lantorrent-journal"]);
            assert!(beside(&bench, "a").map(|path| fs::read(path).unwrap()) == before);
        }
        let (output, asked) = create_until(&bench, in_blocks(block_size), usize::MAX);
        assert_eq!(asked, 5);
        assert_eq!(output.unwrap().resumed() as usize, all.len() / block_size * block_size);
    }
}

#[test]
fn what_was_never_wanted_is_not_begun() {
    let bench = Bench::new();
    let (result, _) = create_until(&bench, WISH, 1);
    refused!(result, StoreError::NotWanted { .. });
    assert!(bench.names().is_empty());
    // What may not be written is not a matter of wishes.
    let target = Target { path: "/a", placement: Placement::InPlace, length: None, resume: None };
    refused!(bench.roots.create_while(&target, &|| false), StoreError::NotAllowed { .. });
}
