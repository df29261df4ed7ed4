//! The connections to children: a thread for each that connects and sends, and one that hears what the child says.

use std::collections::HashMap;
use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::super::backing::BackingReader;
use super::super::dscp::Dscp;
use super::super::names::{Resolver, Zones};
use super::control::Happening;
use super::monitor::{Monitor, Role};
use super::reader::{Order, Reader};
use super::receiver::LOOK_UP;
use super::socket;
use crate::flow::{DiskOrder, LinkOrder, Pool, Ring, SendStep, Sender, Shared as _, TELL};
use crate::rate::Limit;
use crate::session::{FeedInput, LinkId, LinkInput, LinkOutput};
use crate::wire::PayloadWriter;

/// How long a child may be silent that is sent nothing more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Nothing else could tell the session, which finds out by its deadline.
const NO_THREAD: &str = "no thread for a child";

/// The input of a session that has children.
pub(super) trait Told: From<LinkInput<'static>> + From<FeedInput> + Send + 'static {}
impl<I: From<LinkInput<'static>> + From<FeedInput> + Send + 'static> Told for I {}

/// What all children of one transfer share.
#[derive(Debug)]
pub(super) struct Children<I> {
    shared: Arc<Shared<I>>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<I> {
    monitor: Arc<Monitor>,
    backings: Arc<BackingReader>,
    writer: PayloadWriter,
    happenings: SyncSender<Happening<I>>,
    outgoing: Outgoing,
    /// By which a connection is closed that a thread waits for.
    sockets: Mutex<HashMap<LinkId, TcpStream>>,
}

/// How children are connected to and sent to.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Where their addresses come from.
    pub(super) resolver: Resolver,
    /// Whose zones those are that stand in the list.
    pub(super) zones: Zones,
    /// How the packets are marked.
    pub(super) dscp: Option<Dscp>,
    /// Of what is sent.
    pub(super) limit: Limit,
}

impl<I: Told> Children<I> {
    pub(super) fn new(
        monitor: Arc<Monitor>,
        pool: Arc<Pool>,
        writer: PayloadWriter,
        happenings: SyncSender<Happening<I>>,
        outgoing: Outgoing,
    ) -> Self {
        let backings = Arc::new(BackingReader::new(pool, writer.wire()));
        let sockets = Mutex::default();
        let shared = Shared { monitor, backings, writer, happenings, outgoing, sockets };
        Self { shared: Arc::new(shared), threads: Vec::new() }
    }

    /// Does what the session says about a child's connection.
    pub(super) fn carry_out(&mut self, output: LinkOutput) {
        match output {
            LinkOutput::LookUp { link, host, port } => self.look_up(link, host, port),
            LinkOutput::Connect { link, to } => self.connect(link, to),
            LinkOutput::Send(link, bytes) => {
                self.shared.monitor.change(|ring| ring.order_link(link, LinkOrder::Send(bytes)));
            }
            LinkOutput::Close(link) => self.close(link),
        }
    }

    /// Begins to look up a name. What the system takes for that nobody waits for: such a thread holds nothing else.
    fn look_up(&self, link: LinkId, host: String, port: u16) {
        let shared = Arc::downgrade(&self.shared);
        let Outgoing { resolver, zones, .. } = &self.shared.outgoing;
        let (resolver, zones) = (resolver.clone(), *zones);
        let look_up = move || {
            let found = resolver.look_up(&host, port, zones);
            if let Some(shared) = shared.upgrade() {
                shared.tell(match found {
                    Ok(addresses) => LinkInput::Found(link, addresses),
                    Err(error) => LinkInput::Closed(link, error.to_string()),
                });
            }
        };
        if let Err(error) = thread::Builder::new().name("look up".into()).spawn(look_up) {
            log::error!("{NO_THREAD}: {error}");
        }
    }

    /// Begins to connect to a child.
    fn connect(&mut self, link: LinkId, to: SocketAddr) {
        self.threads.retain(|thread| !thread.is_finished());
        self.shared.monitor.quietly(|ring| ring.add_link(link));
        let shared = Arc::clone(&self.shared);
        let serve = move || shared.serve(link, to);
        match thread::Builder::new().name(format!("to {}", to.ip())).spawn(serve) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => log::error!("{NO_THREAD}: {error}"),
        }
    }

    /// A child is sent the frame under way, and nothing more.
    pub(super) fn part(&self, link: LinkId) {
        self.shared.monitor.change(|ring| ring.part(link));
    }

    /// Closes the connection to a child. Nothing that is under way matters.
    fn close(&self, link: LinkId) {
        // First the ring: a connection that is just being made is given up where its link is gone.
        self.shared.monitor.change(|ring| ring.remove_link(link));
        if let Some(socket) = self.shared.sockets().remove(&link) {
            hang_up(&socket);
        }
    }

    /// Waits until every child that is to have its last frame has it, but only for so long.
    pub(super) fn wait_for_parting(&self, time: Duration) {
        let (monitor, until) = (&self.shared.monitor, Instant::now() + time);
        while Instant::now() < until {
            let (is_parting, epoch) = monitor.look(|ring| (ring.is_parting(), ring.epoch()));
            if !is_parting {
                return;
            }
            monitor.wait(Role::Link, epoch, Some(until));
        }
    }

    /// Ends the transfer, and waits for the threads.
    pub(super) fn end(mut self) {
        self.close_all();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of a child panicked");
            }
        }
    }
}

impl<I> Children<I> {
    /// Ends the transfer: every wait, and every connection to a child. The disk still gets its orders, of which this is the
    /// last.
    fn close_all(&self) {
        self.shared.monitor.change(Ring::close);
        self.shared.monitor.change(|ring| ring.order_disk(DiskOrder::Leave));
        self.shared.sockets().drain().for_each(|(_, socket)| hang_up(&socket));
    }
}

