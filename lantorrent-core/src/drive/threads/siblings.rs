//! Where each connection has a process of its own, as under inetd: how the processes of one node find each other. They
//! share no memory, but the files that they write, a socket for each, and a folder for what has ended.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::super::disk::CONTEST;
use super::archive::{Archive, Kept};
use super::counter::{Counter, belongs_to, read_line};
use super::doorbell::Doorbell;
use crate::session::{Answer, Ask, Timing};
use crate::wire::{Header, SourceHint};

/// How long it may take until it is known what becomes of a connection. Who made it waits a little longer. Who yields to
/// it first brings to the disk what there is.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a process may take to answer that has nothing to do first.
const ANSWER: Duration = Duration::from_secs(2);
/// How soon to look again whether a name is free.
const RETRY: Duration = Duration::from_millis(10);

/// What one process knows of the others.
#[derive(Debug)]
pub(super) struct Siblings {
    pub(super) archive: Archive,
    user: u32,
    /// How long to wait for a newer transfer to lose its upstream.
    contest: Duration,
    /// Tells the processes of this node from those of others on this machine.
    node: Vec<u8>,
}

/// What becomes of a new connection.
#[derive(Debug)]
pub(super) enum Turn {
    /// It goes on here, and others can ask there for the files.
    Ours(Counter),
    /// The transfer is over, with these results.
    Over(Kept),
    /// Another process has a better right to the transfer, or is about to give it up and takes its time.
    Taken,
    /// Another process has the file, and will soon have its results; it holds the other end until then.
    Finishing(UnixStream),
    /// Another process has the transfer, and does not answer.
    Silent,
    /// This node has another place in the transfer, this one.
    Elsewhere(u32),
    /// Another process has a newer transfer of the same file.
    Outdated,
}

/// Why a name cannot be had.
#[derive(Debug)]
enum Holder {
    Refuses,
    /// It has promised to let go, and has not yet.
    LetsGo,
    Finishes(UnixStream),
    Silent,
    Elsewhere(u32),
    Outdated,
    /// It is no process of this node: names are anybody's to take.
    Stranger,
}

