//! Asks many nodes a question that each answers by itself.

use std::sync::Arc;
use std::time::Instant;

use super::super::dscp::Dscp;
use super::super::error::Error;
use super::super::names::Resolver;
use super::super::target::Target;
use super::bell::Bell;
use super::calls::Calls;
use super::control::now;
use super::outcome::{Board, Outcome};
use super::random;
use super::wishes::Wishes;
use crate::session::{
    DirectExchange, LinkOutput, Plan, PreflightInput, PreflightOutput, PreflightSession, Seed, Timing,
};
use crate::wire::{Code, Keyring, Report, Verb};

/// Asks everybody in the plan, which is that of `targets`. A target has a good result where `good` is what it is answered.
pub(super) fn ask_all(
    targets: Vec<Target>,
    plan: Plan,
    (verb, good): (Verb, Code),
    keys: Keyring,
    timing: Timing,
    resolver: Resolver,
) -> Result<Outcome, Error> {
    let started = Instant::now();
    let found = survey(plan, verb, keys, timing, (None, resolver), &Arc::default())?;
    let mut board = Board::new(targets, good);
    for report in found.reports {
        board.end(report, 0);
    }
    Ok(board.outcome(0, started.elapsed()))
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// One for each request.
    pub(super) reports: Vec<Report>,
    /// What source and nodes have by it.
    pub(super) exchange: DirectExchange,
    /// Whether it was stopped, so that some reports say no more than that nobody knows.
    pub(super) stopped: bool,
}

/// Asks everybody in the plan.
pub(super) fn survey(
    plan: Plan,
    verb: Verb,
    keys: Keyring,
    timing: Timing,
    (dscp, resolver): (Option<Dscp>, Resolver),
    wishes: &Arc<Wishes>,
) -> Result<Findings, Error> {
    let seed = Seed(random().map_err(Error::system("draw random numbers"))?);
    let bell = Bell::new().map_err(Error::system("wait for connections"))?;
    let ringing = bell.clone();
    wishes.wakes(move || ringing.ring());
    let mut session = PreflightSession::new(now(), plan, verb, keys, timing, seed);
    let mut calls = Calls::new(bell, dscp, resolver);
    let mut findings = Findings::default();
    while carry_out(&mut session, &mut calls, &mut findings) {
        if wishes.is_ending() && !std::mem::replace(&mut findings.stopped, true) {
            session.handle(now(), PreflightInput::Stop);
            continue;
        }
        let heard = calls.wait(session.deadline()).map_err(Error::system("wait for connections"))?;
        for heard in &heard {
            session.handle(now(), heard.input());
        }
        if session.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            session.handle(now(), PreflightInput::Tick);
        }
    }
    findings.exchange = session.take_exchange();
    Ok(findings)
}

/// Does what the session asks for. Returns whether it goes on.
fn carry_out(session: &mut PreflightSession, calls: &mut Calls, findings: &mut Findings) -> bool {
    while let Some(output) = session.poll() {
        match output {
            PreflightOutput::Link(LinkOutput::LookUp { link, host, port }) => calls.look_up(link, host, port),
            PreflightOutput::Link(LinkOutput::Connect { link, to }) => calls.connect(link, to),
            PreflightOutput::Link(LinkOutput::Send(link, bytes)) => calls.say(link, &bytes),
            PreflightOutput::Link(LinkOutput::Close(link)) => calls.hang_up(link),
            PreflightOutput::Report(report) => findings.reports.push(report),
            PreflightOutput::Done => return false,
        }
    }
    true
}
