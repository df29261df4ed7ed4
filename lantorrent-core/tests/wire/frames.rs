//! Frames: order, sizes, truncation, damage, forgery.

use lantorrent_core::wire::{
    Abort, Code, Frame, FrameKey, FrameReader, FrameWriter, HEAD_BYTES, Keyring, Password, PayloadError,
    PayloadReader, PayloadWriter, RootHasher, SignedRoot, Sum, TAG_BYTES, TransferId, TransferKey, digest,
    limits,
};

use super::support::{Feed, Payload, keys, read_payload};

/// Small blocks, so that every byte and every cut can be tried.
pub(crate) const BLOCK: usize = 64;
/// Of the source.
pub(crate) fn transfer_key() -> TransferKey {
    TransferKey::new(&[3; 32])
}

pub(crate) fn key() -> FrameKey {
    keys().frame_key(&transfer_key().transfer()).unwrap()
}

fn block(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31) ^ seed).collect()
}

/// One frame: what it says, its data, its bytes.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) frame: Frame,
    pub(crate) data: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn made_with(key: FrameKey, frame: Frame, data: &[u8]) -> Made {
    let (before, after) = FrameWriter::new(key).encode(&frame).unwrap();
    Made { frame, data: data.to_vec(), bytes: [&before[..], data, &after].concat() }
}

pub(crate) fn made(frame: Frame, data: &[u8]) -> Made {
    made_with(key(), frame, data)
}

pub(crate) fn data(offset: u64, data: &[u8]) -> Made {
    made(Frame::Data { offset, len: data.len() as u32, digest: Some(digest(data)) }, data)
}

fn hole(offset: u64, span: u64) -> Made {
    made(Frame::Hole { offset, span }, &[])
}

fn idle(offset: u64) -> Made {
    made(Frame::Idle { offset }, &[])
}

pub(crate) fn end(size: u64, root: &RootHasher) -> Made {
    let signed = transfer_key().sign(size, BLOCK as u32, root.root());
    made(Frame::End { size, sum: Sum::Root(signed) }, &[])
}

fn abort(code: Code, reason: &str) -> Made {
    made(Frame::Abort(Abort::new(code, reason.into())), &[])
}

pub(crate) fn root() -> RootHasher {
    RootHasher::new(BLOCK as u32)
}

/// Two blocks, a hole of three and a short block: 340 bytes.
pub(crate) const LENGTH: u64 = 340;

pub(crate) fn transfer() -> Vec<Made> {
    let (one, two, last) = (block(1, BLOCK), block(2, BLOCK), block(3, 20));
    let mut root = root();
    root.block(&digest(&one));
    root.block(&digest(&two));
    root.hole(192);
    root.block(&digest(&last));
    vec![
        data(0, &one),
        idle(64),
        data(64, &two),
        hole(128, 192),
        idle(320),
        data(320, &last),
        end(LENGTH, &root),
        idle(LENGTH),
    ]
}

pub(crate) fn bytes(frames: &[Made]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.bytes.clone()).collect()
}

pub(crate) fn said(frames: &[Made]) -> Vec<(Frame, Vec<u8>)> {
    frames.iter().map(|made| (made.frame.clone(), made.data.clone())).collect()
}

pub(crate) fn reader(length: Option<u64>) -> PayloadReader {
    PayloadReader::Frames(FrameReader::new(key(), transfer_key().signer(), root(), length, 0))
}

pub(crate) fn read(length: Option<u64>, bytes: &[u8]) -> Payload {
    let whole = read_payload(reader(length), BLOCK, bytes, &[bytes.len()], Feed::Slots);
    let bytewise = read_payload(reader(length), BLOCK, bytes, &vec![1; bytes.len()], Feed::Push);
    assert_eq!(whole, bytewise, "chunks make no difference");
    whole
}

