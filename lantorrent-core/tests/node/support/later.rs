//! Nodes in front of which a proxy makes peers of next year out of those of this one.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use lantorrent_core::NodeConfig;
use lantorrent_core::wire::{Extension, Features, Frame, FrameWriter, Nonce, TransferId};
use serde_json::Value;

use super::{Gate, PASSWORD, Proxy, TestNode, keys};
use crate::later::{self, FEATURE, Frames, Lines};
use crate::random::Random;

/// Which peers are of next year, by their place in the list; None is the source.
#[derive(Debug, Default)]
pub(crate) struct Later {
    pub(crate) places: BTreeSet<Option<usize>>,
    /// What its headers use.
    pub(crate) uses: Option<&'static str>,
}

/// What has passed a proxy.
#[derive(Default)]
pub(crate) struct Seen {
    /// Frames that are to be forwarded, which the sender before the node had from another, and those that were its own.
    pub(crate) forwarded: AtomicUsize,
    pub(crate) own: AtomicUsize,
    /// Frames that no node may send on.
    pub(crate) hop_local: AtomicUsize,
    /// Headers of this version's senders, as they came.
    pub(crate) headers: Mutex<Vec<Vec<u8>>>,
    pub(crate) connections: AtomicUsize,
}

/// Before a node: holds each connection up behind so many bytes, until the gate opens.
pub(crate) type Hold = Option<(usize, Arc<Gate>)>;

/// A node at that place of the list.
pub(crate) fn node(
    later: &Arc<Later>,
    place: usize,
    hold: Hold,
    make: impl FnOnce(&dyn Fn(&mut NodeConfig)) -> TestNode,
) -> (TestNode, Arc<Seen>) {
    let (proxy, seen) = (Proxy::new(), Arc::new(Seen::default()));
    let address = proxy.address;
    let has_feature = later.places.contains(&Some(place));
    let mut node = make(&move |config: &mut NodeConfig| {
        config.also.push(address);
        if has_feature {
            config.features = Features::new([FEATURE]).unwrap();
        }
    });
    let (later, count, own) = (Arc::clone(later), Arc::clone(&seen), node.own);
    proxy.run_each(move |from| {
        let (later, seen, hold) = (Arc::clone(&later), Arc::clone(&count), hold.clone());
        join(from, own, &later, place, &seen, hold);
    });
    node.address = address;
    (node, seen)
}

fn join(from: TcpStream, to: SocketAddr, later: &Arc<Later>, place: usize, seen: &Arc<Seen>, hold: Hold) {
    // Nobody there: closing says so.
    let Ok(onward) = TcpStream::connect(to) else { return };
    seen.connections.fetch_add(1, Ordering::Relaxed);
    for socket in [&from, &onward] {
        socket.set_nodelay(true).unwrap();
    }
    let nonce = Arc::new(Mutex::new(None));
    let ready = Arc::new(AtomicBool::new(false));
    let mut down = Down {
        later: Arc::clone(later),
        seen: Arc::clone(seen),
        nonce: Arc::clone(&nonce),
        ready: Arc::clone(&ready),
        stage: Stage::Header(Vec::new()),
    };
    let mut up =
        Up { is_later: later.places.contains(&Some(place)), nonce, ready, pending: Vec::new(), lines: None };
    let (back_from, back_to) = (onward.try_clone().unwrap(), from.try_clone().unwrap());
    thread::spawn(move || {
        let mut passed = 0;
        pump(&from, &onward, |bytes| {
            passed += bytes.len();
            if let Some((_, gate)) = hold.as_ref().filter(|(at, _)| passed > *at) {
                gate.pass();
            }
            down.push(bytes)
        });
    });
    thread::spawn(move || pump(&back_from, &back_to, |bytes| up.push(bytes)));
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, mut change: impl FnMut(&[u8]) -> Vec<u8>) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        match from.read(&mut bytes) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(count) => {
                if to.write_all(&change(&bytes[..count])).is_err() {
                    // Whoever sends shall not wait for somebody who is gone.
                    break drop(from.shutdown(Shutdown::Both));
                }
            }
            Err(_) => break drop(to.shutdown(Shutdown::Both)),
        }
    }
}

/// Away from the source.
struct Down {
    later: Arc<Later>,
    seen: Arc<Seen>,
    nonce: Arc<Mutex<Option<Nonce>>>,
    /// Whether the node has said where the payload begins.
    ready: Arc<AtomicBool>,
    stage: Stage,
}

enum Stage {
    Header(Vec<u8>),
    Proof {
        left: usize,
        payload: Payload,
    },
    Payload(Payload),
    /// Not of wire 2: it passes as it is.
    Bare,
}

struct Payload {
    /// What the sender's own frames are made with, if it is of next year.
    own: Option<(FrameWriter, Random)>,
    frames: Frames,
}

const PROOF_BYTES: usize = 53;
/// What comes behind the text of a header.
const EOH: &[u8] = b"\nEOH : ";

