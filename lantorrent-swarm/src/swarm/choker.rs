//! Whom to serve.
//!
//! On a LAN most peers are willing, and most links idle: while there are slots, everybody who is interested is served at
//! once. When slots are short, they are shared out anew every ten seconds: while we still fetch, to those who send us most;
//! when we have everything, in turn, so that no slot stays with one peer for long. One slot goes round by chance, so that
//! new peers can show what they give.

use std::time::{Duration, Instant};

use super::event::PeerKey;
use crate::random::Random;

/// Between two rounds.
pub(super) const ROUND: Duration = Duration::from_secs(10);
/// The optimistic slot stays with a peer for so long.
const OPTIMISTIC: Duration = Duration::from_secs(30);
/// While we seed, a peer keeps its slot for so long at least, since a slot has to be of use.
const TURN: Duration = Duration::from_secs(30);

/// A peer that wants to be served.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contender {
    pub(super) key: PeerKey,
    pub(super) choked: bool,
    /// When it was choked or unchoked.
    pub(super) changed: Instant,
    /// Bytes that it has sent us since the last round.
    pub(super) given: u64,
    /// Bytes that it has taken since the last round.
    pub(super) taken: u64,
}

/// Shares out the slots.
#[derive(Debug)]
pub(super) struct Choker {
    optimistic: Option<(PeerKey, Instant)>,
    pub(super) next_round: Instant,
}

/// What the slots are given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// To those who give.
    Reciprocate,
    /// To everybody in turn.
    Share,
}

impl Choker {
    pub(super) fn new(now: Instant) -> Self {
        Self { optimistic: None, next_round: now + ROUND }
    }

    /// Who is served from now on, of all who want to be.
    pub(super) fn round(
        &mut self,
        now: Instant,
        mut contenders: Vec<Contender>,
        slots: usize,
        aim: Aim,
        random: &mut Random,
    ) -> Vec<PeerKey> {
        self.next_round = now + ROUND;
        if contenders.len() <= slots {
            self.optimistic = None;
            return contenders.into_iter().map(|contender| contender.key).collect();
        }
        contenders.sort_unstable_by_key(|contender| (rank(now, contender, aim), contender.key));
        let regular = slots.saturating_sub(1);
        let mut chosen: Vec<PeerKey> =
            contenders.iter().take(regular).map(|contender| contender.key).collect();
        if slots > 0 {
            chosen.push(self.choose_optimistic(now, &contenders[regular..], random));
        }
        chosen
    }

    fn choose_optimistic(&mut self, now: Instant, rest: &[Contender], random: &mut Random) -> PeerKey {
        let stays = self.optimistic.filter(|(key, since)| {
            now < *since + OPTIMISTIC && rest.iter().any(|contender| contender.key == *key)
        });
        let (key, since) = stays.unwrap_or_else(|| (rest[random.below(rest.len())].key, now));
        self.optimistic = Some((key, since));
        key
    }
}

/// Who comes first has the least.
fn rank(now: Instant, contender: &Contender, aim: Aim) -> (u8, u64) {
    let since = now.saturating_duration_since(contender.changed);
    match aim {
        Aim::Reciprocate => (0, u64::MAX - contender.given),
        // Those in their turn stay, those who take most first; then those who have waited longest.
        Aim::Share if !contender.choked && since < TURN => (0, u64::MAX - contender.taken),
        Aim::Share if contender.choked => (1, u64::MAX - since.as_millis() as u64),
        Aim::Share => (2, u64::MAX - contender.taken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contenders(now: Instant, count: u64) -> Vec<Contender> {
        let contender = |number| Contender {
            key: PeerKey(number),
            choked: true,
            changed: now,
            given: number * 1000,
            taken: 0,
        };
        (0..count).map(contender).collect()
    }

    fn sorted(mut keys: Vec<PeerKey>) -> Vec<u64> {
        keys.sort_unstable();
        keys.into_iter().map(|key| key.0).collect()
    }

    #[test]
    fn all_while_there_are_slots() {
        let now = Instant::now();
        let mut choker = Choker::new(now);
        let chosen = choker.round(now, contenders(now, 4), 4, Aim::Reciprocate, &mut Random::new(1));
        assert_eq!(sorted(chosen), [0, 1, 2, 3]);
        assert_eq!(choker.round(now, contenders(now, 4), 0, Aim::Share, &mut Random::new(1)), []);
    }

    #[test]
    fn those_who_give_most_and_one_by_chance() {
        let now = Instant::now();
        let mut lucky = [0; 10];
        for seed in 0..200 {
            let mut choker = Choker::new(now);
            let random = &mut Random::new(seed);
            let chosen = sorted(choker.round(now, contenders(now, 10), 4, Aim::Reciprocate, random));
            assert_eq!(chosen[1..], [7, 8, 9]);
            lucky[chosen[0] as usize] += 1;
            let again = sorted(choker.round(now + ROUND, contenders(now, 10), 4, Aim::Reciprocate, random));
            assert_eq!(again, chosen, "chance stays for three rounds");
        }
        assert!(lucky[..7].iter().all(|&count| count > 10), "{lucky:?}");
    }

    #[test]
    fn a_seed_serves_all_in_turn() {
        let start = Instant::now();
        let mut choker = Choker::new(start);
        let mut random = Random::new(1);
        let mut peers = contenders(start, 9);
        let mut served = [0; 9];
        for round in 0..36 {
            let now = start + ROUND * round;
            let chosen = choker.round(now, peers.clone(), 3, Aim::Share, &mut random);
            assert_eq!(chosen.len(), 3);
            for peer in &mut peers {
                let choked = !chosen.contains(&peer.key);
                if choked != peer.choked {
                    (peer.choked, peer.changed) = (choked, now);
                }
                served[peer.key.0 as usize] += u32::from(!choked);
            }
        }
        assert!(served.iter().all(|&rounds| rounds >= 6), "{served:?}");
    }
}
