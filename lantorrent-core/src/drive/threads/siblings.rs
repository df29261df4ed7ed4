//! The sockets by which the processes of one node find each other, where each connection has a process of its own, as under
//! inetd. They share no memory, but the files that they write, a socket for each, and a folder for what has ended.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use super::archive::Archive;
use super::handover::{self, Handover};
use super::listeners::{belongs_to, read_line};
use crate::flow::admission::{Holder, Name};
use crate::session::{Answer, Ask, Timing};

/// How long a process may take to answer that has nothing to do first.
const ANSWER: Duration = Duration::from_secs(2);
/// How soon to look again whether a name is free.
const RETRY: Duration = Duration::from_millis(10);

/// What one process knows of the others.
#[derive(Debug)]
pub(super) struct Siblings {
    pub(super) archive: Archive,
    pub(super) user: u32,
    /// Tells the processes of this node from those of others on this machine.
    node: Vec<u8>,
}

/// The process that has a name.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) holder: Holder,
    /// The connection to it, which it holds as long as it runs.
    pub(super) stream: Option<UnixStream>,
}

impl From<Holder> for Held {
    fn from(holder: Holder) -> Self {
        Self { holder, stream: None }
    }
}

impl Siblings {
    /// For a node that may write below these roots.
    pub(super) fn new(folder: Option<PathBuf>, timing: &Timing, roots: &[PathBuf]) -> Self {
        let user = rustix::process::geteuid().as_raw();
        let mut node = user.to_be_bytes().to_vec();
        for root in roots.iter().filter_map(|root| root.metadata().ok()) {
            node.extend([root.dev().to_be_bytes(), root.ino().to_be_bytes()].concat());
        }
        Self { archive: Archive::open(folder, timing.retain), user, node }
    }

    /// An address without a file, which goes with the process that has it.
    fn address(&self, name: &Name) -> String {
        format!("lantorrent-{}", blake3::hash(&[&self.node[..], &name.key()].concat()).to_hex())
    }

    /// Takes a name for this process. A process that has it is asked to give way.
    pub(super) fn take(&self, name: &Name, question: &Ask, until: Instant) -> Result<UnixListener, Held> {
        let address = self.address(name);
        loop {
            match SocketAddr::from_abstract_name(&address).and_then(|name| UnixListener::bind_addr(&name)) {
                Ok(listener) => return Ok(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    log::warn!("cannot listen to other processes of this node: {error}");
                    return Err(Holder::Foreign.into());
                }
            }
            match self.ask(&address, question, until) {
                // It is gone, or about to go; or it has just come, and does not listen yet.
                Err(error) if is_absence(&error) => thread::sleep(RETRY),
                Err(error) => return Err(silent(&error)),
                // Another process may be faster, and is asked in turn.
                Ok(Held { holder: Holder::Gone, .. }) => {}
                Ok(held) => return Err(held),
            }
            if Instant::now() >= until {
                return Err(Holder::Foreign.into());
            }
        }
    }

    /// Asks a process that has that name to give way.
    pub(super) fn give_way(&self, name: &Name, question: &Ask, until: Instant) -> Holder {
        match self.ask(&self.address(name), question, until) {
            Ok(held) => held.holder,
            Err(error) if is_absence(&error) => Holder::Gone,
            Err(error) => silent(&error).holder,
        }
    }

