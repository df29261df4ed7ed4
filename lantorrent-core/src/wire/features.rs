//! Names of what a peer can do beyond the first version of wire 2. PROTOCOL.md, "Growth".

use core::fmt;
use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{bounded, limits};

/// A set of feature names: at most [`limits::FEATURES`], each of 1 to [`limits::FEATURE_BYTES`] bytes of `a-z`, `0-9`
/// and `-`.
///
/// ```
/// use lantorrent_core::wire::Features;
///
/// let used = Features::new(["delta", "zstd-1"]).unwrap();
/// assert_eq!(used.missing_in(&Features::SUPPORTED), Some("delta"));
/// assert_eq!(Features::new(["Delta"]), None);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Features(BTreeSet<String>);

impl Features {
    /// What this version can do: nothing yet that has a name.
    pub const SUPPORTED: Self = Self(BTreeSet::new());

    /// The set of those names. None for a malformed name, one that comes twice, or too many.
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Option<Self> {
        let mut set = BTreeSet::new();
        for name in names {
            let name = name.into();
            if !is_name(&name) || !set.insert(name) || set.len() > limits::FEATURES {
                return None;
            }
        }
        Some(Self(set))
    }

    /// The names, in their order as bytes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether that name is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Those that `others` has too.
    #[must_use]
    pub fn shared_with(&self, others: &Self) -> Self {
        Self(self.0.intersection(&others.0).cloned().collect())
    }

    /// The first name that `others` lacks.
    pub fn missing_in(&self, others: &Self) -> Option<&str> {
        self.iter().find(|name| !others.contains(name))
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    (1..=limits::FEATURE_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().collect::<Vec<_>>().join(", "))
    }
}

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A null counts as an empty list.
impl<'de> Deserialize<'de> for Features {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = bounded::list::<_, Name, { limits::FEATURES }>(deserializer)?;
        let names = names.unwrap_or_default().into_iter().map(|Name(name)| name);
        Self::new(names).ok_or_else(|| D::Error::custom("a feature that is no name, or is named twice"))
    }
}

/// At most as long as a name may be; what is in it is checked with the whole list.
#[derive(Deserialize)]
struct Name(#[serde(deserialize_with = "bounded::string::<_, { limits::FEATURE_BYTES }>")] String);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Features, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn names_come_through_in_their_order() {
        let features = read(r#"["zstd-1","a","0"]"#).unwrap();
        assert_eq!(features, Features::new(["0", "a", "zstd-1"]).unwrap());
        assert_eq!(serde_json::to_string(&features).unwrap(), r#"["0","a","zstd-1"]"#);
        assert_eq!(features.to_string(), "0, a, zstd-1");
        assert_eq!((read("[]").unwrap(), read("null").unwrap()), Default::default());
    }

    #[test]
    fn malformed_names_and_long_lists_are_refused() {
        let longest = "a".repeat(limits::FEATURE_BYTES);
        assert!(read(&format!("[\"{longest}\"]")).is_ok());
        for bad in ["", "A", "a b", "a_b", "ä", "a\\u0000", &format!("{longest}a")] {
            assert!(read(&format!("[\"{bad}\"]")).is_err(), "{bad:?}");
        }
        for bad in [r#"["a","a"]"#, "\"a\"", "{}", "[1]", "[null]", "true"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many = |count: usize| format!("{:?}", (0..count).map(|at| at.to_string()).collect::<Vec<_>>());
        assert!(read(&many(limits::FEATURES)).is_ok());
        assert!(read(&many(limits::FEATURES + 1)).is_err());
    }

    #[test]
    fn the_missing_feature_is_named() {
        let features = |names: &[&str]| Features::new(names.iter().copied()).unwrap();
        assert_eq!(features(&["b", "c"]).missing_in(&features(&["a", "b"])), Some("c"));
        assert_eq!(features(&["b"]).missing_in(&features(&["a", "b"])), None);
        assert_eq!(Features::SUPPORTED.missing_in(&Features::SUPPORTED), None);
    }
}
