//! Text that somebody else wrote, made fit to be shown.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a terminal may act on the character, or show what stands around it in another order.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// One line without a character that a terminal would act on: each of those is written as its escape.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    escape(text, |c, clean| clean.extend(c.escape_unicode()))
}

/// The same for JSON, whose values must not change: there such characters have an escape of their own.
pub(crate) fn clean_json(json: &str) -> Cow<'_, str> {
    escape(json, |c, clean| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(clean, "\\u{unit:04x}");
        }
    })
}

fn escape(text: &str, write: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { write(c, &mut clean) } else { clean.push(c) }
    }
    Cow::Owned(clean)
}

/// The path as a word of a shell command.
pub(crate) fn shell_word(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_a_command() {
        assert_eq!(clean("plain ä text"), "plain ä text");
        assert_eq!(clean("\x1b[2Jgone\r\n"), "\\u{1b}[2Jgone\\u{d}\\u{a}");
        assert_eq!(clean("\u{9b}31m\u{202e}txt"), "\\u{9b}31m\\u{202e}txt");
    }

    #[test]
    fn json_keeps_its_values() {
        let text = serde_json::to_string("a\u{9b}\u{7f}\u{2028}\n").unwrap();
        let clean = clean_json(&text);
        assert!(!clean.chars().any(is_unsafe), "{clean}");
        assert_eq!(serde_json::from_str::<String>(&clean).unwrap(), "a\u{9b}\u{7f}\u{2028}\n");
    }

    #[test]
    fn words_of_a_shell() {
        assert_eq!(shell_word("/root/.lantorrent/etc/lt.ini"), "/root/.lantorrent/etc/lt.ini");
        assert_eq!(shell_word("/a b/it's"), r"'/a b/it'\''s'");
    }
}
