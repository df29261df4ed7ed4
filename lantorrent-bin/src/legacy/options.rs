//! The options of `ltrequest`, in all the forms in which version 0.2 took them.

/// What the command line holds.
#[derive(Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Options are given or not.
pub(super) struct Given {
    pub(super) nonblock: bool,
    pub(super) cancel: bool,
    pub(super) reattach: Option<String>,
    pub(super) help: bool,
    pub(super) version: bool,
    /// What is no option.
    pub(super) words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nonblock,
    Cancel,
    Reattach,
    Help,
    Version,
    /// Was taken and changed nothing.
    Idle,
    /// Likewise, and has a value.
    IdleValue,
}

impl Kind {
    fn has_value(self) -> bool {
        matches!(self, Self::Reattach | Self::IdleValue)
    }
}

const OPTIONS: [(Option<char>, &str, Kind); 10] = [
    (Some('n'), "nonblock", Kind::Nonblock),
    (Some('c'), "cancel", Kind::Cancel),
    (Some('a'), "reattach", Kind::Reattach),
    (Some('h'), "help", Kind::Help),
    (None, "version", Kind::Version),
    (Some('b'), "batch", Kind::Idle),
    (Some('q'), "quiet", Kind::Idle),
    (Some('V'), "verbose", Kind::Idle),
    (Some('I'), "instream", Kind::IdleValue),
    (Some('O'), "outstream", Kind::IdleValue),
];

/// Options stand anywhere, short ones may be joined, and long ones cut short, up to a `--`.
pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Given, String> {
    let mut given = Given::default();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            given.words.extend(words.by_ref());
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let kind = long_option(name)?;
            if value.is_some() && !kind.has_value() {
                return Err(format!("--{name} takes no value"));
            }
            given.set(kind, || value.map(str::to_owned).or_else(|| words.next()), &word)?;
        } else if let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            short_options(&mut given, letters, &mut words)?;
        } else {
            given.words.push(word);
        }
    }
    Ok(given)
}

/// `-nc`, `-a RID`, `-naRID`.
fn short_options(
    given: &mut Given,
    letters: &str,
    words: &mut impl Iterator<Item = String>,
) -> Result<(), String> {
    let mut letters = letters.chars();
    while let Some(letter) = letters.next() {
        let found = OPTIONS.iter().find(|(short, ..)| *short == Some(letter));
        let (.., kind) = found.ok_or_else(|| format!("there is no option -{letter}"))?;
        if kind.has_value() {
            let joined = Some(letters.as_str()).filter(|rest| !rest.is_empty()).map(str::to_owned);
            return given.set(*kind, || joined.or_else(|| words.next()), &format!("-{letter}"));
        }
        given.set(*kind, || None, "")?;
    }
    Ok(())
}

fn long_option(name: &str) -> Result<Kind, String> {
    let mut fitting = OPTIONS.iter().filter(|(_, long, _)| long.starts_with(name));
    let exact = OPTIONS.iter().find(|(_, long, _)| *long == name);
    match (exact, fitting.next(), fitting.next()) {
        (Some((.., kind)), ..) | (None, Some((.., kind)), None) => Ok(*kind),
        (None, None, _) => Err(format!("there is no option --{name}")),
        (None, Some(_), Some(_)) => Err(format!("--{name} fits more than one option")),
    }
}

impl Given {
    fn set(&mut self, kind: Kind, value: impl FnOnce() -> Option<String>, name: &str) -> Result<(), String> {
        let value = || value().ok_or_else(|| format!("nothing follows {name}"));
        match kind {
            Kind::Nonblock => self.nonblock = true,
            Kind::Cancel => self.cancel = true,
            Kind::Reattach => self.reattach = Some(value()?),
            Kind::Help => self.help = true,
            Kind::Version => self.version = true,
            Kind::Idle => {}
            Kind::IdleValue => drop(value()?),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Given, String> {
        super::parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn forms() {
        let poll = Given { nonblock: true, reattach: Some("r".into()), ..Given::default() };
        for line in [
            "--nonblock --reattach r",
            "-n -a r",
            "-nar",
            "-na r",
            "--non --reattach=r",
            "-ar -n",
            "-bqVV -n -O out -Iin --re r",
        ] {
            assert_eq!(parse(line).as_ref(), Ok(&poll), "{line}");
        }
        let cancel = Given { cancel: true, ..poll };
        assert_eq!(parse("--nonblock --cancel --reattach r"), Ok(cancel));
        let words = |text: &[&str]| Given {
            words: text.iter().map(|word| (*word).to_owned()).collect(),
            nonblock: true,
            ..Given::default()
        };
        assert_eq!(parse("/s /d r -n :2893"), Ok(words(&["/s", "/d", "r", ":2893"])));
        assert_eq!(parse("-n - -- -a --"), Ok(words(&["-", "-a", "--"])));
    }

    #[test]
    fn mistakes() {
        for (line, part) in [
            ("-x", "-x"),
            ("--bogus", "--bogus"),
            ("-a", "nothing follows -a"),
            ("-n --reattach", "nothing follows --reattach"),
            ("--nonblock=1", "takes no value"),
            ("--ver r", "more than one"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