impl Siblings {
    /// For a node that may write below these roots.
    pub(super) fn new(folder: Option<PathBuf>, timing: &Timing, roots: &[PathBuf]) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let mut node = user.to_be_bytes().to_vec();
        for root in roots.iter().filter_map(|root| root.metadata().ok()) {
            node.extend([root.dev().to_be_bytes(), root.ino().to_be_bytes()].concat());
        }
        Self { archive: Archive::open(folder, timing.retain), user, contest: timing.contest, node }
    }

    /// A name without a file, which goes with who has it.
    fn name(&self, key: &[u8]) -> String {
        format!("lantorrent-{}", blake3::hash(&[&self.node, key].concat()).to_hex())
    }

    /// Where who takes part in that transfer can be asked.
    fn of_transfer(&self, ask: &Ask) -> String {
        self.name(&[b"transfer", &ask.transfer.0[..]].concat())
    }

    /// Where who writes those files for the same source can be asked. In an order that is the same for everybody, so that
    /// no two wait for each other.
    fn of_files(&self, header: &Header) -> BTreeMap<String, String> {
        let source: Option<&SourceHint> =
            header.envelope.as_ref().and_then(|envelope| envelope.source.as_ref());
        let Some(source) = source.and_then(|source| serde_json::to_vec(source).ok()) else {
            return BTreeMap::new();
        };
        let files = header.node.requests.iter().map(|request| &request.filename);
        files
            .map(|file| (self.name(&[b"file", &source[..], file.as_bytes()].concat()), file.clone()))
            .collect()
    }

    /// Sees to it that no other process holds what the header asks for.
    pub(super) fn make_room(&self, header: &Header, doorbell: &Arc<Doorbell>) -> Turn {
        let mut counter = Counter::default();
        // Wire 1 goes on with nothing, and asks nobody again.
        let Some(question) = Ask::for_header(header) else { return Turn::Ours(counter) };
        let until = Instant::now() + PATIENCE;
        match self.take(&self.of_transfer(&question), &question, until) {
            Ok(listener) => counter.open(listener, self.user, doorbell),
            Err(Holder::Refuses | Holder::LetsGo) => return Turn::Taken,
            Err(Holder::Finishes(stream)) => return Turn::Finishing(stream),
            Err(Holder::Elsewhere(place)) => return Turn::Elsewhere(place),
            Err(Holder::Silent) => {
                log::warn!("another process of this node has the transfer, and does not answer");
                return Turn::Silent;
            }
            Err(Holder::Stranger | Holder::Outdated) => {
                log::warn!("the name that goes with a transfer is not to be had");
            }
        }
        // Who had the name before has left word by now.
        if let Some(kept) = self.archive.results(&question) {
            return Turn::Over(kept);
        }
        for (name, file) in self.of_files(header) {
            match self.contest(&name, &question, until) {
                Ok(listener) => counter.open(listener, self.user, doorbell),
                Err(Holder::Outdated) => return Turn::Outdated,
                // Its lock tells whether it can be had all the same.
                Err(holder) => {
                    log::warn!("{file}: another process keeps the name that goes with it: {holder:?}");
                }
            }
        }
        Turn::Ours(counter)
    }

    /// Whether there are processes that would make room for that header, by all that can be known without asking them to.
    pub(super) fn would_make_room(&self, header: &Header) -> bool {
        let names = self.of_files(header).into_keys();
        names.into_iter().any(|name| connect(&name).is_ok_and(|stream| belongs_to(&stream, self.user)))
    }

    /// Takes a name for this process. Where a newer transfer has it, that may be about to lose its upstream.
    fn contest(&self, name: &str, question: &Ask, until: Instant) -> Result<UnixListener, Holder> {
        let settled = (Instant::now() + self.contest).min(until);
        loop {
            match self.take(name, question, until) {
                Err(Holder::Outdated) if Instant::now() < settled => thread::sleep(CONTEST),
                taken => return taken,
            }
        }
    }

    /// Takes a name for this process. Who has it is asked to give it up.
    fn take(&self, name: &str, question: &Ask, until: Instant) -> Result<UnixListener, Holder> {
        loop {
            match SocketAddr::from_abstract_name(name).and_then(|name| UnixListener::bind_addr(&name)) {
                Ok(listener) => return Ok(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    log::warn!("cannot listen to other processes of this node: {error}");
                    return Err(Holder::Stranger);
                }
            }
            match self.ask(name, question, until) {
                // It is gone, or about to go; or it has just come, and does not listen yet.
                Err(error) if is_absence(&error) => thread::sleep(RETRY),
                Err(error) => {
                    log::debug!("a process of this node does not say whether it makes room: {error}");
                    return Err(Holder::Silent);
                }
                Ok(Err(holder)) => return Err(holder),
                // Somebody else may be faster, and is asked in turn.
                Ok(Ok(())) => {}
            }
            if Instant::now() >= until {
                return Err(Holder::Stranger);
            }
        }
    }

    /// Asks who has that name, and waits until it is given up.
    fn ask(&self, name: &str, question: &Ask, until: Instant) -> io::Result<Result<(), Holder>> {
        let mut stream = connect(name)?;
        if !belongs_to(&stream, self.user) {
            return Ok(Err(Holder::Stranger));
        }
        stream.set_write_timeout(Some(ANSWER))?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let answer = read_line(&stream)?;
        if answer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(match serde_json::from_str(&answer)? {
            Answer::No => Err(Holder::Refuses),
            Answer::Finishing => Err(Holder::Finishes(stream)),
            Answer::Elsewhere(place) => Err(Holder::Elsewhere(place)),
            Answer::Outdated => Err(Holder::Outdated),
            Answer::Yes if ends_by(&stream, until)? => Ok(()),
            Answer::Yes => Err(Holder::LetsGo),
        })
    }
}

/// Whether nobody is there any more, or the one who was has just gone.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | UnexpectedEof)
}

/// Never waits for long, as it would where nobody accepts and the queue is full.
fn connect(name: &str) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(ANSWER))?;
    socket.connect(&SockAddr::unix(format!("\0{name}"))?)?;
    Ok(OwnedFd::from(socket).into())
}

