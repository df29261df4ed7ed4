//! Who has to go when a torrent needs room, and there is a quota.

use std::time::Instant;

/// A torrent that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept<K> {
    pub(super) key: K,
    /// Bytes that it takes, or will take when it is whole.
    pub(super) length: u64,
    pub(super) used: Instant,
    pub(super) hold: Hold,
}

/// Whether a torrent can be done without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// It can.
    Idle,
    /// It is being fetched, or somebody has asked to keep it.
    Needed,
}

/// The torrent does not fit, whatever is evicted for it. In bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom {
    pub(super) needed: u64,
    pub(super) allowed: u64,
    /// By torrents that cannot be evicted.
    pub(super) taken: u64,
}

/// The torrents that have to go so that `needed` bytes more fit, those first that were not used for longest.
pub(super) fn make_room<K: Copy>(
    allowed: u64,
    needed: u64,
    kept: impl Iterator<Item = Kept<K>>,
) -> Result<Vec<K>, NoRoom> {
    let (idle, held): (Vec<Kept<K>>, Vec<Kept<K>>) = kept.partition(|kept| kept.hold == Hold::Idle);
    let taken = sum(&held);
    let room = allowed.checked_sub(taken).and_then(|room| room.checked_sub(needed));
    room.map(|room| oldest(idle, room)).ok_or(NoRoom { needed, allowed, taken })
}

/// The torrents that have to go so that those that are there fit, as far as that can be.
pub(super) fn keep_to<K: Copy>(allowed: u64, kept: impl Iterator<Item = Kept<K>>) -> Vec<K> {
    let (idle, held): (Vec<Kept<K>>, Vec<Kept<K>>) = kept.partition(|kept| kept.hold == Hold::Idle);
    oldest(idle, allowed.saturating_sub(sum(&held)))
}

/// Those that were not used for longest, so that the others take no more than `room`.
fn oldest<K: Copy>(mut idle: Vec<Kept<K>>, room: u64) -> Vec<K> {
    idle.sort_by_key(|kept| kept.used);
    let mut taken = sum(&idle);
    let too_many = idle.iter().take_while(|kept| {
        let goes = taken > room;
        taken = taken.saturating_sub(kept.length);
        goes
    });
    too_many.map(|kept| kept.key).collect()
}

fn sum<K>(kept: &[Kept<K>]) -> u64 {
    kept.iter().fold(0, |sum, kept| sum.saturating_add(kept.length))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use Hold::{Idle, Needed};

    use super::super::error::TorrentError;
    use super::*;

    /// The torrents 0, 1, ... of these lengths; those that are listed first were used last.
    fn kept(torrents: &[(u64, Hold)]) -> impl Iterator<Item = Kept<usize>> {
        let now = Instant::now();
        let used = move |key: usize| now + Duration::from_secs(1000 - key as u64);
        let kept = move |(key, &(length, hold))| Kept { key, length, used: used(key), hold };
        torrents.iter().enumerate().map(kept)
    }

    #[test]
    fn nobody_goes_while_there_is_room() {
        assert_eq!(make_room(100, 40, kept(&[(30, Idle), (30, Needed)])), Ok(vec![]));
        assert!(keep_to(60, kept(&[(30, Idle), (30, Needed)])).is_empty());
        assert_eq!(make_room(0, 0, kept(&[])), Ok(vec![]));
    }

    #[test]
    fn those_go_that_were_not_used_for_longest_and_no_more_than_must() {
        let torrents = [(10, Idle), (10, Idle), (10, Needed), (10, Idle)];
        assert_eq!(make_room(40, 1, kept(&torrents)), Ok(vec![3]));
        assert_eq!(make_room(40, 10, kept(&torrents)), Ok(vec![3]));
        assert_eq!(make_room(40, 11, kept(&torrents)), Ok(vec![3, 1]));
        assert_eq!(make_room(40, 30, kept(&torrents)), Ok(vec![3, 1, 0]));
        assert_eq!(keep_to(25, kept(&torrents)), [3, 1]);
    }

    #[test]
    fn nobody_goes_in_vain() {
        let torrents = [(10, Idle), (25, Needed)];
        let no_room = make_room(30, 6, kept(&torrents)).unwrap_err();
        assert_eq!(no_room, NoRoom { needed: 6, allowed: 30, taken: 25 });
        let text = TorrentError::from(no_room).to_string();
        assert!(text.contains("needs 6 bytes") && text.contains("quota of 30 bytes 25 are"), "{text}");
    }

    #[test]
    fn a_quota_that_is_less_than_what_has_to_stay() {
        assert_eq!(keep_to(10, kept(&[(1, Idle), (25, Needed), (0, Idle)])), [2, 0]);
    }

    #[test]
    fn lengths_that_no_disk_has() {
        let torrents = [(u64::MAX, Idle), (u64::MAX, Needed)];
        assert!(make_room(u64::MAX, u64::MAX, kept(&torrents)).is_err());
        assert_eq!(make_room(u64::MAX, 0, kept(&torrents)), Ok(vec![0]));
    }
}
