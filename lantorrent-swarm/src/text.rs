//! What a stranger has to say, made fit for a log.

/// Characters that are kept.
const MOST: usize = 300;

/// The text with every control character replaced, and cut to a sensible length.
pub(crate) fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * MOST)]);
    text.chars().take(MOST).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_characters_and_no_endless_text() {
        assert_eq!(readable("gone: ä".as_bytes()), "gone: ä");
        assert_eq!(readable(b"\x1b[2J\xffx\n"), "\u{fffd}[2J\u{fffd}x\u{fffd}");
        assert_eq!(readable(&b"a".repeat(100_000)).len(), MOST);
    }
}
