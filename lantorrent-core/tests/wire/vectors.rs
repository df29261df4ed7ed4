//! The worked examples of wire 2, computed without this library: testdata/wire-2.json. Each byte, both ways.

use std::collections::BTreeMap;

use lantorrent_core::wire::proof::{self, ProofReader};
use lantorrent_core::wire::{
    Abort, Change, Code, Destination, Envelope, Extension, Features, Frame, FrameReader, FrameWriter,
    FromNode, Header, HeaderReader, Keyring, Line, LineReader, LineWriter, NodeState, Nonce, Password,
    PayloadReader, Progress, Report, Request, RootHasher, SealedReport, SignedRoot, Signer, SourceHint, Sum,
    TransferId, TransferKey, digest,
};
use serde::Deserialize;

use crate::with::with;

#[derive(Deserialize)]
pub(crate) struct Vectors {
    pub(crate) password: String,
    pub(crate) key: String,
    pub(crate) signer: Signer,
    pub(crate) transfer: TransferId,
    pub(crate) nonce: Nonce,
    pub(crate) challenge: Nonce,
    pub(crate) node_id: String,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) header: String,
    pub(crate) proof: String,
    pub(crate) frames: Vec<FrameVector>,
    pub(crate) root: String,
    pub(crate) signed: String,
    pub(crate) signature: String,
    pub(crate) lines: Vec<LineVector>,
    pub(crate) growth: Growth,
}

/// The same header and answer, of peers that have features.
#[derive(Deserialize)]
pub(crate) struct Growth {
    pub(crate) header: String,
    pub(crate) accepted: String,
}

#[derive(Deserialize)]
pub(crate) struct FrameVector {
    pub(crate) name: String,
    pub(crate) head: String,
    pub(crate) data: String,
    pub(crate) h: String,
    pub(crate) tag: String,
}

#[derive(Deserialize)]
pub(crate) struct LineVector {
    pub(crate) name: String,
    pub(crate) text: String,
}

pub(crate) fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../testdata/wire-2.json")).unwrap()
}

impl Vectors {
    fn transfer_key(&self) -> TransferKey {
        TransferKey::new(&unhex(&self.key).try_into().unwrap())
    }

