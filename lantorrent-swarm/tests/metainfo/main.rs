//! Torrents and magnet links, read as they come from anybody.

mod create;
mod malformed;
mod read;

use lantorrent_swarm::bencode::{Item, dict};

/// An info dictionary as a list of entries, so that a test can change one.
type Entries = Vec<(&'static str, Item)>;

/// One file of 40,000 bytes in three pieces.
fn one_file() -> Entries {
    vec![
        ("length", 40_000.into()),
        ("name", "a.img".into()),
        ("piece length", 16_384.into()),
        ("pieces", [7; 60][..].into()),
    ]
}

/// A folder with these files, in pieces of 16 KiB.
fn folder(files: Vec<Item>, length: usize) -> Entries {
    vec![
        ("files", files.into()),
        ("name", "tree".into()),
        ("piece length", 16_384.into()),
        ("pieces", vec![7; length.div_ceil(16_384) * 20].into()),
    ]
}

fn file(path: &[&str], length: i64) -> Item {
    dict([("path", names(path)), ("length", length.into())])
}

fn names(path: &[&str]) -> Item {
    Item::List(path.iter().map(|&name| name.into()).collect())
}

/// The `.torrent` file with that info dictionary.
fn torrent(info: Item) -> Vec<u8> {
    dict([("announce", "http://10.0.0.1/announce".into()), ("info", info)]).encode()
}
