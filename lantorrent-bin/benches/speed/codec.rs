//! What the wire itself costs, on one processor and with nothing but memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use lantorrent_core::wire::{
    Destination, Envelope, Frame, FrameReader, FrameWriter, Header, HeaderReader, Keyring, Nonce, Password,
    PayloadReader, RawReader, Request, RootHasher, TransferKey, digest,
};

use super::table::{Row, Section, median};

const BLOCK: u32 = 256 << 10;
/// For each measurement, in bytes.
const PAYLOAD: u64 = 256 << 20;
const NODES: u32 = 1000;

pub(crate) fn measure(runs: usize) -> Section {
    let mut section = Section::new(format!("codec, one processor, blocks of {} KiB", BLOCK >> 10));
    let data = vec![0xa5; BLOCK as usize];
    let row = |name: &str, bytes: u64, work: &mut dyn FnMut()| {
        let wall = median((0..runs).map(|_| time(&mut *work)));
        #[allow(clippy::cast_precision_loss)] // Three digits are shown.
        let rate = (bytes > 0).then(|| bytes as f64 / wall.as_secs_f64());
        Row { name: name.into(), wall: Some(wall), rate, ..Row::default() }
    };
    let mib = PAYLOAD >> 20;
    let mut block = vec![0; BLOCK as usize];
    section.rows = vec![
        row(&format!("copy {mib} MiB"), PAYLOAD, &mut || {
            blocks().for_each(|_| black_box(&mut block).copy_from_slice(black_box(&data)));
        }),
        row(&format!("hash {mib} MiB"), PAYLOAD, &mut || {
            for _ in blocks() {
                black_box(digest(black_box(&data)));
            }
        }),
        row(&format!("make frames of {mib} MiB, hashing"), PAYLOAD, &mut || make_frames(&data)),
        row(&format!("read and verify frames of {mib} MiB"), PAYLOAD, &mut read_frames(&data)),
        row(&format!("read {mib} MiB of wire 1 (MD5)"), PAYLOAD, &mut || read_raw(&data)),
        row("sum up a hole of 1 TiB", 0, &mut || {
            let mut root = RootHasher::new(BLOCK);
            root.hole(1 << 40);
            black_box(root.root());
        }),
        row("make a transfer's key and sign an end", 0, &mut || {
            black_box(transfer_key().sign(PAYLOAD, BLOCK, digest(black_box(&data[..32]))));
        }),
        row("verify the signature of an end", 0, &mut verify_end()),
        row(&format!("sign a header of {NODES} nodes"), 0, &mut || {
            black_box(header().sign(&keys()));
        }),
        row(&format!("read, verify and parse a header of {NODES} nodes"), 0, &mut read_header()),
    ];
    section
}

/// What a node spends on a header of 1,000 nodes, its own and the one that it makes for the next.
pub(crate) fn cost_of_header(runs: usize) -> Duration {
    let mut read = read_header();
    median((0..runs).map(|_| {
        time(&mut || {
            read();
            black_box(header().sign(&keys()));
        })
    }))
}

fn time(work: &mut dyn FnMut()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn blocks() -> impl Iterator<Item = u64> {
    (0..PAYLOAD).step_by(BLOCK as usize)
}

fn keys() -> Keyring {
    Keyring::new(Password::new("benchmarks-need-no-secret").unwrap())
}

fn transfer_key() -> TransferKey {
    TransferKey::new(&[7; 32])
}

fn writer() -> FrameWriter {
    FrameWriter::new(keys().frame_key(&transfer_key().transfer()).expect("a password"))
}

fn make_frames(data: &[u8]) {
    let writer = writer();
    for offset in blocks() {
        let frame = Frame::Data { offset, len: BLOCK, digest: Some(digest(black_box(data))) };
        black_box(writer.encode(&frame).expect("a frame"));
    }
}

/// Everything but reading was done before.
fn read_frames(data: &[u8]) -> impl FnMut() {
    let (writer, digest) = (writer(), digest(data));
    let frames: Vec<_> = blocks()
        .map(|offset| {
            writer.encode(&Frame::Data { offset, len: BLOCK, digest: Some(digest) }).expect("a frame")
        })
        .collect();
    let data = data.to_vec();
    move || {
        let key = keys().frame_key(&transfer_key().transfer()).expect("a password");
        let reader = FrameReader::new(key, transfer_key().signer(), RootHasher::new(BLOCK), Some(PAYLOAD), 0);
        let mut reader = PayloadReader::Frames(reader);
        let mut block = vec![0; BLOCK as usize];
        for (head, tag) in &frames {
            let parts = [&head[..], &data, tag].map(|part| push(&mut reader, part, &mut block));
            assert_eq!(parts, [0, 0, 1], "a frame ends with its tag");
        }
    }
}

/// Making it was done before.
fn verify_end() -> impl FnMut() {
    let key = transfer_key();
    let (signer, signed) = (key.signer(), key.sign(PAYLOAD, BLOCK, [1; 32]));
    move || assert!(black_box(signer).has_signed(PAYLOAD, BLOCK, black_box(&signed)))
}

fn read_raw(data: &[u8]) {
    let mut reader = PayloadReader::Raw(RawReader::new(BLOCK, PAYLOAD));
    let mut block = vec![0; BLOCK as usize];
    blocks().for_each(|_| assert_eq!(push(&mut reader, data, &mut block), 1));
}

/// Returns how many frames came.
fn push(reader: &mut PayloadReader, mut input: &[u8], block: &mut [u8]) -> usize {
    let mut count = 0;
    while !input.is_empty() {
        let (used, frame) = reader.push(input, block).expect("what was made is right");
        input = &input[used..];
        count += usize::from(frame.is_some());
    }
    count
}

fn header() -> Header {
    let node = |index: u32| {
        let filename = "/srv/images/an image with a name of usual length.qcow2";
        let request = Request::new(filename.into(), format!("{index:032x}"));
        let host = format!("10.77.{}.{}", index >> 8, index & 255);
        let mut node = Destination::new(host, 2893, vec![request]);
        node.index = index;
        node
    };
    let to = ([10, 77, 0, 1], 2893).into();
    let mut header = Header::new(node(0), Some(PAYLOAD), BLOCK);
    header.destinations = (1..NODES).map(node).collect();
    header.envelope = Some(Envelope::new(transfer_key().signer(), Nonce([9; 16]), 2_000_000_000, to));
    header
}

fn read_header() -> impl FnMut() {
    let bytes = header().sign(&keys()).expect("a password");
    move || {
        let (used, signed) = HeaderReader::default().push(&bytes).expect("a header");
        assert_eq!(used, bytes.len());
        black_box(signed.expect("all of it").verify(&keys()).expect("its signature"));
    }
}