    /// Hands a connection over to a process that has that name.
    pub(super) fn hand_over(&self, name: &Name, handover: &Handover<'_>, until: Instant) -> Holder {
        let address = self.address(name);
        loop {
            match self.try_hand_over(&address, handover) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Holder::Gone,
                // It was about to go, and leaves word.
                Err(error) if is_absence(&error) && Instant::now() < until => thread::sleep(RETRY),
                Err(error) => return silent(&error).holder,
                Ok(holder) => return holder,
            }
        }
    }

    fn try_hand_over(&self, address: &str, handover: &Handover<'_>) -> io::Result<Holder> {
        let Some(stream) = self.connect(address)? else { return Ok(Holder::Foreign) };
        handover::give(&stream, handover)?;
        Ok(match read_answer(&stream)? {
            Answer::Yes => Holder::HasTakenOver,
            _ => Holder::Refuses,
        })
    }

    /// Whether a process has that name, by all that can be known without asking it anything.
    pub(super) fn meet(&self, name: &Name) -> Holder {
        match self.connect(&self.address(name)) {
            Ok(Some(_)) => Holder::Refuses,
            Ok(None) => Holder::Foreign,
            Err(_) => Holder::Gone,
        }
    }

    /// Asks the process at that address, and waits until it has given way.
    fn ask(&self, address: &str, question: &Ask, until: Instant) -> io::Result<Held> {
        let Some(stream) = self.connect(address)? else { return Ok(Holder::Foreign.into()) };
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        (&stream).write_all(&line)?;
        let answer = read_answer(&stream)?;
        let mut ended = Ok(false);
        let holder = Holder::that_says(answer, || {
            ended = ends_by(&stream, until);
            matches!(ended, Ok(true))
        });
        ended.map(|_| Held { holder, stream: Some(stream) })
    }

    /// None if it is another user's process that listens there. Never waits for long, as it would where no process accepts
    /// and the queue is full.
    fn connect(&self, address: &str) -> io::Result<Option<UnixStream>> {
        let stream = connect(address)?;
        if !belongs_to(&stream, self.user) {
            return Ok(None);
        }
        stream.set_write_timeout(Some(ANSWER))?;
        stream.set_read_timeout(Some(ANSWER))?;
        Ok(Some(stream))
    }
}

fn silent(error: &io::Error) -> Held {
    log::debug!("a process of this node does not say whether it gives way: {error}");
    Holder::Silent.into()
}

fn read_answer(stream: &UnixStream) -> io::Result<Answer> {
    let answer = read_line(stream)?;
    if answer.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&answer)?)
}

