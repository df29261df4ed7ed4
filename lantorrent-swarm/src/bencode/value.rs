//! Reading.

use thiserror::Error;

/// How deep lists and dictionaries may be nested. Torrents need about six, DHT messages four.
pub const DEPTH: usize = 64;

/// The digits that a number or a length may have: as many as an `i64` can need, and its sign.
const DIGITS: usize = 20;

/// Bytes that are no bencoded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{reason} at byte {offset}")]
#[non_exhaustive]
pub struct BencodeError {
    /// Where, counted from the first byte.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with bytes that are no bencoded value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// They end before the value does.
    #[error("the data ends in the middle")]
    CutShort,
    /// A value cannot begin like this.
    #[error("no value begins like this")]
    NoValue,
    /// Something else where a dictionary must have a key.
    #[error("a key of a dictionary must be a string")]
    NoKey,
    /// A dictionary ends behind a key.
    #[error("a key has no value")]
    NoEntry,
    /// A number, or a length, without digits, with other characters among them, or beyond 64 bits.
    #[error("a bad number")]
    BadNumber,
    /// Nested deeper than [`DEPTH`].
    #[error("nested too deep")]
    TooDeep,
    /// Something follows the value.
    #[error("something follows the value")]
    Trailing,
}

/// One value in the bytes that it was read from, which are known to be well-formed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'a>(&'a [u8]);

/// The values of a list, in order.
#[derive(Clone)]
pub struct List<'a>(&'a [u8]);

/// The entries of a dictionary, in the order in which they stand.
#[derive(Clone)]
pub struct Dict<'a>(&'a [u8]);

impl<'a> Value<'a> {
    /// The value at the start of these bytes, and what follows it.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BencodeError> {
        let end = check(bytes)?;
        let (value, rest) = bytes.split_at(end);
        Ok((Self(value), rest))
    }

    /// The value that these bytes are, with nothing behind it.
    pub fn read_whole(bytes: &'a [u8]) -> Result<Self, BencodeError> {
        match Self::read(bytes)? {
            (value, []) => Ok(value),
            (value, _) => Err(BencodeError { offset: value.0.len(), reason: Reason::Trailing }),
        }
    }

    /// Its encoding, as it was read.
    pub fn encoded(self) -> &'a [u8] {
        self.0
    }

    /// The number, if it is one.
    pub fn integer(self) -> Option<i64> {
        self.0.strip_prefix(b"i").and_then(|digits| number(digits, b'e')).map(|(number, _)| number)
    }

    /// The string, if it is one.
    pub fn bytes(self) -> Option<&'a [u8]> {
        string(self.0).map(|(string, _)| string)
    }

    /// The string, if it is one and valid UTF-8.
    pub fn text(self) -> Option<&'a str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The list, if it is one.
    pub fn list(self) -> Option<List<'a>> {
        self.0.strip_prefix(b"l").map(List)
    }

    /// The dictionary, if it is one.
    pub fn dict(self) -> Option<Dict<'a>> {
        self.0.strip_prefix(b"d").map(Dict)
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Value({})", self.0.escape_ascii())
    }
}

impl<'a> Iterator for List<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        next(&mut self.0)
    }
}

impl<'a> Dict<'a> {
    /// The value of the first entry with that key.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.clone().find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Dict<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let key = next(&mut self.0)?.bytes()?;
        Some((key, next(&mut self.0)?))
    }
}

/// Takes the next value of a checked list or dictionary; none at its end.
fn next<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    // Everything in it has been checked: the only error that is left is the `e` at its end.
    let (value, behind) = Value::read(rest).ok()?;
    *rest = behind;
    Some(value)
}

/// What a list or dictionary that is not complete yet expects.
#[derive(Clone, Copy)]
enum Expected {
    Element,
    Key,
    Entry,
}

/// Where the value at the start of these bytes ends. Neither recursive nor allocating, whatever they are.
fn check(bytes: &[u8]) -> Result<usize, BencodeError> {
    let mut open = [Expected::Element; DEPTH];
    let mut depth = 0_usize;
    let mut at = 0;
    loop {
        let fail = |reason| BencodeError { offset: at, reason };
        let first = *bytes.get(at).ok_or_else(|| fail(Reason::CutShort))?;
        let within = depth.checked_sub(1).map(|top| open[top]);
        match (first, within) {
            (b'e', Some(Expected::Element | Expected::Key)) => {
                depth -= 1;
                at += 1;
            }
            (b'e', Some(Expected::Entry)) => return Err(fail(Reason::NoEntry)),
            (b'0'..=b'9', _) => {
                let (_, rest) = string(&bytes[at..]).ok_or_else(|| fail(why_no_string(&bytes[at..])))?;
                at = bytes.len() - rest.len();
            }
            (_, Some(Expected::Key)) => return Err(fail(Reason::NoKey)),
            (b'i', _) => {
                let (_, rest) =
                    number(&bytes[at + 1..], b'e').ok_or_else(|| fail(why_no_number(&bytes[at + 1..])))?;
                at = bytes.len() - rest.len();
            }
            (b'l' | b'd', _) => {
                *open.get_mut(depth).ok_or_else(|| fail(Reason::TooDeep))? =
                    if first == b'l' { Expected::Element } else { Expected::Key };
                depth += 1;
                at += 1;
                continue;
            }
            _ => return Err(fail(Reason::NoValue)),
        }
        // A value, or a key, has ended here.
        let Some(top) = depth.checked_sub(1) else { return Ok(at) };
        open[top] = match open[top] {
            Expected::Element => Expected::Element,
            Expected::Key => Expected::Entry,
            Expected::Entry => Expected::Key,
        };
    }
}

