//! What stands behind the question mark of a request, and in the variable part of its path.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::answer::Answer;

/// The parameters of a query. Each is taken once; what is left over at the end is an error, so that a mistake in a
/// filter does not go unseen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, Answer> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let name = decode(&name.replace('+', " "))?;
            if parameters.iter().any(|(there, _)| *there == name) {
                return Err(Answer::problem(400, format!("the parameter `{name}` is there twice")));
            }
            parameters.push((name, decode(&value.replace('+', " "))?));
        }
        Ok(Self(parameters))
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(there, _)| there == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// A number, where one is given.
    pub(super) fn number<T>(&mut self, name: &str, range: &RangeInclusive<T>) -> Result<Option<T>, Answer>
    where
        T: std::str::FromStr + PartialOrd + Display,
    {
        let Some(text) = self.take(name) else { return Ok(None) };
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| plain && range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.map(Some).ok_or_else(|| Answer::problem(400, format!("`{name}` must be {least} to {most}")))
    }

    /// Everything that is known has been taken.
    pub(super) fn finish(&self) -> Result<(), Answer> {
        match self.0.first() {
            Some((name, _)) => Err(Answer::problem(400, format!("there is no parameter `{name}` here"))),
            None => Ok(()),
        }
    }
}

/// Takes the percent-encoding off.
pub(super) fn decode(text: &str) -> Result<String, Answer> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        rest = behind;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let byte = rest.get(..2).and_then(hex).ok_or_else(undecodable)?;
        bytes.push(byte);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| undecodable())
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

fn undecodable() -> Answer {
    Answer::problem(400, "the target of the request is not percent-encoded UTF-8")
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Random, mutate};
    use super::*;

    #[test]
    fn parameters() {
        let mut query = Query::parse("state=done&source=%2Fa+b%2b&&host").unwrap();
        assert_eq!(query.take("source").as_deref(), Some("/a b+"));
        assert_eq!(query.take("state").as_deref(), Some("done"));
        assert_eq!(query.take("state"), None);
        assert_eq!(query.take("host").as_deref(), Some(""));
        assert_eq!(query.finish(), Ok(()));
    }

    #[test]
    fn mistakes() {
        let status =
            |text: &str| Query::parse(text).and_then(|query| query.finish()).map_err(|answer| answer.status);
        assert_eq!(status(""), Ok(()));
        for bad in ["a=1&a=2", "a=1&%61=1", "sate=done", "a=%", "a=%2", "a=%zz", "a=%ff", "a=%+1"] {
            assert_eq!(status(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn numbers() {
        let number = |text: &str| {
            let parsed = Query::parse(text).unwrap().number("n", &(1..=300_u16));
            parsed.map_err(|answer| answer.status)
        };
        assert_eq!(number("m=1"), Ok(None));
        assert_eq!(number("n=300"), Ok(Some(300)));
        for bad in ["n=", "n=0", "n=301", "n=-1", "n=%2B1", "n=1.5", "n=99999999999", "n=a"] {
            assert_eq!(number(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn any_text_is_decoded_or_refused() {
        for seed in 0..2_000 {
            let bytes = mutate("a=%20%C3%A4&b=%2f&c".as_bytes(), &mut Random::new(seed));
            let text = String::from_utf8_lossy(&bytes);
            if let Err(answer) = Query::parse(&text) {
                assert_eq!(answer.status, 400, "{text}");
            }
        }
    }
}
