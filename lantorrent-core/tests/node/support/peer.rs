//! A sender made by hand.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lantorrent_core::wire::{
    Abort, Code, Destination, Envelope, Frame, FromNode, HEAD_BYTES, Header, Line, LineReader, Nonce,
    PayloadWriter, RawWriter, Report, ReportReader, Request, ResultKey, RootHasher, SealedReport, SourceHint,
    Sum, TAG_BYTES, TransferKey, Wire, digest, proof,
};

use super::{TestNode, keys};

use crate::with::with;

/// Nothing waits longer than this for a node, and then the test fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// 128 bits that no other call gives.
fn unique() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes()
}

fn destination(node: &TestNode, index: u32, files: &[&str]) -> Destination {
    let request =
        |name: &&str| Request::new(node.path(name).to_str().unwrap().to_owned(), format!("{index} {name}"));
    with(
        Destination::new(
            node.address.ip().to_string(),
            node.address.port(),
            files.iter().map(request).collect(),
        ),
        |it| it.index = index,
    )
}

/// The keys of all transfers of this process, so that whatever has a header can sign the end.
static KEYS: Mutex<Vec<TransferKey>> = Mutex::new(Vec::new());

/// The key of a transfer of its own.
pub(crate) fn transfer_key() -> TransferKey {
    let key = TransferKey::new(&[unique(), unique()].concat().try_into().unwrap());
    KEYS.lock().unwrap().push(key.clone());
    key
}

/// The key of a header's transfer.
pub(crate) fn key_of(header: &Header) -> TransferKey {
    let transfer = header.envelope.as_ref().unwrap().transfer;
    KEYS.lock().unwrap().iter().find(|key| key.transfer() == transfer).unwrap().clone()
}

/// A header that asks `nodes` in a chain for the same files. The ids are index and name.
pub(crate) fn header_for(wire: Wire, nodes: &[&TestNode], files: &[&str], length: Option<u64>) -> Header {
    let mut list = (0..).zip(nodes).map(|(index, node)| destination(node, index, files));
    let node = list.next().unwrap();
    let expires = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 60;
    let envelope = Envelope::new(transfer_key().signer(), Nonce(unique()), expires, nodes[0].address);
    with(Header::new(node, length, 4096), |it| {
        it.destinations = list.collect();
        it.envelope = (wire == Wire::Two).then_some(envelope);
    })
}

/// A header that asks one node for one file.
pub(crate) fn header(wire: Wire, node: &TestNode, file: &str, length: u64) -> Header {
    header_for(wire, &[node], &[file], Some(length))
}

/// All that is sent behind a header, and on wire 2 the proof.
pub(crate) fn payload(header: &Header, content: &[u8]) -> Vec<u8> {
    let writer = PayloadWriter::new(header, &keys()).unwrap();
    let mut bytes = Vec::new();
    let mut put = |frame: &Frame, data: &[u8]| {
        let wrapping = writer.encode(frame).unwrap();
        bytes.extend([&wrapping.before, data, &wrapping.after].concat());
    };
    let size = content.len() as u64;
    if header.wire() == Wire::One {
        let mut md5 = RawWriter::default();
        md5.update(content);
        put(&Frame::Data { offset: 0, len: 0, digest: None }, content);
        put(&Frame::End { size, sum: Sum::Md5(md5.sum()) }, &[]);
        return bytes;
    }
    let mut root = RootHasher::new(header.block_size);
    let mut offset = 0;
    for block in content.chunks(header.block_size as usize) {
        let digest = digest(block);
        root.block(&digest);
        put(&Frame::Data { offset, len: u32::try_from(block.len()).unwrap(), digest: Some(digest) }, block);
        offset += block.len() as u64;
    }
    let signed = key_of(header).sign(size, header.block_size, root.root());
    put(&Frame::End { size, sum: Sum::Root(signed) }, &[]);
    bytes
}

/// Bytes that a whole block takes in the payload.
fn frame_len(header: &Header) -> usize {
    match header.wire() {
        Wire::One => header.block_size as usize,
        Wire::Two => HEAD_BYTES + header.block_size as usize + TAG_BYTES,
    }
}

