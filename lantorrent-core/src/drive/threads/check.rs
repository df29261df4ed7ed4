//! Asks all nodes, before anything is sent, whether they could take part.

use super::super::error::Error;
use super::super::names::Resolver;
use super::super::target::{Target, destinations};
use super::outcome::Outcome;
use super::survey::ask_all;
use crate::session::{Plan, Timing};
use crate::store::Placement;
use crate::wire::{Code, Destination, Keyring, Report, Verb, Wire, block_size};

/// A question to many nodes: whether they are there and have the same password and time, may write a file where it is
/// wanted, and have the space for it. Nothing is sent, and nothing is changed anywhere.
///
/// ```no_run
/// use lantorrent_core::Check;
/// use lantorrent_core::wire::{Keyring, Password};
///
/// let keys = Keyring::new(Password::new("a secret of many bytes")?);
/// let check = Check::new(keys).length(Some(20 << 30)).to("10.0.0.7/srv/images/a.img".parse()?);
/// for failed in check.run()?.failed() {
///     println!("{}: {}", failed.target, failed.report().message);
/// }
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[must_use = "nothing is asked before `run` is called"]
#[derive(Debug)]
pub struct Check {
    keys: Keyring,
    targets: Vec<Target>,
    length: Option<u64>,
    placement: Placement,
    timing: Timing,
    resolver: Resolver,
}

impl Check {
    /// Asks nodes that have this password, of wire 2.
    pub fn new(keys: Keyring) -> Self {
        let (targets, timing, resolver) = (Vec::new(), Timing::default(), Resolver::default());
        Self { keys, targets, length: None, placement: Placement::Rename, timing, resolver }
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

    /// Where the addresses of names come from; the system unless said otherwise.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// Asks, and waits until everybody has answered or had the time to. A target of the outcome
    /// has a good result where its file could be written.
    ///
    /// # Errors
    /// Only what makes it impossible to ask.
    pub fn run(self) -> Result<Outcome, Error> {
        if !self.keys.has_wire_2() {
            return Err(Error::no_password(Wire::Two));
        }
        let plan = Plan {
            length: self.length,
            ..Plan::new(Wire::Two, destinations(&self.targets, self.placement)?, block_size(self.length, 1))
        };
        ask_all(self.targets, plan, (Verb::Check, Code::SUCCESS), self.keys, self.timing, self.resolver)
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