/// The number before `end`, and what follows that. Leading zeros, and a zero with a sign, are forgiven.
fn number(bytes: &[u8], end: u8) -> Option<(i64, &[u8])> {
    let length = bytes.iter().take(DIGITS + 1).position(|&byte| byte == end)?;
    let digits = &bytes[..length];
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    let proper = !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).ok().filter(|_| proper)?.parse().ok()?;
    Some((number, &bytes[length + 1..]))
}

/// The string at the start, and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes, b':')?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}

fn why_no_string(bytes: &[u8]) -> Reason {
    if number(bytes, b':').is_some() { Reason::CutShort } else { why_no_number(bytes) }
}

/// More of the same digits could still have made it one.
fn why_no_number(bytes: &[u8]) -> Reason {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    if bytes.len() < DIGITS && digits.iter().all(u8::is_ascii_digit) {
        Reason::CutShort
    } else {
        Reason::BadNumber
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> (usize, Reason) {
        let error = Value::read_whole(bytes).unwrap_err();
        (error.offset, error.reason)
    }

    #[test]
    fn values() {
        let value = Value::read_whole(b"d1:ali-7e3:abce1:bdee").unwrap();
        let dict = value.dict().unwrap();
        let mut list = dict.get("a").unwrap().list().unwrap();
        assert_eq!(list.next().unwrap().integer(), Some(-7));
        assert_eq!(list.next().unwrap().text(), Some("abc"));
        assert_eq!(list.next(), None);
        assert_eq!(dict.get("b").unwrap().dict().unwrap().next(), None);
        assert_eq!(dict.get("b").unwrap().encoded(), b"de");
        assert_eq!(dict.get("c"), None);
        assert_eq!(dict.count(), 2);
    }

    #[test]
    fn what_is_no_such_thing_is_none() {
        let number = Value::read_whole(b"i1e").unwrap();
        assert!(number.bytes().is_none() && number.list().is_none() && number.dict().is_none());
        let string = Value::read_whole(b"2:i1").unwrap();
        assert!(string.integer().is_none() && string.list().is_none() && string.dict().is_none());
        assert!(Value::read_whole(b"1:\xff").unwrap().text().is_none());
    }

    #[test]
    fn leniently() {
        assert_eq!(Value::read_whole(b"i-0e").unwrap().integer(), Some(0));
        assert_eq!(Value::read_whole(b"i007e").unwrap().integer(), Some(7));
        assert_eq!(Value::read_whole(b"03:abc").unwrap().bytes(), Some(&b"abc"[..]));
        let unsorted = Value::read_whole(b"d1:bi1e1:ai2e1:bi3ee").unwrap().dict().unwrap();
        assert_eq!(unsorted.get("b").unwrap().integer(), Some(1), "the first counts");
        assert_eq!(unsorted.get("a").unwrap().integer(), Some(2));
        assert_eq!(Value::read(b"i1ei2e").unwrap().1, b"i2e");
    }

    #[test]
    fn numbers_to_their_ends() {
        for number in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert_eq!(Value::read_whole(format!("i{number}e").as_bytes()).unwrap().integer(), Some(number));
        }
        for text in ["9223372036854775808", "-9223372036854775809", "", "-", "--1", "+1", "1.0", "1 "] {
            assert_eq!(refusal(format!("i{text}e").as_bytes()).1, Reason::BadNumber, "{text}");
        }
    }

    #[test]
    fn refusals() {
        assert_eq!(refusal(b""), (0, Reason::CutShort));
        assert_eq!(refusal(b"x"), (0, Reason::NoValue));
        assert_eq!(refusal(b"e"), (0, Reason::NoValue));
        assert_eq!(refusal(b"i12"), (0, Reason::CutShort));
        assert_eq!(refusal(b"12"), (0, Reason::CutShort));
        assert_eq!(refusal(b"4:abc"), (0, Reason::CutShort));
        assert_eq!(refusal(b"9223372036854775807:abc"), (0, Reason::CutShort));
        assert_eq!(refusal(b"99999999999999999999999:abc"), (0, Reason::BadNumber));
        assert_eq!(refusal(b"-1:a"), (0, Reason::NoValue));
        assert_eq!(refusal(b"li1e"), (4, Reason::CutShort));
        assert_eq!(refusal(b"di1ei2ee"), (1, Reason::NoKey));
        assert_eq!(refusal(b"d1:ae"), (4, Reason::NoEntry));
        assert_eq!(refusal(b"i1ei2e"), (3, Reason::Trailing));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth| [vec![b'l'; depth], vec![b'e'; depth]].concat();
        assert!(Value::read_whole(&nested(DEPTH)).is_ok());
        assert_eq!(refusal(&nested(DEPTH + 1)), (DEPTH, Reason::TooDeep));
        assert_eq!(refusal(&nested(200_000)), (DEPTH, Reason::TooDeep));
        assert_eq!(refusal(&b"d1:a".repeat(200_000)), (4 * DEPTH, Reason::TooDeep));
    }
}
