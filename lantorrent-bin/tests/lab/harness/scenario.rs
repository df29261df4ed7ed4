//! What is tried: one entry for each test, and for each line of the benchmark.

use std::time::Duration;

use super::NODES;
use super::fault::{Expected, Fault};

/// One transfer to all nodes, and what happens on the way.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) setting: Setting,
    /// Strikes when half of the file has arrived.
    pub(crate) fault: Option<Fault>,
    /// A source that has not ended by then never does.
    pub(crate) limit: Duration,
}

/// What is the matter before anything is sent.
#[derive(Clone, Copy)]
pub(crate) enum Setting {
    /// Nothing.
    Usual,
    /// A node whose files are on a disk of that many bytes.
    SmallDisk(usize, u64),
    /// A node whose link flips one bit in the middle of the file, and if so one in every later connection.
    Damage { node: usize, again: bool },
    /// A node whose link has this rate, and a sender that asks for this one.
    Slow { node: usize, rate: &'static str, floor: &'static str },
}

impl Setting {
    /// Whether something is the matter with this node.
    pub(crate) fn is_about(self, host: usize) -> bool {
        match self {
            Self::Usual => false,
            Self::SmallDisk(node, _) | Self::Damage { node, .. } | Self::Slow { node, .. } => node == host,
        }
    }
}

/// Longer than a silence that is noticed: whoever is away for so long has been given up.
const AWAY: Option<Duration> = Some(Duration::from_secs(6));
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario::usual("undisturbed"),
    Scenario::fault("killed_5", Fault::Kill(&[5])),
    Scenario::fault("killed_3_4_9", Fault::Kill(&[3, 4, 9])),
    Scenario::fault("killed_first_and_last", Fault::Kill(&[1, NODES])),
    Scenario::fault("stopped_5", Fault::Stop { nodes: &[5], back: None }),
    Scenario::fault("stopped_3_8_13", Fault::Stop { nodes: &[3, 8, 13], back: None }),
    Scenario::fault("stopped_5_for_a_while", Fault::Stop { nodes: &[5], back: AWAY }),
    Scenario::fault("cut_5", Fault::Cut { nodes: &[5], back: None }),
    Scenario::fault("cut_5_6_7", Fault::Cut { nodes: &[5, 6, 7], back: None }),
    Scenario::fault("cut_5_for_a_while", Fault::Cut { nodes: &[5], back: AWAY }),
    Scenario::setting("disk_of_7_too_small", Setting::SmallDisk(7, 50_000_000)),
    Scenario {
        setting: Setting::SmallDisk(7, 160 << 20),
        ..Scenario::fault("disk_of_7_fills_up", Fault::FillDisk(7))
    },
    Scenario::setting("bit_flipped_before_6", Setting::Damage { node: 6, again: false }),
    Scenario::setting("bits_flipped_before_6", Setting::Damage { node: 6, again: true }),
    Scenario::fault("sender_restarted", Fault::RestartSender),
    Scenario::fault("node_5_restarted", Fault::Restart(5)),
    Scenario {
        // At its rate the slow node alone takes almost two minutes.
        limit: Duration::from_secs(240),
        ..Scenario::setting("slow_4", Setting::Slow { node: 4, rate: "10mbit", floor: "5M" })
    },
];

impl Scenario {
    const fn usual(name: &'static str) -> Self {
        Self { name, setting: Setting::Usual, fault: None, limit: LIMIT }
    }

    const fn fault(name: &'static str, fault: Fault) -> Self {
        Self { name, setting: Setting::Usual, fault: Some(fault), limit: LIMIT }
    }

    const fn setting(name: &'static str, setting: Setting) -> Self {
        Self { name, setting, fault: None, limit: LIMIT }
    }

    /// Whether anything is the matter with a node.
    pub(crate) fn strikes(&self, node: usize) -> bool {
        self.setting.is_about(node) || self.fault.as_ref().is_some_and(|fault| fault.nodes().contains(&node))
    }

    /// What is to become of a node.
    pub(crate) fn expected(&self, node: usize) -> Expected {
        if let Some(expected) = self.fault.as_ref().and_then(|fault| fault.expected(node)) {
            return expected;
        }
        match self.setting {
            Setting::SmallDisk(small, _) if small == node => Expected::Failed,
            // The source may get the file past such a link in the end, or may not.
            Setting::Damage { node: damaged, again: true } if damaged == node => Expected::Either,
            _ => Expected::Whole,
        }
    }
}
