//! Sending a file: what a source's user sees.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::super::block::Pool;
use super::super::error::Error;
use super::super::hub::{ChildOrder, Hub};
use super::super::ring::Ring;
use super::super::target::{Target, destinations};
use super::children::Children;
use super::control::{self, Hands, Happening, now};
use super::supply::{Origin, SourceFile, Supply, spool};
use super::{HAPPENINGS, random, ring_capacity};
use crate::session::{Input, Output, Plan, Seed, SourceSession, Timing};
use crate::store::Placement;
use crate::wire::{Keyring, PayloadWriter, Progress, Report, SourceHint, Wire, block_size, limits};

/// What happens while a transfer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// About once a second.
    Progress {
        /// Bytes of the file, where known.
        size: Option<u64>,
        /// Bytes sent to the first node.
        sent: u64,
        /// How far the nodes are.
        nodes: Progress,
    },
    /// What became of a request, once for each.
    Report(Report),
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Exactly one for each target, in the order in which they were given; `id` is the place in that order.
    pub reports: Vec<Report>,
    /// Bytes of the file that were sent to the first node.
    pub size: u64,
    /// How long it took, results included.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether every target has the file, whole and in place.
    pub fn all_succeeded(&self) -> bool {
        self.reports.iter().all(|report| report.code.is_success())
    }
}

type Listener = Box<dyn FnMut(&Event) + Send>;

/// One file, or stream, on its way to many targets.
///
/// ```no_run
/// use lantorrent_core::wire::{Keyring, Password};
/// use lantorrent_core::Transfer;
///
/// let keys = Keyring::new(Password::new("a secret of many bytes"));
/// let outcome = Transfer::from_file("/srv/images/a.img", keys)?
///     .to("10.0.0.7/srv/images/a.img".parse()?)
///     .to("10.0.0.8/srv/images/a.img".parse()?)
///     .send()?;
/// assert!(outcome.all_succeeded());
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
pub struct Transfer {
    origin: Origin,
    hint: Option<SourceHint>,
    keys: Keyring,
    targets: Vec<Target>,
    wire: Wire,
    degree: u32,
    block_size: Option<u32>,
    placement: Placement,
    timing: Timing,
    listener: Listener,
    stop: Arc<AtomicBool>,
    happenings: SyncSender<Happening>,
    happened: Receiver<Happening>,
}

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer").field("targets", &self.targets).finish_non_exhaustive()
    }
}

impl Transfer {
    /// Sends a file, or the content of a disk.
    ///
    /// # Errors
    /// It cannot be opened, or is neither.
    pub fn from_file(path: impl AsRef<Path>, keys: Keyring) -> Result<Self, Error> {
        let path = path.as_ref();
        let (source, hint) = open(path).map_err(|cause| Error::Source { path: path.to_owned(), cause })?;
        Ok(Self::new(Origin::File(source), Some(hint), keys))
    }

    /// Sends a stream to its end, whatever its length. Wire 2 only. It is also written to a file without a name in
    /// the system's folder for temporary files, which must have room for it.
    ///
    /// # Errors
    /// That file cannot be made.
    pub fn from_stream(input: impl Read + Send + 'static, keys: Keyring) -> Result<Self, Error> {
        let folder = std::env::temp_dir();
        let spool = spool(&folder).map_err(|cause| Error::Source { path: folder, cause })?;
        Ok(Self::new(Origin::Stream { input: Box::new(input), spool }, None, keys))
    }

    fn new(origin: Origin, hint: Option<SourceHint>, keys: Keyring) -> Self {
        let (happenings, happened) = mpsc::sync_channel(HAPPENINGS);
        Self {
            origin,
            hint,
            keys,
            targets: Vec::new(),
            wire: Wire::Two,
            degree: 1,
            block_size: None,
            placement: Placement::Rename,
            timing: Timing::default(),
            listener: Box::new(|_| ()),
            stop: Arc::default(),
            happenings,
            happened,
        }
    }

    /// One more target. Those with the same host and port are one node, which receives the file once.
    pub fn to(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// The wire that the chain speaks; wire 2 unless said otherwise.
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Children of each node, 1 to 64; 1, a chain, unless said otherwise.
    pub fn degree(mut self, degree: u32) -> Self {
        self.degree = degree;
        self
    }

    /// Bytes of a block, a power of two from 4 KiB to 1 MiB; chosen by length and number of nodes unless said otherwise.
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.block_size = Some(bytes);
        self
    }