/// Whether no process is there any more, or the one that was has just gone.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionRefused | ConnectionReset | UnexpectedEof)
}

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

    use super::super::listeners::{Asked, Listeners};
    use super::*;
    use crate::wire::TransferId;

    const PATIENCE: Duration = Duration::from_secs(4);
    const SOON: Duration = Duration::from_millis(300);

    fn question() -> Ask {
        Ask { transfer: TransferId([7; 16]), index: 3, from: None, begun: None, source: None }
    }

    /// The folder of a test that is over may have had the same number, and a thread may still listen there.
    static TESTS: AtomicU64 = AtomicU64::new(0);

    /// Processes of a node that no other test has, and a name.
    fn siblings() -> (Siblings, Name, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut siblings = Siblings::new(None, &Timing::default(), &[folder.path().to_owned()]);
        siblings.node.extend(TESTS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        (siblings, Name::Transfer(question().transfer), folder)
    }

    fn bind(siblings: &Siblings, name: &Name) -> UnixListener {
        let name = siblings.address(name);
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap()
    }

    fn take(siblings: &Siblings, name: &Name, within: Duration) -> Result<UnixListener, Holder> {
        siblings.take(name, &question(), Instant::now() + within).map_err(|held| held.holder)
    }

    /// A process that answers the first question so, and what it does then.
    fn answers(
        siblings: &Siblings,
        name: &Name,
        answer: &'static str,
        then: impl FnOnce(UnixListener, UnixStream) + Send + 'static,
    ) {
        let listener = bind(siblings, name);
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
        for _ in 0..20 {
            let mut listeners = Listeners::default();
            listeners.open(take(&siblings, &name, PATIENCE).unwrap(), siblings.user, |_| ());
        }
    }

    #[test]
    fn a_holder_that_lets_go_is_waited_for() {
        let (siblings, name, _folder) = siblings();
        let start = Instant::now();
        answers(&siblings, &name, "\"yes\"\n", |listener, stream| {
            thread::sleep(SOON);
            drop(listener);
            drop(stream);
        });
        take(&siblings, &name, PATIENCE).unwrap();
        assert!(start.elapsed() >= SOON);
    }

    #[test]
    fn a_holder_that_takes_too_long_to_let_go_is_told_apart() {
        let (siblings, name, _folder) = siblings();
        answers(&siblings, &name, "\"yes\"\n", |_listener, _stream| thread::sleep(PATIENCE));
        assert!(matches!(take(&siblings, &name, SOON), Err(Holder::LetsGo)));
    }

    #[test]
    fn a_refusal_is_believed() {
        let (siblings, name, _folder) = siblings();
        answers(&siblings, &name, "\"no\"\n", |_, _| ());
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Refuses)));
    }

    #[test]
    fn a_holder_says_its_place_in_the_list() {
        let (siblings, name, _folder) = siblings();
        answers(&siblings, &name, "{\"elsewhere\":9}\n", |_, _| ());
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Elsewhere(9))));
    }

    #[test]
    fn a_holder_that_dies_while_it_is_asked_is_gone() {
        let (siblings, name, _folder) = siblings();
        for read in [false, true] {
            let listener = bind(&siblings, &name);
            thread::spawn(move || {
                let (stream, _) = listener.accept().unwrap();
                thread::sleep(SOON);
                if read {
                    read_line(&stream).unwrap();
                }
            });
            take(&siblings, &name, PATIENCE).unwrap();
        }
        answers(&siblings, &name, "\"ye", |_, _| ());
        take(&siblings, &name, PATIENCE).unwrap();
        // Not even accepted: it was stopped, and then killed.
        let listener = bind(&siblings, &name);
        thread::spawn(move || {
            thread::sleep(SOON);
            drop(listener);
        });
        take(&siblings, &name, PATIENCE).unwrap();
    }

    #[test]
    fn a_stopped_or_malformed_holder_is_silent() {
        let (siblings, name, _folder) = siblings();
        for (number, nonsense) in (0..).zip(["\"maybe\"\n", "\u{1b}[2J", "{\"elsewhere\":-1}\n"]) {
            let name = Name::Transfer(TransferId([number; 16]));
            answers(&siblings, &name, nonsense, |_, _| ());
            assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Silent)), "{nonsense:?}");
        }
        let _stopped = bind(&siblings, &name);
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Silent)));
    }

    #[test]
    fn a_foreign_process_with_the_name_is_told_apart() {
        let (mut siblings, name, _folder) = siblings();
        // It does not listen.
        let squatter = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        squatter.bind(&SockAddr::unix(format!("\0{}", siblings.address(&name))).unwrap()).unwrap();
        assert!(matches!(take(&siblings, &name, SOON), Err(Holder::Foreign)));
        // Its queue is full.
        squatter.listen(0).unwrap();
        let _queue = connect(&siblings.address(&name)).unwrap();
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Silent)));
        drop(squatter);
        // It is another user's.
        answers(&siblings, &name, "\"no\"\n", |_, _| ());
        siblings.user += 1;
        assert!(matches!(take(&siblings, &name, PATIENCE), Err(Holder::Foreign)));
    }

    #[test]
    fn a_malformed_question_is_dropped() {
        let (siblings, name, _folder) = siblings();
        let (told, asked) = sync_channel(1);
        let mut listeners = Listeners::default();
        let listener = take(&siblings, &name, PATIENCE).unwrap();
        listeners.open(listener, siblings.user, move |asked| told.send(asked).unwrap());
        for words in ["", "\n", "none\n", "{\"transfer\":1}\n", "\u{1b}", &"[".repeat(1 << 16)] {
            let mut stream = connect(&siblings.address(&name)).unwrap();
            let _ = stream.write_all(words.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = read_line(&stream);
        }
        assert!(asked.try_recv().is_err());
        let mut stream = connect(&siblings.address(&name)).unwrap();
        stream.write_all(&serde_json::to_vec(&question()).unwrap()).unwrap();
        stream.write_all(b"\n").unwrap();
        let Asked::ToGiveWay(ask, _) = asked.recv().unwrap() else { panic!("it hands nothing over") };
        assert_eq!(ask, question());
    }
}
