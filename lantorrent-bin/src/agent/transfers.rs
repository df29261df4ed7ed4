//! Transfers as they can be looked at: those that run, and the latest that have ended.

use crate::api;

/// Shared by who sends and who asks.
#[derive(Default)]
pub(crate) struct Transfers {}

impl Transfers {
    /// Latest first, without their chains.
    pub(crate) fn list(&self) -> Vec<api::Transfer> {
        unimplemented!()
    }

    pub(crate) fn find(&self, id: &str) -> Option<api::Transfer> {
        unimplemented!()
    }

    /// How far a request is that is being sent.
    pub(crate) fn progress(&self, request: &str) -> Option<api::Progress> {
        unimplemented!()
    }
}
