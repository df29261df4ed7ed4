//! A bounded amount of something, of which parts are taken and given back.

use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
pub(super) struct Quota(AtomicUsize);

impl Quota {
    pub(super) fn new(most: usize) -> Self {
        Self(AtomicUsize::new(most))
    }

    /// None if there is not so much left.
    pub(super) fn take(&self, amount: usize) -> Option<Share<'_>> {
        let less = |left: usize| left.checked_sub(amount);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).ok()?;
        Some(Share { quota: self, amount })
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    quota: &'a Quota,
    amount: usize,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.quota.0.fetch_add(self.amount, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_there_is() {
        let quota = Quota::new(10);
        let first = quota.take(7).unwrap();
        assert!(quota.take(4).is_none());
        let second = quota.take(3).unwrap();
        assert!(quota.take(1).is_none());
        drop(first);
        assert!(quota.take(8).is_none());
        drop((quota.take(7).unwrap(), second));
        assert!(quota.take(10).is_some());
    }
}
