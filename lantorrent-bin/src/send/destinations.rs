//! Who is to write the file: from the command line, and from a list.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use lantorrent_core::Target;

use crate::args::Input;
use crate::exit::Failure;
use crate::lines;

/// The longest line of a list: a path on a node, and its host. A list that is no text has no line ends.
const LINE_BYTES: u64 = 32 << 10;

/// All destinations, those of the command line first.
pub(crate) fn collect(given: &[String], nodes: Option<&Input>) -> Result<Vec<Target>, Failure> {
    let mut targets = Vec::new();
    for text in given {
        targets.push(text.parse::<Target>()?);
    }
    match nodes {
        Some(Input::Stdin) => from_list(&mut targets, std::io::stdin().lock(), "standard input")?,
        Some(Input::File(path)) => {
            let name = path.display().to_string();
            let file = File::open(path).map_err(|error| cannot_read(&name, &error))?;
            from_list(&mut targets, BufReader::new(file), &name)?;
        }
        None => {}
    }
    if targets.is_empty() {
        return Err(Failure::usage(
            "there is no destination",
            "give one or more as HOST[:PORT]/PATH, or a list of them with --nodes",
        ));
    }
    Ok(targets)
}

fn cannot_read(name: &str, error: &std::io::Error) -> Failure {
    Failure::usage(
        format_args!("cannot read the list of nodes from {name}: {error}"),
        "give another with --nodes",
    )
}

/// One destination on each line; empty lines, and those that begin with `#`, say nothing. A `#` behind a blank is refused:
/// some mean a comment, and some files are called so.
pub(crate) fn from_list(
    targets: &mut Vec<Target>,
    mut list: impl BufRead,
    name: &str,
) -> Result<(), Failure> {
    for number in 1.. {
        let mut line = Vec::new();
        let read = list.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
        if read.map_err(|error| cannot_read(name, &error))? == 0 {
            break;
        }
        let place = format!("line {number} of {name}");
        let advice = "write one HOST[:PORT]/PATH on each line";
        let line = match lines::line(number, &line) {
            Ok("") => continue,
            Ok(line) if line.starts_with('#') => continue,
            Ok(line) => line,
            Err(what) => return Err(Failure::usage(what, advice).at(place)),
        };
        if lines::may_hold_comment(line, &['#']) {
            return Err(Failure::usage(
                "a blank and `#` may begin a comment or be part of the name, so neither is accepted",
                "put comments on lines of their own, and give a destination with such a name as an argument",
            )
            .at(place));
        }
        targets.push(line.parse().map_err(|error| Failure::from(error).at(place))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &[u8]) -> Result<Vec<String>, String> {
        let mut targets = Vec::new();
        from_list(&mut targets, text, "list").map_err(|failure| failure.to_string())?;
        Ok(targets.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn lists() {
        let text = b"# nodes\n\n 10.0.0.7:2894/srv/a.img\r\n  # more\n[::1]:1/b#c\nlast/z";
        assert_eq!(list(text).unwrap(), ["10.0.0.7:2894/srv/a.img", "[::1]:1/b#c", "last:2893/z"]);
        assert_eq!(list(b"").unwrap(), [""; 0]);
        assert_eq!(list(b"\xef\xbb\xbfh/a \xc2\xa0\r\n").unwrap(), ["h:2893/a"]);
        assert_eq!(list(b"\xef\xbb\xbf# nodes\nh/a").unwrap(), ["h:2893/a"]);
    }

    #[test]
    fn mistakes_say_where() {
        assert!(list(b"a/b\n\nno path\n").unwrap_err().contains("line 3 of list"));
        for (line, part) in [
            (&b"\xff"[..], "no UTF-8"),
            (b"h/srv/a.img # spare", "comment"),
            (b"h/srv/a.img\t#spare", "comment"),
            (b"h/a\0b", "U+0000"),
            (b"h/a\rh/b", "U+000D"),
            (b"\xef\xbb\xbfh/a", "U+FEFF"),
            (b"h/a b\tc", "control character"),
            (b"h/a\xe2\x80\x8b", "cannot be seen"),
            (b"h/a h/b,h/c ;", ""),
        ] {
            let text = [b"a/b\n", line, b"\n"].concat();
            match list(&text) {
                Ok(targets) => assert_eq!((part, targets.len()), ("", 2), "{line:?}"),
                Err(error) => assert!(error.contains("line 2 of list: ") && error.contains(part), "{error}"),
            }
        }
        assert!(list(&vec![b'x'; 1 << 20]).unwrap_err().contains("line 1"));
    }
}
