//! Asks many nodes a question that each answers by itself.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::super::block::Pool;
use super::super::error::Error;
use super::super::hub::{ChildOrder, Hub};
use super::super::ring::Ring;
use super::children::Children;
use super::control::{self, Hands, now};
use super::wishes::Wishes;
use super::{HAPPENINGS, random};
use crate::session::{Input, Output, Plan, Seed, SurveySession, Timing};
use crate::wire::{Keyring, PayloadWriter, Report, Verb, limits};

/// What was found.
#[derive(Debug)]
pub(super) struct Findings {
    /// One for each request.
    pub(super) reports: Vec<Report>,
    /// Whether it was stopped, so that some reports say no more than that nobody knows.
    pub(super) stopped: bool,
}

/// Asks everybody in the plan.
pub(super) fn survey(
    plan: Plan,
    verb: Verb,
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
    let mut session = SurveySession::new(now(), plan, verb, keys, timing, seed);
    let findings = Findings { reports: Vec::new(), stopped: false };
    let mut hands = SurveyHands { hub, children, wishes: Arc::clone(wishes), findings };
    control::run(&mut session, &mut hands, &happened);
    drop(happened);
    let SurveyHands { hub, children, findings, .. } = hands;
    hub.close();
    children.join();
    Ok(findings)
}

struct SurveyHands {
    hub: Arc<Hub>,
    children: Children,
    wishes: Arc<Wishes>,
    findings: Findings,
}

impl Hands for SurveyHands {
    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Connect { link, host, port } => self.children.connect(link, host, port),
            Output::Send(link, bytes) => self.hub.order_child(link, ChildOrder::Send(bytes)),
            Output::Close(link) => self.hub.close_child(link),
            Output::Report(report) => self.findings.reports.push(report),
            // A survey asks for nothing else.
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
