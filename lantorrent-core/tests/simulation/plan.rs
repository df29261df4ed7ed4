//! A run under any faults, drawn from its seed: who is there, what is sent, and what goes wrong when.

use std::time::Duration;

use lantorrent_core::wire::Wire;

use crate::random::Random;
use crate::scenario::{BLOCK, Scenario};
use crate::world::disk::Kind;
use crate::world::fault::{Fault, Mishap, When};
use crate::world::route::{Cut, Hosts};

/// What can go wrong, by the name that `LANTORRENT_KINDS` knows it by.
pub(crate) const KINDS: &[&str] = &[
    "kill",
    "restart",
    "power",
    "freeze",
    "wake",
    "isolate",
    "deaf",
    "pair",
    "partition",
    "reset",
    "damage",
    "fill",
    "break",
    "stall",
    "stop",
    "source-restart",
    "source-wake",
    "source-dies",
    "source-twice",
    "source-suspended",
    "cancel",
];

/// Things that are wrong with a node from the beginning.
pub(crate) const STATES: &[&str] = &[
    "slow",
    "unreadable",
    "full",
    "closed",
    "resumed",
    "two-files",
    "tree",
    "solo",
    "cancels",
    "unchecked",
    "later",
];

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    /// What was drawn.
    pub(crate) kinds: Vec<&'static str>,
}

struct Draw<'a> {
    random: Random,
    scenario: Scenario,
    kinds: Vec<&'static str>,
    allowed: &'a dyn Fn(&str) -> bool,
}

/// The run of a seed, of the kinds that are allowed.
pub(crate) fn plan(seed: u64, allowed: &dyn Fn(&str) -> bool) -> Plan {
    // Another stream than that of the world, which begins with the seed itself.
    let mut random = Random::new(seed ^ 0x6c61_6e74_6f72_7265);
    // Some are so many that the source makes a second chain of those who are left.
    let nodes = if random.chance(5) { random.within(14, 26) } else { 3 + random.below(4) + random.below(7) };
    let blocks = random.within(10, 60);
    let size = blocks * BLOCK as usize - random.pick(&[0, 1, 1000, BLOCK as usize - 1]);
    let mut scenario = Scenario::chain(Wire::Two, nodes, size);
    scenario.length_known = random.chance(85);
    scenario.source_micros = random.pick(&[100, 3_000, 30_000, 200_000]);
    scenario.limit = Duration::from_secs(1000);
    let mut draw = Draw { random, scenario, kinds: Vec::new(), allowed };
    draw.states();
    draw.mishaps();
    draw.later(seed);
    Plan { scenario: draw.scenario, kinds: draw.kinds }
}

