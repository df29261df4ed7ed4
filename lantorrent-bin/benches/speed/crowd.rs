//! Many senders at once, made by hand: as little as there can be, so that the node is what is measured.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lantorrent_core::wire::{
    Destination, Digest, Envelope, Frame, FromNode, Header, Keyring, Line, LineReader, Nonce, Password,
    PayloadWriter, Request, RootHasher, SourceHint, Sum, TransferKey, digest, proof,
};

/// Threads that the senders share.
const THREADS: usize = 8;
const BLOCK: usize = 16 << 10;
/// Who waits longer than this for the node waits in vain.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn keys() -> Keyring {
    Keyring::new(Password::new("benchmarks-need-no-secret").unwrap())
}

/// What everybody sends.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    digests: Vec<Digest>,
    root: Digest,
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let digests: Vec<Digest> = bytes.chunks(BLOCK).map(digest).collect();
        let mut root = RootHasher::new(BLOCK as u32);
        for digest in &digests {
            root.block(digest);
        }
        Self { root: root.root(), bytes, digests }
    }
}

/// Sends the content to `count` files in the folder of a node, by as many transfers. All of them are ready before the first
/// byte is sent, and then `meanwhile` is called.
pub(crate) fn send(
    to: SocketAddr,
    folder: &Path,
    content: &Content,
    count: usize,
    meanwhile: impl Fn() + Sync,
) {
    let barrier = Barrier::new(THREADS);
    thread::scope(|scope| {
        for place in 0..THREADS {
            let (barrier, meanwhile) = (&barrier, &meanwhile);
            scope.spawn(move || {
                let mine = (place..count).step_by(THREADS);
                let mut senders: Vec<Sender> =
                    mine.map(|number| Sender::ready(to, folder, number, content)).collect();
                if barrier.wait().is_leader() {
                    meanwhile();
                }
                for block in 0..content.digests.len() {
                    for sender in &mut senders {
                        sender.send(content, block);
                    }
                }
                for sender in senders {
                    sender.finish(content);
                }
            });
        }
    });
    for number in 0..count {
        let file = folder.join(name(number));
        assert!(fs::read(&file).expect("a copy") == content.bytes, "{} is not whole", file.display());
        fs::remove_file(file).expect("removing a copy");
    }
}

fn name(number: usize) -> String {
    format!("copy-{number}")
}

struct Sender {
    socket: TcpStream,
    writer: PayloadWriter,
    lines: LineReader,
    key: TransferKey,
    unread: Vec<u8>,
}

impl Sender {
    /// Comes so far that the node waits for the payload.
    fn ready(to: SocketAddr, folder: &Path, number: usize, content: &Content) -> Self {
        let (header, key) = header(to, &folder.join(name(number)), number, content.bytes.len() as u64);
        let envelope = header.envelope.as_ref().expect("a header of wire 2");
        let socket = TcpStream::connect(to).expect("a connection");
        socket.set_nodelay(true).expect("options of a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("options of a socket");
        let mut this = Self {
            socket,
            writer: PayloadWriter::new(&header, &keys()).expect("a password"),
            lines: LineReader::new(keys(), envelope.nonce),
            key,
            unread: Vec::new(),
        };
        this.write(&[&header.sign(&keys()).expect("a header")]);
        let Some(Line::Challenge { challenge }) = this.line() else { panic!("no challenge") };
        this.write(&[&proof::line(&keys(), &envelope.nonce, &challenge).expect("a password")]);
        assert_eq!(this.line(), Some(Line::ACCEPTED));
        assert_eq!(this.line(), Some(Line::Ready { offset: 0 }));
        this
    }

    fn send(&mut self, content: &Content, block: usize) {
        let data = content.bytes.chunks(BLOCK).nth(block).expect("a block");
        let (offset, digest) = ((block * BLOCK) as u64, Some(content.digests[block]));
        self.frame(&Frame::Data { offset, len: data.len() as u32, digest }, data);
    }

    fn finish(mut self, content: &Content) {
        let size = content.bytes.len() as u64;
        let signed = self.key.sign(size, BLOCK as u32, content.root);
        self.frame(&Frame::End { size, sum: Sum::Root(signed) }, &[]);
        let Some(Line::Result(sealed)) = self.line() else { panic!("no result") };
        let key = keys().result_key(&self.key.transfer()).expect("a password");
        let report = sealed.open(&key).expect("a result");
        assert!(report.code.is_success(), "{report:?}");
        assert_eq!(self.line(), None);
    }

    fn frame(&self, frame: &Frame, data: &[u8]) {
        let wrapping = self.writer.encode(frame).expect("a frame");
        self.write(&[&wrapping.before, data, &wrapping.after]);
    }

    fn write(&self, parts: &[&[u8]]) {
        (&self.socket).write_all(&parts.concat()).expect("writing to the node");
    }

    /// The next line that is not said by the clock. None at the end.
    fn line(&mut self) -> Option<Line> {
        let mut bytes = [0; 4096];
        loop {
            while !self.unread.is_empty() {
                let (used, said) = self.lines.push(&self.unread).expect("a line");
                self.unread.drain(..used);
                match said {
                    None | Some(FromNode::Line(Line::Alive | Line::Progress(_))) => {}
                    Some(FromNode::Line(line)) => return Some(line),
                    Some(FromNode::Refusal(report)) => panic!("refused: {report:?}"),
                }
            }
            let count = (&self.socket).read(&mut bytes).expect("a word of the node");
            if count == 0 {
                return None;
            }
            self.unread.extend_from_slice(&bytes[..count]);
        }
    }
}

fn header(to: SocketAddr, file: &Path, number: usize, length: u64) -> (Header, TransferKey) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    let unique = |salt: u128| ((since.as_nanos() << 32) + ((number as u128) << 4) + salt).to_be_bytes();
    let filename = file.display().to_string();
    let key = TransferKey::new(&[unique(1), unique(2)].concat().try_into().expect("32 bytes"));
    let mut source = SourceHint::new("a benchmark".into());
    (source.size, source.mtime) = (Some(length), Some(1));
    let mut envelope = Envelope::new(key.signer(), Nonce(unique(3)), since.as_secs() + 600, to);
    envelope.source = Some(source);
    envelope.begun = u64::try_from(since.as_millis()).ok();
    let requests = vec![Request::new(filename, "0".into())];
    let node = Destination::new(to.ip().to_string(), to.port(), requests);
    let mut header = Header::new(node, Some(length), BLOCK as u32);
    header.envelope = Some(envelope);
    (header, key)
}
