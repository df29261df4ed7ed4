//! The warnings that a torrent has had, so that their number stays bounded.

use super::alert::TorrentWarning;

/// Warnings of one torrent that become alerts. The others are in the log.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<TorrentWarning>);

impl Warnings {
    /// Whether that is to be told: it is new, and not one of too many.
    pub(super) fn is_new(&mut self, warning: &TorrentWarning) -> bool {
        let new = self.0.len() < MOST && !self.0.contains(warning);
        if new {
            self.0.push(warning.clone());
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_once_and_not_without_end() {
        let mut warnings = Warnings::default();
        let warning = |number: i32| TorrentWarning::WebSeedFailed(format!("at {number}"));
        let told = (0..1000).filter(|number| warnings.is_new(&warning(number / 2))).count();
        assert_eq!(told, MOST);
        assert!(!warnings.is_new(&warning(0)));
    }
}