impl Down {
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        match std::mem::replace(&mut self.stage, Stage::Bare) {
            Stage::Header(mut pending) => {
                pending.extend_from_slice(bytes);
                self.header(pending)
            }
            Stage::Proof { left, payload } => {
                let (proof, rest) = bytes.split_at(left.min(bytes.len()));
                let left = left - proof.len();
                let mut out = proof.to_vec();
                if left > 0 {
                    self.stage = Stage::Proof { left, payload };
                } else {
                    out.extend(self.payload(payload, rest));
                }
                out
            }
            Stage::Payload(payload) => self.payload(payload, bytes),
            Stage::Bare => bytes.to_vec(),
        }
    }

    fn header(&mut self, pending: Vec<u8>) -> Vec<u8> {
        if !(pending.ends_with(b"\n") && pending.windows(7).any(|window| window == EOH)) {
            self.stage = Stage::Header(pending);
            return Vec::new();
        }
        self.seen.headers.lock().unwrap().push(pending.clone());
        let hex = |key: &str| {
            let text = value(&pending, key)?;
            let bytes = u128::from_str_radix(text.as_str()?, 16).ok()?;
            Some(bytes.to_be_bytes())
        };
        let (Some(nonce), Some(transfer)) = (hex("nonce"), hex("transfer")) else { return pending };
        *self.nonce.lock().unwrap() = Some(Nonce(nonce));
        let from = value(&pending, "from").and_then(|from| from.as_u64());
        let from = from.map(|from| usize::try_from(from).unwrap());
        let is_later = self.later.places.contains(&from);
        let key = keys().frame_key(&TransferId(transfer)).unwrap();
        let own = is_later.then(|| (FrameWriter::new(key), Random::new(u64::from(nonce[0]))));
        let payload = Payload { own, frames: Frames::default() };
        self.stage = Stage::Proof { left: PROOF_BYTES, payload };
        let sends = value(&pending, "verb").is_some_and(|verb| verb == "send");
        let uses = self.later.uses.filter(|_| sends);
        let made = if is_later { later::header(PASSWORD, &pending, uses) } else { None };
        made.unwrap_or(pending)
    }

    fn payload(&mut self, mut payload: Payload, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for frame in payload.frames.push(bytes) {
            if later::is_extension(&frame) {
                let forwarded = later::is_forwarded(&frame);
                let count = if forwarded { &self.seen.forwarded } else { &self.seen.hop_local };
                count.fetch_add(1, Ordering::Relaxed);
            }
            // Nothing goes before `ready`, and nothing behind an ABORT.
            let aborts = frame[0] == 4;
            if self.ready.load(Ordering::Acquire) && !aborts {
                out.extend(self.own(&mut payload));
            }
            out.extend(&frame);
            if frame[0] == 5 || frame[0] == 3 {
                out.extend(self.own(&mut payload));
            }
        }
        self.stage = Stage::Payload(payload);
        out
    }

    fn own(&self, payload: &mut Payload) -> Vec<u8> {
        let Some((writer, random)) = &mut payload.own else { return Vec::new() };
        let most = if random.below(50) == 0 { 65_537 } else { 300 };
        let extension = later::extension(random, most);
        self.seen.own.fetch_add(usize::from(extension.is_forwarded()), Ordering::Relaxed);
        encode(writer, extension)
    }
}

/// Towards the source.
struct Up {
    is_later: bool,
    nonce: Arc<Mutex<Option<Nonce>>>,
    ready: Arc<AtomicBool>,
    pending: Vec<u8>,
    lines: Option<Lines>,
}

impl Up {
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let Some(end) = self.pending.iter().rposition(|&byte| byte == b'\n') else { return Vec::new() };
        let lines: Vec<u8> = self.pending.drain(..=end).collect();
        if lines.windows(14).any(|window| window == b"\"line\":\"ready\"") {
            self.ready.store(true, Ordering::Release);
        }
        if !self.is_later {
            return lines;
        }
        let mut out = Vec::new();
        for line in lines.split_inclusive(|&byte| byte == b'\n') {
            match &mut self.lines {
                Some(lines) => out.extend(lines.push(line)),
                None => {
                    self.lines = self.challenged(line);
                    out.extend(line);
                }
            }
        }
        out
    }

    fn challenged(&self, line: &[u8]) -> Option<Lines> {
        let text = std::str::from_utf8(line).ok()?;
        let (_, rest) = text.split_once(r#""challenge":""#)?;
        let challenge = u128::from_str_radix(rest.get(..32)?, 16).ok()?;
        let nonce = (*self.nonce.lock().unwrap())?;
        Some(Lines::new(PASSWORD, nonce, Nonce(challenge.to_be_bytes())))
    }
}

/// The value of a key of a header that the peer sends.
pub(crate) fn value(header: &[u8], key: &str) -> Option<Value> {
    let end = header.windows(7).position(|window| window == EOH)?;
    let value: Value = serde_json::from_slice(&header[..end]).ok()?;
    value.get(key).cloned()
}

/// The bytes of a frame that this version does not know.
fn encode(writer: &FrameWriter, extension: Extension) -> Vec<u8> {
    let (before, tag) = writer.encode(&Frame::Extension(extension)).unwrap();
    [&before[..], &tag].concat()
}
