//! How a node treats its files, and how long it waits for those that are in use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::placed::Placed;
pub(super) use crate::runtime::workers::{RETRY, Then};
use crate::store::{Durability, Roots, StoreError};

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