#[test]
fn a_transfer_comes_through_of_known_length_and_of_unknown() {
    for length in [Some(LENGTH), None] {
        let payload = read(length, &bytes(&transfer()));
        assert_eq!(payload.end, Ok(()));
        assert_eq!(payload.frames, said(&transfer()));
    }
    for length in [Some(0), None] {
        let empty = [idle(0), end(0, &root())];
        assert_eq!(read(length, &bytes(&empty)), Payload { frames: said(&empty), end: Ok(()) });
    }
}

#[test]
fn a_transfer_is_resumed_at_a_block() {
    let mut root = root();
    root.block(&digest(&block(1, BLOCK)));
    let rest = &transfer()[1..];
    let reader =
        PayloadReader::Frames(FrameReader::new(key(), transfer_key().signer(), root, Some(LENGTH), 64));
    let stream = bytes(rest);
    let payload = read_payload(reader, BLOCK, &stream, &[stream.len()], Feed::Slots);
    assert_eq!(payload, Payload { frames: said(rest), end: Ok(()) });
    // With another first block the root differs.
    let mut wrong = RootHasher::new(BLOCK as u32);
    wrong.block(&digest(&block(9, BLOCK)));
    let reader =
        PayloadReader::Frames(FrameReader::new(key(), transfer_key().signer(), wrong, Some(LENGTH), 64));
    assert_eq!(
        read_payload(reader, BLOCK, &stream, &[stream.len()], Feed::Slots).end,
        Err(PayloadError::WrongSum)
    );
}

