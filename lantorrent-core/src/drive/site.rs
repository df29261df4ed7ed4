//! What a node is made of, whichever driver serves it.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::config::{NodeConfig, Traffic};
use super::error::Error;
use super::files::Storage;
use super::hooks::{Account, Hooks};
use super::placed::Placed;
use crate::flow::admission::{Admission, Capacity, Task};
use crate::session::Gate;
use crate::store::{Durability, Roots};
use crate::wire::Header;

/// How often to look for partial files that are too old: at least, and at most, however short they are kept.
const CLEANING: RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Site {
    pub(super) gate: Gate,
    pub(super) roots: Arc<Roots>,
    pub(super) placed: Arc<Placed>,
    pub(super) durability: Durability,
    pub(super) capacity: Capacity,
    pub(super) traffic: Traffic,
    pub(super) hooks: Hooks,
    keep_partial: Duration,
}

impl Site {
    /// Opens the roots.
    pub(super) fn open(config: NodeConfig) -> Result<Self, Error> {
        config.check()?;
        let roots = Roots::open(&config.roots)?;
        for root in roots.missing() {
            log::warn!("{} is missing: nothing can be written below it until it is there", root.display());
        }
        Ok(Self {
            roots: Arc::new(roots),
            placed: Arc::default(),
            gate: Gate {
                keys: config.keys,
                also: config.also,
                timing: config.timing,
                verbs: Gate::VERBS,
                features: config.features,
            },
            durability: config.durability,
            capacity: Capacity { connections: config.connections, pending: config.greetings },
            traffic: Traffic {
                receive_limit: config.receive_limit,
                send_limit: config.send_limit,
                dscp: config.dscp,
                resolver: config.resolver,
            },
            hooks: config.hooks,
            keep_partial: config.keep_partial,
        })
    }

    /// Decides what becomes of proven headers.
    pub(super) fn admission(&self) -> Admission {
        Admission::new(self.gate.clone(), self.capacity.connections)
    }

    /// The account of a session for `task`, which comes from that address. None where no file can arrive by it.
    pub(super) fn account(&self, task: &Task, header: &Header, upstream: SocketAddr) -> Option<Arc<Account>> {
        matches!(task, Task::TakePart(_)).then(|| Account::begin(self.hooks.clone(), header, upstream))
    }

    /// What a session needs of it to write its files. Where one is in use, it is waited for as long as `patience`.
    pub(super) fn files(&self, account: Option<Arc<Account>>, patience: Duration) -> Storage {
        let (roots, placed) = (Arc::clone(&self.roots), Arc::clone(&self.placed));
        let hooks = self.hooks.clone();
        Storage { roots, placed, durability: self.durability, hooks, account, patience }
    }

    /// Removes partial files that are too old.
    pub(super) fn clean(&self) {
        let count = self.roots.clean(self.keep_partial);
        if count > 0 {
            log::info!("removed {count} old partial files that no transfer came back for");
        }
    }

    /// How often to do so.
    pub(super) fn cleaning(&self) -> Duration {
        cleaning(self.keep_partial)
    }
}

/// What is kept for so long is gone when half as much time again has passed, or within the hour.
fn cleaning(keep_partial: Duration) -> Duration {
    (keep_partial / 2).clamp(*CLEANING.start(), *CLEANING.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_files_go_within_half_the_time_that_they_are_kept() {
        let seconds = |keep| cleaning(Duration::from_secs(keep)).as_secs();
        assert_eq!((seconds(0), seconds(30), seconds(600)), (10, 15, 300));
        assert_eq!((seconds(7200), seconds(86_400)), (3600, 3600));
    }
}
