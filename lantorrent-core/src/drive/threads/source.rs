//! Runs a transfer from its source.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::block::Pool;
use super::super::dscp::Dscp;
use super::super::error::Error;
use super::super::hub::Hub;
use super::super::limit::Limit;
use super::super::memory::{self, Promise};
use super::super::names::{Resolver, Zones};
use super::super::orders::ChildOrder;
use super::super::ring::Ring;
use super::children::{Children, Outgoing};
use super::control::{self, Hands, now};
use super::origin::Origin;
use super::outcome::{Event, ListedNode, Outcome};
use super::supply::{Supply, Zeros};
use super::wishes::{Wish, Wishes};
use super::{HAPPENINGS, random, ring_capacity};
use crate::session::{FeedOutput, LinkOutput, Plan, Seed, SourceInput, SourceOutput, SourceSession, Timing};
use crate::wire::{Keyring, PayloadWriter};

/// How long the last frame to a child may take where the transfer is suspended.
const PARTING: Duration = Duration::from_secs(1);

pub(super) type Listener = Box<dyn FnMut(&Event) + Send>;

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
}

/// Sends what comes from `origin` to everybody in the plan, and adds to `outcome` what became of it.
pub(super) fn run(
    origin: Origin,
    zeros: Zeros,
    plan: Plan,
    desk: Desk,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    let Desk { keys, timing, limit, dscp, resolver, mut listener, wishes } = desk;
    let _memory = Promise::of(memory::TRANSFER).map_err(Error::system("begin a transfer"))?;
    let (wire, length, block_size) = (plan.wire, plan.length, plan.block_size);
    let seed = Seed(random().map_err(Error::system("draw random numbers"))?);
    let mut session = SourceSession::new(now(), plan, keys.clone(), timing, seed);
    let Some(writer) = PayloadWriter::new(session.header(), &keys) else {
        return Err(Error::no_password(wire));
    };
    let nodes = session.nodes().iter().map(ListedNode::from).collect();
    listener(&Event::Begun { transfer: session.transfer(), nodes });
    let (happenings, happened) = mpsc::sync_channel(HAPPENINGS);
    let waking = happenings.clone();
    // Where there is no room the session is awake.
    wishes.wakes(move || drop(waking.try_send(SourceInput::Tick.into())));
    let capacity = ring_capacity(block_size);
    let hub = Arc::new(Hub::new(Ring::for_source(capacity, origin.backing())));
    let pool = Pool::new(block_size, capacity);
    let children = Children::new(
        Arc::clone(&hub),
        Arc::clone(&pool),
        writer,
        happenings.clone(),
        Outgoing { resolver, zones: Zones::Own, dscp, limit },
    );
    let supply = Supply { origin, zeros, wire, block_size, hub: Arc::clone(&hub), pool, happenings };
    // Not waited for at the end: a stream may never say another byte.
    thread::Builder::new()
        .name("read".into())
        .spawn(|| supply.run())
        .map_err(Error::system("start a thread"))?;
    let mut hands = SourceHands { hub, children, listener, wishes, length, outcome };
    control::run(&mut session, &mut hands, &happened);
    drop(happened);
    let SourceHands { hub, children, outcome, .. } = hands;
    outcome.size = hub.farthest();
    hub.wait_for_parting(PARTING);
    hub.close();
    children.join();
    Ok(())
}

/// What a session of a source works with.
struct SourceHands<'a> {
    hub: Arc<Hub>,
    children: Children<SourceInput<'static>>,
    listener: Listener,
    wishes: Arc<Wishes>,
    length: Option<u64>,
    outcome: &'a mut Outcome,
}

impl Hands<SourceSession> for SourceHands<'_> {
    fn carry_out(&mut self, output: SourceOutput) {
        match output {
            SourceOutput::Link(LinkOutput::LookUp { link, host, port }) => {
                self.children.look_up(link, host, port);
            }
            SourceOutput::Link(LinkOutput::Connect { link, to }) => self.children.connect(link, to),
            SourceOutput::Link(LinkOutput::Send(link, bytes)) => {
                self.hub.order_child(link, ChildOrder::Send(bytes));
            }
            SourceOutput::Feed(FeedOutput::Control(link, control)) => {
                self.hub.order_child(link, ChildOrder::Control(control));
            }
            SourceOutput::Feed(FeedOutput::Feed(link, from)) => self.hub.feed(link, from),
            SourceOutput::Feed(FeedOutput::Finish(link)) => self.hub.order_child(link, ChildOrder::Finish),
            SourceOutput::Link(LinkOutput::Close(link)) => self.hub.close_child(link),
            SourceOutput::Part(link) => self.hub.part_from_child(link),
            SourceOutput::Progress(nodes) => {
                let event = Event::Progress { size: self.length, sent: self.hub.farthest(), nodes };
                (self.listener)(&event);
            }
            SourceOutput::Report(report) => {
                (self.listener)(&Event::Report(report.clone()));
                self.outcome.reports.push(report);
            }
            SourceOutput::Bypassed(report) => {
                (self.listener)(&Event::Bypassed(report.clone()));
                self.outcome.bypassed.push(report);
            }
            // It is dealt with before it comes here.
            SourceOutput::Done => {}
        }
    }

    fn attend(&mut self, _is_orphan: bool) -> Option<Duration> {
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
