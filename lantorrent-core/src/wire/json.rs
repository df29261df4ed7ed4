//! Reading JSON from a peer: depth, and where a value ends in a stream of them.

use super::limits;

/// Follows JSON text byte by byte, just far enough to know its nesting and the end of a top-level object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

pub(crate) enum Step {
    /// In the middle of the text.
    Inside,
    /// This byte closed the outermost object or array.
    Closed,
    /// Nested deeper than allowed, or closed more often than opened.
    Broken,
}

impl Scanner {
    pub(crate) fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > limits::JSON_DEPTH {
                    return Step::Broken;
                }
            }
            b'}' | b']' => {
                let Some(depth) = self.depth.checked_sub(1) else { return Step::Broken };
                self.depth = depth;
                if depth == 0 {
                    return Step::Closed;
                }
            }
            _ => {}
        }
        Step::Inside
    }
}

/// Parses one JSON value from `text`, refusing one that nests too deeply before the parser sees it.
pub(crate) fn parse<'a, T: serde::Deserialize<'a>>(text: &'a [u8]) -> Result<T, serde_json::Error> {
    let mut scanner = Scanner::default();
    if text.iter().any(|&byte| matches!(scanner.step(byte), Step::Broken)) {
        return Err(serde::de::Error::custom("nested too deeply"));
    }
    serde_json::from_slice(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_limited_and_strings_do_not_count() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse::<serde_json::Value>(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert!(parse::<serde_json::Value>(nested(limits::JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(parse::<serde_json::Value>(nested(1_000_000).as_bytes()).is_err());
        let text = format!("\"{}\\\"{{\"", "[".repeat(100));
        assert!(parse::<String>(text.as_bytes()).is_ok());
    }
}
