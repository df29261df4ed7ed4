//! The targets for `wire`.

use super::{Script, invariant};
use crate::wire::{
    Abort, Code, Extension, Features, Footer, Frame, FrameKey, FrameReader, FrameWriter, FromNode,
    HEAD_BYTES, Header, HeaderError, HeaderReader, Keyring, Line, LineError, LineReader, LineWriter,
    NodeState, Nonce, Password, PayloadError, PayloadReader, Progress, RawReader, RawWriter, Report,
    ReportReader, RootHasher, SealedReport, Sum, TransferId, TransferKey, Wire, digest, limits,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

const NONCE: Nonce = Nonce([1; 16]);
const CHALLENGE: Nonce = Nonce([2; 16]);
const TRANSFER: TransferId = TransferId([3; 16]);
const BLOCK: u32 = 64;

fn keys() -> Keyring {
    Keyring::new(Password::new("fuzz wire 2").unwrap())
        .with_wire_1(Password::new("fuzz wire 1").unwrap())
        .unwrap()
}

/// Of the source whose frames these are.
fn transfer_key() -> TransferKey {
    TransferKey::new(&[4; 32])
}

type HeaderOutcome = Result<Option<(Header, usize)>, HeaderError>;

fn read_header(chunks: &[&[u8]]) -> HeaderOutcome {
    let mut reader = HeaderReader::default();
    let mut used = 0;
    for chunk in chunks {
        let (count, header) = reader.push(chunk)?;
        used += count;
        if let Some(header) = header {
            return header.verify(&keys()).map(|header| Some((header, used)));
        }
        assert_eq!(count, chunk.len());
    }
    Ok(None)
}

/// A header and what follows it. The first byte says whether the rest is a stream as it is, or text to be signed for
/// wire 1 or 2; the next two how it is cut.
pub fn header(input: &[u8]) {
    let mut script = Script::new(input);
    let mode = script.byte();
    let seed = script.word();
    let mut stream = script.rest.to_vec();
    let signature = match mode % 3 {
        0 => None,
        1 => keys().sign_wire_1(&stream).map(|signature| BASE64.encode(signature)),
        _ => {
            stream.push(b'\n');
            keys().sign_wire_2(&stream).map(|signature| BASE64.encode(signature))
        }
    };
    if let Some(signature) = signature {
        let line_end = if mode % 3 == 1 { "\n" } else { "" };
        stream.extend_from_slice(format!("{line_end}EOH : {signature}\r\nmore").as_bytes());
    }
    let outcome = invariant(&stream, seed, read_header);
    let Ok(Some((header, used))) = outcome else { return };
    assert!(used <= limits::HEADER_BYTES);
    assert_sane(&header);
    let again = header.sign(&keys()).expect("both wires have a password");
    // As long as it fits: JSON may need more bytes for a text than the sender did.
    if again.len() > limits::HEADER_BYTES {
        return;
    }
    let (reread, _) = read_header(&[&again]).expect("our own header is good").expect("and complete");
    assert_eq!(reread.sign(&keys()).as_deref(), Some(&again[..]));
    if header.wire() == Wire::Two {
        assert_eq!(reread, header);
    }
}

fn assert_sane(header: &Header) {
    assert!((1..=limits::DEGREE).contains(&header.degree));
    assert!((limits::BLOCK_MIN..=limits::BLOCK_MAX).contains(&header.block_size));
    assert!(header.length.unwrap_or(0) <= limits::FILE_BYTES);
    assert!(header.destinations.len() <= limits::DESTINATIONS);
    let nodes = || std::iter::once(&header.node).chain(&header.destinations);
    assert!(nodes().zip(nodes().skip(1)).all(|(one, next)| one.index < next.index));
    let mut ids = std::collections::HashSet::new();
    for node in nodes() {
        assert!(node.port != 0 && !node.host.is_empty() && node.host.len() <= limits::HOST_BYTES);
        assert!((1..=limits::REQUESTS).contains(&node.requests.len()));
        for request in &node.requests {
            assert!(request.filename.len() <= limits::FILENAME_BYTES && request.id.len() <= limits::ID_BYTES);
            assert!(ids.insert(&request.id));
        }
    }
    assert!(ids.len() <= limits::REQUESTS_TOTAL);
}

/// Frames with their data, and how the payload ended.
type Payload = (Vec<(Frame, Vec<u8>)>, Result<(), PayloadError>);

fn read_payload(mut reader: PayloadReader, chunks: &[&[u8]], vectored: bool) -> Payload {
    let mut block = vec![0; BLOCK as usize];
    let mut frames = Vec::new();
    for &chunk in chunks {
        let mut chunk = chunk;
        while !chunk.is_empty() {
            let result = if vectored {
                let [first, second] = reader.slots(&mut block);
                assert!(!(first.is_empty() && second.is_empty()), "there is always room");
                let in_first = first.len().min(chunk.len());
                let in_second = second.len().min(chunk.len() - in_first);
                first[..in_first].copy_from_slice(&chunk[..in_first]);
                second[..in_second].copy_from_slice(&chunk[in_first..in_first + in_second]);
                let used = in_first + in_second;
                reader.filled(used, &block).map(|frame| (used, frame))
            } else {
                reader.push(chunk, &mut block)
            };
            match result {
                Ok((used, frame)) => {
                    chunk = &chunk[used..];
                    if let Some(frame) = frame {
                        let len = if let Frame::Data { len, .. } = frame { len as usize } else { 0 };
                        frames.push((frame, block[..len].to_vec()));
                    }
                }
                Err(error) => {
                    assert_eq!(reader.filled(0, &block), Err(error.clone()), "errors stick");
                    return (frames, Err(error));
                }
            }
        }
    }
    let end = reader.finish();
    (frames, end)
}

/// Makes the frames that a script asks for, good ones and others.
struct FrameScript {
    key: FrameKey,
    writer: FrameWriter,
    root: RootHasher,
    next: u64,
    /// Every frame that bears a right tag.
    made: Vec<Vec<u8>>,
    stream: Vec<u8>,
}

impl FrameScript {
    fn new(key: FrameKey) -> Self {
        let writer = FrameWriter::new(key.clone());
        let root = RootHasher::new(BLOCK);
        Self { key, writer, root, next: 0, made: Vec::new(), stream: Vec::new() }
    }

    fn add(&mut self, frame: &Frame, data: &[u8]) {
        let (before, tag) = self.writer.encode(frame).expect("a frame of wire 2");
        self.add_bytes([&before[..], data, &tag].concat());
    }

    fn add_bytes(&mut self, bytes: Vec<u8>) {
        self.stream.extend_from_slice(&bytes);
        self.made.push(bytes);
    }

    /// Any head at all with a right tag: what only a holder of the password could send.
    fn add_any(&mut self, script: &mut Script<'_>) {
        let mut head = [0; HEAD_BYTES];
        // Type and length from the script alone would hardly ever be possible ones.
        let kind = script.byte();
        head[0] = if kind < 0x80 { kind % 8 } else { kind };
        head[7] = script.byte() % 80;
        head[8..16].copy_from_slice(&self.next.to_be_bytes());
        head[23] = head[7];
        for _ in 0..script.byte() % 4 {
            let at = usize::from(script.byte()) % HEAD_BYTES;
            head[at] = script.byte();
        }
        let len = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let data = script.take(len.min(2000) as usize);
        let tag = blake3::Hasher::new_keyed(&self.key.0).update(&head).update(&digest(data)).finalize();
        self.add_bytes([&head[..], data, tag.as_bytes()].concat());
    }

    fn step(&mut self, script: &mut Script<'_>) {
        let op = script.byte();
        match op % 10 {
            0 | 1 => {
                let len = if op & 0x10 == 0 { BLOCK } else { u32::from(script.byte()) % BLOCK + 1 };
                let data = vec![op; len as usize];
                let digest = digest(&data);
                self.add(&Frame::Data { offset: self.next, len, digest: Some(digest) }, &data);
                self.root.block(&digest);
                self.next += u64::from(len);
            }
            2 => {
                let span = u64::from(script.byte() % 8) * u64::from(BLOCK) + u64::from(script.byte() % 2);
                self.add(&Frame::Hole { offset: self.next, span }, &[]);
                self.root.hole(span);
                self.next += span;
            }
            3 => self.add(&Frame::Idle { offset: self.next }, &[]),
            4 => {
                let mut signed = transfer_key().sign(self.next, BLOCK, self.root.root());
                match op >> 4 {
                    // What a relay can make that knows the password.
                    13 => signed.root = digest(&[op]),
                    14 => signed = transfer_key().sign(self.next + 1, BLOCK, signed.root),
                    15 => signed.signature[usize::from(script.byte()) % 64] ^= 1 << (script.byte() % 8),
                    _ => {}
                }
                self.add(&Frame::End { size: self.next, sum: Sum::Root(signed) }, &[]);
            }
            5 | 6 => {
                let reason = String::from_utf8_lossy(script.take(usize::from(op >> 4))).into_owned();
                self.add(&Frame::Abort(Abort { code: Code(op.into()), reason }), &[]);
            }
            7 => self.add_any(script),
            8 if op & 0x80 != 0 => {
                let fields = ([op, 0, script.byte()], script.word().into(), u64::MAX - u64::from(op));
                let kind = script.byte() | 0x80;
                let data = script.take(usize::from(op >> 2));
                let extension = Extension::new(kind, fields, data).expect("a type that may be ignored");
                self.add(&Frame::Extension(extension), &[]);
            }
            8 => {
                let count = usize::from(op >> 3);
                self.stream.extend_from_slice(script.take(count));
            }
            _ => {
                let which = usize::from(script.byte()) % self.made.len().max(1);
                self.stream.extend(self.made.get(which).cloned().unwrap_or_default());
            }
        }
    }
}

/// Frames: the input is a script of good ones, of nonsense with a right tag, of replays and of garbage; then one byte
/// of the stream is damaged, or none.
pub fn frames(input: &[u8]) {
    let mut script = Script::new(input);
    let options = script.byte();
    let seed = script.word();
    let mut damage = Script::new(script.take(3));
    let key = keys().frame_key(&TRANSFER).expect("wire 2 has a password");
    let mut made = FrameScript::new(key.clone());
    while !script.is_over() && made.stream.len() < 1 << 13 {
        made.step(&mut script);
    }
    damage.damage(&mut made.stream);
    let length = match options % 3 {
        0 => None,
        1 => Some(made.next),
        _ => Some(u64::from(options)),
    };
    let read = |chunks: &[&[u8]], vectored| {
        let reader =
            FrameReader::new(key.clone(), transfer_key().signer(), RootHasher::new(BLOCK), length, 0);
        read_payload(PayloadReader::Frames(reader), chunks, vectored)
    };
    let outcome = invariant(&made.stream, seed, |chunks| read(chunks, true));
    assert_eq!(invariant(&made.stream, seed, |chunks| read(chunks, false)), outcome, "by either way in");
    assert_true(&made, &outcome, length);
}

/// Nothing is believed that nobody made, offsets have no gap, and an END is only told where it is true.
fn assert_true(made: &FrameScript, (frames, end): &Payload, length: Option<u64>) {
    let mut root = RootHasher::new(BLOCK);
    let mut next = 0;
    let mut ended = false;
    for (frame, data) in frames {
        let (before, tag) = made.writer.encode(frame).expect("a frame of wire 2");
        // The reason of an abort need not be UTF-8, and is not the same then when it is written again.
        let lossy = matches!(frame, Frame::Abort(abort) if abort.reason.contains('\u{fffd}'));
        assert!(lossy || made.made.contains(&[&before[..], data, &tag].concat()), "{frame:?} was never made");
        match frame {
            Frame::Data { offset, len, digest: found } => {
                assert_eq!((*offset, *len as usize, *found), (next, data.len(), Some(digest(data))));
                assert!(!ended && next.is_multiple_of(BLOCK.into()));
                root.block(&digest(data));
                next += u64::from(*len);
            }
            Frame::Hole { offset, span } => {
                assert_eq!(*offset, next);
                assert!(!ended && next.is_multiple_of(BLOCK.into()));
                root.hole(*span);
                next += span;
            }
            Frame::End { size, sum } => {
                let signed = transfer_key().sign(next, BLOCK, root.root());
                let Sum::Root(found) = sum else { panic!("{frame:?} on wire 2") };
                assert_eq!((*size, found.root, ended), (next, signed.root, false));
                assert!(*found == signed || *end == Err(PayloadError::WrongSum), "{frame:?} is believed");
                ended = true;
            }
            Frame::Idle { offset } => assert_eq!(*offset, next),
            Frame::Abort(_) | Frame::Extension(_) => {}
        }
        assert!(next <= length.unwrap_or(limits::FILE_BYTES));
    }
    assert!(ended || end.is_err());
    assert!(!ended || length.is_none_or(|length| length == next));
}

/// What was said, and how the reading ended.
type Said<T> = (Vec<T>, Result<(), LineError>);

fn read_all<T>(
    chunks: &[&[u8]],
    mut push: impl FnMut(&[u8]) -> Result<(usize, Option<T>), LineError>,
) -> Said<T> {
    let mut all = Vec::new();
    for &chunk in chunks {
        let mut chunk = chunk;
        while !chunk.is_empty() {
            match push(chunk) {
                Ok((used, said)) => {
                    assert!(used > 0 && used <= chunk.len());
                    chunk = &chunk[used..];
                    all.extend(said);
                }
                Err(error) => return (all, Err(error)),
            }
        }
    }
    (all, Ok(()))
}

fn any_line(script: &mut Script<'_>, keys: &Keyring) -> Line {
    match script.byte() {
        kind @ 0xc0.. => Line::Unknown { kind: format!("later-{kind}") },
        kind => any_known_line(kind, script, keys),
    }
}

fn any_known_line(kind: u8, script: &mut Script<'_>, keys: &Keyring) -> Line {
    match kind % 8 {
        0 if kind & 8 != 0 => Line::Accepted { features: Features::new(["a", "b-2"]).expect("names") },
        0 => Line::ACCEPTED,
        1 => Line::Ready { offset: u64::from(script.word()) << (script.byte() % 49) },
        2 => Line::Alive,
        3 => Line::Left,
        4 => Line::Aside,
        5 => Line::Damaged { offset: script.word().into() },
        6 => Line::Progress(Progress::of_node(NodeState::Receiving, script.word().into())),
        _ => {
            let len = script.byte().into();
            let message = String::from_utf8_lossy(script.take(len)).into_owned();
            let report = Report { file: Some(message.clone()), ..Report::refusal(Code::UNKNOWN, &message) };
            let key = keys.result_key(&TRANSFER).expect("wire 2 has a password");
            let sealed = SealedReport::seal(&report, &key);
            assert_eq!(sealed.open(&key), Ok(report));
            Line::Result(sealed)
        }
    }
}

/// Lines towards the source, and the stream of reports of wire 1. The input is a script of good lines, of any JSON with
/// a right code, of replays and of garbage; then one byte of the stream is damaged, or none.
pub fn lines(input: &[u8]) {
    let mut script = Script::new(input);
    let options = script.byte();
    let seed = script.word();
    if options & 1 != 0 {
        return reports(script.rest, seed);
    }
    let mut damage = Script::new(script.take(3));
    let keys = keys();
    let key = keys.line_key(&NONCE, &CHALLENGE).expect("wire 2 has a password");
    let mut writer = LineWriter::new(key.clone());
    let mut good = Vec::new();
    let mut made = Vec::new();
    // Whether something that the writer did not make bears a right code.
    let mut free = false;
    let mut add = |line: Line, good: &mut Vec<Line>| {
        let bytes = writer.encode(&line);
        good.push(line);
        bytes
    };
    if options & 2 == 0 {
        made.push(add(Line::Challenge { challenge: CHALLENGE }, &mut good));
    }
    while !script.is_over() && made.len() < 200 {
        let op = script.byte();
        let bytes = match op % 8 {
            0..=3 => add(any_line(&mut script, &keys), &mut good),
            4 => {
                free = true;
                let len = script.byte().into();
                let text: Vec<u8> = script.take(len).iter().copied().filter(|&byte| byte != b'\n').collect();
                [&text[..], b" ", BASE64.encode(key.sign(&text)).as_bytes(), b"\n"].concat()
            }
            5 => script.take(usize::from(op >> 3)).to_vec(),
            6 => {
                let which = usize::from(script.byte()) % made.len().max(1);
                made.get(which).cloned().unwrap_or_default()
            }
            _ => {
                // A line is lost.
                add(any_line(&mut script, &keys), &mut good);
                Vec::new()
            }
        };
        made.push(bytes);
    }
    let mut stream = made.concat();
    damage.damage(&mut stream);
    let (said, _) = invariant(&stream, seed, |chunks| {
        let mut reader = LineReader::new(keys.clone(), NONCE);
        read_all(chunks, |chunk| reader.push(chunk))
    });
    let heard: Vec<_> = said
        .into_iter()
        .filter_map(|said| if let FromNode::Line(line) = said { Some(line) } else { None })
        .collect();
    assert!(free || good.starts_with(&heard), "heard {heard:?} of {good:?}");
}

fn reports(stream: &[u8], seed: u16) {
    let (said, _) = invariant(stream, seed, |chunks| {
        let mut reader = ReportReader::default();
        read_all(chunks, |chunk| reader.push(chunk))
    });
    for report in said {
        let text = report.encode();
        let again = Report::parse(text.as_bytes()).expect("our own report is good");
        assert!(again.message.len() <= limits::MESSAGE_BYTES && report.message.starts_with(&again.message));
        assert_eq!(Report { message: report.message.clone(), ..again }, report);
    }
}

/// The payload of wire 1: some content, and the input as its footer, or the right footer with the input in it.
pub fn footer(input: &[u8]) {
    let mut script = Script::new(input);
    let options = script.byte();
    let seed = script.word();
    let content = vec![options; usize::from(script.byte())];
    let mut sum = RawWriter::default();
    sum.update(&content);
    let right = Footer::new(sum.sum()).encode();
    let mut tail = match options % 3 {
        0 => script.rest.to_vec(),
        1 => [&right[..], script.rest].concat(),
        _ => right.clone(),
    };
    if options % 3 == 2 {
        script.damage(&mut tail);
    }
    let stream = [&content[..], &tail].concat();
    let read = |chunks: &[&[u8]], vectored| {
        read_payload(PayloadReader::Raw(RawReader::new(BLOCK, content.len() as u64)), chunks, vectored)
    };
    let outcome = invariant(&stream, seed, |chunks| read(chunks, true));
    assert_eq!(invariant(&stream, seed, |chunks| read(chunks, false)), outcome, "by either way in");
    let (frames, end) = outcome;
    let data: Vec<u8> = frames.iter().flat_map(|(_, data)| data).copied().collect();
    assert_eq!(data, content);
    match frames.last() {
        Some((Frame::End { size, sum: found }, _)) => {
            assert_eq!((*size, *found), (content.len() as u64, Sum::Md5(sum.sum())));
            assert_eq!(end, Ok(()));
        }
        _ => assert!(end.is_err()),
    }
    assert!(options % 3 != 1 || end.is_ok(), "what follows a good footer is not looked at");
    assert!(tail.len() < limits::FOOTER_BYTES || !matches!(end, Err(PayloadError::Truncated { .. })));
}
