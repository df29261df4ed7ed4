//! Removes from nodes what is not wanted any more, where no transfer of it runs.

use std::path::Path;

use super::super::error::Error;
use super::super::names::Resolver;
use super::super::target::{Target, destinations};
use super::control::unix_millis;
use super::origin;
use super::outcome::Outcome;
use super::survey::ask_all;
use crate::session::{Plan, Timing};
use crate::store::Placement;
use crate::wire::{Code, Keyring, SourceHint, Verb, Wire, block_size};

/// Removes from nodes what transfers of a file have left there that nobody goes on with: those that were interrupted,
/// and those that still wait for a sender that is gone. Never a file that is whole, nor what another source has sent.
///
/// A transfer that runs is better asked by [`TransferHandle::cancel`](super::TransferHandle::cancel).
///
/// ```no_run
/// use lantorrent_core::wire::{Keyring, Password};
/// use lantorrent_core::Cancel;
///
/// let keys = Keyring::new(Password::new("a secret of many bytes")?);
/// let source = Cancel::source("/srv/images/a.img")?;
/// let outcome = Cancel::new(keys, source).to("10.0.0.7/srv/images/a.img".parse()?).run()?;
/// for failed in outcome.failed() {
///     println!("{}: {}", failed.target, failed.report().message);
/// }
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[must_use = "no node is asked before `run` is called"]
#[derive(Debug)]
pub struct Cancel {
    keys: Keyring,
    source: SourceHint,
    targets: Vec<Target>,
    timing: Timing,
    resolver: Resolver,
}

impl Cancel {
    /// Which version of a file that is, as its transfers say it. Worth keeping: the file may be gone, or another one,
    /// when they are to be cancelled.
    ///
    /// # Errors
    /// It cannot be opened, or is neither a file nor a disk.
    pub fn source(path: impl AsRef<Path>) -> Result<SourceHint, Error> {
        let path = path.as_ref();
        let opened = origin::open(path).map_err(|cause| Error::Source { path: path.to_owned(), cause })?;
        Ok(opened.1)
    }

    /// For transfers of that version of a file, with this password of wire 2.
    pub fn new(keys: Keyring, source: SourceHint) -> Self {
        let (timing, resolver) = (Timing::default(), Resolver::default());
        Self { keys, source, targets: Vec::new(), timing, resolver }
    }

    /// One more target. Those with the same host and port are one node.
    pub fn to(mut self, target: Target) -> Self {
        self.targets.push(target);
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

    /// Asks all nodes at once, each twice if need be, and waits until everybody has answered or had the time to. A target
    /// of the outcome has a good result where nothing is left, reported as [`Code::CANCELLED`].
    ///
    /// # Errors
    /// Only what makes it impossible to ask.
    pub fn run(self) -> Result<Outcome, Error> {
        if !self.keys.has_wire_2() {
            return Err(Error::no_password(Wire::Two));
        }
        let plan = Plan {
            source: Some(self.source),
            begun: unix_millis(),
            ..Plan::new(Wire::Two, destinations(&self.targets, Placement::Rename)?, block_size(None, 1))
        };
        ask_all(self.targets, plan, (Verb::Cancel, Code::CANCELLED), self.keys, self.timing, self.resolver)
    }
}
