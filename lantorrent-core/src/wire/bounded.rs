//! Values from a peer whose size is checked while they are read.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Reads a list of at most `N` elements, or null; one element more is an error before it is stored.
pub(crate) fn list<'de, D, T, const N: usize>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer).map(|list: Option<List<T, N>>| list.map(|list| list.0))
}

struct List<T, const N: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for List<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements::<T, N>(PhantomData)).map(Self)
    }
}

struct Elements<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Elements<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {N}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element()? {
            if list.len() == N {
                return Err(A::Error::custom(format!("more than {N} elements in a list")));
            }
            list.push(element);
        }
        Ok(list)
    }
}

/// Reads a string of at most `N` bytes.
pub(crate) fn string<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() > N {
        return Err(D::Error::custom(format!("a string longer than {N} bytes")));
    }
    Ok(text)
}

/// A whole number that may come as a JSON number or, as 0.2 sends ports, as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;

        impl Visitor<'_> for Whole {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number of at least 0")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Number, E> {
                Ok(Number(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = text.parse().ok().filter(|_| digits);
                number.map(Number).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(Whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let read = |text: &str| serde_json::from_str::<Number>(text).ok().map(|number| number.0);
        assert_eq!(read("2893"), Some(2893));
        assert_eq!(read("\"2893\""), Some(2893));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
        for bad in
            ["-1", "1.5", "1e3", "\"-1\"", "\"+1\"", "\"\"", "\" 1\"", "18446744073709551616", "null", "true"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
