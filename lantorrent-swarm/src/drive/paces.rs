//! What two limits allow together.

use std::time::Instant;

use lantorrent_core::Limit;
use lantorrent_core::runtime::RateLimiter;

/// What the limit of all torrents and that of one allow, for one connection.
pub(super) struct Paces([RateLimiter; 2]);

impl Paces {
    pub(super) fn new(all: &Limit, one: &Limit) -> Self {
        Self([RateLimiter::new(all.clone()), RateLimiter::new(one.clone())])
    }

    pub(super) fn allowance(&mut self, now: Instant, most: usize) -> Result<usize, Instant> {
        self.0.iter_mut().try_fold(most, |most, pace| pace.allowance(now, most))
    }

    pub(super) fn went(&mut self, bytes: usize) {
        for pace in &mut self.0 {
            pace.went(bytes);
        }
    }
}
