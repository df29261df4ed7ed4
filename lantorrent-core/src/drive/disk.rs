//! How a node treats its files, and how long it waits for those that are in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::placed::Placed;
pub(super) use crate::runtime::workers::{RETRY, Then};
use crate::store::{Durability, Roots, StoreError};

/// How long to wait for files that are in use. A transfer whose results are out takes a moment to let go of its files,
/// and its source may be here again before that.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// How soon to look again whether a transfer that is in the way has lost its upstream.
pub(super) const CONTEST: Duration = Duration::from_millis(50);
/// The same where somebody was just asked to let go of them, who first has to bring to the disk what there is.
pub(super) const PATIENCE_WITH_SUPERSEDED: Duration = Duration::from_secs(10);

/// A node's files, and how they are treated.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) roots: Arc<Roots>,
    pub(super) placed: Arc<Placed>,
    pub(super) durability: Durability,
    /// How long, all in all, to wait for files that are in use.
    pub(super) patience: Duration,
}

/// Whether something is to be tried again because a file is in use.
pub(super) fn is_worth_waiting<T>(result: &Result<T, StoreError>, until: Instant) -> bool {
    matches!(result, Err(StoreError::InUse { .. })) && Instant::now() < until
}
