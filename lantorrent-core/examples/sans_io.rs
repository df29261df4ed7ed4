//! A source and a node without a socket, a file, a clock or a thread: the two state machines, and the bytes between
//! them in two queues. Whoever writes a driver of their own finds here what it has to do.
//!
//! `cargo run --example sans_io --no-default-features`

use std::time::Instant;

use lantorrent_core::session::{
    FeedInput, FeedOutput, FileInput, FileOutput, Gate, HandshakeStep, Incoming, LinkInput, LinkOutput,
    NodeInput, NodeOutput, NodeSession, Now, Opened, Plan, ReadBack, Seed, SourceInput, SourceOutput,
    SourceSession, Timing, UpstreamId,
};
use lantorrent_core::wire::{
    Destination, Frame, Keyring, Nonce, Password, PayloadReader, PayloadWriter, Request, RootHasher, Sum,
    TransferKey, Wire, digest,
};

const BLOCK: u32 = 4096;
/// The one connection that the node has from upstream.
const UPSTREAM: UpstreamId = UpstreamId(1);

fn main() {
    let keys = Keyring::new(Password::new("a secret that both sides know").unwrap());
    let content: Vec<u8> = (0..100_000_u32).map(|place| place as u8).collect();
    let now = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let address = ([10, 0, 0, 1], 2893).into();
    // The network: what is on its way to the node, and what is on its way back.
    let (mut down, mut up): (Vec<u8>, Vec<u8>) = (Vec::new(), Vec::new());

    // The source. Seeds and challenges must be unpredictable in earnest: take them from the operating system.
    let plan = plan(content.len() as u64);
    let mut source = SourceSession::new(now, plan, keys.clone(), Timing::default(), Seed([1; 32]));
    let key = source.key().expect("it is a transfer of wire 2");
    let writer = PayloadWriter::new(source.header(), &keys).expect("there is a password");

    // The node: first it greets, and once the sender is let in it has a session, a reader for the payload, and a file.
    let gate = Gate::new(keys.clone());
    let mut greeting = Incoming::new(now, gate, Some(address), Nonce([2; 16]));
    let mut node: Option<(NodeSession, PayloadReader)> = None;
    let mut file: Vec<u8> = Vec::new();
    let mut block = vec![0; BLOCK as usize];

    let mut over = false;
    let mut node_link = None;
    while !over {
        // 1. Do what the source says.
        while let Some(output) = source.poll() {
            match output {
                SourceOutput::Link(LinkOutput::LookUp { link, host, .. }) => {
                    println!("source: look up {host}");
                    source.handle(now, LinkInput::Found(link, vec![address]));
                }
                SourceOutput::Link(LinkOutput::Connect { link, to }) => {
                    println!("source: connect to {to}");
                    node_link = Some(link);
                    source.handle(now, LinkInput::Connected(link, to));
                }
                SourceOutput::Link(LinkOutput::Send(_, bytes)) => down.extend(bytes),
                SourceOutput::Feed(FeedOutput::Feed(link, from)) => {
                    println!("source: send from offset {from}");
                    // The end first: the source must know what it sends before anybody reports to have it.
                    let (bytes, sum) = payload(&content, &writer, &key);
                    source.handle(now, SourceInput::End { size: content.len() as u64, sum });
                    down.extend(bytes);
                    source.handle(now, FeedInput::SentEnd(link));
                }
                SourceOutput::Report(report) => println!("source: {:?}: {}", report.file, report.message),
                SourceOutput::Done => over = true,
                other => println!("source: {other:?}"),
            }
        }

        // 2. What came down goes to the greeting, and once the sender is in, through the reader into the session.
        let mut bytes = &std::mem::take(&mut down)[..];
        while !bytes.is_empty() {
            let Some((session, reader)) = &mut node else {
                let (used, said) = greeting.push(now, bytes);
                bytes = &bytes[used..];
                match said {
                    HandshakeStep::More => {}
                    HandshakeStep::Reply(reply) | HandshakeStep::Refused { reply, .. } => up.extend(reply),
                    HandshakeStep::Proven(proven) => {
                        let reader = PayloadReader::new(&proven.header, &keys).expect("there is a password");
                        let (keys, timing, seed) = (keys.clone(), Timing::default(), Seed([3; 32]));
                        let session = NodeSession::new(now, UPSTREAM, *proven, keys, timing, seed);
                        node = Some((session, reader));
                    }
                }
                continue;
            };
            match reader.push(bytes, &mut block) {
                Ok((used, frame)) => {
                    bytes = &bytes[used..];
                    match frame {
                        // It is verified: it may be written, and passed on to children.
                        Some(Frame::Data { len, .. }) => file.extend(&block[..len as usize]),
                        Some(Frame::End { size, sum }) => {
                            session.handle(now, NodeInput::End { size, sum });
                            // No file gets its name before this; children were sent the END meanwhile.
                            session.handle(now, NodeInput::EndVerified(reader.verify_end()));
                            session.handle(now, FileInput::Written(size));
                        }
                        Some(Frame::Abort(abort)) => session.handle(now, NodeInput::Aborted(abort)),
                        _ => {}
                    }
                }
                Err(error) => {
                    let offset = reader.offset();
                    session.handle(now, NodeInput::Halted { offset, cause: Some(error) });
                    break;
                }
            }
        }

        // 3. Do what the node says.
        while let Some(output) = node.as_mut().and_then(|(session, _)| session.poll()) {
            let Some((session, _)) = &mut node else { break };
            match output {
                NodeOutput::File(FileOutput::Open(number)) => {
                    let opened = Opened::new(ReadBack::Possible, 0);
                    session.handle(now, FileInput::Opened(number, Ok(opened)));
                }
                NodeOutput::Reply(_, bytes) => up.extend(bytes),
                NodeOutput::File(FileOutput::Place(number, size)) => {
                    println!("node: place {size} bytes");
                    session.handle(now, FileInput::Placed(number, Ok(())));
                }
                other => println!("node: {other:?}"),
            }
        }

        // 4. What came up goes to the source. Then, in earnest, wait for the next thing to
        // happen, but no longer than until `deadline()`, and hand in `SourceInput::Tick` when that comes.
        if let Some(link) = node_link {
            source.handle(now, LinkInput::Bytes(link, &std::mem::take(&mut up)));
        }
    }
    assert_eq!(file, content, "the node has what the source sent");
}

/// One file for one node.
fn plan(length: u64) -> Plan {
    let requests = vec![Request::new("/srv/image".into(), "1".into())];
    let host = "node".into();
    let node = Destination::new(host, 2893, requests);
    let mut plan = Plan::new(Wire::Two, vec![node], BLOCK);
    plan.length = Some(length);
    plan
}

/// All frames of the payload, and what it sums up to.
fn payload(content: &[u8], writer: &PayloadWriter, key: &TransferKey) -> (Vec<u8>, Sum) {
    let mut bytes = Vec::new();
    let mut root = RootHasher::new(BLOCK);
    let mut put = |frame: Frame, data: &[u8]| {
        let wrapping = writer.encode(&frame).expect("a frame of this wire");
        bytes.extend([&wrapping.before, data, &wrapping.after].concat());
    };
    let mut offset = 0;
    for data in content.chunks(BLOCK as usize) {
        let digest = digest(data);
        root.block(&digest);
        put(Frame::Data { offset, len: data.len() as u32, digest: Some(digest) }, data);
        offset += data.len() as u64;
    }
    let sum = Sum::Root(key.sign(offset, BLOCK, root.root()));
    put(Frame::End { size: offset, sum }, &[]);
    (bytes, sum)
}
