//! One transfer with all that happens in it, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use super::damage::Damage;
use super::fate::{Content, Fate, seconds};
use super::fault::Fault;
use super::scenario::Scenario;
use super::sender::{Ended, Sender};
use super::stage::Stage;
use super::turn::Turn;
use super::{NODES, POLL, SCALE, SIZE};

pub(crate) struct Run {
    pub(crate) name: &'static str,
    /// From the start of the first sender to the end of the last.
    pub(crate) elapsed: Duration,
    /// Of the sender. None if it had to be killed.
    pub(crate) status: Option<ExitStatus>,
    /// When the fault struck; None if there is none, or if the sender had ended by then.
    pub(crate) struck: Option<Duration>,
    pub(crate) has_fault: bool,
    /// How many bits were flipped, where there was somebody to do so.
    pub(crate) flips: Option<usize>,
    /// Lines of the sender's output that are no reports of nodes in the lab.
    pub(crate) strays: Vec<String>,
    pub(crate) fates: Vec<Fate>,
    sender_log: String,
    sender_panicked: bool,
}

/// What is noted while it runs.
struct Record {
    began: SystemTime,
    started: Instant,
    /// What the hosts had received before it.
    before: Vec<u64>,
    stroke: Option<Stroke>,
}

struct Stroke {
    after: Duration,
    /// What the hosts had received by then.
    received: Vec<u64>,
}

/// Plays a scenario, alone on this machine. None after saying that it is skipped.
pub(crate) fn run(scenario: &Scenario) -> Option<Run> {
    let _turn = Turn::take();
    let mut stage = Stage::set(scenario.setting, SCALE)?;
    let (began, started, before) = (SystemTime::now(), Instant::now(), stage.lab.received());
    let mut record = Record { began, started, before, stroke: None };
    let limit = started + scenario.limit;
    let mut sender = stage.send();
    if let Some(fault) = &scenario.fault
        && wait_for_half(&stage, &record.before, fault, &mut sender, limit)
    {
        record.stroke = Some(Stroke { after: started.elapsed(), received: stage.lab.received() });
        sender = play(fault, &mut stage, sender, limit);
    }
    let ended = sender.finish(limit);
    Some(record.conclude(scenario, &stage, &ended))
}