/// The beginning of that: as many blocks as are said, whole.
pub(crate) fn first_blocks(header: &Header, content: &[u8], blocks: usize) -> Vec<u8> {
    payload(header, content)[..blocks * frame_len(header)].to_vec()
}

/// The rest of that, without so many blocks.
pub(crate) fn without_blocks(header: &Header, content: &[u8], blocks: usize) -> Vec<u8> {
    payload(header, content)[blocks * frame_len(header)..].to_vec()
}

/// Says which version of which file it is. Equal names are equal versions.
pub(crate) fn of_version(mut header: Header, name: &str) -> Header {
    let hint = with(SourceHint::new(name.to_owned()), |it| {
        it.size = header.length;
        it.mtime = Some(1);
    });
    header.envelope.as_mut().unwrap().source = Some(hint);
    header
}

/// The same, as another transfer.
pub(crate) fn anew(mut header: Header) -> Header {
    let envelope = header.envelope.as_mut().unwrap();
    let signer = transfer_key().signer();
    (envelope.transfer, envelope.signer) = (signer.transfer(), Some(signer));
    header
}

/// The same, in another place of the list, as made by that one.
pub(crate) fn from_to(mut header: Header, from: Option<u32>, index: u32) -> Header {
    header.envelope.as_mut().unwrap().from = from;
    header.node.index = index;
    header
}

/// Sends bytes, says that this was all, and returns what comes back until the node closes.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let socket = connect(address);
    // A node that has heard enough may be gone before it has read all of it.
    let _ = (&socket).write_all(bytes).and_then(|()| socket.shutdown(Shutdown::Write));
    read_to_end(&socket)
}

pub(super) fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Reads until the other side closes or resets.
pub(super) fn read_to_end(mut socket: &TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("the node neither speaks nor closes: {error}"),
        }
    }
}

pub(crate) struct Peer {
    pub(crate) socket: TcpStream,
    pub(crate) header: Header,
    lines: LineReader,
    /// Of the node, once it has challenged.
    challenge: Cell<Option<Nonce>>,
    unread: Vec<u8>,
}

impl Peer {
    /// Connects and says nothing.
    pub(crate) fn silent(address: SocketAddr) -> TcpStream {
        connect(address)
    }

    /// Connects to where the header is meant to go, and sends it.
    pub(crate) fn greet(header: Header, address: SocketAddr) -> Self {
        let socket = connect(address);
        (&socket).write_all(&header.sign(&keys()).unwrap()).unwrap();
        let nonce = header.envelope.as_ref().map_or(Nonce([0; 16]), |envelope| envelope.nonce);
        let (lines, challenge) = (LineReader::new(keys(), nonce), Cell::default());
        Self { socket, header, lines, challenge, unread: Vec::new() }
    }

    /// Comes so far that the node waits for the payload.
    pub(crate) fn ready(header: Header, address: SocketAddr) -> Self {
        Self::ready_at(header, address, 0)
    }

    /// Comes so far that the node waits for the payload from that offset on.
    #[track_caller]
    pub(crate) fn ready_at(header: Header, address: SocketAddr, offset: u64) -> Self {
        let wire = header.wire();
        let mut peer = Self::greet(header, address);
        if wire == Wire::Two {
            peer.prove();
            assert_eq!(peer.line(), Some(Line::Ready { offset }));
        }
        peer
    }

    /// Answers the challenge and hears that it is accepted.
    pub(crate) fn prove(&mut self) {
        let Some(Line::Challenge { challenge }) = self.line() else { panic!("no challenge") };
        self.answer(&challenge);
        assert_eq!(self.line(), Some(Line::ACCEPTED));
    }

    /// Answers the challenge.
    pub(crate) fn answer(&self, challenge: &Nonce) {
        self.challenge.set(Some(*challenge));
        self.write(&proof::line(&keys(), &self.lines.nonce(), challenge).unwrap());
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        (&self.socket).write_all(bytes).unwrap();
    }

    /// A frame of wire 2, or what there is instead on wire 1.
    pub(crate) fn frame(&self, frame: &Frame, data: &[u8]) {
        let wrapping = PayloadWriter::new(&self.header, &keys()).unwrap().encode(frame).unwrap();
        self.write(&[&wrapping.before, data, &wrapping.after].concat());
    }

