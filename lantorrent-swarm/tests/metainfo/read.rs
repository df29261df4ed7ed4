//! What is read from a torrent that is in order, and that nothing else makes it panic.

use std::path::Path;

use lantorrent_swarm::bencode::{Item, dict};
use lantorrent_swarm::metainfo::{Contact, Info, Kind, Metainfo, Part};
use lantorrent_swarm::{InfoHash, Span};

use crate::{file, folder, names, one_file, torrent};

#[test]
fn one_file_and_all_around_it() {
    let tiers = Item::List(vec![
        names(&["udp://a.example:1/announce", " http://b.example/announce "]),
        "http://alone.example/announce".into(),
        Item::List(vec![]),
        names(&["", "http://with blank/"]),
    ]);
    let nodes = Item::List(vec![
        Item::List(vec!["10.0.0.1".into(), 6881.into()]),
        Item::List(vec!["fe80::1".into(), 1.into()]),
        Item::List(vec!["10.0.0.1".into(), 0.into()]),
        Item::List(vec!["10.0.0.1".into()]),
        "10.0.0.1:6881".into(),
    ]);
    let mut info = one_file();
    info.push(("private", 1.into()));
    let info = dict(info);
    let bytes = dict([
        ("announce", "http://other.example/announce".into()),
        ("announce-list", tiers),
        ("comment", "a comment\u{1b}".into()),
        ("created by", "somebody".into()),
        ("creation date", 1_700_000_000.into()),
        ("info", info.clone()),
        ("nodes", nodes),
        ("url-list", "http://web.example/".into()),
    ]);
    let read = Metainfo::read(&bytes.encode()).unwrap();
    assert_eq!(
        read.trackers,
        [
            vec!["udp://a.example:1/announce", "http://b.example/announce"],
            vec!["http://alone.example/announce"]
        ]
    );
    assert_eq!(read.web_seeds, ["http://web.example/"]);
    let nodes: Vec<_> = read.nodes.iter().map(ToString::to_string).collect();
    assert_eq!(nodes, ["10.0.0.1:6881", "[fe80::1]:1"]);
    assert_eq!(nodes.iter().map(|node| node.parse::<Contact>().unwrap()).collect::<Vec<_>>(), read.nodes);
    assert_eq!(read.comment.as_deref(), Some("a comment\u{1b}"));
    assert_eq!((read.created_by.as_deref(), read.creation_date), (Some("somebody"), Some(1_700_000_000)));

    assert_eq!(read.left_out[0].address, "http://with blank/");
    let mut kept = read.clone();
    kept.left_out.clear();
    assert_eq!(Metainfo::read(&read.encode()).unwrap(), kept);
    let magnet = read.magnet();
    assert_eq!((magnet.info_hash, magnet.trackers.len()), (read.info.hash(), 3));

    let info_bytes = info.encode();
    assert_eq!(read.info, Info::read(&info_bytes).unwrap());
    assert_eq!(&read.info.encoded()[..], info_bytes);
    assert_eq!(read.info.hash(), InfoHash::of(&info_bytes));
    assert!(read.info.is_private() && !read.info.layout().is_folder());
    assert_eq!(read.info.layout().name(), Path::new("a.img"));
    assert_eq!((read.info.geometry().length(), read.info.geometry().pieces()), (40_000, 3));
    assert_eq!([2, 3].map(|piece| read.info.piece_hash(piece)), [Some([7; 20]), None]);
    let [file] = read.info.layout().files() else { panic!("{:?}", read.info.layout().files()) };
    assert_eq!((file.path.as_path(), file.length, file.offset), (Path::new("a.img"), 40_000, 0));
}

#[test]
fn one_tracker_and_a_list_of_web_seeds() {
    let info = dict(one_file());
    let seeds = names(&["http://a.example/x", "ftp://b.example/y"]);
    let bytes = dict([("announce", "http://t.example/".into()), ("info", info), ("url-list", seeds)]);
    let read = Metainfo::read(&bytes.encode()).unwrap();
    assert_eq!(read.trackers, [["http://t.example/"]]);
    assert_eq!(read.web_seeds, ["http://a.example/x"]);
    let said: Vec<_> = read.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["url-list ftp://b.example/y is left out: only http://, https:// and udp:// are supported"]
    );
    assert!(!read.info.is_private());
}

#[test]
fn addresses_as_people_write_them() {
    let (odd, long) =
        (&b"http://a.example/gr\xf6\xdfe/"[..], format!("http://a.example/{}", "x".repeat(2048)));
    let seeds: Vec<Item> = vec![
        " http://a.example/My Images/größe 1.0/ \n".into(),
        odd.into(),
        7.into(),
        "".into(),
        long.as_str().into(),
        "udp://a.example:1".into(),
        "http://user:secret@gä.example/".into(),
    ];
    let tiers = Item::List(vec![names(&["wss://t.example/", "http://t.example/g++/announce?k=a b"])]);
    let http_seeds = names(&["http://old.example/seed"]);
    let bytes = dict([
        ("announce-list", tiers),
        ("httpseeds", http_seeds),
        ("info", dict(one_file())),
        ("url-list", Item::List(seeds)),
    ]);
    let read = Metainfo::read(&bytes.encode()).unwrap();
    assert_eq!(read.trackers, [["http://t.example/g++/announce?k=a b"]]);
    let kept = ["http://a.example/My Images/größe 1.0/", "http://a.example/gr%F6%DFe/"];
    assert_eq!(read.web_seeds, kept);
    let said: Vec<_> = read.left_out.iter().map(ToString::to_string).collect();
    for (said, (key, part)) in said.iter().zip([
        ("announce-list", "wss://t.example/"),
        ("url-list", "text"),
        ("url-list", "2048 bytes"),
        ("url-list", "udp://a.example:1"),
        ("url-list", "xn--"),
        ("httpseeds", "BEP 17"),
    ]) {
        assert!(said.starts_with(key) && said.contains(part), "{said}");
    }
    assert_eq!(said.len(), 6, "{said:?}");
    assert!(!said.concat().contains("secret"));
}

