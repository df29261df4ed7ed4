//! What a torrent has complained about, so that it does not do so without end.

/// Complaints that are told. Whoever has seen so many looks at the log.
const MOST: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Warnings(Vec<String>);

impl Warnings {
    /// Whether that is to be told: it is new, and not one of too many.
    pub(super) fn is_new(&mut self, text: &str) -> bool {
        let new = self.0.len() < MOST && !self.0.iter().any(|told| told == text);
        if new {
            self.0.push(text.to_owned());
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
        let told = (0..1000).filter(|number| warnings.is_new(&format!("at {}", number / 2))).count();
        assert_eq!(told, MOST);
        assert!(!warnings.is_new("at 0"));
    }
}
