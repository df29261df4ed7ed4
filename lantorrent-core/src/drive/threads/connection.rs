//! One connection from upstream, from its first byte to its last.

use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::block::Pool;
use super::super::hub::{ChildOrder, DiskOrder, Hub};
use super::super::ring::Ring;
use super::children::Children;
use super::control::{self, Hands, Happening, now};
use super::disk::Disk;
use super::greeting::{drain, greet};
use super::node::Shared;
use super::outbox::Outbox;
use super::receiver::Receiver;
use super::{HAPPENINGS, random, ring_capacity};
use crate::session::{NodeSession, Output, Proven, Seed};
use crate::wire::{Code, Nonce, PayloadReader, PayloadWriter, TransferId};

/// How long to listen to an upstream that was told the last word.
const LINGER: Duration = Duration::from_secs(2);
/// How soon to try again to say what upstream has not taken yet.
const RETRY: Duration = Duration::from_millis(20);

/// Serves the connection with that number.
pub(super) fn serve(shared: &Arc<Shared>, number: u64, socket: &TcpStream) -> std::io::Result<()> {
    super::socket::prepare(socket);
    let Some((proven, first)) = greet(socket, &shared.gate, Nonce(random()?)) else { return Ok(()) };
    let transfer = proven.header.envelope.as_ref().map(|envelope| envelope.transfer);
    let index = proven.header.node.index;
    if let Some(transfer) = transfer
        && let Err(place) = shared.roster().enter(transfer, index)
    {
        let why = format!(
            "this node is number {place} of the transfer already; its address stands in the list twice, or two \
             names of it"
        );
        return refuse(shared, socket, proven, Code::TAKING_PART, &why);
    }
    // Leaves the roster whichever way this ends.
    let _place = Place { shared, transfer };
    let (happenings, heard) = mpsc::sync_channel(HAPPENINGS);
    if !shared.has_session(number, happenings.clone()) {
        return refuse(shared, socket, proven, Code::STOPPED, "the node is being stopped");
    }
    let Some(mut hands) = NodeHands::new(shared, socket, &proven, first, happenings)? else { return Ok(()) };
    let (keys, timing) = (shared.gate.keys.clone(), shared.gate.timing.clone());
    let mut session = NodeSession::new(now(), proven, keys, timing, Seed(random()?));
    control::run(&mut session, &mut hands, &heard);
    // Whoever still waits to tell something need not.
    drop(heard);
    hands.finish();
    Ok(())
}

struct Place<'a> {
    shared: &'a Shared,
    transfer: Option<TransferId>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(transfer) = &self.transfer {
            self.shared.roster().leave(transfer);
        }
    }
}

/// Says no to every request, by the session's own words.
fn refuse(shared: &Shared, socket: &TcpStream, proven: Proven, code: Code, why: &str) -> std::io::Result<()> {
    log::warn!("took no part in a transfer: {why}");
    let (keys, timing) = (shared.gate.keys.clone(), shared.gate.timing.clone());
    let mut session = NodeSession::refuse(now(), proven, keys, timing, code, why);
    let mut outbox = Outbox::new(socket.try_clone()?);
    while let Some(output) = session.poll() {
        if let Output::Reply(bytes) = output {
            outbox.say(&bytes);
        }
    }
    outbox.close();
    drain(socket, LINGER);
    Ok(())
}

/// What a session of a node works with.
struct NodeHands {
    hub: Arc<Hub>,
    outbox: Outbox,
    children: Children,
    disk: JoinHandle<()>,
    socket: TcpStream,
    receiver: Option<Receiver>,
    first: Vec<u8>,
    receiving: Option<JoinHandle<()>>,
}

impl NodeHands {
    /// None where the header's wire has no password, which the greeting would not have let pass.
    fn new(
        shared: &Arc<Shared>,
        socket: &TcpStream,
        proven: &Proven,
        first: Vec<u8>,
        happenings: SyncSender<Happening>,
    ) -> std::io::Result<Option<Self>> {
        let header = &proven.header;
        let keys = &shared.gate.keys;
        let (Some(reader), Some(writer)) =
            (PayloadReader::new(header, keys), PayloadWriter::new(header, keys))
        else {
            return Ok(None);
        };
        let capacity = ring_capacity(header.block_size);
        let hub = Arc::new(Hub::new(Ring::for_node(capacity)));
        let pool = Pool::new(header.block_size, capacity);
        let outbox = Outbox::new(socket.try_clone()?);
        let receiver = Receiver {
            socket: socket.try_clone()?,
            reader,
            hub: Arc::clone(&hub),
            pool: Arc::clone(&pool),
            happenings: happenings.clone(),
        };
        let roots = Arc::clone(&shared.roots);
        let disk = Disk::new(Arc::clone(&hub), happenings.clone(), roots, shared.durability, header.clone());
        let disk = thread::Builder::new().name("disk".into()).spawn(|| disk.run())?;
        let children = Children::new(Arc::clone(&hub), pool, writer, happenings, shared.gate.timing.connect);
        let socket = socket.try_clone()?;
        Ok(Some(Self {
            hub,
            outbox,
            children,
            disk,
            socket,
            receiver: Some(receiver),
            first,
            receiving: None,
        }))
    }

    fn accept(&mut self) {
        let Some(receiver) = self.receiver.take() else { return };
        let first = std::mem::take(&mut self.first);
        let receive = move || receiver.run(&first);
        match thread::Builder::new().name("receive".into()).spawn(receive) {
            Ok(thread) => self.receiving = Some(thread),
            // Without it nothing comes, and the session's deadline ends the transfer.
            Err(error) => log::error!("no thread to receive with: {error}"),
        }
    }

    /// Ends every thread. Files that have no name by now are removed.
    fn finish(self) {
        self.hub.close();
        self.hub.order_disk(DiskOrder::Leave);
        self.children.join();
        if self.disk.join().is_err() {
            log::error!("the thread for the disk panicked");
        }
        let Some(receiving) = self.receiving else { return drain(&self.socket, LINGER) };
        let until = Instant::now() + LINGER;
        while !receiving.is_finished() && Instant::now() < until {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.socket.shutdown(Shutdown::Both);
        if receiving.join().is_err() {
            log::error!("the thread that receives panicked");
        }
    }
}

impl Hands for NodeHands {
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Open(file) => self.hub.order_disk(DiskOrder::Open(file)),
            Output::Place(file, size) => self.hub.order_disk(DiskOrder::Place(file, size)),
            Output::Discard(file) => self.hub.order_disk(DiskOrder::Discard(file)),
            // This version always begins at offset 0.
            Output::Accept(_) => self.accept(),
            Output::Reply(bytes) => self.outbox.say(&bytes),
            Output::CloseUpstream => self.outbox.close(),
            Output::Connect { link, host, port } => self.children.connect(link, host, port),
            Output::Send(link, bytes) => self.hub.order_child(link, ChildOrder::Send(bytes)),
            Output::Control(link, control) => self.hub.order_child(link, ChildOrder::Control(control)),
            Output::Feed(link, from) => self.hub.feed(link, from),
            Output::Close(link) => self.hub.close_child(link),
            Output::Progress(_) | Output::Report(_) | Output::Done => {}
        }
    }

    fn attend(&mut self) -> Option<Duration> {
        self.outbox.flush().then_some(RETRY)
    }
}