    fn keyring(&self) -> Keyring {
        Keyring::new(Password::new(self.password.as_str()).unwrap())
    }
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn header(vectors: &Vectors) -> Header {
    let destination = |host: &str, index, id: &str| {
        with(
            Destination::new(host.into(), 2893, vec![Request::new("/srv/img/a.img".into(), id.into())]),
            |it| it.index = index,
        )
    };
    with(Header::new(destination("10.0.0.7", 0, "a"), Some(12_299), 4096), |it| {
        it.destinations = vec![destination("node-8", 1, "b")];
        it.envelope = Some(with(
            Envelope::new(vectors.signer, vectors.nonce, 1_800_000_000, "10.0.0.7:2893".parse().unwrap()),
            |it| {
                it.source = Some(with(SourceHint::new("b7e1".into()), |it| {
                    it.size = Some(12_299);
                    it.mtime = Some(1_700_000_000_000_000_000);
                }));
            },
        ));
    })
}

fn features(names: &[&str]) -> Features {
    Features::new(names.iter().copied()).unwrap()
}

#[test]
fn features_of_both_sides() {
    let vectors = vectors();
    let keys = vectors.keyring();
    let mut header = header(&vectors);
    let envelope = header.envelope.as_mut().unwrap();
    envelope.features = features(&["later", "other"]);
    envelope.features_in_use = features(&["later"]);
    let Growth { header: text, accepted: answer } = &vectors.growth;
    assert_eq!(String::from_utf8(header.sign(&keys).unwrap()).unwrap(), *text);
    let (_, read) = HeaderReader::default().push(text.as_bytes()).unwrap();
    assert_eq!(read.unwrap().verify(&keys), Ok(header));
    let accepted = Line::Accepted { features: features(&["later", "third"]) };
    let mut writer = LineWriter::new(keys.line_key(&vectors.nonce, &vectors.challenge).unwrap());
    writer.encode(&Line::Challenge { challenge: vectors.challenge });
    assert_eq!(String::from_utf8(writer.encode(&accepted)).unwrap(), *answer);
    let mut reader = LineReader::new(keys, vectors.nonce);
    reader.push(vectors.lines[0].text.as_bytes()).unwrap();
    assert_eq!(reader.push(answer.as_bytes()), Ok((answer.len(), Some(FromNode::Line(accepted)))));
}

#[test]
fn header_and_proof() {
    let vectors = vectors();
    let keys = vectors.keyring();
    let header = header(&vectors);
    assert_eq!(String::from_utf8(header.sign(&keys).unwrap()).unwrap(), vectors.header);
    let (used, read) = HeaderReader::default().push(vectors.header.as_bytes()).unwrap();
    assert_eq!(used, vectors.header.len());
    assert_eq!(read.unwrap().verify(&keys), Ok(header));
    let line = proof::line(&keys, &vectors.nonce, &vectors.challenge).unwrap();
    assert_eq!(String::from_utf8(line).unwrap(), vectors.proof);
    let mut reader = ProofReader::new(&keys, &vectors.nonce, &vectors.challenge).unwrap();
    assert_eq!(reader.push(vectors.proof.as_bytes()), Ok((vectors.proof.len(), true)));
}

fn extension(kind: u8, fields: ([u8; 3], u64, u64), data: &[u8]) -> Frame {
    Frame::Extension(Extension::new(kind, fields, data).unwrap())
}

fn frames(vectors: &Vectors) -> Vec<(&'static str, Frame, Vec<u8>)> {
    let pattern: Vec<u8> = (0..=250).cycle().take(4096).collect();
    let last = b"LANTorrent\n".to_vec();
    let mut root = RootHasher::new(4096);
    root.block(&digest(&pattern));
    root.hole(8192);
    root.block(&digest(&last));
    let signed = vectors.transfer_key().sign(12_299, 4096, root.root());
    let data =
        |offset, data: &[u8]| Frame::Data { offset, len: data.len() as u32, digest: Some(digest(data)) };
    vec![
        ("data", data(0, &pattern), pattern),
        ("idle", Frame::Idle { offset: 4096 }, vec![]),
        ("hole", Frame::Hole { offset: 4096, span: 8192 }, vec![]),
        ("last data", data(12_288, &last), last),
        ("end", Frame::End { size: 12_299, sum: Sum::Root(signed) }, vec![]),
        ("abort", Frame::Abort(Abort::new(Code::ABORTED, "stopped by the operator".into())), vec![]),
        ("hop-local extension", extension(0x80, ([0; 3], 0, 0), b""), vec![]),
        ("forwarded extension", extension(0xc0, ([1, 2, 3], 7, u64::MAX), b"later"), vec![]),
    ]
}

#[test]
fn each_frame() {
    let vectors = vectors();
    let key = vectors.keyring().frame_key(&vectors.transfer).unwrap();
    let writer = FrameWriter::new(key.clone());
    let mut reader =
        PayloadReader::Frames(FrameReader::new(key, vectors.signer, RootHasher::new(4096), Some(12_299), 0));
    assert_eq!(vectors.frames.len(), frames(&vectors).len());
    let mut block = vec![0; 4096];
    for (vector, (name, frame, data)) in vectors.frames.iter().zip(frames(&vectors)) {
        assert_eq!(vector.name, name);
        let bytes = unhex(&format!("{}{}{}", vector.head, vector.data, vector.tag));
        let (before, tag) = writer.encode(&frame).unwrap();
        assert_eq!(hex(&[&before[..], &data, &tag].concat()), hex(&bytes), "{name}");
        assert_eq!(vector.h, hex(&digest(&unhex(&vector.data))), "{name}");
        assert_eq!(reader.push(&bytes, &mut block), Ok((bytes.len(), Some(frame))), "{name}");
        assert_eq!(block[..data.len()], data, "{name}");
        if name == "end" {
            assert_eq!(vector.data, format!("{}{}", vectors.root, vectors.signature));
            assert_eq!(reader.finish(), Ok(()));
        }
    }
}

#[test]
fn the_key_names_the_transfer_and_its_signature_verifies() {
    let vectors = vectors();
    assert_eq!(vectors.transfer_key().signer(), vectors.signer);
    assert_eq!(vectors.signer.transfer(), vectors.transfer);
    let (root, signature) = (unhex(&vectors.root), unhex(&vectors.signature));
    let signed = SignedRoot { root: root.try_into().unwrap(), signature: signature.try_into().unwrap() };
    assert!(vectors.signer.has_signed(12_299, 4096, &signed));
    assert!(vectors.signed.ends_with(&vectors.root));
}

fn lines(vectors: &Vectors) -> Vec<(&'static str, Line)> {
    let report = with(Report::refusal(Code::SUCCESS, ""), |it| {
        it.host = Some("10.0.0.7".into());
        it.port = Some(2893);
        it.file = Some("/srv/img/a.img".into());
        it.id = Some("a".into());
        it.root = Some(vectors.root.clone());
        it.index = Some(0);
        it.by = Some(0);
    });
    let behind = with(report.clone(), |it| {
        it.host = Some("node-8".into());
        it.id = Some("b".into());
        it.index = Some(1);
        it.by = Some(1);
    });
    let keys = vectors.keyring();
    let node_key = keys.node_key(&vectors.nonce, &vectors.challenge).unwrap();
    let key = keys.result_key(&vectors.transfer).unwrap();
    let progress = with(Progress::default(), |it| {
        it.least = 4096;
        it.greatest = 12_299;
        it.states = BTreeMap::from([(NodeState::Receiving, 1), (NodeState::Done, 1)]);
        it.changed = vec![Change::new(1, NodeState::Done, 12_299)];
    });
    vec![
        ("challenge", Line::Challenge { challenge: vectors.challenge }),
        ("accepted", Line::ACCEPTED),
        ("ready", Line::Ready { offset: 0 }),
        ("alive", Line::Alive),
        ("progress", Line::Progress(progress)),
        ("result", Line::Result(SealedReport::seal(&report, &node_key))),
        ("left", Line::Left),
        ("aside", Line::Aside),
        ("damaged", Line::Damaged { offset: 12288 }),
        ("later", Line::Unknown { kind: "later".into() }),
        ("result", Line::Result(SealedReport::seal(&behind, &key))),
    ]
}

#[test]
fn the_nonces_of_a_connection_name_its_node_key() {
    let vectors = vectors();
    let key = vectors.keyring().node_key(&vectors.nonce, &vectors.challenge).unwrap();
    assert_eq!(key.id().map(|id| hex(&id.0)), Some(vectors.node_id));
}

#[test]
fn each_line() {
    let vectors = vectors();
    let keys = vectors.keyring();
    let mut writer = LineWriter::new(keys.line_key(&vectors.nonce, &vectors.challenge).unwrap());
    let mut reader = LineReader::new(keys.clone(), vectors.nonce);
    assert_eq!(vectors.lines.len(), lines(&vectors).len());
    for (vector, (name, line)) in vectors.lines.iter().zip(lines(&vectors)) {
        assert_eq!(vector.name, name);
        assert_eq!(String::from_utf8(writer.encode(&line)).unwrap(), vector.text, "{name}");
        let read = reader.push(vector.text.as_bytes());
        assert_eq!(read, Ok((vector.text.len(), Some(FromNode::Line(line)))), "{name}");
    }
}
