//! Runs a transfer from its source.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::super::backing::BackingFile;
use super::super::dscp::Dscp;
use super::super::error::Error;
use super::super::memory::{self, Promise};
use super::super::names::{Resolver, Zones};
use super::children::{Children, Outgoing};
use super::control::{self, Hands, ToSource, now};
use super::monitor::{Monitor, Role};
use super::origin::{Origin, SourceContent};
use super::outcome::{Board, ListedNode, TransferEvent};
use super::wishes::{Wish, Wishes};
use super::{HAPPENINGS, random};
use crate::flow::{Pool, Ring, Shared as _, Supply, SupplyStep, Zeros, ring_capacity};
use crate::rate::Limit;
use crate::session::{Plan, Seed, SourceInput, SourceOutput, SourceSession, Standing, Timing};
use crate::wire::{Keyring, PayloadWriter};

/// How long the last frame to a child may take where the transfer is suspended.
const PARTING: Duration = Duration::from_secs(1);

pub(super) type Listener = Box<dyn FnMut(&TransferEvent) + Send>;

/// What a source works with, whatever it does.
pub(super) struct Desk {
    pub(super) keys: Keyring,
    pub(super) timing: Timing,
    /// Of what goes out to all children together.
    pub(super) limit: Limit,
    /// How its packets are marked.
    pub(super) dscp: Option<Dscp>,
    pub(super) resolver: Resolver,
    pub(super) listener: Listener,
    pub(super) wishes: Arc<Wishes>,
    pub(super) board: Board,
}

/// Sends what comes from `origin` to all nodes of the plan. Returns what became of it, and the bytes sent to the first node.
pub(super) fn run(origin: Origin, zeros: Zeros, plan: Plan, desk: Desk) -> Result<(Board, u64), Error> {
    let Desk { keys, timing, limit, dscp, resolver, mut listener, wishes, mut board } = desk;
    let _memory = Promise::of(memory::TRANSFER).map_err(Error::system("begin a transfer"))?;
    let (wire, length, block_size) = (plan.wire, plan.length, plan.block_size);
    let seed = Seed(random().map_err(Error::system("draw random numbers"))?);
    let mut session = SourceSession::new(now(), plan, keys.clone(), timing, seed);
    let Some(writer) = PayloadWriter::new(session.header(), &keys) else {
        return Err(Error::no_password(wire));
    };
    let nodes: Vec<ListedNode> = session.nodes().iter().map(ListedNode::from).collect();
    board.list(&nodes);
    listener(&TransferEvent::Begun { transfer: session.transfer(), nodes });
    let (happenings, happened) = mpsc::sync_channel(HAPPENINGS);
    let waking = happenings.clone();
    // Where there is no room the session is awake.
    wishes.wakes(move || drop(waking.try_send(SourceInput::Tick.into())));
    let capacity = ring_capacity(block_size);
    let backing = BackingFile { file: origin.backing(), digests: None };
    let monitor = Arc::new(Monitor::new(Ring::for_source(capacity, backing)));
    let pool = Pool::new(block_size, capacity);
    let children = Children::new(
        Arc::clone(&monitor),
        Arc::clone(&pool),
        writer,
        happenings.clone(),
        Outgoing { resolver, zones: Zones::Own, dscp, limit },
    );
    let content = SourceContent::new(origin, block_size);
    let supply = Supply::new(Instant::now(), content, zeros, session.key(), block_size, pool);
    let filled = Arc::clone(&monitor);
    // Not waited for at the end: a stream may never say another byte.
    thread::Builder::new()
        .name("read".into())
        .spawn(move || bring(supply, &filled, &happenings))
        .map_err(Error::system("start a thread"))?;
    let mut hands = SourceHands { monitor, children, listener, wishes, length, board };
    control::run(&mut session, &mut hands, &happened);
    drop(happened);
    let SourceHands { monitor, children, board, .. } = hands;
    let sent = monitor.look(Ring::farthest);
    children.wait_for_parting(PARTING);
    children.end();
    Ok((board, sent))
}

/// Brings everything, or tells the session why not.
fn bring(mut supply: Supply<SourceContent>, monitor: &Monitor, happenings: &ToSource) {
    // A send fails only when the session is over, and then nothing wants to know.
    let tell = &mut |input: SourceInput<'static>| drop(happenings.send(input.into()));
    loop {
        match supply.step(Instant::now(), monitor, tell) {
            SupplyStep::Moved(_) => {}
            SupplyStep::NeedsRoom { epoch, until } => monitor.wait(Role::Producer, epoch, Some(until)),
            SupplyStep::Over => return,
        }
    }
}

/// What a session of a source works with.
struct SourceHands {
    monitor: Arc<Monitor>,
    children: Children<SourceInput<'static>>,
    listener: Listener,
    wishes: Arc<Wishes>,
    length: Option<u64>,
    board: Board,
}

impl Hands<SourceSession> for SourceHands {
    fn carry_out(&mut self, output: SourceOutput) {
        match output {
            SourceOutput::Link(output) => self.children.carry_out(output),
            SourceOutput::Feed(output) => self.monitor.change(|ring| ring.obey(output)),
            SourceOutput::Part(link) => self.children.part(link),
            SourceOutput::Progress(nodes) => {
                let sent = self.monitor.look(Ring::farthest);
                let progress = self.board.progress(self.length, sent, nodes);
                (self.listener)(&TransferEvent::Progress(progress));
            }
            SourceOutput::Report(report) => {
                let sent = self.monitor.look(Ring::farthest);
                if let Some(ended) = self.board.end(report, sent) {
                    (self.listener)(&TransferEvent::Ended(ended));
                }
            }
            SourceOutput::Bypassed(report) => {
                self.board.bypassed.push(report.clone());
                (self.listener)(&TransferEvent::Bypassed(report));
            }
            // It is dealt with before it comes here.
            SourceOutput::Done => {}
        }
    }

    fn attend(&mut self, _standing: Standing) -> Option<Duration> {
        None
    }

    fn urgent(&mut self) -> Option<SourceInput<'static>> {
        Some(match self.wishes.take()? {
            Wish::Stop => SourceInput::Stop,
            Wish::Suspend => SourceInput::Suspend,
            Wish::Cancel(place) => SourceInput::Cancel(place.to_string()),
        })
    }
}
