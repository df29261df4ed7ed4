//! How packets are marked for the network: Differentiated Services, RFC 2474.

use std::fmt;
use std::str::FromStr;

/// What a network goes by that treats some packets better than others: 0 to 63, or one of the names for some of these.
///
/// ```
/// # use lantorrent_core::Dscp;
/// let background: Dscp = "CS1".parse().unwrap();
/// assert_eq!(Some(background), Dscp::new(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dscp(u8);

/// RFC 2474, 2597, 3246, 5865 and 8622. The first name of a number is the one that is shown.
const NAMES: [(&str, u8); 24] = [
    ("CS0", 0),
    ("DF", 0),
    ("LE", 1),
    ("CS1", 8),
    ("AF11", 10),
    ("AF12", 12),
    ("AF13", 14),
    ("CS2", 16),
    ("AF21", 18),
    ("AF22", 20),
    ("AF23", 22),
    ("CS3", 24),
    ("AF31", 26),
    ("AF32", 28),
    ("AF33", 30),
    ("CS4", 32),
    ("AF41", 34),
    ("AF42", 36),
    ("AF43", 38),
    ("CS5", 40),
    ("VA", 44),
    ("EF", 46),
    ("CS6", 48),
    ("CS7", 56),
];

impl Dscp {
    /// None for what is no number up to 63.
    pub fn new(value: u8) -> Option<Self> {
        (value < 64).then_some(Self(value))
    }

    /// 0 to 63.
    pub fn value(self) -> u8 {
        self.0
    }

    /// The byte of the packet's head that it is in: the two bits behind it are the kernel's, for congestion.
    pub(super) fn byte(self) -> u32 {
        u32::from(self.0) << 2
    }
}

/// The text is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a number from 0 to 63, nor a name such as CS1, AF21, EF or LE")]
pub struct NoDscp;

impl FromStr for Dscp {
    type Err = NoDscp;

    fn from_str(text: &str) -> Result<Self, NoDscp> {
        let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        let plain = || text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        named.map(|(_, value)| *value).or_else(plain).and_then(Self::new).ok_or(NoDscp)
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, value)| *value == self.0) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names() {
        for (text, value, shown) in [
            ("0", 0, "CS0"),
            ("63", 63, "63"),
            ("EF", 46, "EF"),
            ("af11", 10, "AF11"),
            ("df", 0, "CS0"),
            ("1", 1, "LE"),
        ] {
            let dscp: Dscp = text.parse().unwrap();
            assert_eq!((dscp.value(), dscp.to_string().as_str()), (value, shown));
        }
        for bad in ["", "64", "256", "-1", "+1", "AF14", "CS8", "0x2e", "E F"] {
            assert_eq!(bad.parse::<Dscp>(), Err(NoDscp), "{bad}");
        }
    }

    #[test]
    fn names_follow_their_rules() {
        let value = |name: &str| name.parse::<Dscp>().unwrap().value();
        for class in 1..=4 {
            for drop in 1..=3 {
                assert_eq!(value(&format!("AF{class}{drop}")), 8 * class + 2 * drop);
            }
        }
        for class in 0..8 {
            assert_eq!(value(&format!("CS{class}")), 8 * class);
        }
    }
}