/// Whether the other side closes by then. It has nothing more to say.
fn ends_by(mut stream: &UnixStream, until: Instant) -> io::Result<bool> {
    let patience = until.saturating_duration_since(Instant::now());
    stream.set_read_timeout(Some(patience.max(RETRY)))?;
    match stream.read(&mut [0]) {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Ok(false)
        }
        Ok(_) | Err(_) => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::wire::TransferId;

    const SOON: Duration = Duration::from_millis(300);

    fn question() -> Ask {
        Ask { transfer: TransferId([7; 16]), index: 3, from: None, begun: None, source: None }
    }

    /// The folder of a test that is over may have had the same number, and somebody may still listen there.
    static TESTS: AtomicU64 = AtomicU64::new(0);

    /// Processes of a node that no other test has, and a name.
    fn siblings() -> (Siblings, String, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut siblings = Siblings::new(None, &Timing::default(), &[folder.path().to_owned()]);
        siblings.node.extend(TESTS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        let name = siblings.of_transfer(&question());
        (siblings, name, folder)
    }

    fn bind(name: &str) -> UnixListener {
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
    }

    fn take(siblings: &Siblings, name: &str, within: Duration) -> Result<UnixListener, Holder> {
        siblings.take(name, &question(), Instant::now() + within)
    }

    /// A process that answers the first question so, and what it does then.
    fn answers(
        name: &str,
        answer: &'static str,
        then: impl FnOnce(UnixListener, UnixStream) + Send + 'static,
    ) {
        let listener = bind(name);
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            read_line(&stream).unwrap();
            (&stream).write_all(answer.as_bytes()).unwrap();
            then(listener, stream);
        });
    }

    #[test]
    fn a_free_name_is_taken_and_given_back() {
        let (siblings, name, _folder) = siblings();
        let doorbell = Doorbell::new(sync_channel(1).0);
        for _ in 0..20 {
            let mut counter = Counter::default();
            counter.open(take(&siblings, &name, PATIENCE).unwrap(), siblings.user, &doorbell);
        }
    }

    #[test]
    fn who_lets_go_is_waited_for() {
        let (siblings, name, _folder) = siblings();
        let start = Instant::now();
        answers(&name, "\"yes\"\n", |listener, stream| {
            thread::sleep(SOON);
            drop(listener);
            drop(stream);
        });
        take(&siblings, &name, PATIENCE).unwrap();
        assert!(start.elapsed() >= SOON);
    }

    #[test]
    fn who_takes_too_long_to_let_go_is_said_to() {
        let (siblings, name, _folder) = siblings();
        answers(&name, "\"yes\"\n", |_listener, _stream| thread::sleep(PATIENCE));
        assert!(matches!(take(&siblings, &name, SOON), Err(Holder::LetsGo)));
    }

    #[test]
    fn who_refuses_is_believed() {
        let (siblings, name, _folder) = siblings();
        answers(&name, "\"no\"\n", |_, _| ());
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Refuses)));
    }

    #[test]
    fn who_is_elsewhere_in_the_list_says_where() {
        let (siblings, name, _folder) = siblings();
        answers(&name, "{\"elsewhere\":9}\n", |_, _| ());
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Elsewhere(9))));
    }

    #[test]
    fn who_dies_while_it_is_asked_is_out_of_the_way() {
        let (siblings, name, _folder) = siblings();
        for read in [false, true] {
            let listener = bind(&name);
            thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                thread::sleep(SOON);
                if read {
                    read_line(&stream).unwrap();
                }
            });
            take(&siblings, &name, PATIENCE).unwrap();
        }
        answers(&name, "\"ye", |_, _| ());
        take(&siblings, &name, PATIENCE).unwrap();
        // Not even accepted: it was stopped, and then killed.
        let listener = bind(&name);
        thread::spawn(move || {
            thread::sleep(SOON);
            drop(listener);
        });
        take(&siblings, &name, PATIENCE).unwrap();
    }

    #[test]
    fn who_is_stopped_or_talks_nonsense_is_told_apart_from_who_refuses() {
        let (siblings, name, _folder) = siblings();
        for (number, nonsense) in ["\"maybe\"\n", "\u{1b}[2J", "{\"elsewhere\":-1}\n"].into_iter().enumerate()
        {
            let name = format!("{name}-{number}");
            answers(&name, nonsense, |_, _| ());
            assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Silent)), "{nonsense:?}");
        }
        let _stopped = bind(&name);
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Silent)));
    }

    #[test]
    fn what_strangers_do_with_the_name_changes_nothing() {
        let (mut siblings, name, _folder) = siblings();
        // It listens to nobody.
        let squatter = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        squatter.bind(&SockAddr::unix(format!("\0{name}")).unwrap()).unwrap();
        assert!(matches!(take(&siblings, &name, SOON), Err(Holder::Stranger)));
        // Its queue is full.
        squatter.listen(0).unwrap();
        let _queue = connect(&name).unwrap();
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Silent)));
        drop(squatter);
        // It is another user's.
        answers(&name, "\"no\"\n", |_, _| ());
        siblings.user += 1;
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Stranger)));
    }

    #[test]
    fn a_question_that_is_none_reaches_nobody() {
        let (siblings, name, _folder) = siblings();
        let doorbell = Doorbell::new(sync_channel(1).0);
        let mut counter = Counter::default();
        counter.open(take(&siblings, &name, PATIENCE).unwrap(), siblings.user, &doorbell);
        for words in ["", "\n", "none\n", "{\"transfer\":1}\n", "\u{1b}", &"[".repeat(1 << 16)] {
            let mut stream = connect(&name).unwrap();
            let _ = stream.write_all(words.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = read_line(&stream);
        }
        assert!(doorbell.answer().is_none());
        let mut stream = connect(&name).unwrap();
        stream.write_all(&serde_json::to_vec(&question()).unwrap()).unwrap();
        stream.write_all(b"\n").unwrap();
        while doorbell.answer().is_none() {
            thread::sleep(RETRY);
        }
    }
}
