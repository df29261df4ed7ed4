//! The payload of wire 1.

use lantorrent_core::wire::{
    Footer, Frame, Md5Sum, PayloadError, PayloadReader, RawReader, RawWriter, Sum, limits,
};

use super::support::{Feed, read_payload};

const BLOCK: usize = 64;

fn content() -> Vec<u8> {
    (0..200).map(|at: u8| at.wrapping_mul(7)).collect()
}

fn sum(content: &[u8]) -> Md5Sum {
    let mut writer = RawWriter::default();
    writer.update(content);
    writer.sum()
}

fn stream() -> Vec<u8> {
    [content(), Footer::new(sum(&content())).encode()].concat()
}

fn read(bytes: &[u8], sizes: &[usize], feed: Feed) -> super::support::Payload {
    let reader = PayloadReader::Raw(RawReader::new(BLOCK as u32, content().len() as u64));
    read_payload(reader, BLOCK, bytes, sizes, feed)
}

#[test]
fn truncated_anywhere_it_is_never_whole() {
    let stream = stream();
    for len in 0..stream.len() {
        for sizes in [vec![len], vec![1; len]] {
            let payload = read(&stream[..len], &sizes, Feed::Push);
            let blocks = if len < content().len() { len / BLOCK } else { 4 };
            assert_eq!(payload.frames.len(), blocks, "cut at {len}");
            let offset = (blocks * BLOCK).min(content().len()) as u64;
            assert_eq!(payload.end, Err(PayloadError::Truncated { offset }), "cut at {len}");
        }
    }
}

#[test]
fn damaged_anywhere_it_is_never_whole() {
    let stream = stream();
    let good = read(&stream, &[stream.len()], Feed::Push);
    assert!(matches!(good.frames.last(), Some((Frame::End { size: 200, sum: Sum::Md5(_) }, _))));
    for at in 0..stream.len() {
        for bit in 0..8 {
            let mut bad = stream.clone();
            bad[at] ^= 1 << bit;
            let payload = read(&bad, &[bad.len()], Feed::Slots);
            // A hex digit in the other case says the same, and so does a key or a space in another place not.
            if payload.end.is_ok() {
                assert!(
                    at >= content().len() && bad[at].eq_ignore_ascii_case(&stream[at]),
                    "byte {at} bit {bit}"
                );
            }
        }
    }
}

#[test]
fn footers() {
    let md5 = sum(b"");
    let hex = md5.to_hex();
    for good in [
        format!("{{\"md5sum\":\"{hex}\"}}"),
        format!("\r\n {{ \"other\": [1, {{}}], \"md5sum\" : \"{}\" }}\n", hex.to_uppercase()),
    ] {
        assert_eq!(Footer::parse(good.as_bytes()), Ok(md5), "{good}");
        let reader = PayloadReader::Raw(RawReader::new(64, 0));
        assert_eq!(
            read_payload(reader, 64, good.as_bytes(), &[good.len()], Feed::Push).end,
            Ok(()),
            "{good}"
        );
    }
    let long = format!("{{\"x\":\"{}\",\"md5sum\":\"{hex}\"}}", "x".repeat(limits::FOOTER_BYTES));
    for bad in [
        "{}",
        "[]",
        "}",
        "{\"md5sum\":null}",
        "{\"md5sum\":7}",
        "{\"md5sum\":\"\"}",
        "{\"md5sum\":\"d41d8cd98f00b204e9800998ecf8427\"}",
        "{\"md5sum\":\"d41d8cd98f00b204e9800998ecf8427e0\"}",
        "{\"md5sum\":\"g41d8cd98f00b204e9800998ecf8427e\"}",
        "x{\"md5sum\":\"d41d8cd98f00b204e9800998ecf8427e\"}",
        "{\"md5sum\":\"d41d8cd98f00b204e9800998ecf8427e\"]",
        "[[[[[[[[[[[[[[[[[",
        &long,
    ] {
        let reader = || PayloadReader::Raw(RawReader::new(64, 0));
        let whole = read_payload(reader(), 64, bad.as_bytes(), &[bad.len()], Feed::Push);
        assert_eq!(whole.end, Err(PayloadError::NoFooter), "{bad}");
        let bytewise = read_payload(reader(), 64, bad.as_bytes(), &vec![1; bad.len()], Feed::Slots);
        assert_eq!(bytewise, whole, "{bad}");
    }
}
