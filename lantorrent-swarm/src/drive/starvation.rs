//! Whether a torrent has had nothing to fetch from for too long.

use std::time::{Duration, Instant};

/// Looks at the peers of a torrent now and then while it is fetched.
#[derive(Debug)]
pub(super) struct Starvation {
    patience: Duration,
    /// None while nothing is fetched.
    looked: Option<Instant>,
    /// Bytes that had come then.
    downloaded: u64,
    told: bool,
}

impl Starvation {
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, looked: None, downloaded: 0, told: false }
    }

    /// When to look next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.looked.filter(|_| !self.told).and_then(|looked| looked.checked_add(self.patience))
    }

    /// Nothing is fetched.
    pub(super) fn rest(&mut self) {
        self.looked = None;
    }

    /// Whether there were no peers and nothing has come since the last look, where that is long enough ago. Said once.
    pub(super) fn begins(&mut self, now: Instant, supply: impl FnOnce() -> (usize, u64)) -> bool {
        self.looked.get_or_insert(now);
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        let (peers, downloaded) = supply();
        self.told = peers == 0 && downloaded == self.downloaded;
        (self.looked, self.downloaded) = (Some(now), downloaded);
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_told_once_and_only_while_nothing_comes() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut starvation = Starvation::new(Duration::from_secs(60));
        assert_eq!(starvation.deadline(), None);
        assert!(!starvation.begins(start, || (0, 0)));
        assert_eq!(starvation.deadline(), Some(after(60)));
        assert!(!starvation.begins(after(59), || (0, 0)), "too early");
        assert!(!starvation.begins(after(60), || (1, 0)), "there is a peer");
        assert!(!starvation.begins(after(120), || (0, 9)), "a web seed has sent something");
        starvation.rest();
        assert_eq!(starvation.deadline(), None);
        assert!(!starvation.begins(after(500), || (0, 9)), "it has only begun again");
        assert!(starvation.begins(after(560), || (0, 9)));
        assert!(!starvation.begins(after(900), || (0, 9)), "once");
        assert_eq!(starvation.deadline(), None);
    }
}