    /// How the file gets to its path on the nodes; by [`Placement::Rename`] unless said otherwise.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Deadlines other than the default ones.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Calls `listener` with what happens, on the thread that called [`send`](Self::send).
    pub fn on_event(mut self, listener: impl FnMut(&Event) + Send + 'static) -> Self {
        self.listener = Box::new(listener);
        self
    }

    /// Stops the transfer from elsewhere.
    pub fn handle(&self) -> TransferHandle {
        TransferHandle { stop: Arc::clone(&self.stop), happenings: self.happenings.clone() }
    }

    /// Sends, and waits for the result of every request.
    ///
    /// # Errors
    /// Only what makes it impossible to begin. What becomes of the requests is in the [`Outcome`].
    pub fn send(mut self) -> Result<Outcome, Error> {
        self.check()?;
        let started = Instant::now();
        let length = match &self.origin {
            Origin::File(source) => Some(source.length),
            Origin::Stream { .. } => None,
        };
        let list = destinations(&self.targets, self.placement);
        check_list(&list)?;
        let chosen = self.block_size.unwrap_or_else(|| block_size(length, hops(list.len(), self.degree)));
        let plan = Plan {
            wire: self.wire,
            destinations: list,
            degree: self.degree,
            block_size: chosen,
            length,
            source: self.hint.take(),
        };
        let seed = Seed(random().map_err(Error::system("draw random numbers"))?);
        let connect_timeout = self.timing.connect;
        let mut session = SourceSession::new(now(), plan, self.keys.clone(), self.timing, seed);
        let Some(writer) = PayloadWriter::new(session.header(), &self.keys) else {
            return Err(no_password(self.wire));
        };
        let capacity = ring_capacity(chosen);
        let hub = Arc::new(Hub::new(Ring::for_source(capacity, self.origin.backing())));
        let pool = Pool::new(chosen, capacity);
        let children = Children::new(
            Arc::clone(&hub),
            Arc::clone(&pool),
            writer,
            self.happenings.clone(),
            connect_timeout,
        );
        let supply = Supply {
            origin: self.origin,
            wire: self.wire,
            block_size: chosen,
            hub: Arc::clone(&hub),
            pool,
            happenings: self.happenings,
        };
        // Not waited for at the end: a stream may never say another byte.
        thread::Builder::new()
            .name("read".into())
            .spawn(|| supply.run())
            .map_err(Error::system("start a thread"))?;
        let (listener, stop) = (self.listener, self.stop);
        let mut hands = SourceHands { hub, children, listener, stop, length, reports: Vec::new() };
        control::run(&mut session, &mut hands, &self.happened);
        drop(self.happened);
        Ok(hands.finish(started))
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::Arguments(text));
        let has_password = match self.wire {
            Wire::One => self.keys.has_wire_1(),
            Wire::Two => self.keys.has_wire_2(),
        };
        if !has_password {
            return Err(no_password(self.wire));
        }
        if self.targets.is_empty() {
            return wrong("nothing to do: there is no destination".into());
        }
        if self.targets.len() > limits::REQUESTS_TOTAL {
            return wrong(format!("more than {} destinations at once", limits::REQUESTS_TOTAL));
        }
        if !(1..=limits::DEGREE).contains(&self.degree) {
            return wrong(format!("a degree of {}, not within 1 to {}", self.degree, limits::DEGREE));
        }
        if self.wire == Wire::One && matches!(self.origin, Origin::Stream { .. }) {
            return wrong(
                "wire 1 cannot send a stream: it says the length first; use wire 2, or a file".into(),
            );
        }
        if let Some(bytes) = self.block_size
            && (!bytes.is_power_of_two() || !(limits::BLOCK_MIN..=limits::BLOCK_MAX).contains(&bytes))
        {
            return wrong(format!("a block size of {bytes}: not a power of two from 4096 to 1048576"));
        }
        Ok(())
    }
}

