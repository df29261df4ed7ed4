//! What all connections share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::guests::Guests;
use super::head::Head;
use super::quota::Quota;
use super::stream::Peer;
use super::{App, Limits};
use crate::time::Timestamp;

pub(super) struct Service {
    pub(super) app: App,
    pub(super) limits: Limits,
    pub(super) guests: Arc<Guests>,
    /// Connections that wait for a request to end. Some are kept free for others.
    pub(super) polls: Quota,
    /// Bytes of the bodies that are being read and worked on.
    pub(super) bodies: Quota,
    /// Bytes of large answers that clients are taking.
    pub(super) answers: Quota,
    token: RwLock<Option<Arc<str>>>,
    /// The second of the last warning.
    warned: AtomicU64,
}

impl Service {
    pub(super) fn new(app: App, token: Option<String>, limits: Limits) -> Self {
        Self {
            app,
            limits,
            guests: Guests::new(limits.connections),
            polls: Quota::new(limits.connections * 3 / 4),
            bodies: Quota::new(limits.body_bytes * 8),
            answers: Quota::new(limits.answer_bytes),
            token: RwLock::new(token.map(Arc::from)),
            warned: AtomicU64::new(0),
        }
    }

    pub(super) fn token(&self) -> Option<Arc<str>> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_token(&self, token: Option<String>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token.map(Arc::from);
    }

    /// Somebody was not let in. Warned of once a second, since who wants to can do it all the time.
    pub(super) fn warn_of(&self, status: u16, peer: Peer, head: &Head) {
        let second = Timestamp::now().0 / 1000;
        let is_first = self.warned.swap(second, Ordering::Relaxed) != second;
        let level = if is_first { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "http: {peer} was refused {} {} with {status}", head.method, head.path);
    }
}
