//! The connections to children: a thread for each that connects and sends, and one that hears what the child says.

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::block::Pool;
use super::super::dscp::Dscp;
use super::super::hub::Hub;
use super::super::limit::Limit;
use super::super::names::{Resolver, Zones};
use super::super::orders::{ChildOrder, Work};
use super::super::ring::{Item, Next};
use super::super::shelf::ShelfReader;
use super::TELL;
use super::brake::{Brake, Waiting};
use super::control::Happening;
use super::socket;
use crate::session::{Control, FeedInput, LinkId, LinkInput};
use crate::wire::{Frame, PayloadWriter};

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
    hub: Arc<Hub>,
    shelves: ShelfReader,
    writer: PayloadWriter,
    happenings: SyncSender<Happening<I>>,
    outgoing: Outgoing,
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
        hub: Arc<Hub>,
        pool: Arc<Pool>,
        writer: PayloadWriter,
        happenings: SyncSender<Happening<I>>,
        outgoing: Outgoing,
    ) -> Self {
        let shelves = ShelfReader::new(pool, writer.wire());
        let shared = Shared { hub, shelves, writer, happenings, outgoing };
        Self { shared: Arc::new(shared), threads: Vec::new() }
    }

    /// Begins to look up a name. What the system takes for that nobody waits for: such a thread holds nothing else.
    pub(super) fn look_up(&self, link: LinkId, host: String, port: u16) {
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
    pub(super) fn connect(&mut self, link: LinkId, to: SocketAddr) {
        self.threads.retain(|thread| !thread.is_finished());
        self.shared.hub.expect(link);
        let shared = Arc::clone(&self.shared);
        let serve = move || shared.serve(link, to);
        match thread::Builder::new().name(format!("to {}", to.ip())).spawn(serve) {
            Ok(thread) => self.threads.push(thread),
            Err(error) => log::error!("{NO_THREAD}: {error}"),
        }
    }

    /// Waits for the threads, whose links must be closed.
    pub(super) fn join(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                log::error!("a thread of a child panicked");
            }
        }
    }
}

