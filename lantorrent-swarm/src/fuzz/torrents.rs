//! Torrents and magnet links.

use std::path::{Component, Path};

use crate::bencode::{Item, Value};
use crate::metainfo::{Info, Kind, Layout, Magnet, Metainfo};

/// Any bytes as a bencoded value, which must come back from what is written of it.
pub fn bencode(input: &[u8]) {
    let Ok((value, rest)) = Value::read(input) else { return };
    assert_eq!([value.encoded(), rest].concat(), input);
    let written = item(value).encode();
    let again = Value::read_whole(&written).expect("what is written can be read");
    assert_eq!(item(again).encode(), written, "there is one encoding");
}

fn item(value: Value<'_>) -> Item {
    if let Some(number) = value.integer() {
        Item::Integer(number)
    } else if let Some(bytes) = value.bytes() {
        bytes.into()
    } else if let Some(list) = value.list() {
        Item::List(list.map(item).collect())
    } else {
        let dict = value.dict().expect("there is no fifth kind");
        Item::Dict(dict.map(|(key, value)| (key.to_vec(), item(value))).collect())
    }
}

/// Any bytes as a `.torrent` file, as an info dictionary and as a magnet link.
pub fn metainfo(input: &[u8]) {
    if let Ok(torrent) = Metainfo::read(input) {
        check(torrent.info.layout());
        let kept = Metainfo { left_out: Vec::new(), ..torrent.clone() };
        assert_eq!(Metainfo::read(&torrent.encode()).as_ref(), Ok(&kept));
        assert_eq!(Info::read(torrent.info.encoded()).as_ref(), Ok(&torrent.info));
    }
    if let Ok(info) = Info::read(input) {
        check(info.layout());
    }
    let link = String::from_utf8_lossy(input);
    // Written, a link may be three times as long.
    if let Some(Ok(mut magnet)) = (input.len() < 10_000).then(|| link.parse::<Magnet>()) {
        magnet.left_out.clear();
        assert_eq!(magnet.to_string().parse(), Ok(magnet));
    }
}

/// No file is anywhere but below the torrent's name, and every byte is in one.
fn check(layout: &Layout) {
    let is_plain = |path: &Path| path.components().all(|name| matches!(name, Component::Normal(_)));
    assert_eq!(layout.name().components().count(), 1);
    for file in layout.files().iter().filter(|file| file.kind != Kind::Padding) {
        assert!(file.path.starts_with(layout.name()) && is_plain(&file.path));
    }
    let pieces = (0..layout.geometry().pieces()).take(1000);
    for piece in pieces.map(|piece| layout.piece(piece)) {
        let covered: u64 = layout.parts(&piece).map(|part| part.length).sum();
        assert_eq!(covered, u64::from(piece.length));
    }
}