/// What a node would refuse is better refused here, where somebody can change it.
fn check_list(list: &[crate::wire::Destination]) -> Result<(), Error> {
    let wrong = |text: String| Err(Error::Arguments(text));
    if list.len() > limits::DESTINATIONS {
        return wrong(format!("more than {} nodes at once", limits::DESTINATIONS));
    }
    for node in list {
        if node.requests.len() > limits::REQUESTS {
            return wrong(format!("more than {} files on {}:{}", limits::REQUESTS, node.host, node.port));
        }
        if let Some(request) =
            node.requests.iter().find(|request| request.filename.len() > limits::FILENAME_BYTES)
        {
            let start: String = request.filename.chars().take(64).collect();
            return wrong(format!("the path {start}… is longer than {} bytes", limits::FILENAME_BYTES));
        }
    }
    Ok(())
}

fn no_password(wire: Wire) -> Error {
    match wire {
        Wire::One => Error::NoPassword { wire: 1, key: "[security] wire_1_password" },
        Wire::Two => Error::NoPassword { wire: 2, key: "[security] password" },
    }
}

/// Links between the source and the node that is farthest away.
fn hops(nodes: usize, degree: u32) -> u32 {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX).max(1);
    if degree > 1 { nodes.ilog(degree) + 1 } else { nodes }
}

fn open(path: &Path) -> io::Result<(SourceFile, SourceHint)> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_block_device() {
        return Err(io::Error::other(
            "it is neither a file nor a disk; a stream can be sent from standard input",
        ));
    }
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    // The metadata of a disk does not say its size.
    let length = if kind.is_file() { metadata.len() } else { file.seek(SeekFrom::End(0))? };
    let place: PathBuf = path.canonicalize()?;
    let identity = [
        &metadata.dev().to_be_bytes()[..],
        &metadata.ino().to_be_bytes(),
        place.as_os_str().as_encoded_bytes(),
    ]
    .concat();
    let hint = SourceHint {
        size: Some(length),
        mtime: metadata
            .mtime()
            .checked_mul(1_000_000_000)
            .and_then(|time| time.checked_add(metadata.mtime_nsec())),
        id: blake3::hash(&identity).to_hex()[..32].to_owned(),
    };
    let changed = metadata.modified().ok();
    Ok((SourceFile { file: Arc::new(file), length, changed }, hint))
}

/// Stops a transfer. It may be cloned and sent to other threads.
#[derive(Debug, Clone)]
pub struct TransferHandle {
    stop: Arc<AtomicBool>,
    happenings: SyncSender<Happening>,
}

impl TransferHandle {
    /// Aborts the transfer: no node keeps a part of the file, and [`Transfer::send`] returns within seconds.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        // Only to wake who looks at that. Where there is no room he is awake; and he may be who calls this, from the
        // listener, and must not be made to wait for himself.
        let _ = self.happenings.try_send(Input::Tick.into());
    }
}

/// What a session of a source works with.
struct SourceHands {
    hub: Arc<Hub>,
    children: Children,
    listener: Listener,
    stop: Arc<AtomicBool>,
    length: Option<u64>,
    reports: Vec<Report>,
}

impl SourceHands {
    fn finish(self, started: Instant) -> Outcome {
        let size = self.hub.farthest();
        self.hub.close();
        self.children.join();
        let mut reports = self.reports;
        reports.sort_by_key(|report| report.id.as_deref().and_then(|id| id.parse::<usize>().ok()));
        Outcome { reports, size, elapsed: started.elapsed() }
    }
}

impl Hands for SourceHands {
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { link, host, port } => self.children.connect(link, host, port),
            Output::Send(link, bytes) => self.hub.order_child(link, ChildOrder::Send(bytes)),
            Output::Control(link, control) => self.hub.order_child(link, ChildOrder::Control(control)),
            Output::Feed(link, from) => self.hub.feed(link, from),
            Output::Close(link) => self.hub.close_child(link),
            Output::Progress(nodes) => {
                let event = Event::Progress { size: self.length, sent: self.hub.farthest(), nodes };
                (self.listener)(&event);
            }
            Output::Report(report) => {
                (self.listener)(&Event::Report(report.clone()));
                self.reports.push(report);
            }
            // These are a node's.
            Output::Open(_)
            | Output::Accept(_)
            | Output::Reply(_)
            | Output::CloseUpstream
            | Output::Place(..)
            | Output::Discard(_)
            | Output::Done => {}
        }
    }

    fn attend(&mut self) -> Option<Duration> {
        None
    }

    fn urgent(&mut self) -> Option<Input<'static>> {
        self.stop.swap(false, Ordering::AcqRel).then_some(Input::Stop(Duration::ZERO))
    }
}
