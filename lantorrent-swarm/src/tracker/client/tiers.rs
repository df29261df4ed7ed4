//! Which tracker of a torrent is asked next (BEP 12).

use std::time::Instant;

use super::reply::Retry;
use crate::entropy::Entropy;
use crate::url::Url;

/// Trackers that one torrent may have; those behind them are left out.
pub(super) const MOST: usize = 100;

/// A torrent's trackers, in the order in which they are asked.
#[derive(Debug)]
pub(super) struct Tiers {
    tiers: Vec<Vec<Tracker>>,
}

#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) url: Url,
    /// To be given back to it.
    pub(super) id: Option<Vec<u8>>,
    /// Whether it knows that we are there.
    pub(super) knows_us: bool,
    rest: Rest,
}

#[derive(Debug, Clone, Copy)]
enum Rest {
    None,
    Until(Instant),
    ForEver,
}

impl Tiers {
    /// Shuffled within each tier. Who is named twice counts where it comes first.
    pub(super) fn new(tiers: &[Vec<Url>], entropy: &mut Entropy) -> Self {
        let mut named: Vec<&Url> = Vec::new();
        let mut shuffled = Vec::new();
        for tier in tiers {
            let first = named.len();
            for url in tier {
                if named.len() < MOST && !named.contains(&url) {
                    named.push(url);
                }
            }
            let mut tier: Vec<_> = named[first..].iter().map(|&url| Tracker::new(url.clone())).collect();
            entropy.shuffle(&mut tier);
            shuffled.push(tier);
        }
        Self { tiers: shuffled }
    }

    /// The first one from that place on that may be asked, and its place.
    pub(super) fn next(&mut self, now: Instant, from: usize) -> Option<(usize, &mut Tracker)> {
        let all = self.tiers.iter_mut().flatten().enumerate();
        all.skip(from).find(|(_, tracker)| tracker.may_be_asked(now))
    }

    pub(super) fn get(&mut self, place: usize) -> Option<&mut Tracker> {
        self.tiers.iter_mut().flatten().nth(place)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Tracker> {
        self.tiers.iter_mut().flatten()
    }

    /// Whether any may ever be asked.
    pub(super) fn any(&self) -> bool {
        self.tiers.iter().flatten().any(|tracker| !matches!(tracker.rest, Rest::ForEver))
    }

    /// The one in that place has answered: from now on it is the first of its tier.
    pub(super) fn prefer(&mut self, place: usize) {
        let mut first = 0;
        for tier in &mut self.tiers {
            if place < first + tier.len() {
                tier[..=place - first].rotate_right(1);
                return;
            }
            first += tier.len();
        }
    }
}

impl Tracker {
    fn new(url: Url) -> Self {
        Self { url, id: None, knows_us: false, rest: Rest::None }
    }

    /// It does not want to be asked for a while.
    pub(super) fn rest(&mut self, now: Instant, retry: Retry) {
        self.rest = match retry {
            Retry::After(time) => now.checked_add(time).map_or(Rest::ForEver, Rest::Until),
            Retry::Never => Rest::ForEver,
        };
    }

    fn may_be_asked(&self, now: Instant) -> bool {
        match self.rest {
            Rest::None => true,
            Rest::Until(time) => time <= now,
            Rest::ForEver => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entropy::Seed;

    fn urls(names: &[&str]) -> Vec<Url> {
        names.iter().map(|name| format!("http://{name}/").parse().unwrap()).collect()
    }

    fn order(tiers: &Tiers) -> String {
        let names =
            tiers.tiers.iter().map(|tier| tier.iter().map(|tracker| tracker.url.endpoint().0).collect());
        names.collect::<Vec<String>>().join(" ")
    }

    #[test]
    fn tiers_are_shuffled_each_for_itself() {
        let orders: std::collections::BTreeSet<String> = (0..100)
            .map(|seed| {
                let tiers = [urls(&["a", "b", "a"]), urls(&["c", "d", "b"])];
                order(&Tiers::new(&tiers, &mut Entropy::new(Seed([seed; 32]))))
            })
            .collect();
        assert_eq!(orders.into_iter().collect::<Vec<_>>(), ["ab cd", "ab dc", "ba cd", "ba dc"]);
    }

    #[test]
    fn who_answers_comes_to_the_front_of_its_tier() {
        let mut tiers =
            Tiers { tiers: [&["a"][..], &["b", "c", "d"]].map(|tier| tracked(&urls(tier))).into() };
        tiers.prefer(3);
        assert_eq!(order(&tiers), "a dbc");
        tiers.prefer(0);
        assert_eq!(order(&tiers), "a dbc");
        tiers.prefer(9);
        assert_eq!(order(&tiers), "a dbc");
    }

    #[test]
    fn who_is_to_rest_is_passed_over() {
        let now = Instant::now();
        let mut tiers = Tiers { tiers: vec![tracked(&urls(&["a", "b", "c"]))] };
        tiers.get(0).unwrap().rest(now, Retry::After(Duration::from_secs(60)));
        tiers.get(1).unwrap().rest(now, Retry::Never);
        assert_eq!(tiers.next(now, 0).unwrap().0, 2);
        assert!(tiers.next(now, 3).is_none());
        assert_eq!(tiers.next(now + Duration::from_secs(60), 0).unwrap().0, 0);
        tiers.get(0).unwrap().rest(now, Retry::After(Duration::MAX));
        tiers.get(2).unwrap().rest(now, Retry::Never);
        assert!(!tiers.any());
    }

    #[test]
    fn there_are_only_so_many() {
        let names: Vec<_> = (0..1000).map(|number| format!("http://t{number}/").parse().unwrap()).collect();
        let mut tiers = Tiers::new(&[names.clone(), names], &mut Entropy::new(Seed([1; 32])));
        assert_eq!(tiers.all().count(), MOST);
    }

    fn tracked(urls: &[Url]) -> Vec<Tracker> {
        urls.iter().cloned().map(Tracker::new).collect()
    }
}
