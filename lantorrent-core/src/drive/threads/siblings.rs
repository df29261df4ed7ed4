//! Where each connection has a process of its own, as under inetd: how the processes of one node find each other. They
//! share no memory, but the files that they write, a socket for each, and a folder for what has ended.

use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use socket2::SockRef;

use super::doorbell::{Doorbell, Knock};
use crate::session::{Answer, Ask};
use crate::wire::{Header, SealedReport, TransferId};

/// How long a question may take. Who yields first brings to the disk what there is.
const PATIENCE: Duration = Duration::from_secs(4);
/// Bytes of a question.
const LINE_BYTES: u64 = 4096;

/// What one process knows of the others.
#[derive(Debug)]
pub(super) struct Siblings {
    /// Where results are kept.
    folder: Option<PathBuf>,
    retain: Duration,
    /// Tells the processes of this node from those of others on this machine.
    node: Vec<u8>,
}

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Turn {
    /// The files are free, as far as anybody knows.
    Free,
    /// Another process has a better right to the transfer.
    Taken,
    /// Another process has the file, and will soon have its results; it holds the other end until then.
    Finishing(UnixStream),
}

impl Siblings {
    /// For a node that may write below these roots.
    pub(super) fn new(folder: Option<PathBuf>, retain: Duration, roots: &[PathBuf]) -> Self {
        let mut node = rustix::process::geteuid().as_raw().to_be_bytes().to_vec();
        for root in roots.iter().filter_map(|root| root.metadata().ok()) {
            node.extend([root.dev().to_be_bytes(), root.ino().to_be_bytes()].concat());
        }
        let this = Self { folder, retain, node };
        this.forget_old();
        this
    }

    /// A name without a file, which goes with who has it.
    fn address(&self, key: &[u8]) -> io::Result<SocketAddr> {
        let hash = blake3::hash(&[&self.node, key].concat());
        SocketAddr::from_abstract_name(format!("lantorrent-{}", hash.to_hex()))
    }

    /// Where who takes part in that transfer can be asked.
    fn of_transfer(&self, ask: &Ask) -> io::Result<SocketAddr> {
        self.address(&[b"transfer", &ask.transfer.0[..], &ask.index.to_be_bytes()].concat())
    }

    /// Where who writes those files for the same source can be asked.
    fn of_files(&self, header: &Header, ask: &Ask) -> Vec<SocketAddr> {
        let Some(source) = ask.source.as_ref().and_then(|source| serde_json::to_vec(source).ok()) else {
            return Vec::new();
        };
        let requests = header.node.requests.iter();
        let keys = requests.map(|request| [b"file", &source[..], request.filename.as_bytes()].concat());
        keys.filter_map(|key| self.address(&key).ok()).collect()
    }

    /// Asks whoever has to do with the same transfer, or the same files, to make room.
    pub(super) fn make_room(&self, header: &Header) -> Turn {
        let Some(question) = Ask::for_header(header) else { return Turn::Free };
        let asked = self.of_transfer(&question).and_then(|address| ask(&address, &question));
        match asked {
            Ok((Answer::No, _)) => return Turn::Taken,
            Ok((Answer::Finishing, stream)) => return Turn::Finishing(stream),
            Ok((Answer::Yes, _)) => return Turn::Free,
            // Nobody is there, or he has just gone.
            Err(error) if is_absence(&error) => {}
            Err(error) => {
                log::warn!("a process of this node does not say whether it makes room: {error}");
                return Turn::Taken;
            }
        }
        for address in self.of_files(header, &question) {
            // Who does not make room is found by the lock on his file.
            if let Err(error) = ask(&address, &question)
                && !is_absence(&error)
            {
                log::warn!("a process of this node does not make room: {error}");
            }
        }
        Turn::Free
    }

    /// From now on others can ask the session behind that doorbell.
    pub(super) fn open_counter(&self, header: &Header, doorbell: &Arc<Doorbell>) -> Counter {
        let Some(ask) = Ask::for_header(header) else { return Counter(Vec::new()) };
        let addresses = self.of_transfer(&ask).into_iter().chain(self.of_files(header, &ask));
        let listeners = addresses.filter_map(|address| listen(&address, Arc::clone(doorbell)));
        Counter(listeners.collect())
    }