#[test]
fn links_are_passed_on_without_credentials() {
    let bytes = dict([
        ("announce", "http://u:secret@t.example/a b".into()),
        ("info", dict(one_file())),
        ("url-list", "https://u:secret@w.example/".into()),
    ]);
    let read = Metainfo::read(&bytes.encode()).unwrap();
    assert_eq!(read.trackers, [["http://u:secret@t.example/a b"]], "they are used");
    let magnet = read.magnet();
    assert_eq!(magnet.trackers, ["http://t.example/a%20b"]);
    assert_eq!(magnet.web_seeds, ["https://w.example/"]);
}

#[test]
fn a_folder_with_padding_and_programs() {
    let pad = |length: i64| {
        dict([("attr", "p".into()), ("length", length.into()), ("path", names(&[".pad", "9"]))])
    };
    let program = dict([("attr", "hx".into()), ("length", 100.into()), ("path", names(&["bin", "run"]))]);
    let files =
        vec![file(&["a"], 16_375), pad(9), file(&["empty"], 0), program, pad(9), file(&["z"], 30_000)];
    let info = Info::read(&dict(folder(files, 46_493)).encode()).unwrap();
    let paths: Vec<_> = info.layout().files().iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["tree/a", "", "tree/empty", "tree/bin/run", "", "tree/z"]);
    let kinds: Vec<_> = info.layout().files().iter().map(|file| file.kind).collect();
    let expected = [Kind::Plain, Kind::Padding, Kind::Plain, Kind::Executable, Kind::Padding, Kind::Plain];
    assert_eq!(kinds, expected);

    let parts =
        |piece, begin, length| info.layout().parts(&Span { piece, begin, length }).collect::<Vec<_>>();
    let part = |file, offset, length| Part { file, offset, length };
    assert_eq!(parts(0, 0, 16_384), [part(0, 0, 16_375), part(1, 0, 9)]);
    assert_eq!(parts(0, 16_380, 100), [part(1, 5, 4)], "no further than the piece");
    assert_eq!(parts(1, 50, 100), [part(3, 50, 50), part(4, 0, 9), part(5, 0, 41)]);
    assert_eq!(parts(2, 13_724, 16_384), [part(5, 29_999, 1)]);
    assert_eq!(parts(3, 0, 1), []);
    assert_eq!(parts(0, 0, 0), []);
    assert_eq!(parts(0, u32::MAX, u32::MAX), []);
}

#[test]
fn names_in_utf_8_go_first() {
    let info = |name: &[u8], better: &[u8]| {
        let odd = dict([
            ("length", 0.into()),
            ("path", Item::List(vec![name.into()])),
            ("path.utf-8", Item::List(vec![better.into()])),
        ]);
        let mut info = folder(vec![odd], 0);
        info.retain(|(key, _)| *key != "name");
        info.extend([("name", Item::from(name)), ("name.utf-8", better.into())]);
        Info::read(&dict(info).encode()).unwrap()
    };
    let read = info(b"gr\xf6\xdfe", "größe".as_bytes());
    assert_eq!(read.layout().files()[0].path, Path::new("größe/größe"));
    let read = info(b"plain", b"bad\xff");
    assert_eq!(read.layout().files()[0].path, Path::new("plain/plain"));
    let read = info(b"gr\xf6\xdfe", b"\xff");
    assert_eq!(read.layout().files()[0].path.as_os_str().as_encoded_bytes(), b"gr\xf6\xdfe/gr\xf6\xdfe");
}

/// What a bit here and there does to a good torrent. (In a folder, as most can go wrong there.)
#[test]
fn damage_is_no_panic() {
    let files = vec![file(&["a", "b"], 20_000), file(&["c"], 3), file(&["d", "e", "f"], 20_000)];
    let good = torrent(dict(folder(files, 40_003)));
    let mut state = 1_u64;
    let mut random = move |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut read = 0;
    for _ in 0..20_000 {
        let mut bytes = good.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            bytes[at] = [b'0' + random(10) as u8, random(256) as u8, b'e', b'-'][random(4)];
        }
        if let Ok(metainfo) = Metainfo::read(&bytes) {
            read += 1;
            let geometry = *metainfo.info.geometry();
            for piece in 0..geometry.pieces() {
                let span = metainfo.info.layout().piece(piece);
                let covered: u64 = metainfo.info.layout().parts(&span).map(|part| part.length).sum();
                assert_eq!(covered, u64::from(geometry.size(piece)));
            }
        }
    }
    assert!(read > 1000, "damage to names and hashes is none that can be seen: {read}");
}
