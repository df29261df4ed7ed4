//! The cases that the tests of libtorrent and of Transmission name, made anew, with our verdict on each. Where libtorrent
//! 2.0.8 or Transmission 3.00 come to another one on the same bytes, a comment says so.

use lantorrent_swarm::InfoHash;
use lantorrent_swarm::bencode::{Item, dict};
use lantorrent_swarm::metainfo::{FILES, METAINFO, Metainfo};

use crate::{Entries, file, folder, names, one_file, torrent};

/// The entries with one that is changed or added.
fn with(mut entries: Entries, key: &'static str, value: impl Into<Item>) -> Vec<u8> {
    entries.retain(|(other, _)| *other != key);
    entries.push((key, value.into()));
    torrent(dict(entries))
}

fn without(mut entries: Entries, key: &str) -> Vec<u8> {
    entries.retain(|(other, _)| *other != key);
    torrent(dict(entries))
}

/// One file with that path, in a folder.
fn path(path: &[&str]) -> Vec<u8> {
    torrent(dict(folder(vec![file(path, 10)], 10)))
}

fn files(files: &[(&[&str], i64)]) -> Vec<u8> {
    // What can be: the hashes have to be made, too.
    let length = files.iter().map(|(_, length)| usize::try_from(*length).unwrap_or(0).min(1 << 20)).sum();
    torrent(dict(folder(files.iter().map(|(path, length)| file(path, *length)).collect(), length)))
}

/// A file that has one more entry, beside another one.
fn odd_file(key: &'static str, value: impl Into<Item>) -> Vec<u8> {
    let odd = dict([("path", names(&["odd"])), ("length", 5.into()), (key, value.into())]);
    torrent(dict(folder(vec![file(&["a"], 5), odd], 10)))
}

const LONG: &str = "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn";

fn refused() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let long = LONG.repeat(4);
    vec![
        // Not even a torrent.
        ("empty", vec![], "ends in the middle"),
        ("no bencode", b"<html>".to_vec(), "no value begins"),
        ("a list", b"le".to_vec(), "no `info`"),
        ("cut short", one_whole()[..90].to_vec(), "ends in the middle"),
        ("nested lists", b"l".repeat(200_000), "nested too deep"),
        ("nested in a key", [&b"d1:a"[..], &b"l".repeat(200_000)].concat(), "nested too deep"),
        ("no info", dict([("announce", "http://a/".into())]).encode(), "no `info`"),
        ("info is a string", torrent("info".into()), "no `info`"),
        ("too large", vec![b'l'; METAINFO + 1], "larger pieces"),
        // Pieces.
        ("no piece length", without(one_file(), "piece length"), "no `piece length`"),
        ("piece length is a string", with(one_file(), "piece length", "16384"), "no `piece length`"),
        ("piece length 0", with(one_file(), "piece length", 0), "have 0 bytes"),
        ("piece length negative", with(one_file(), "piece length", -16_384), "have -16384 bytes"),
        ("piece length huge", with(one_file(), "piece length", 1_i64 << 30), "have 1073741824 bytes"),
        // Transmission takes the lower 32 bits.
        (
            "piece length beyond 32 bits",
            with(one_file(), "piece length", (1_i64 << 32) + 16_384),
            "4294983680",
        ),
        ("no pieces", without(one_file(), "pieces"), "no `pieces`"),
        ("pieces is a list", with(one_file(), "pieces", Vec::<Item>::new()), "no `pieces`"),
        ("pieces empty", with(one_file(), "pieces", ""), "0 bytes of hashes, and 60"),
        ("pieces short", with(one_file(), "pieces", vec![7; 40]), "40 bytes of hashes, and 60"),
        ("pieces long", with(one_file(), "pieces", vec![7; 80]), "80 bytes of hashes, and 60"),
        ("pieces unaligned", with(one_file(), "pieces", vec![7; 61]), "61 bytes of hashes, and 60"),
        // Lengths.
        ("no length", without(one_file(), "length"), "no `length`"),
        ("length is a string", with(one_file(), "length", "40000"), "no `length`"),
        ("length negative", with(one_file(), "length", -1), "has -1 bytes"),
        ("length huge", with(one_file(), "length", i64::MAX), "60 bytes of hashes"),
        ("file negative", files(&[(&["a"], 20_000), (&["b"], -10_000)]), "\"tree/b\" has -10000 bytes"),
        ("files overflow", files(&[(&["a"], 5), (&["b"], i64::MAX)]), "\"tree/b\" has 9223372036854775807"),
        // Both take the list.
        ("length and files", with(folder(vec![file(&["a"], 10)], 10), "length", 10), "a `length` and a list"),
        ("files is a string", with(folder(vec![], 0), "files", "a"), "no `files`"),
        ("files empty", torrent(dict(folder(vec![], 0))), "no `files`"),
        ("file is a string", torrent(dict(folder(vec!["a".into()], 0))), "no `files`"),
        // Names. Both take paths with `..`, slashes, zeros and empty names, and change them: the files get other names
        // than the torrent says, and not the same ones in both. Transmission also takes torrents without a name.
        ("no name", without(one_file(), "name"), "no `name`"),
        ("name is a number", with(one_file(), "name", 7), "no `name`"),
        ("name empty", with(one_file(), "name", ""), "\"\" in the torrent is refused: it is empty"),
        ("name ..", with(one_file(), "name", ".."), "\"..\" in the torrent is refused"),
        ("name .", with(one_file(), "name", "."), "\".\" in the torrent is refused"),
        ("name absolute", with(one_file(), "name", "/etc/passwd"), "begins at the root"),
        ("name with slash", with(one_file(), "name", "a/../../b"), "slash"),
        ("name with zero", with(one_file(), "name", "a\0b"), "zero byte"),
        ("name long", with(one_file(), "name", long.as_str()), "255 bytes"),
        ("folder ..", with(folder(vec![file(&["a"], 10)], 10), "name", ".."), "`..`"),
        ("utf-8 name ..", with(one_file(), "name.utf-8", ".."), "`..`"),
        ("path ..", path(&["..", "a"]), "`..`"),
        ("path .. within", path(&["a", "..", "b"]), "`..`"),
        ("path .", path(&[".", "a"]), "`.`"),
        ("path absolute", path(&["/etc", "passwd"]), "begins at the root"),
        ("path with slash", path(&["a/b"]), "slash"),
        ("path with zero", path(&["a\0"]), "zero byte"),
        ("path with empty name", path(&["", "a"]), "it is empty"),
        ("path without names", path(&[]), "has no name"),
        ("path long name", path(&[long.as_str()]), "255 bytes"),
        ("path long", path(&[LONG; 80]), "4000 bytes"),
        ("path is a string", odd_file("path", "odd"), "no `path`"),
        ("path with a number", odd_file("path", vec![Item::Integer(7)]), "no `path`"),
        ("utf-8 path ..", odd_file("path.utf-8", names(&["..", "odd"])), "`..`"),
        ("no path", torrent(dict(folder(vec![dict([("length", 10.into())])], 10))), "no `path`"),
        // Links and duplicates. Both take all but a link alone, which libtorrent refuses; libtorrent makes links and
        // renames duplicates, Transmission writes all into one file.
        ("link", odd_file("attr", "l"), "\"tree/odd\" in the torrent is refused: it is a link"),
        ("link by its target", odd_file("symlink path", names(&["a"])), "it is a link"),
        ("link as padding", odd_file("attr", "pl"), "it is a link"),
        ("link alone", with(one_file(), "attr", "l"), "it is a link"),
        (
            "duplicate",
            files(&[(&["a"], 1), (&["b"], 1), (&["a"], 1)]),
            "\"tree/a\" is in the torrent twice, as a file",
        ),
        ("file is a folder", files(&[(&["a"], 1), (&["a", "b"], 1)]), "again as a folder"),
        (
            "folder is a file",
            files(&[(&["a", "b", "c"], 1), (&["a b"], 1), (&["a"], 1)]),
            "\"tree/a\" is in the torrent twice",
        ),
        // What we cannot do.
        ("version 2", version_2(), "version 2"),
    ]
}

