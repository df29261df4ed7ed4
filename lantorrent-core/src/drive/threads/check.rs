//! Asks all nodes, before anything is sent, whether they could take part.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::super::block::Pool;
use super::super::error::Error;
use super::super::hub::{ChildOrder, Hub};
use super::super::ring::Ring;
use super::children::Children;
use super::control::{self, Hands, now};
use super::stop::StopSign;
use super::{HAPPENINGS, random};
use crate::session::{CheckSession, Input, Output, Plan, Seed, Timing};
use crate::wire::{Destination, Keyring, PayloadWriter, Report, limits};

/// What a check has found.
#[derive(Debug)]
pub(super) struct Findings {
    /// One for each request.
    pub(super) reports: Vec<Report>,
    /// Whether it was stopped, so that some reports say no more than that nobody knows.
    pub(super) stopped: bool,
}

/// Asks everybody in the plan.
pub(super) fn run(
    plan: Plan,
    keys: Keyring,
    timing: Timing,
    stop: &Arc<StopSign>,
) -> Result<Findings, Error> {
    let seed = Seed(random().map_err(Error::system("draw random numbers"))?);
    let (happenings, happened) = mpsc::sync_channel(HAPPENINGS);
    stop.wakes(happenings.clone());
    // No payload is sent, so there is hardly anything of what carries it.
    let hub = Arc::new(Hub::new(Ring::for_node(1)));
    let pool = Pool::new(limits::BLOCK_MIN, 1);
    let connect_timeout = timing.connect.min(timing.check);
    let children = Children::new(Arc::clone(&hub), pool, PayloadWriter::Raw, happenings, connect_timeout);
    let mut session = CheckSession::new(now(), plan, keys, timing, seed);
    let findings = Findings { reports: Vec::new(), stopped: false };
    let mut hands = CheckHands { hub, children, stop: Arc::clone(stop), findings };
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
    stop: Arc<StopSign>,
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
        let stopped = self.stop.take();
        self.findings.stopped |= stopped;
        stopped.then_some(Input::Stop(Duration::ZERO))
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