impl Draw<'_> {
    /// Whether something is so this time.
    fn is(&mut self, kind: &'static str, percent: usize) -> bool {
        // Always asked, so that what is switched off changes nothing else.
        let drawn = self.random.chance(percent) && (self.allowed)(kind);
        if drawn {
            self.kinds.push(kind);
        }
        drawn
    }

    fn node(&mut self) -> usize {
        self.random.below(self.scenario.list.len())
    }

    fn states(&mut self) {
        if self.is("tree", 25) {
            self.scenario.degree = self.random.within(2, 4) as u32;
        }
        self.scenario.checked = !self.is("unchecked", 20);
        if self.is("solo", 20) {
            let share = self.random.pick(&[30, 100]);
            let nodes = self.scenario.list.len();
            self.scenario.solo = (0..nodes).filter(|_| self.random.chance(share)).collect();
        }
        if self.is("slow", 15) {
            let micros = self.random.pick(&[20_000, 100_000, 400_000]);
            let node = self.node();
            self.scenario.micros_per_block.push((node, micros));
        }
        if self.is("two-files", 10) {
            let node = self.node();
            self.scenario.list[node].1.push("/g".into());
            let kind =
                self.random.pick(&[Kind::Good, Kind::CannotOpen, Kind::NotReadable, Kind::FullAt(9000)]);
            self.scenario.kinds.push((node, "/g", kind));
        }
        if self.is("unreadable", 10) {
            for _ in 0..self.random.within(1, 2) {
                let node = self.node();
                self.scenario.kinds.push((node, "/f", Kind::NotReadable));
            }
        }
        if self.is("full", 8) {
            let (node, at) = (self.node(), self.random.below(self.scenario.content.len()) as u64);
            self.scenario.kinds.push((node, "/f", Kind::FullAt(at)));
        }
        if self.is("closed", 6) {
            let (node, kind) = (self.node(), self.random.pick(&[Kind::CannotOpen, Kind::CannotPlace]));
            self.scenario.kinds.push((node, "/f", kind));
        }
        if self.is("resumed", 25) {
            self.partials();
        }
        if self.is("cancels", 8) {
            self.cancels();
        }
    }

    /// Some are of a version that says more than this one knows.
    fn later(&mut self, seed: u64) {
        // A stream of its own, so that all else is as it would be without them.
        let mut random = Random::new(seed ^ 0x6c61_7465_7200_0000);
        if random.chance(25) && (self.allowed)("later") {
            let share = random.pick(&[15, 50, 100]);
            self.scenario.later = (0..=self.scenario.source()).filter(|_| random.chance(share)).collect();
            self.kinds.push("later");
        }
    }

    /// Many are cancelled, at once or one after the other.
    fn cancels(&mut self) {
        let (share, mut when) = (self.random.pick(&[20, 60, 100]), self.when());
        let together = self.random.chance(50);
        for node in 0..self.scenario.list.len() {
            if self.random.chance(share) {
                when = if together { when } else { self.when() };
                for file in 0..self.scenario.list[node].1.len() {
                    self.scenario.mishaps.push(Mishap::new(when, Fault::Cancel(node, file)));
                }
            }
        }
    }

    fn partials(&mut self) {
        let blocks = self.scenario.content.len() / BLOCK as usize;
        for node in 0..self.scenario.list.len() {
            if self.random.chance(60) {
                let bytes = self.random.within(0, blocks) * BLOCK as usize;
                self.scenario.partials.push((node, bytes));
            }
        }
    }

    fn mishaps(&mut self) {
        let storm = self.random.within(5, 10);
        let count = match self.random.below(100) {
            0..10 => 0,
            10..50 => 1,
            50..75 => 2,
            75..85 => 3,
            85..95 => 4,
            _ => storm,
        };
        for _ in 0..count {
            let kind = self.random.pick(KINDS);
            let when = self.when();
            let mishap = self.mishap(kind, when);
            // One source is enough to be sent for twice.
            let again =
                kind.starts_with("source") && self.kinds.iter().any(|kind| kind.starts_with("source"));
            if (self.allowed)(kind) && !again {
                self.kinds.push(kind);
                self.scenario.mishaps.push(mishap);
            }
        }
    }

    /// Any moment: while connecting, while the payload flows, between its end and the results.
    fn when(&mut self) -> When {
        if let Some(last) = self.scenario.mishaps.last()
            && self.random.chance(25)
        {
            return last.when;
        }
        match self.random.below(100) {
            0..45 => {
                let within = self.random.pick(&[2_000, 50_000, 1_000_000, 8_000_000]);
                When::After(Duration::from_micros(self.random.below(within) as u64))
            }
            45..85 => {
                let bytes = self.random.within(1, self.scenario.content.len()) as u64;
                When::Has(self.node(), bytes)
            }
            _ => When::Ended(self.node()),
        }
    }

    /// Somebody; often a neighbour of whom the last mishap was about.
    fn victim(&mut self) -> usize {
        let any = self.node();
        match self.scenario.mishaps.last().map(|mishap| mishap.fault) {
            Some(Fault::Kill(at) | Fault::Freeze(at) | Fault::PowerCut(at)) if self.random.chance(50) => {
                (at + 1) % self.scenario.list.len()
            }
            _ => any,
        }
    }

    fn a_while(&mut self) -> Duration {
        let (least, most) =
            self.random.pick(&[(100, 2_000), (2_000, 6_000), (6_000, 20_000), (20_000, 50_000)]);
        Duration::from_millis(self.random.within(least, most) as u64)
    }

    fn mishap(&mut self, kind: &str, when: When) -> Mishap {
        let source = self.scenario.source();
        let victim = self.victim();
        let time = self.a_while();
        let lasting = |fault| Mishap::new(when, fault);
        let passing = |fault| Mishap::new(when, fault).ends_after(time);
        let sometimes =
            |draw: &mut Self, fault| if draw.random.chance(70) { passing(fault) } else { lasting(fault) };
        match kind {
            "kill" => lasting(Fault::Kill(victim)),
            "restart" => passing(Fault::Kill(victim)),
            "power" => sometimes(self, Fault::PowerCut(victim)),
            "freeze" => lasting(Fault::Freeze(victim)),
            "wake" => passing(Fault::Freeze(victim)),
            "isolate" => {
                let cut = self.cut_off(Hosts::of([victim]));
                sometimes(self, Fault::Silence { cut, both: true })
            }
            "deaf" => {
                let cut = self.cut_off(Hosts::of([victim]));
                sometimes(self, Fault::Silence { cut, both: false })
            }
            "pair" => {
                let other = self.random.below(source + 1);
                let cut = Cut { from: Hosts::of([victim]), to: Hosts::of([other]) };
                let both = self.random.chance(70);
                sometimes(self, Fault::Silence { cut, both })
            }
            "partition" => {
                let group: Vec<usize> = (0..source).filter(|_| self.random.chance(40)).collect();
                let cut = self.cut_off(Hosts::of(group));
                passing(Fault::Silence { cut, both: true })
            }
            "reset" => lasting(Fault::Reset(self.random.below(source + 1))),
            "damage" => {
                lasting(Fault::Damage(self.random.below(source + 1), self.random.within(1, 3) as u32))
            }
            "fill" => sometimes(self, Fault::Fill(victim)),
            "break" => lasting(Fault::Break(victim)),
            "stall" => passing(Fault::Stall(victim)),
            "stop" => lasting(Fault::Stop(victim, time)),
            "source-restart" => passing(Fault::Kill(source)),
            "source-wake" => passing(Fault::Freeze(source)),
            "cancel" => {
                let files = self.scenario.list[victim].1.len();
                lasting(Fault::Cancel(victim, self.random.below(files)))
            }
            "source-suspended" => passing(Fault::Suspend),
            "source-twice" => lasting(Fault::Again),
            "source-dies" => {
                let fault =
                    self.random.pick(&[Fault::Kill(source), Fault::PowerCut(source), Fault::Freeze(source)]);
                lasting(fault)
            }
            other => unreachable!("no kind {other}"),
        }
    }

    /// Some hosts against all others, in the direction that is cut if only one is.
    fn cut_off(&mut self, group: Hosts) -> Cut {
        let others = Hosts::ALL.but(group);
        if self.random.chance(50) { Cut { from: group, to: others } } else { Cut { from: others, to: group } }
    }
}