    /// Gives the transfer up, in the way of its wire, and returns the code that this leads to.
    pub(crate) fn give_up(&self) -> Code {
        if self.header.wire() == Wire::One {
            self.socket.shutdown(Shutdown::Write).unwrap();
            return Code::CONNECTION_LOST;
        }
        self.frame(&Frame::Abort(Abort::new(Code::STOPPED, "enough".into())), &[]);
        Code::STOPPED
    }

    /// The next thing that the node says, none when it closes.
    pub(crate) fn said(&mut self) -> Option<FromNode> {
        loop {
            while !self.unread.is_empty() {
                let (used, said) = self.lines.push(&self.unread).unwrap();
                self.unread.drain(..used);
                if said.is_some() {
                    return said;
                }
            }
            let mut bytes = [0; 4096];
            let count = self.socket.read(&mut bytes).unwrap();
            if count == 0 {
                return None;
            }
            self.unread.extend_from_slice(&bytes[..count]);
        }
    }

    /// The next line, none when it closes or says nothing within the time that its socket allows.
    pub(crate) fn line_soon(&mut self) -> Option<Line> {
        loop {
            while !self.unread.is_empty() {
                let (used, said) = self.lines.push(&self.unread).unwrap();
                self.unread.drain(..used);
                match said {
                    Some(FromNode::Line(Line::Alive | Line::Progress(_))) | None => {}
                    Some(FromNode::Line(line)) => return Some(line),
                    Some(FromNode::Refusal(report)) => panic!("refused: {report:?}"),
                }
            }
            let mut bytes = [0; 4096];
            let count = self.socket.read(&mut bytes).ok().filter(|&count| count > 0)?;
            self.unread.extend_from_slice(&bytes[..count]);
        }
    }

    /// The next line that is not said by the clock.
    pub(crate) fn line(&mut self) -> Option<Line> {
        loop {
            match self.said()? {
                FromNode::Line(Line::Alive | Line::Progress(_)) => {}
                FromNode::Line(line) => return Some(line),
                FromNode::Refusal(report) => panic!("refused: {report:?}"),
            }
        }
    }

    /// The key that this connection has made, if it is the source's.
    pub(crate) fn node_key(&self) -> ResultKey {
        let challenge = self.challenge.get().expect("it was challenged");
        keys().node_key(&self.lines.nonce(), &challenge).unwrap()
    }

    /// The results as they are sealed, until the node closes.
    pub(crate) fn sealed(&mut self) -> Vec<SealedReport> {
        let result = |line| if let Line::Result(sealed) = line { Some(sealed) } else { None };
        std::iter::from_fn(|| self.line()).filter_map(result).collect()
    }

    /// Reads a result. A node that has a key uses it towards the source, be it of this connection or of a later one, which
    /// this peer cannot verify.
    #[track_caller]
    pub(crate) fn open(&self, sealed: &SealedReport) -> Report {
        let envelope = self.header.envelope.as_ref().unwrap();
        let report = sealed.read().unwrap();
        let own = self.node_key();
        let is_bound = envelope.from.is_none() && report.by == Some(self.header.node.index);
        match sealed.key_id() {
            None if is_bound => panic!("sealed with a key that every node has: {report:?}"),
            None => sealed.open(&keys().result_key(&envelope.transfer).unwrap()).unwrap(),
            id if id == own.id() => sealed.open(&own).unwrap(),
            Some(_) => report,
        }
    }

    /// All results, in order of their ids, until the node closes.
    pub(crate) fn reports(mut self) -> Vec<Report> {
        let mut reports = Vec::new();
        if self.header.wire() == Wire::Two {
            while let Some(line) = self.line() {
                let Line::Result(sealed) = line else { panic!("{line:?} out of turn") };
                reports.push(self.open(&sealed));
            }
        } else {
            let bytes = read_to_end(&self.socket);
            let (mut reader, mut used) = (ReportReader::default(), 0);
            while used < bytes.len() {
                let (count, report) = reader.push(&bytes[used..]).unwrap();
                used += count;
                reports.extend(report);
            }
        }
        reports.sort_by_key(|report| report.id.clone());
        reports
    }

    /// The codes of all results, in order of their ids, until the node closes.
    pub(crate) fn codes(self) -> Vec<u16> {
        self.reports().iter().map(|report| report.code.0).collect()
    }
}
