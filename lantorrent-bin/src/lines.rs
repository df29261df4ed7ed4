//! Lines of text files that people write. What is wrong with one is said without its text, which may be a secret.

use std::borrow::Cow;

/// What a byte order mark is in UTF-8. Some editors write it before a text, of which it is no part.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// The line with that number, from 1, without its end and the blanks around it.
pub(crate) fn line(number: usize, bytes: &[u8]) -> Result<&str, Cow<'static, str>> {
    let bytes = if number == 1 { bytes.strip_prefix(MARK).unwrap_or(bytes) } else { bytes };
    if number == 1 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
        return Err("UTF-16; save the file as UTF-8".into());
    }
    let text = str::from_utf8(bytes).map_err(|_| "no UTF-8")?.trim();
    let odd = |c: &char| c.is_control() && *c != '\t' || *c == '\u{feff}';
    match text.chars().find(odd).filter(|_| !text.starts_with('#')) {
        Some(c) => {
            Err(format!("there is a character that cannot be seen, U+{:04X}; remove it", u32::from(c)).into())
        }
        None => Ok(text),
    }
}

/// All lines of a text, with their numbers.
pub(crate) fn all(text: &[u8]) -> impl Iterator<Item = (usize, Result<&str, Cow<'static, str>>)> {
    (1..).zip(text.split(|&byte| byte == b'\n')).map(|(number, bytes)| (number, line(number, bytes)))
}

/// Whether a blank and one of these signs stand in the text: a comment behind a value, or a part of the value.
pub(crate) fn may_hold_comment(text: &str, signs: &[char]) -> bool {
    let after_blank = |(at, _): (usize, &str)| text[..at].ends_with(char::is_whitespace);
    text.match_indices(signs).any(after_blank)
}

/// The one of `known` that is most like `word`, if it may have been meant: one slip in four characters.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|known| (distance(word, known), known));
    let (slips, known) = near.min_by_key(|&(slips, _)| slips)?;
    (slips <= 1 + known.len() / 4).then_some(known)
}

/// How many characters have to be added, removed or changed to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, a) in one.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], above + 1);
        for (left, b) in other.chars().enumerate() {
            let changed = corner + usize::from(a != b);
            corner = row[left + 1];
            row[left + 1] = changed.min(corner + 1).min(row[left] + 1);
        }
    }
    row[row.len() - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Result<&str, String>> {
        all(text).map(|(_, line)| line.map_err(Cow::into_owned)).collect()
    }

    #[test]
    fn line_ends_blanks_and_the_mark_are_no_text() {
        let text = b"\xef\xbb\xbf a \r\n\r\n\tb\tc\n#\x00\nlast";
        assert_eq!(lines(text), ["a", "", "b\tc", "#\0", "last"].map(Ok));
        assert_eq!(lines(b""), [Ok("")]);
    }

    #[test]
    fn what_cannot_be_seen_is_told_by_its_number_alone() {
        for (text, part) in [
            (&b"secret\0"[..], "U+0000"),
            (b"secret\rsecret", "U+000D"),
            (b"secret\x1b[2J", "U+001B"),
            (b"a\n\xef\xbb\xbfsecret", "U+FEFF"),
            (b"secret\xc2\x85secret", "U+0085"),
            (b"secret\xff", "no UTF-8"),
            (b"\xff\xfes\0e\0", "UTF-16"),
            (b"\xfe\xff\0s\0e", "UTF-16"),
        ] {
            let errors: Vec<String> = lines(text).into_iter().filter_map(Result::err).collect();
            assert!(errors[0].contains(part) && !errors[0].contains("secret"), "{errors:?}");
        }
    }

    #[test]
    fn comments_stand_behind_blanks() {
        for text in ["a # b", "a\t#", "a #b", "# a", "a ;b"] {
            assert_eq!(may_hold_comment(text, &['#', ';']), !text.starts_with('#'), "{text}");
        }
        assert!(!may_hold_comment("a#b;c", &['#', ';']));
        assert!(!may_hold_comment("a ;b", &['#']));
    }

    #[test]
    fn slips_are_few() {
        let known = ["password", "wire_1_password", "roots", "keep"];
        assert_eq!(nearest("pasword", known), Some("password"));
        assert_eq!(nearest("root", known), Some("roots"));
        assert_eq!(nearest("kepe", known), Some("keep"));
        assert_eq!(nearest("wire1_password", known), Some("wire_1_password"));
        assert_eq!(nearest("hunter2", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("a", []), None);
    }
}
