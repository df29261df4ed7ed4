//! Who is to write the file: from the command line, and from a list.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};

use lantorrent_core::Target;

use crate::args::Input;
use crate::exit::Failure;

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

/// One destination on each line; empty lines, and those that begin with `#`, say nothing.
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
        let Ok(line) = str::from_utf8(&line) else {
            return Err(Failure::usage("no UTF-8", "write one HOST[:PORT]/PATH on each line").at(place));
        };
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            targets.push(line.parse().map_err(|error| Failure::from(error).at(place))?);
        }
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
    }

    #[test]
    fn mistakes_say_where() {
        assert!(list(b"a/b\n\nno path\n").unwrap_err().contains("line 3 of list"));
        assert!(list(b"a/b\n\xff\n").unwrap_err().contains("line 2 of list: no UTF-8"));
        assert!(list(&vec![b'x'; 1 << 20]).unwrap_err().contains("line 1"));
    }
}
