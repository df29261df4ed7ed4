//! Sending a file: what a source's user sees.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::super::dscp::Dscp;
use super::super::error::Error;
use super::super::limit::Limit;
use super::super::names::Resolver;
use super::super::target::{Target, destinations};
use super::check::leave_out;
use super::control::unix_millis;
use super::origin::{Origin, examine, open, spool};
use super::outcome::{Board, Outcome, TransferEvent};
use super::random;
use super::source::{self, Desk, Listener};
use super::survey::survey;
use super::wishes::{TransferHandle, Wishes};
use crate::flow::Zeros;
use crate::session::{DirectExchange, Plan, Timing};
use crate::store::Placement;
use crate::wire::{Code, Keyring, Report, SourceHint, TransferKey, Verb, Wire, block_size, limits};

/// One file, or stream, on its way to many targets. Nothing is sent before [`send`](Self::send).
///
/// ```no_run
/// use lantorrent_core::wire::{Keyring, Password};
/// use lantorrent_core::Transfer;
///
/// let keys = Keyring::new(Password::new("a secret of many bytes")?);
/// let outcome = Transfer::from_file("/srv/images/a.img", keys)?
///     .to("10.0.0.7/srv/images/a.img".parse()?)
///     .to("10.0.0.8/srv/images/a.img".parse()?)
///     .send()?;
/// for failed in outcome.failed() {
///     eprintln!("{}: {}", failed.target, failed.result.as_ref().unwrap_err());
/// }
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[must_use = "nothing is sent before `send` is called"]
pub struct Transfer {
    origin: Origin,
    hint: Option<SourceHint>,
    keys: Keyring,
    targets: Vec<Target>,
    wire: Wire,
    degree: u32,
    block_size: Option<u32>,
    placement: Placement,
    min_rate: Option<u64>,
    limit: Limit,
    zeros: Zeros,
    dscp: Option<Dscp>,
    resolver: Resolver,
    checks: bool,
    timing: Timing,
    listener: Listener,
    wishes: Arc<Wishes>,
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

    /// Sends a file that is open already, for who has to be sure which one it is. `path` is where it was found: it
    /// tells one file from another when a transfer is gone on with, and is named in errors.
    ///
    /// # Errors
    /// It is neither a file nor a disk, or there is nothing at `path`.
    pub fn from_open_file(file: File, path: impl AsRef<Path>, keys: Keyring) -> Result<Self, Error> {
        let path = path.as_ref();
        let (source, hint) =
            examine(file, path).map_err(|cause| Error::Source { path: path.to_owned(), cause })?;
        Ok(Self::new(Origin::File(source), Some(hint), keys))
    }

    /// Sends a stream to its end, whatever its length. Wire 2 only. It is also written to a file without a name in
    /// the system's folder for temporary files, which must have room for it.
    ///
    /// # Errors
    /// That file cannot be made.
    pub fn from_stream(input: impl Read + Send + 'static, keys: Keyring) -> Result<Self, Error> {
        // The standard library would take an empty name for the current folder.
        let folder = std::env::var_os("TMPDIR").filter(|name| !name.is_empty());
        let folder = folder.map_or_else(|| "/tmp".into(), PathBuf::from);
        let spool = spool(&folder).map_err(|cause| Error::Source { path: folder, cause })?;
        Ok(Self::new(Origin::Stream { input: Box::new(input), spool }, None, keys))
    }

    fn new(origin: Origin, hint: Option<SourceHint>, keys: Keyring) -> Self {
        Self {
            origin,
            hint,
            keys,
            targets: Vec::new(),
            wire: Wire::Two,
            degree: 1,
            block_size: None,
            placement: Placement::Rename,
            min_rate: None,
            limit: Limit::default(),
            zeros: Zeros::Sent,
            dscp: None,
            resolver: Resolver::default(),
            checks: true,
            timing: Timing::default(),
            listener: Box::new(|_| ()),
            wishes: Arc::default(),
        }
    }

    /// One more target. Those with the same host and port are one node, which receives the file once.
    pub fn to(mut self, target: Target) -> Self {
        self.targets.push(target);
        self.wishes.expect(self.targets.len());
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

    /// Bypasses nodes that hold up those behind them by taking less than that many bytes a second; they are sent the
    /// file by themselves when the others are done. Without this nobody is bypassed for being slow. Wire 2 only.
    pub fn min_rate(mut self, bytes: u64) -> Self {
        self.min_rate = Some(bytes);
        self
    }

    /// Sends no faster than that, to all that the source itself sends to together: the first node, those of other runs in
    /// a tree, and who is served directly at the end. Other transfers with a clone of it share it.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = limit;
        self
    }

    /// Sends blocks of zeros as holes, which cost nothing on the way and no room on the nodes. Without this only what the
    /// source's file system calls a hole is sent so. Wire 2 only; on wire 1 this changes nothing.
    pub fn detect_zeros(mut self) -> Self {
        self.zeros = Zeros::Detected;
        self
    }

    /// Marks the packets that the source sends. What nodes send, to each other and back, is marked as they are configured.
    pub fn dscp(mut self, dscp: Dscp) -> Self {
        self.dscp = Some(dscp);
        self
    }

