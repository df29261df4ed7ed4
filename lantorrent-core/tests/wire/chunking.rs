//! However the bytes are cut, the outcome is the same; and one byte at a time costs no more than its share.

use std::time::{Duration, Instant};

use lantorrent_core::wire::{
    Footer, Frame, FrameReader, FrameWriter, PayloadReader, RawReader, RawWriter, RootHasher, digest,
};

use super::support::{Feed, chunkings, read_header, read_lines, read_payload, read_reports};
use super::{frames, lines};

#[test]
fn headers() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../testdata/nimbus-0.2.json")).unwrap();
    for connection in vectors["to_node"].as_array().unwrap() {
        let sent = connection["sent"].as_str().unwrap().as_bytes();
        let whole = read_header(sent, &[sent.len()]);
        for sizes in chunkings(sent.len()) {
            assert_eq!(read_header(sent, &sizes), whole, "{}: {sizes:?}", connection["name"]);
        }
    }
}

#[test]
fn frames_good_and_bad() {
    let transfer = frames::bytes(&frames::transfer());
    let mut streams = vec![transfer.clone()];
    // Damage in head, data and tag of a frame in the middle, and garbage behind the end.
    for at in [120, 150, 180, 250, 300] {
        let mut bad = transfer.clone();
        bad[at] ^= 0x10;
        streams.push(bad);
    }
    streams.push([&transfer[..], &[0xff; 100]].concat());
    for stream in streams {
        for length in [Some(frames::LENGTH), None] {
            let read = |sizes: &[usize], feed| {
                read_payload(frames::reader(length), frames::BLOCK, &stream, sizes, feed)
            };
            let whole = read(&[stream.len()], Feed::Push);
            for sizes in chunkings(stream.len()) {
                assert_eq!(read(&sizes, Feed::Push), whole, "{sizes:?}");
                assert_eq!(read(&sizes, Feed::Slots), whole, "{sizes:?}");
            }
        }
    }
}

#[test]
fn wire_1_payload() {
    let content: Vec<u8> = (0..200).collect();
    let mut writer = RawWriter::default();
    writer.update(&content);
    let footer = Footer::new(writer.sum()).encode();
    let good = [&content[..], &footer].concat();
    for stream in [good.clone(), [&good[..], b"\r\nmore"].concat(), [&content[1..], b"x", &footer].concat()] {
        let read = |sizes: &[usize], feed| {
            read_payload(PayloadReader::Raw(RawReader::new(64, 200)), 64, &stream, sizes, feed)
        };
        let whole = read(&[stream.len()], Feed::Push);
        for sizes in chunkings(stream.len()) {
            assert_eq!(read(&sizes, Feed::Push), whole, "{sizes:?}");
            assert_eq!(read(&sizes, Feed::Slots), whole, "{sizes:?}");
        }
    }
}

#[test]
fn lines_and_reports() {
    let stream = lines::encoded().concat();
    let whole = read_lines(lines::NONCE, &stream, &[stream.len()]);
    assert_eq!(whole.all.len(), lines::every_line().len());
    for sizes in chunkings(stream.len()) {
        assert_eq!(read_lines(lines::NONCE, &stream, &sizes), whole, "{sizes:?}");
    }
    let reports = b" {\"code\":0,\"message\":\"}{\"}{\"code\":505}\r\n{\"code\":1}x";
    let whole = read_reports(reports, &[reports.len()]);
    assert_eq!((whole.all.len(), whole.end.is_err()), (3, true));
    for sizes in chunkings(reports.len()) {
        assert_eq!(read_reports(reports, &sizes), whole, "{sizes:?}");
    }
}

/// A reader that looked at all it has for every byte that comes would take hours for this, not a second.
#[test]
fn four_mebibytes_byte_by_byte() {
    const SIZE: usize = 4 << 20;
    let start = Instant::now();
    let ones = vec![1; SIZE];
    let header = vec![b' '; SIZE];
    assert_eq!(read_header(&header, &ones), Ok(None));
    assert!(read_lines(lines::NONCE, &vec![b' '; SIZE / 16], &vec![1; SIZE / 16]).end.is_ok());
    let report = [&b"{\"code\":0,\"message\":\""[..], &vec![b' '; SIZE / 17], b"\"}"].concat();
    assert_eq!(read_reports(&report, &vec![1; report.len()]).all.len(), 1);
    let raw = PayloadReader::Raw(RawReader::new(1 << 20, SIZE as u64));
    assert_eq!(read_payload(raw, 1 << 20, &header, &ones, Feed::Push).frames.len(), 4);
    let block = &header[..1 << 20];
    let frame = Frame::Data { offset: 0, len: 1 << 20, digest: Some(digest(block)) };
    let (before, after) = FrameWriter::new(frames::key()).encode(&frame).unwrap();
    let stream = [&before[..], block, &after].concat();
    let reader = PayloadReader::Frames(FrameReader::new(
        frames::key(),
        frames::transfer_key().signer(),
        RootHasher::new(1 << 20),
        None,
        0,
    ));
    let payload = read_payload(reader, 1 << 20, &stream, &vec![1; stream.len()], Feed::Push);
    assert_eq!(payload.frames.len(), 1);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