    fn results_file(&self, transfer: &TransferId, index: u32) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{transfer}-{index}.results")))
    }

    /// How a transfer has ended here, if it has of late.
    pub(super) fn results(&self, header: &Header) -> Option<Vec<SealedReport>> {
        let transfer = header.envelope.as_ref()?.transfer;
        let text = std::fs::read(self.results_file(&transfer, header.node.index)?).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps what became of a transfer for whoever asks again.
    pub(super) fn keep(&self, transfer: &TransferId, index: u32, results: &[SealedReport]) {
        let Some(file) = self.results_file(transfer, index) else { return };
        if let Err(error) = write_whole(&file, results) {
            log::warn!("cannot keep the results of a transfer in {}: {error}", file.display());
        }
    }

    fn forget_old(&self) {
        let Some(folder) = &self.folder else { return };
        let Ok(entries) = folder.read_dir() else { return };
        for entry in entries.flatten() {
            let old = entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age >= self.retain));
            if old && entry.path().extension().is_some_and(|extension| extension == "results") {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Nobody sees half of it: it gets its name when it is whole.
fn write_whole(file: &Path, results: &[SealedReport]) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let new = file.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(results)?)?;
    std::fs::rename(&new, file)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::UnexpectedEof)
}

/// Only processes of the same user are believed: names without a file are anybody's to take.
fn is_ours(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

fn ask(address: &SocketAddr, question: &Ask) -> io::Result<(Answer, UnixStream)> {
    let mut stream = UnixStream::connect_addr(address)?;
    if !is_ours(&stream) {
        return Err(io::Error::other("it belongs to another user"));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(io::Read::take(&stream, LINE_BYTES)).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((serde_json::from_str(&answer)?, stream))
}

/// Where others ask. Nobody can any more when this is dropped.
#[derive(Debug)]
pub(super) struct Counter(Vec<Arc<UnixListener>>);

impl Drop for Counter {
    fn drop(&mut self) {
        for listener in &self.0 {
            // Wakes the thread that waits in accept.
            let _ = SockRef::from(listener.as_ref()).shutdown(std::net::Shutdown::Both);
        }
    }
}

fn listen(address: &SocketAddr, doorbell: Arc<Doorbell>) -> Option<Arc<UnixListener>> {
    let listener = Arc::new(UnixListener::bind_addr(address).ok()?);
    let accepting = Arc::clone(&listener);
    let accept = move || {
        while let Ok((stream, _)) = accepting.accept() {
            match read_question(&stream) {
                Ok(ask) => doorbell.ring(Knock::Ask(ask, stream)),
                Err(error) => {
                    log::warn!("a process of this machine asked for nothing that makes sense: {error}");
                }
            }
        }
    };
    thread::Builder::new().name("counter".into()).spawn(accept).ok()?;
    Some(listener)
}

fn read_question(stream: &UnixStream) -> io::Result<Ask> {
    if !is_ours(stream) {
        return Err(io::Error::other("it belongs to another user"));
    }
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, LINE_BYTES)).read_line(&mut line)?;
    Ok(serde_json::from_str(&line)?)
}

/// Those who have asked the session, in order, and what they were promised.
#[derive(Debug, Default)]
pub(super) struct Askers {
    waiting: std::collections::VecDeque<UnixStream>,
    promised: Vec<UnixStream>,
    patient: Vec<UnixStream>,
}

impl Askers {
    pub(super) fn add(&mut self, stream: UnixStream) {
        self.waiting.push_back(stream);
    }

    /// The session has answered the first of them.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Some(stream) = self.waiting.pop_front() else { return };
        match answer {
            // When the files are free.
            Answer::Yes => self.promised.push(stream),
            Answer::No => say(&stream, answer),
            Answer::Finishing => {
                say(&stream, answer);
                self.patient.push(stream);
            }
        }
    }

    /// The files are free.
    pub(super) fn keep_promises(&mut self) {
        self.promised.drain(..).for_each(|stream| say(&stream, Answer::Yes));
    }
}

fn say(mut stream: &UnixStream, answer: Answer) {
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    // Who asked may have gone.
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let _ = stream.write_all(&line);
}