/// Waits until the nodes in question have half of the file. False if the sender ends first.
fn wait_for_half(stage: &Stage, before: &[u64], fault: &Fault, sender: &mut Sender, limit: Instant) -> bool {
    // The last one in the chain is the last to have it.
    let last = fault.nodes().iter().max().copied().unwrap_or(NODES);
    while stage.lab.received()[last] - before[last] < SIZE / 2 {
        if sender.has_ended() || Instant::now() > limit {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

/// From the stroke to its end, if it has one. Gives the sender that has the last word.
fn play(fault: &Fault, stage: &mut Stage, mut sender: Sender, limit: Instant) -> Sender {
    let struck = Instant::now();
    if matches!(fault, Fault::RestartSender) {
        drop(sender);
        return stage.send();
    }
    fault.strike(&stage.lab, &mut stage.nodes);
    if let Some(back) = fault.back() {
        let back = (struck + back).min(limit);
        while !sender.has_ended() && Instant::now() < back {
            thread::sleep(POLL);
        }
        fault.end(&stage.lab, &mut stage.nodes);
    }
    sender
}

impl Record {
    fn conclude(self, scenario: &Scenario, stage: &Stage, ended: &Ended) -> Run {
        let (reports, strays) = parse(&ended.output, stage);
        let received = stage.lab.received();
        let fates = stage.nodes.iter().map(|node| {
            let mut fate = Fate::of(node, scenario, &reports, &stage.source(), self.began);
            let received = received[node.host];
            fate.received = received - self.before[node.host];
            fate.received_since = self.stroke.as_ref().map(|stroke| received - stroke.received[node.host]);
            fate
        });
        Run {
            name: scenario.name,
            elapsed: ended.at - self.started,
            status: ended.status,
            struck: self.stroke.as_ref().map(|stroke| stroke.after),
            has_fault: scenario.fault.is_some(),
            flips: stage.damage.as_ref().map(Damage::flips),
            strays,
            fates: fates.collect(),
            sender_log: stage.sender.tail(),
            sender_panicked: stage.sender.has_panicked(),
        }
    }
}

/// The reports about our nodes, and all other lines but the summary.
fn parse(output: &str, stage: &Stage) -> (Vec<Value>, Vec<String>) {
    let files: Vec<_> = stage.nodes.iter().map(super::node::Node::file).collect();
    let (mut reports, mut strays) = (Vec::new(), Vec::new());
    for line in output.lines() {
        match serde_json::from_str::<Value>(line) {
            Ok(value) if value.get("summary").is_some() => {}
            Ok(value) if files.iter().any(|file| value["file"].as_str() == file.to_str()) => {
                reports.push(value);
            }
            _ => strays.push(line.to_owned()),
        }
    }
    (reports, strays)
}

impl Run {
    /// How many nodes have the file.
    pub(crate) fn whole(&self) -> usize {
        self.fates.iter().filter(|fate| fate.content == Content::Identical).count()
    }

    /// When the last of those had the file to whom nothing happened. None if one of them has not.
    pub(crate) fn survivors(&self) -> Option<Duration> {
        let mut fates = self.fates.iter().filter(|fate| !fate.struck);
        fates.try_fold(Duration::ZERO, |last, fate| Some(last.max(fate.placed?)))
    }

    /// Everything that is not as it has to be, one sentence each.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        match self.status {
            None => complaints.push(format!("the sender has not ended after {:.0?}", self.elapsed)),
            Some(status) => {
                let right = i32::from(!self.fates.iter().all(Fate::succeeded));
                if status.code() != Some(right) {
                    complaints.push(format!("the sender ends with {status}, and not with {right}"));
                }
            }
        }
        if self.has_fault && self.struck.is_none() {
            complaints.push("the sender ended before half of the file was there".into());
        }
        if self.flips == Some(0) {
            complaints.push("no bit was flipped".into());
        }
        if self.sender_panicked {
            complaints.push("the sender panicked".into());
        }
        complaints.extend(self.strays.iter().map(|line| format!("the sender prints {line}")));
        complaints.extend(self.complaints_about_nodes());
        complaints
    }

    /// One sentence for all nodes of which the same has to be said.
    fn complaints_about_nodes(&self) -> impl Iterator<Item = String> {
        let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for fate in &self.fates {
            for complaint in fate.complaints() {
                nodes.entry(complaint).or_default().push(fate.node.to_string());
            }
        }
        nodes.into_iter().map(|(complaint, nodes)| format!("{complaint}: node {}", nodes.join(", ")))
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.map_or("killed".into(), |status| status.to_string());
        write!(f, "{}: {} of {NODES} whole, sender {status} after ", self.name, self.whole())?;
        write!(f, "{}, all survivors had it after ", seconds(Some(self.elapsed)))?;
        writeln!(f, "{}, fault after {}", seconds(self.survivors()), seconds(self.struck))?;
        if let Some(flips) = self.flips {
            writeln!(f, "{flips} bits flipped")?;
        }
        for fate in &self.fates {
            writeln!(f, "{fate}")?;
        }
        writeln!(f, "--- end of the sender's log\n{}", self.sender_log)?;
        for fate in self.fates.iter().filter(|fate| has_log_of_interest(fate)) {
            writeln!(f, "--- end of the log of node {}\n{}", fate.node, fate.log)?;
        }
        Ok(())
    }
}

/// Whose log helps whoever reads of a failure.
fn has_log_of_interest(fate: &Fate) -> bool {
    !fate.log.is_empty() && (fate.struck || fate.complaints().next().is_some())
}