fn one_whole() -> Vec<u8> {
    torrent(dict(one_file()))
}

fn version_2() -> Vec<u8> {
    let info = vec![
        ("file tree", dict([("a", dict([("", dict([("length", 5.into())]))]))])),
        ("meta version", 2.into()),
        ("name", "a".into()),
        ("piece length", 16_384.into()),
    ];
    torrent(dict(info))
}

#[test]
fn what_is_refused() {
    for (case, bytes, part) in refused() {
        let error = Metainfo::read(&bytes).map(drop).expect_err(case).to_string();
        assert!(error.contains(part), "{case}: {error}");
        assert!(error.len() < 300 && !error.contains(char::is_control), "{case}: {error}");
    }
}

#[test]
fn what_is_untidy_is_taken() {
    let unsorted = b"d4:infod6:pieces20:aaaaaaaaaaaaaaaaaaaa12:piece lengthi16384e4:name1:a6:lengthi1eee";
    let twice = b"d4:infod6:lengthi1e6:lengthi9e4:name1:a12:piece lengthi1e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
    let taken: Vec<(&str, Vec<u8>)> = vec![
        ("unsorted keys", unsorted.to_vec()),
        ("repeated keys: the first counts", twice.to_vec()),
        ("trailing data", [&one_whole()[..], b"\r\n"].concat()),
        ("piece length odd", with(one_file(), "piece length", 16_001)),
        ("piece length 1", with(folder(vec![file(&["a"], 1)], 1), "piece length", 1)),
        ("unknown keys", with(one_file(), "x", vec![Item::Integer(1)])),
        // Both take these, but change the names.
        ("backslashes", path(&["..\\a"])),
        ("newlines", path(&["a\nb"])),
        ("three dots", path(&["...", "..a"])),
        ("a file that begins as a folder does", files(&[(&["a", "b"], 1), (&["ab"], 1), (&["a.b"], 1)])),
        // Both refuse torrents without bytes; mktorrent makes them.
        ("no bytes", with(with_pieces(0), "length", 0)),
        ("files without bytes", files(&[(&["a"], 0), (&["b"], 0)])),
        ("private with another value", with(one_file(), "private", 2)),
    ];
    for (case, bytes) in taken {
        Metainfo::read(&bytes).unwrap_or_else(|error| panic!("{case}: {error}"));
    }
    let info = &unsorted[7..unsorted.len() - 1];
    assert_eq!(Metainfo::read(unsorted).unwrap().info.hash(), InfoHash::of(info), "hashed as it stands");
}

fn with_pieces(pieces: usize) -> Entries {
    let mut entries = one_file();
    entries.retain(|(key, _)| *key != "pieces");
    entries.push(("pieces", vec![7; pieces * 20].into()));
    entries
}

#[test]
fn so_many_files_and_no_more() {
    let many = |count: usize| {
        let names: Vec<_> = (0..count).map(|number| file(&[&number.to_string()], 0)).collect();
        Metainfo::read(&torrent(dict(folder(names, 0))))
    };
    assert_eq!(many(FILES).unwrap().info.layout().files().len(), FILES);
    assert!(many(FILES + 1).unwrap_err().to_string().contains("more than 500000 files"));
}