impl<I: Told> Shared<I> {
    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: impl Into<I>) {
        let _ = self.happenings.send(Happening::Input(input.into()));
    }

    /// Begins to connect, and lets the hub close that.
    fn begin(&self, link: LinkId, to: SocketAddr) -> std::io::Result<Option<TcpStream>> {
        let socket = socket::begin_to_connect(to, self.outgoing.dscp)?;
        let is_wanted = self.hub.connects(link, socket.try_clone()?);
        Ok(is_wanted.then_some(socket))
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
                let parted = self.hub.has_parted(link);
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

    /// Does what the hub says until the link is closed.
    fn send(&self, link: LinkId, socket: &TcpStream) -> std::io::Result<()> {
        let mut told = Instant::now();
        let mut brake = Brake::new(self.outgoing.limit.clone());
        loop {
            match self.hub.child_work(link) {
                Work::Over => return Ok(()),
                Work::Order(ChildOrder::Send(bytes)) => socket::write_all(socket, [&bytes, &[], &[]])?,
                Work::Order(ChildOrder::Control(control)) => {
                    let offset = self.hub.child_position(link).unwrap_or(0);
                    let frame = match control {
                        Control::Idle => Frame::Idle { offset },
                        Control::Abort(abort) => Frame::Abort(abort),
                        Control::Bye => Frame::Bye,
                    };
                    self.write(socket, &frame, &[])?;
                    self.tell(FeedInput::Sent(link, offset));
                }
                Work::Order(ChildOrder::Finish) => socket.shutdown(Shutdown::Write)?,
                Work::Payload(Next::End { size, sum }) => {
                    self.write(socket, &Frame::End { size, sum }, &[])?;
                    self.tell(FeedInput::SentEnd(link));
                }
                Work::Payload(next) => match self.pass_on(link, socket, &mut brake, next)? {
                    Some(upto) => {
                        self.hub.child_has(link, upto);
                        if told.elapsed() >= TELL {
                            told = Instant::now();
                            self.tell(FeedInput::Sent(link, upto));
                        }
                    }
                    None => {
                        self.hub.strand(link);
                        self.tell(FeedInput::Unservable(link));
                    }
                },
            }
        }
    }

    /// Sends a piece of the payload and returns where it ends. None if it is not to be had.
    fn pass_on(
        &self,
        link: LinkId,
        socket: &TcpStream,
        brake: &mut Brake,
        next: Next,
    ) -> std::io::Result<Option<u64>> {
        let held = HeldBack { shared: self, link };
        match next {
            Next::Item(item) => self.send_item(socket, brake, &held, &item).map(Some),
            Next::File { shelf, offset, len } => match self.shelves.item(&shelf, offset, len) {
                Ok(item) => self.send_item(socket, brake, &held, &item).map(Some),
                Err(why) => {
                    log::warn!("cannot serve link {}: at offset {offset}, {why}", link.0);
                    Ok(None)
                }
            },
            Next::Gone => {
                log::info!("cannot serve link {}: its data is neither in memory nor in a file", link.0);
                Ok(None)
            }
            // Neither is sent here.
            Next::End { .. } | Next::Wait => Ok(None),
        }
    }

    /// Returns where the item ends.
    fn send_item(
        &self,
        socket: &TcpStream,
        brake: &mut Brake,
        held: &HeldBack<'_, I>,
        item: &Item,
    ) -> std::io::Result<u64> {
        match item {
            Item::Data(block) => {
                let frame = Frame::Data { offset: block.offset, len: block.len, digest: block.digest };
                self.write_in_turns(socket, brake, held, &frame, block.data())?;
            }
            Item::Hole { offset, span } => {
                self.write(socket, &Frame::Hole { offset: *offset, span: *span }, &[])?;
            }
        }
        Ok(item.range().1)
    }

    /// As [`write`](Self::write), but no faster than the limit allows.
    fn write_in_turns(
        &self,
        socket: &TcpStream,
        brake: &mut Brake,
        held: &HeldBack<'_, I>,
        frame: &Frame,
        data: &[u8],
    ) -> std::io::Result<()> {
        let wrapping = self.writer.encode(frame).map_err(std::io::Error::other)?;
        let mut rest = [&wrapping.before[..], data, &wrapping.after[..]];
        loop {
            let left = rest.iter().map(|part| part.len()).sum();
            if left == 0 {
                return Ok(());
            }
            // Where it is of no use to wait the frame is ended at once, so that what follows is understood.
            let count = brake.turn(left, held).unwrap_or(left);
            let turn = socket::split_off_start(&mut rest, count);
            let result = socket::write_all(socket, turn);
            brake.used(count);
            result?;
        }
    }

    fn write(&self, socket: &TcpStream, frame: &Frame, data: &[u8]) -> std::io::Result<()> {
        let wrapping = self.writer.encode(frame).map_err(std::io::Error::other)?;
        socket::write_all(socket, [&wrapping.before, data, &wrapping.after])
    }
}

/// A child that has to wait for its turn.
struct HeldBack<'a, I> {
    shared: &'a Shared<I>,
    link: LinkId,
}

impl<I: Told> Waiting for HeldBack<'_, I> {
    fn pause(&self, time: Duration) -> bool {
        self.shared.hub.pause_child(self.link, time)
    }

    fn excuse(&self) {
        self.shared.tell(FeedInput::HeldBack(self.link));
    }
}

/// Hangs up behind the last frame, which may still be on its way.
fn part(socket: &TcpStream) {
    // What the child still says is read, and dropped: to close a socket with unread data resets the connection. It hangs up
    // by itself, or falls silent.
    let _ = socket.set_read_timeout(Some(LAST_WORDS));
    let _ = socket.shutdown(Shutdown::Write);
}