#[test]
fn truncated_anywhere_it_is_never_an_end() {
    let frames = transfer();
    let stream = bytes(&frames);
    for len in 0..=stream.len() {
        let mut whole = 0;
        let mut sum = 0;
        while whole < frames.len() && sum + frames[whole].bytes.len() <= len {
            sum += frames[whole].bytes.len();
            whole += 1;
        }
        for length in [Some(LENGTH), None] {
            let payload = read(length, &stream[..len]);
            assert_eq!(payload.frames, said(&frames[..whole]), "cut at {len}");
            assert_eq!(payload.end.is_ok(), whole >= 7, "cut at {len}: {:?}", payload.end);
            if let Err(error) = payload.end {
                let offset = [0, 64, 64, 128, 320, 320, 340][whole];
                assert_eq!(error, PayloadError::Truncated { offset }, "cut at {len}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_and_loses_nothing_that_came_before() {
    let mut frames = transfer();
    frames.insert(6, abort(Code::CANCELLED, "no"));
    let stream = bytes(&frames);
    let mut start = 0;
    for (place, frame) in frames.iter().enumerate() {
        for at in start..start + frame.bytes.len() {
            for bit in 0..8 {
                let mut bad = stream.clone();
                bad[at] ^= 1 << bit;
                for length in [Some(LENGTH), None] {
                    let payload = read_payload(reader(length), BLOCK, &bad, &[bad.len()], Feed::Slots);
                    assert_eq!(payload.frames, said(&frames[..place]), "byte {at} bit {bit}");
                    let offset = [0, 64, 64, 128, 320, 320, 340, 340, 340, 340][place];
                    match payload.end {
                        Err(
                            PayloadError::BadTag { offset: found }
                            | PayloadError::Malformed { offset: found, .. },
                        ) => {
                            assert_eq!(found, offset, "byte {at} bit {bit}");
                        }
                        // A longer abort swallows what follows.
                        Err(PayloadError::Truncated { .. }) if matches!(frame.frame, Frame::Abort(_)) => {}
                        other => panic!("byte {at} bit {bit}: {other:?}"),
                    }
                }
            }
        }
        start += frame.bytes.len();
    }
}

#[test]
fn another_password_or_transfer_is_another_key() {
    let others = [
        Keyring::new(Password::new("another password").unwrap())
            .frame_key(&transfer_key().transfer())
            .unwrap(),
        keys().frame_key(&TransferId([4; 16])).unwrap(),
    ];
    for other in others {
        for frame in transfer() {
            let stream = made_with(other.clone(), frame.frame.clone(), &frame.data).bytes;
            let payload = read(None, &stream);
            assert_eq!(payload.frames, []);
            assert!(payload.end.is_err());
        }
        let payload = read(None, &made_with(other, Frame::Idle { offset: 0 }, &[]).bytes);
        assert_eq!(payload.end, Err(PayloadError::BadTag { offset: 0 }));
    }
}

#[test]
fn an_abort_is_never_a_success() {
    let payload = read(None, &abort(Code::SUCCESS, "why").bytes);
    assert_eq!(payload.frames, said(&[abort(Code::UNKNOWN, "why")]));
}

#[test]
fn order_is_kept_and_nothing_is_said_twice() {
    let frames = transfer();
    // Every frame in every other's place: only what keeps the order of offsets may pass.
    for from in 0..frames.len() {
        for to in 0..frames.len() {
            let mut moved = frames.clone();
            moved[to] = frames[from].clone();
            let payload = read(Some(LENGTH), &bytes(&moved));
            let expected = said(&frames);
            for (place, found) in payload.frames.iter().enumerate() {
                // A moved idle says nothing of content.
                if matches!(found.0, Frame::Data { .. } | Frame::Hole { .. } | Frame::End { .. }) {
                    assert!(expected.contains(found), "{from} in place of {to}: frame {place}");
                }
            }
            let content: u64 = payload
                .frames
                .iter()
                .map(|(frame, _)| match frame {
                    Frame::Data { len, .. } => u64::from(*len),
                    Frame::Hole { span, .. } => *span,
                    _ => 0,
                })
                .sum();
            assert!(content <= LENGTH);
            let ended = payload.frames.iter().any(|(frame, _)| matches!(frame, Frame::End { .. }));
            assert!(!ended || content == LENGTH, "{from} in place of {to}");
        }
    }
    // Left out, and twice.
    for place in [0, 2, 3, 5, 6] {
        let mut gap = frames.clone();
        gap.remove(place);
        let expected = said(&frames[..place]);
        let payload = read(Some(LENGTH), &bytes(&gap));
        assert!(payload.end.is_err(), "without frame {place}");
        assert_eq!(payload.frames[..place], expected[..], "without frame {place}");
        let mut twice = frames.clone();
        twice.insert(place, frames[place].clone());
        let payload = read(Some(LENGTH), &bytes(&twice));
        assert!(matches!(payload.end, Err(PayloadError::Malformed { .. })), "twice frame {place}");
        assert_eq!(payload.frames, said(&frames[..=place]), "twice frame {place}");
    }
}

#[test]
fn frames_that_the_place_or_size_forbids() {
    let full = block(1, BLOCK);
    let first = data(0, &full);
    let short = data(0, &full[..10]);
    let far = (1_u64 << 63) - 64;
    for (what, length, frames) in [
        ("beyond the length", Some(64), vec![first.clone(), data(64, &full)]),
        ("a block over the end", Some(100), vec![first.clone(), data(64, &full)]),
        ("short before the end", Some(128), vec![short.clone()]),
        ("short, then more", None, vec![short.clone(), data(10, &full)]),
        ("short, then a hole", None, vec![short.clone(), hole(10, 64)]),
        ("short hole before the end", Some(128), vec![hole(0, 10)]),
        ("short hole, then more", None, vec![hole(0, 70), data(70, &full)]),
        ("hole beyond the length", Some(64), vec![hole(0, 128)]),
        ("too large a hole", None, vec![hole(0, 64 * limits::HOLE_BLOCKS + 1)]),
        ("a hole over all offsets", None, vec![first.clone(), hole(64, u64::MAX)]),
        ("no hole at all", None, vec![hole(0, 0)]),
        ("no data", None, vec![data(0, &[])]),
        ("too large a block", None, vec![data(0, &block(1, BLOCK + 1))]),
        ("not aligned", None, vec![data(10, &full)]),
        ("far away", None, vec![data(far, &full)]),
        ("idle elsewhere", None, vec![first.clone(), idle(0)]),
        ("end too early", Some(128), vec![first.clone(), end(64, &root())]),
        ("end elsewhere", None, vec![first.clone(), end(0, &root())]),
        ("data after the end", None, vec![end(0, &root()), first.clone()]),
        ("a hole after the end", None, vec![end(0, &root()), hole(0, 64)]),
        ("a second end", None, vec![end(0, &root()), end(0, &root())]),
    ] {
        let payload = read(length, &bytes(&frames));
        let (last, before) = frames.split_last().unwrap();
        assert_eq!(payload.frames, said(before), "{what}");
        let offset = if before.is_empty() || before[0].bytes == end(0, &root()).bytes {
            0
        } else {
            before[0].frame_span()
        };
        assert!(
            matches!(payload.end, Err(PayloadError::Malformed { offset: found, .. }) if found == offset),
            "{what}: {:?} for {:?}",
            payload.end,
            last.frame
        );
    }
    let largest = hole(0, 64 * limits::HOLE_BLOCKS);
    assert_eq!(read(None, &largest.bytes).frames, said(&[largest]));
}

impl Made {
    fn frame_span(&self) -> u64 {
        match self.frame {
            Frame::Data { len, .. } => len.into(),
            Frame::Hole { span, .. } => span,
            _ => 0,
        }
    }
}

#[test]
fn an_end_with_another_root_is_none() {
    let mut other = root();
    other.block(&digest(&block(7, BLOCK)));
    let frames = [data(0, &block(1, BLOCK)), end(64, &other)];
    let payload = read(None, &bytes(&frames));
    assert_eq!((payload.frames, payload.end), (said(&frames[..1]), Err(PayloadError::WrongSum)));
}

/// A frame of any kind and form with a right tag, as only a holder of the password can make one.
pub(crate) fn forged(head: [u8; HEAD_BYTES], data: &[u8]) -> Vec<u8> {
    // The key itself is not told, so have the writer sign: derive it here as PROTOCOL.md says.
    let key = super::support::hmac_sha256(
        super::support::PASSWORD.as_bytes(),
        &[&b"lantorrent 2 frame\0"[..], &transfer_key().transfer().0].concat(),
    );
    let key: [u8; 32] = key.try_into().unwrap();
    let tag = blake3::Hasher::new_keyed(&key).update(&head).update(&digest(data)).finalize();
    [&head[..], data, tag.as_bytes()].concat()
}

pub(crate) fn head(kind: u8, len: u32, offset: u64, span: u64) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[0] = kind;
    head[4..8].copy_from_slice(&len.to_be_bytes());
    head[8..16].copy_from_slice(&offset.to_be_bytes());
    head[16..].copy_from_slice(&span.to_be_bytes());
    head
}

#[test]
fn unknown_types_and_flags_are_refused_even_with_a_right_tag() {
    assert_eq!(read(None, &forged(head(3, 0, 0, 0), &[])).frames, said(&[idle(0)]), "the forgery is good");
    for kind in (0..0x80).filter(|kind| !(1..=6).contains(kind)) {
        let payload = read(None, &forged(head(kind, 0, 0, 0), &[]));
        assert_eq!(payload.end, Err(PayloadError::Malformed { offset: 0, what: "unknown type" }), "{kind}");
    }
    for at in 1..4 {
        for bit in 0..8 {
            let mut head = head(3, 0, 0, 0);
            head[at] = 1 << bit;
            let payload = read(None, &forged(head, &[]));
            assert_eq!(payload.end, Err(PayloadError::Malformed { offset: 0, what: "unknown flags" }));
        }
    }
}

#[test]
fn declared_lengths_are_checked_before_their_data_is_read() {
    for (kind, len, offset, span) in [
        (1, 0, 0, 0),
        (1, 65, 0, 65),
        (1, 64, 0, 63),
        (1, u32::MAX, 0, u32::MAX.into()),
        (2, 1, 0, 64),
        (2, u32::MAX, 0, 64),
        (3, 1, 0, 0),
        (3, 0, 0, 1),
        (4, 0, 0, 0),
        (4, 1, 0, 0),
        (4, limits::CONTROL_BYTES as u32 + 1, 0, 0),
        (4, u32::MAX, 0, 0),
        (4, 2, 1, 0),
        (4, 2, 0, 1),
        (5, 32, 0, 0),
        (5, 95, 0, 0),
        (5, 97, 0, 0),
        (5, u32::MAX, 0, 0),
        (5, 96, 0, 1),
        (6, 1, 0, 0),
        (6, 0, 1, 0),
        (6, 0, 0, 1),
    ] {
        // The head alone, without a byte of what it declares.
        let payload = read(None, &head(kind, len, offset, span));
        assert!(
            matches!(payload.end, Err(PayloadError::Malformed { .. })),
            "{kind} {len}: {:?}",
            payload.end
        );
        if len <= 2000 {
            let body = vec![0; len as usize];
            assert_eq!(read(None, &forged(head(kind, len, offset, span), &body)).frames, [], "{kind} {len}");
        }
    }
    let SignedRoot { root, signature } = transfer_key().sign(0, BLOCK as u32, root().root());
    let end = forged(head(5, 96, 0, 0), &[&root[..], &signature].concat());
    assert_eq!(read(None, &end).end, Ok(()));
}

#[test]
fn an_end_that_the_source_has_not_signed_is_none() {
    let frames = transfer();
    let (before, right) = (&frames[..6], sum_of(&frames));
    let other = TransferKey::new(&[9; 32]);
    let mut flipped = right;
    flipped.signature[63] ^= 0x20;
    let wrong = SignedRoot { root: [0; 32], ..right };
    let end = made(Frame::End { size: LENGTH, sum: Sum::Root(wrong) }, &[]);
    let payload = read(Some(LENGTH), &bytes(&[before, &[end]].concat()));
    assert_eq!((payload.frames, payload.end), (said(before), Err(PayloadError::WrongSum)));
    // With the right root it is to be handed on, and to be believed no more than that.
    for signed in [
        SignedRoot { signature: [0; 64], ..right },
        flipped,
        // What a relay has that knows all but the key: its own, and the signatures over other ends.
        other.sign(LENGTH, BLOCK as u32, right.root),
        transfer_key().sign(LENGTH - 1, BLOCK as u32, right.root),
        transfer_key().sign(LENGTH, 2 * BLOCK as u32, right.root),
    ] {
        let end = made(Frame::End { size: LENGTH, sum: Sum::Root(signed) }, &[]);
        let all = [before, &[end]].concat();
        let payload = read(Some(LENGTH), &bytes(&all));
        assert_eq!((payload.frames, payload.end), (said(&all), Err(PayloadError::WrongSum)));
    }
    // Consistent with other content, for which there is no signature either.
    let mut root = root();
    root.block(&digest(&block(9, BLOCK)));
    let swapped = data(0, &block(9, BLOCK));
    let end = made(Frame::End { size: 64, sum: Sum::Root(SignedRoot { root: root.root(), ..right }) }, &[]);
    let all = [swapped, end];
    let payload = read(None, &bytes(&all));
    assert_eq!((payload.frames, payload.end), (said(&all), Err(PayloadError::WrongSum)));
}

/// What the END among those frames says.
fn sum_of(frames: &[Made]) -> SignedRoot {
    let end = frames.iter().find_map(|made| match made.frame {
        Frame::End { sum: Sum::Root(signed), .. } => Some(signed),
        _ => None,
    });
    end.unwrap()
}

#[test]
fn aborts_say_why_and_may_come_at_any_place() {
    let frames = transfer();
    for place in 0..frames.len() {
        let stopped = abort(Code::SOURCE_FAILED, "gone");
        let cut = [&frames[..place], std::slice::from_ref(&stopped)].concat();
        let payload = read(Some(LENGTH), &bytes(&cut));
        assert_eq!(payload.frames, said(&cut));
        assert_eq!(payload.end.is_ok(), place > 6, "an abort is no end");
    }
    for reason in [String::new(), "ä".repeat(512), "x".repeat(limits::MESSAGE_BYTES)] {
        let whole = abort(Code(65535), &reason);
        assert_eq!(read(None, &whole.bytes).frames, said(&[whole]));
    }
    let long = abort(Code::UNKNOWN, &"x".repeat(10 * limits::MESSAGE_BYTES));
    let cut = Frame::Abort(Abort::new(Code::UNKNOWN, "x".repeat(limits::MESSAGE_BYTES)));
    assert_eq!(read(None, &long.bytes).frames, [(cut, vec![])]);
    // Bytes that are no UTF-8 do not hide the abort.
    let bytes = forged(head(4, 3, 0, 0), b"\x02\x03\xff");
    let lossy = Frame::Abort(Abort::new(Code::ABORTED, "\u{fffd}".into()));
    assert_eq!(read(None, &bytes).frames, [(lossy, vec![])]);
}

#[test]
fn a_bad_head_does_not_swallow_the_good_frame_before_it() {
    // Both arrive with one read: the tag of the first, and the head of the second behind it.
    let frames = transfer();
    let stream = [bytes(&frames[..7]), vec![0xff; HEAD_BYTES]].concat();
    let payload = read_payload(reader(None), BLOCK, &stream, &[stream.len()], Feed::Slots);
    assert_eq!(payload.frames, said(&frames[..7]), "the end is told");
    assert!(matches!(payload.end, Err(PayloadError::Malformed { offset: LENGTH, .. })), "{:?}", payload.end);
}

#[test]
fn a_reader_asks_for_no_more_than_this_frame_and_the_next_head() {
    let mut reader = FrameReader::new(key(), transfer_key().signer(), root(), None, 0);
    let mut space = [0; BLOCK];
    let sizes = |reader: &mut FrameReader| {
        let mut space = [0; BLOCK];
        reader.slots(&mut space).map(|slot| slot.len())
    };
    assert_eq!(sizes(&mut reader), [HEAD_BYTES, 0]);
    let first = data(0, &block(1, BLOCK));
    reader.slots(&mut space)[0].copy_from_slice(&first.bytes[..HEAD_BYTES]);
    assert_eq!(reader.filled(HEAD_BYTES, &space), Ok(None));
    assert_eq!(sizes(&mut reader), [BLOCK, TAG_BYTES + HEAD_BYTES]);
    assert_eq!(reader.filled(0, &space), Ok(None), "nothing came, nothing changes");
    assert_eq!(sizes(&mut reader), [BLOCK, TAG_BYTES + HEAD_BYTES]);
}

#[test]
fn what_one_wire_cannot_say_is_not_written() {
    let frames = PayloadWriter::Frames(FrameWriter::new(key()));
    let raw = PayloadWriter::Raw;
    let md5 = Sum::Md5(lantorrent_core::wire::Md5Sum([0; 16]));
    let data = Frame::Data { offset: 0, len: 1, digest: None };
    assert!(frames.encode(&data).is_err());
    assert!(frames.encode(&Frame::End { size: 0, sum: md5 }).is_err());
    assert!(raw.encode(&transfer()[6].frame).is_err());
    assert!(raw.encode(&transfer()[3].frame).is_err());
    assert!(raw.encode(&abort(Code::UNKNOWN, "").frame).is_err());
    assert!(raw.encode(&data).is_ok_and(|around| around.before.is_empty() && around.after.is_empty()));
}
