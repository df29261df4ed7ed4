//! Asks all nodes, before anything is sent, whether they could take part.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::super::block::Pool;
use super::super::error::Error;
use super::super::hub::{ChildOrder, Hub};
use super::super::ring::Ring;
use super::super::target::{Target, destinations};
use super::children::Children;
use super::control::{self, Hands, now};
use super::outcome::sort;
use super::wishes::Wishes;
use super::{HAPPENINGS, random};
use crate::session::{CheckSession, Input, Output, Plan, Seed, Timing};
use crate::store::Placement;
use crate::wire::{Destination, Keyring, PayloadWriter, Report, Wire, block_size, limits};

/// A question to many nodes: whether they are there and have the same password and time, may write a file where it is
/// wanted, and have the space for it. Nothing is sent, and nothing is changed anywhere.
///
/// ```no_run
/// use lantorrent_core::Check;
/// use lantorrent_core::wire::{Keyring, Password};
///
/// let keys = Keyring::new(Password::new("a secret of many bytes"));
/// let check = Check::new(keys).length(Some(20 << 30)).to("10.0.0.7/srv/images/a.img".parse()?);
/// for report in check.run()? {
///     println!("{:?}: {}", report.host, report.message);
/// }
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Check {
    keys: Keyring,
    targets: Vec<Target>,
    length: Option<u64>,
    placement: Placement,
    timing: Timing,
}

impl Check {
    /// Asks nodes that have this password, of wire 2.
    pub fn new(keys: Keyring) -> Self {
        let (targets, timing) = (Vec::new(), Timing::default());
        Self { keys, targets, length: None, placement: Placement::Rename, timing }
    }

    /// One more target. Those with the same host and port are one node.
    pub fn to(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// Bytes of the file, so that nodes can say whether they have the space. Not known unless said.
    pub fn length(mut self, bytes: Option<u64>) -> Self {
        self.length = bytes;
        self
    }

    /// How the file is to get to its path; by [`Placement::Rename`] unless said otherwise.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Deadlines other than the default ones.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Asks, and waits until everybody has answered or had the time to. Returns one report for each target, in the
    /// order in which they were given.
    ///
    /// # Errors
    /// Only what makes it impossible to ask.
    pub fn run(self) -> Result<Vec<Report>, Error> {
        if !self.keys.has_wire_2() {
            return Err(Error::no_password(Wire::Two));
        }
        let plan = Plan {
            wire: Wire::Two,
            destinations: destinations(&self.targets, self.placement)?,
            degree: 1,
            block_size: block_size(self.length, 1),
            length: self.length,
            source: None,
            begun: None,
            min_rate: None,
        };
        let mut reports = ask(plan, self.keys, self.timing, &Arc::default())?.reports;
        sort(&mut reports);
        Ok(reports)
    }
}

/// What a check has found.
#[derive(Debug)]
pub(super) struct Findings {
    /// One for each request.
    pub(super) reports: Vec<Report>,
    /// Whether it was stopped, so that some reports say no more than that nobody knows.
    pub(super) stopped: bool,
}

/// Asks everybody in the plan.
pub(super) fn ask(
    plan: Plan,
    keys: Keyring,
    timing: Timing,
    wishes: &Arc<Wishes>,
) -> Result<Findings, Error> {
    let seed = Seed(random().map_err(Error::system("draw random numbers"))?);
    let (happenings, happened) = mpsc::sync_channel(HAPPENINGS);
    wishes.wakes(happenings.clone());
    // No payload is sent, so there is hardly anything of what carries it.
    let hub = Arc::new(Hub::new(Ring::for_node(1)));
    let pool = Pool::new(limits::BLOCK_MIN, 1);
    let connect_timeout = timing.connect.min(timing.check);
    let children = Children::new(Arc::clone(&hub), pool, PayloadWriter::Raw, happenings, connect_timeout);
    let mut session = CheckSession::new(now(), plan, keys, timing, seed);
    let findings = Findings { reports: Vec::new(), stopped: false };
    let mut hands = CheckHands { hub, children, wishes: Arc::clone(wishes), findings };
    control::run(&mut session, &mut hands, &happened);
    drop(happened);
    let CheckHands { hub, children, findings, .. } = hands;
    hub.close();
    children.join();
    Ok(findings)
}

struct CheckHands {
    hub: Arc<Hub>,
    children: Children,
    wishes: Arc<Wishes>,
    findings: Findings,
}

impl Hands for CheckHands {
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { link, host, port } => self.children.connect(link, host, port),
            Output::Send(link, bytes) => self.hub.order_child(link, ChildOrder::Send(bytes)),
            Output::Close(link) => self.hub.close_child(link),
            Output::Report(report) => self.findings.reports.push(report),
            // A check asks for nothing else.
            _ => {}
        }
    }

    fn attend(&mut self) -> Option<Duration> {
        None
    }

    fn urgent(&mut self) -> Option<Input<'static>> {
        let stops = self.wishes.is_ending() && !std::mem::replace(&mut self.findings.stopped, true);
        stops.then_some(Input::Stop(Duration::ZERO))
    }
}

/// Takes out of a list the requests that these reports are about, and the nodes that have none left.
pub(super) fn leave_out(list: &mut Vec<Destination>, failed: &[Report]) {
    let failed: std::collections::HashSet<&str> =
        failed.iter().filter_map(|report| report.id.as_deref()).collect();
    for node in list.iter_mut() {
        node.requests.retain(|request| !failed.contains(request.id.as_str()));
    }
    list.retain(|node| !node.requests.is_empty());
}