    /// Where the addresses of names come from; the system unless said otherwise. Nodes look up by themselves the names of those
    /// behind them.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Begins at once. Otherwise all nodes are first asked, at the same time, whether they could write what they are
    /// asked for, and who could not is left out, so that nobody has to wait for it. (Wire 1 knows no such question.)
    pub fn no_check(mut self) -> Self {
        self.checks = false;
        self
    }

    /// Deadlines other than the default ones.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Calls `listener` with what happens, on the thread that called [`send`](Self::send).
    pub fn on_event(mut self, listener: impl FnMut(&TransferEvent) + Send + 'static) -> Self {
        self.listener = Box::new(listener);
        self
    }

    /// Stops or suspends the transfer from elsewhere, or cancels some of its targets.
    pub fn handle(&self) -> TransferHandle {
        TransferHandle(Arc::clone(&self.wishes))
    }

    /// Sends, and waits for the result of every target.
    ///
    /// # Errors
    /// Only what makes it impossible to begin. What becomes of the targets is in the [`Outcome`].
    pub fn send(mut self) -> Result<Outcome, Error> {
        let started = Instant::now();
        let mut plan = self.plan()?;
        let checks = self.checks && self.wire == Wire::Two;
        let (mut reports, exchange) = if checks { self.ask(plan.clone())? } else { Default::default() };
        plan.exchange = exchange;
        plan.cancelled = self.wishes.take_cancelled();
        // What is cancelled has its own report.
        reports.retain(|report| !report.id.as_ref().is_some_and(|id| plan.cancelled.contains(id)));
        leave_out(&mut plan.destinations, &reports);
        if checks {
            let places = plan.destinations.iter().map(|node| node.index);
            plan.features_in_use = plan.exchange.features_of_all(&plan.features, places);
        }
        let mut board = Board::new(self.targets, Code::SUCCESS);
        for ended in reports.into_iter().filter_map(|report| board.end(report, 0)) {
            (self.listener)(&TransferEvent::Ended(ended));
        }
        if plan.destinations.is_empty() {
            return Ok(board.outcome(0, started.elapsed()));
        }
        let Self { keys, timing, limit, dscp, resolver, listener, wishes, .. } = self;
        let desk = Desk { keys, timing, limit, dscp, resolver, listener, wishes, board };
        let (board, sent) = source::run(self.origin, self.zeros, plan, desk)?;
        Ok(board.outcome(sent, started.elapsed()))
    }

    /// Asks all nodes. Returns what those say that cannot take part, and what else has come of it.
    fn ask(&self, plan: Plan) -> Result<(Vec<Report>, DirectExchange), Error> {
        let found = survey(
            plan,
            Verb::Check,
            self.keys.clone(),
            self.timing.clone(),
            (self.dscp, self.resolver.clone()),
            &self.wishes,
        )?;
        if found.stopped {
            // The session hears of it too, and answers for everybody.
            return Ok((Vec::new(), found.exchange));
        }
        let failed = found.reports.into_iter().filter(|report| !report.code.is_success());
        // The places are those of the list that is sent, where these have none.
        Ok((failed.map(|report| Report { index: None, by: None, ..report }).collect(), found.exchange))
    }

    fn plan(&self) -> Result<Plan, Error> {
        self.check_arguments()?;
        let mut list = destinations(&self.targets, self.placement)?;
        // Those that are left out keep their places.
        list.iter_mut().zip(0..).for_each(|(node, index)| node.index = index);
        let length = self.origin.length();
        let hops = hops(list.len(), self.degree);
        let usual = block_size(length, hops).min(self.largest_block());
        let block_size = match (self.block_size, self.wire) {
            (Some(asked), _) => asked,
            (None, Wire::One) => usual,
            (None, Wire::Two) => self.origin.block_size(usual),
        };
        Ok(Plan {
            degree: self.degree,
            length,
            source: self.hint.clone(),
            begun: unix_millis(),
            key: Some(TransferKey::new(&random().map_err(Error::system("draw random numbers"))?)),
            min_rate: self.min_rate,
            sparse: self.zeros == Zeros::Detected || self.origin.is_sparse(),
            ..Plan::new(self.wire, list, block_size)
        })
    }

    /// Of a block that takes longer than a second to come a node would have nothing for as long.
    fn largest_block(&self) -> u32 {
        let rate = self.limit.get().and_then(|rate| u32::try_from(rate).ok()).unwrap_or(limits::BLOCK_MAX);
        (1 << rate.max(1).ilog2()).clamp(limits::BLOCK_MIN, limits::BLOCK_MAX)
    }

    fn check_arguments(&self) -> Result<(), Error> {
        let wrong = |text: String| Err(Error::Arguments(text));
        let has_password = match self.wire {
            Wire::One => self.keys.has_wire_1(),
            Wire::Two => self.keys.has_wire_2(),
        };
        if !has_password {
            return Err(Error::no_password(self.wire));
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

/// Links between the source and the node that is farthest away.
fn hops(nodes: usize, degree: u32) -> u32 {
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX).max(1);
    if degree > 1 { nodes.ilog(degree) + 1 } else { nodes }
}