/// Even if the session panics: the disk would wait for ever, with the files locked.
impl<I> Drop for Children<I> {
    fn drop(&mut self) {
        self.close_all();
    }
}

impl<I> Shared<I> {
    // No call under it can panic half-way.
    fn sockets(&self) -> MutexGuard<'_, HashMap<LinkId, TcpStream>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: Told> Shared<I> {
    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: impl Into<I>) {
        let _ = self.happenings.send(Happening::Input(input.into()));
    }

    /// Begins to connect. None if the link is closed already; from now on closing it ends the wait.
    fn begin(&self, link: LinkId, to: SocketAddr) -> std::io::Result<Option<TcpStream>> {
        let socket = socket::begin_to_connect(to, self.outgoing.dscp)?;
        let mut sockets = self.sockets();
        if !self.monitor.look(|ring| ring.has_link(link)) {
            return Ok(None);
        }
        sockets.insert(link, socket.try_clone()?);
        Ok(Some(socket))
    }

    /// Whether the child's last frame is out, if it was to be that. Then its connection is closed here.
    fn has_parted(&self, link: LinkId) -> bool {
        let parted = self.monitor.with(|ring| ring.has_parted(link));
        if parted {
            self.sockets().remove(&link);
        }
        parted
    }

    fn serve(self: Arc<Self>, link: LinkId, to: SocketAddr) {
        let connected = self.begin(link, to).and_then(|socket| {
            socket.as_ref().map(socket::finish_to_connect).transpose()?;
            Ok(socket)
        });
        let why = match connected {
            Err(error) => error.to_string(),
            Ok(None) => return,
            Ok(Some(socket)) => {
                // In this order: some services speak first, and the session must know by then who does.
                self.tell(LinkInput::Connected(link, to));
                let hearing = self.hear(link, &socket);
                let result = self.send(link, &socket);
                let parted = self.has_parted(link);
                if result.is_err() {
                    // What the child said last is why: let it be heard before the connection counts as lost.
                    if let Some(hearing) = hearing {
                        let _ = socket.shutdown(Shutdown::Write);
                        let _ = socket.set_read_timeout(Some(TELL));
                        let _ = hearing.join();
                    }
                }
                match result {
                    Ok(()) if parted => return part(&socket),
                    Ok(()) => return,
                    Err(error) => error.to_string(),
                }
            }
        };
        self.tell(LinkInput::Closed(link, why));
    }

    fn hear(self: &Arc<Self>, link: LinkId, socket: &TcpStream) -> Option<JoinHandle<()>> {
        let mut socket = socket.try_clone().ok()?;
        let shared = Arc::clone(self);
        let hear = move || {
            let mut bytes = vec![0; 16 << 10];
            let why = loop {
                match socket.read(&mut bytes) {
                    Ok(0) => break "it closed the connection".to_owned(),
                    Ok(count) => {
                        if shared.happenings.send(Happening::Bytes(link, bytes[..count].to_vec())).is_err() {
                            return;
                        }
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => break error.to_string(),
                }
            };
            shared.tell(LinkInput::Closed(link, why));
        };
        thread::Builder::new().name("hear".into()).spawn(hear).ok()
    }

    fn start_reader(&self, link: LinkId) -> std::io::Result<Reader> {
        Reader::start(link, Arc::clone(&self.monitor), Arc::clone(&self.backings))
    }

    /// Sends what there is for the link until it is closed.
    fn send(&self, link: LinkId, socket: &TcpStream) -> std::io::Result<()> {
        // A thread that waits for room to write must notice what else has changed.
        let _ = socket.set_write_timeout(Some(LOOK_UP));
        let (monitor, tell) = (&*self.monitor, &mut |input: FeedInput| self.tell(input));
        let (writer, limit) = (self.writer.clone(), self.outgoing.limit.clone());
        let mut sender = Sender::new(Instant::now(), link, writer, limit);
        let mut reader = None;
        loop {
            let epoch = monitor.epoch();
            match sender.step(Instant::now(), &mut &*socket, monitor, tell) {
                SendStep::Moved(_) | SendStep::WouldBlock => {}
                SendStep::Until(at) => monitor.wait(Role::Link, epoch, Some(at)),
                SendStep::Idle(epoch) => monitor.wait(Role::Link, epoch, None),
                SendStep::NeedsFile { backing, offset, len } => {
                    let reader = match &reader {
                        Some(reader) => reader,
                        None => reader.insert(self.start_reader(link)?),
                    };
                    reader.read(Order { backing, offset, len });
                }
                SendStep::AwaitsFile { epoch, until } => monitor.wait(Role::Link, epoch, until),
                SendStep::Finish => socket.shutdown(Shutdown::Write)?,
                SendStep::Over => return Ok(()),
                SendStep::Failed(error) => return Err(error),
            }
        }
    }
}

/// Nothing that is still under way matters, and a peer that waits for room to write would otherwise learn of the end only
/// when it next probes for some.
fn hang_up(socket: &TcpStream) {
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
    // It may be gone already; then there is no peer to hang up on.
    let _ = socket.shutdown(Shutdown::Both);
}

/// Hangs up behind the last frame, which may still be on its way.
fn part(socket: &TcpStream) {
    // What the child still says is read, and dropped: to close a socket with unread data resets the connection. It hangs up
    // by itself, or falls silent.
    let _ = socket.set_read_timeout(Some(LAST_WORDS));
    let _ = socket.shutdown(Shutdown::Write);
}
