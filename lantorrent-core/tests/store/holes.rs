//! Ranges of zeros.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};

use lantorrent_core::store::{Durability, Placement};

use crate::Bench;

const MIB: u64 = 1 << 20;

#[test]
fn zeros_over_data_read_as_zeros_and_free_what_they_can() {
    let bench = Bench::new();
    for placement in [Placement::Rename, Placement::InPlace] {
        fs::write(bench.at("a"), vec![7; 4 * MIB as usize]).unwrap();
        let output = bench.create("a", placement, None).unwrap();
        output.write_at(&vec![9; 4 * MIB as usize], 0).unwrap();
        let full = output.read_back().unwrap().metadata().unwrap().blocks();
        // Neither end at the border of a block, and another hole across the end.
        output.zero(100, 3 * MIB).unwrap();
        output.zero(4 * MIB - 10, MIB).unwrap();
        let punched = output.read_back().unwrap().metadata().unwrap();
        assert_eq!(punched.len(), 5 * MIB - 10, "who reads back finds zeros up to the end of the hole");
        if punched.blocks() >= full {
            println!("no blocks were freed: this file system has no holes");
        }
        output.finish(5 * MIB, Durability::Sync).unwrap();
        let found = fs::read(bench.at("a")).unwrap();
        assert_eq!(found.len() as u64, 5 * MIB);
        for (offset, &byte) in found.iter().enumerate() {
            let offset = offset as u64;
            let hole = (100..100 + 3 * MIB).contains(&offset) || offset >= 4 * MIB - 10;
            assert_eq!(byte, if hole { 0 } else { 9 }, "at {offset}");
        }
    }
}

#[test]
fn a_fresh_file_gets_no_blocks_for_zeros() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    output.zero(0, 1 << 36).unwrap();
    output.write_at(b"end", 1 << 36).unwrap();
    output.zero((1 << 36) + 3, 5).unwrap();
    let mut found = [1; 9];
    output.read_back().unwrap().read_exact_at(&mut found, (1 << 36) - 1).unwrap();
    assert_eq!(&found, b"\0end\0\0\0\0\0");
    output.finish((1 << 36) + 8, Durability::Sync).unwrap();
    let file = fs::metadata(bench.at("a")).unwrap();
    assert_eq!(file.len(), (1 << 36) + 8);
    assert!(file.blocks() < 1000, "{} blocks", file.blocks());
}

#[test]
fn no_zeros_change_nothing() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    output.write_at(b"abc", 0).unwrap();
    output.zero(1, 0).unwrap();
    output.write_at(b"", 2).unwrap();
    output.finish(3, Durability::NoSync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"abc");
}

#[test]
fn writing_over_a_hole_fills_it() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "old content").unwrap();
    let output = bench.in_place("a").unwrap();
    output.zero(0, 20).unwrap();
    output.write_at(b"new", 4).unwrap();
    output.finish(8, Durability::NoSync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"\0\0\0\0new\0");
}

#[test]
fn zeros_among_data_take_no_room_if_they_are_left_out() {
    let bench = Bench::new();
    let mut data = vec![7; 64 << 10];
    data[4096..40_960].fill(0);
    data[60_000..].fill(0);
    for placement in [Placement::Rename, Placement::InPlace] {
        fs::write(bench.at("a"), vec![9; 128 << 10]).unwrap();
        let output = bench.create("a", placement, None).unwrap();
        output.write_sparsely_at(&data, 0).unwrap();
        output.write_sparsely_at(&data[..61_000], 64 << 10).unwrap();
        output.finish((64 << 10) + 61_000, Durability::NoSync).unwrap();
        assert!(fs::read(bench.at("a")).unwrap() == [&data, &data[..61_000]].concat());
        let room = fs::metadata(bench.at("a")).unwrap().blocks() * 512;
        if room > 80 << 10 {
            println!("{room} bytes of room: this file system has no holes");
        }
    }
}

#[test]
fn the_end_may_be_zeros_that_are_left_out() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    output.write_sparsely_at(&[0; 5000], 0).unwrap();
    output.finish(5000, Durability::NoSync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), [0; 5000]);
}
