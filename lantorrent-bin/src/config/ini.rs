//! The form of lt.ini: sections, and in them `key = value`, each on a line of its own. Quotes and backslashes mean
//! themselves, as in version 0.2. What is wrong is said by its line and never by its text: a slip of the pen makes anything
//! of a password.

use crate::lines;

/// What may stand for a comment.
const COMMENT: [char; 2] = ['#', ';'];

/// A value, and where it stands.
#[derive(PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub(super) struct Entry<'a> {
    pub(super) line: usize,
    /// Empty before the first section.
    pub(super) section: &'a str,
    /// In small letters. None where the line is that of the section itself.
    pub(super) key: Option<String>,
    pub(super) value: &'a str,
}

/// Reads all of it.
pub(super) fn read(text: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let mut entries = Vec::new();
    let mut section = "";
    for (line, text) in lines::all(text) {
        let at = |what: &str| format!("line {line}: {what}");
        let text = text.map_err(|what| at(&what))?;
        if text.is_empty() || text.starts_with(COMMENT) {
            continue;
        }
        if let Some(rest) = text.strip_prefix('[') {
            section = header(rest).map_err(at)?;
            entries.push(Entry { line, section, key: None, value: "" });
        } else {
            let (key, value) = pair(text).map_err(at)?;
            entries.push(Entry { line, section, key: Some(key), value });
        }
    }
    Ok(entries)
}

/// What stands behind the bracket.
fn header(text: &str) -> Result<&str, &'static str> {
    let (name, rest) = text.split_once(']').ok_or("the bracket of the section is not closed")?;
    let rest = rest.trim_start();
    if !(rest.is_empty() || rest.starts_with(COMMENT)) {
        return Err("nothing but a comment may stand behind a section");
    }
    Ok(name.trim())
}

fn pair(text: &str) -> Result<(String, &str), &'static str> {
    const FORM: &str = "it is no `key = value`, with all of the value on this line";
    let (key, value) = text.split_once(['=', ':']).ok_or(FORM)?;
    let key = key.trim_end();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(FORM);
    }
    if lines::may_hold_comment(value, &COMMENT) {
        return Err(
            "a blank and `#` or `;` may begin a comment or be part of the value, so neither is accepted; put \
                    comments on lines of their own",
        );
    }
    Ok((key.to_ascii_lowercase(), value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<(usize, String, Option<String>, String)> {
        let entry =
            |entry: Entry<'_>| (entry.line, entry.section.to_owned(), entry.key, entry.value.to_owned());
        read(text.as_bytes()).unwrap().into_iter().map(entry).collect()
    }

    #[test]
    fn sections_and_values() {
        let text = "\u{feff}stray=1\r\n# note\r\n; note = 2\r\n\r\n [ node ]  # ours\r\n\tRoots : /a=b:c  \r\n\
                    empty =\r\nlast=\"x\" \\";
        let of = |line, section: &str, key: &str, value: &str| {
            let key = (!key.is_empty()).then(|| key.to_owned());
            (line, section.to_owned(), key, value.to_owned())
        };
        assert_eq!(
            entries(text),
            [
                of(1, "", "stray", "1"),
                of(5, "node", "", ""),
                of(6, "node", "roots", "/a=b:c"),
                of(7, "node", "empty", ""),
                of(8, "node", "last", "\"x\" \\"),
            ]
        );
    }

    #[test]
    fn mistakes_are_told_by_their_line_alone() {
        for text in [
            "[s3cret\n",
            "[security\npassword = s3cret\n",
            "[security password = s3cret\n",
            "[security] password = s3cret\n",
            "password s3cret\n",
            "password\ts3cret=\n",
            "password s3cret = x\n",
            "= s3cret\n",
            "\"password\" = s3cret\n",
            "password = s3cret # old\n",
            "password = s3cret\t;old\n",
            "password = #s3cret\n",
            "password = s3cret\0\n",
            "password = s3cret\rs3cret\n",
            "pass\u{200b}word = s3cret\n",
            "s3cret\n",
        ] {
            let error = read(format!("\n{text}").as_bytes()).map(drop).expect_err(text);
            assert!(error.starts_with("line 2: "), "{text:?}: {error}");
            assert!(!error.contains("s3cret"), "{text:?}: {error}");
        }
        let split = read(b"roots = /a,\n  /b\n").map(drop).unwrap_err();
        assert!(split.starts_with("line 2: ") && split.contains("on this line"), "{split}");
        assert!(read(b"password = s3cret\xff\n").map(drop).unwrap_err().contains("no UTF-8"));
    }
}
