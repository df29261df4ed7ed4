//! Datagrams as bytes.

use super::*;

fn announce() -> Announce {
    Announce {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        port: 0x1ae1,
        stats: Stats { uploaded: 3, downloaded: 4, left: 5 },
        event: AnnounceEvent::Stopped,
        want: None,
        key: Some(0xbeef),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn requests_byte_for_byte() {
    let connect = Request { transaction: 7, question: Question::Connect };
    assert_eq!(hex(&connect.write()), "00000417271019800000000000000007");
    let question = Question::Announce { connection: 9, announce: announce(), target: b"/a?b".to_vec() };
    let request = Request { transaction: 7, question };
    let expected = format!(
        "0000000000000009{}{}{}{}{}{}{}{}",
        "0000000100000007",
        "01".repeat(20),
        "02".repeat(20),
        "000000000000000400000000000000050000000000000003",
        "00000003000000000000beef",
        "ffffffff",
        "1ae1",
        "02042f613f62",
    );
    assert_eq!(hex(&request.write()), expected);
    let question = Question::Scrape { connection: 9, torrents: vec![InfoHash([1; 20])] };
    let scrape = Request { transaction: 7, question };
    assert_eq!(hex(&scrape.write()), format!("00000000000000090000000200000007{}", "01".repeat(20)));
}

#[test]
fn requests_there_and_back() {
    let target: Vec<u8> = (0..=255).cycle().take(600).collect();
    let mut wanted = Announce { want: Some(30), key: None, ..announce() };
    for (question, least) in [
        (Question::Connect, 16),
        (Question::Announce { connection: 1, announce: announce(), target: target.clone() }, 98),
        (Question::Announce { connection: 1, announce: wanted.clone(), target: Vec::new() }, 98),
        (Question::Scrape { connection: 1, torrents: vec![InfoHash([1; 20]), InfoHash([2; 20])] }, 16),
    ] {
        let request = Request { transaction: 8, question };
        let bytes = request.write();
        assert_eq!(Request::read(&bytes).as_ref(), Some(&request));
        for cut in 0..least {
            assert_eq!(Request::read(&bytes[..cut]), None, "{cut}");
        }
    }
    wanted.want = Some(0);
    let question = Question::Announce { connection: 1, announce: wanted, target: Vec::new() };
    let Some(Request { question: Question::Announce { announce, .. }, .. }) =
        Request::read(&Request { transaction: 8, question }.write())
    else {
        panic!("an announcement");
    };
    assert_eq!(announce.want, None);
    assert_eq!(Request::read(&[0; 16]), None, "not the magic number");
    assert_eq!(Request::read(&[9; 200]), None, "no such action");
}

#[test]
fn options_that_others_may_write() {
    for (options, target) in [
        (&[][..], &b""[..]),
        (b"\x01\x01\x02\x01a\x00\x02\x01b", b"a"),
        (b"\x02\x01a\x09\x02xx\x02\x01b", b"ab"),
        (b"\x02", b""),
        (b"\x02\x05ab", b""),
    ] {
        assert_eq!(read_target(options), target, "{options:?}");
    }
}

#[test]
fn replies_there_and_back() {
    let scrape = Scrape { seeds: 1, leechers: 2, completed: 0 };
    let v4: Vec<SocketAddr> = vec!["10.0.0.1:6881".parse().unwrap(), "10.0.0.2:1".parse().unwrap()];
    let v6: Vec<SocketAddr> = vec!["[fe80::1]:6881".parse().unwrap()];
    for (answer, family) in [
        (Answer::Connection(u64::MAX), Compact::V4),
        (Answer::Announced { interval: 1800, scrape, peers: v4 }, Compact::V4),
        (Answer::Announced { interval: 1800, scrape, peers: v6 }, Compact::V6),
        (Answer::Scraped(vec![Scrape { seeds: 1, leechers: 2, completed: 3 }; 4]), Compact::V4),
        (Answer::Error(b"no".to_vec()), Compact::V4),
    ] {
        let reply = Reply { transaction: 8, answer };
        let bytes = reply.write();
        assert_eq!(Reply::read(&bytes, family), Some(reply));
        assert_eq!(Reply::read(&bytes[..7], family), None);
    }
    let reply = Reply { transaction: 7, answer: Answer::Scraped(vec![scrape]) };
    assert_eq!(hex(&reply.write()), "0000000200000007000000010000000000000002");
    assert_eq!(Reply::read(&[0, 0, 0, 4, 0, 0, 0, 0], Compact::V4), None);
    let empty = Reply::read(&[0, 0, 0, 1, 0, 0, 0, 9], Compact::V4).unwrap();
    assert!(matches!(empty, Reply { transaction: 9, answer: Answer::Error(_) }));
    assert_eq!(Reply::read(&[0, 0, 0, 1, 0, 0, 0, 9, 0], Compact::V4), None);
}
