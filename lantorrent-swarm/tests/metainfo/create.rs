//! Torrents that we make.

use std::path::Path;

use lantorrent_swarm::metainfo::{Draft, Kind, Layout, Metainfo, MetainfoError, piece_length_for};

#[test]
fn the_length_of_pieces() {
    for (length, piece) in [
        (0, 16 << 10),
        (1000 * (16 << 10), 16 << 10),
        (1000 * (16 << 10) + 1, 32 << 10),
        (300 << 20, 512 << 10),
        (1 << 30, 2 << 20),
        (30 << 30, 16 << 20),
        (1 << 40, 16 << 20),
        (u64::MAX, 16 << 20),
    ] {
        assert_eq!(piece_length_for(length), piece, "{length}");
    }
}

#[test]
fn one_file_byte_by_byte() {
    let layout = Layout::of_file("a".as_ref(), 20_000, Kind::Plain, 16_384).unwrap();
    let bytes = Draft::default().build(&layout, &[b'h'; 40]).unwrap().encode();
    let hashes = "h".repeat(40);
    let expected = format!(
        "d10:created by10:LANTorrent4:infod6:lengthi20000e4:name1:a12:piece lengthi16384e6:pieces40:{hashes}ee"
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn what_is_written_is_read() {
    let files = [
        ("bin/run".into(), 5, Kind::Executable),
        ("empty".into(), 0, Kind::Plain),
        ("share/größe".into(), 70_000, Kind::Plain),
    ];
    let layout = Layout::of_folder("tool-1.0".as_ref(), files, 32_768).unwrap();
    let draft = Draft::default()
        .trackers(vec![vec!["http://a/".into(), "http://b/".into()], vec!["udp://c:1".into()]])
        .web_seeds(vec!["http://w/".into(), "http://x/".into()])
        .private(true)
        .comment(Some("for all".into()))
        .creation_date(Some(1_700_000_000));
    let built = draft.build(&layout, &[7; 60]).unwrap();
    let read = Metainfo::read(&built.encode()).unwrap();
    assert_eq!(read, built);
    assert_eq!(read.info.layout(), &layout);
    assert_eq!(layout.files()[2].path, Path::new("tool-1.0/share/größe"));
    assert_eq!((&read.trackers, &read.web_seeds), (&draft.trackers, &draft.web_seeds));
    assert_eq!((&read.comment, read.creation_date), (&draft.comment, draft.creation_date));
    assert!(read.info.is_private());

    let one = Draft::default().trackers(vec![vec!["http://a/".into()]]).web_seeds(vec!["http://w/".into()]);
    let bytes = one.build(&layout, &[7; 60]).unwrap().encode();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("8:announce9:http://a/") && !text.contains("announce-list"), "{text}");
    assert!(text.ends_with("8:url-list9:http://w/e"), "{text}");
}

#[test]
fn what_nobody_would_take_is_not_made() {
    let layout = Layout::of_folder("..".as_ref(), [("a".into(), 5, Kind::Plain)], 16_384).unwrap();
    let error = Draft::default().build(&layout, &[7; 20]).unwrap_err();
    assert!(matches!(error, MetainfoError::Name { .. }), "{error}");
    let layout = Layout::of_file("a".as_ref(), 5, Kind::Plain, 16_384).unwrap();
    let error = Draft::default().build(&layout, &[7; 19]).unwrap_err();
    assert!(matches!(error, MetainfoError::Hashes { found: 19, expected: 20 }), "{error}");
    let overflow = [("a".into(), u64::MAX, Kind::Plain), ("b".into(), u64::MAX, Kind::Plain)];
    assert!(matches!(
        Layout::of_folder("t".as_ref(), overflow, 16_384).unwrap_err(),
        MetainfoError::Length { .. }
    ));
    assert!(Layout::of_file("a".as_ref(), 5, Kind::Plain, 0).is_err());
}
