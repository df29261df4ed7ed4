//! The command line as words, put into the order and the form that the parser takes.

use std::ffi::OsString;

use argh::FromArgs;

use crate::args::Arguments;
use crate::exit::Failure;

/// Stands for a `-` that is an argument: the parser would take that for an option. No real argument holds a NUL.
pub(crate) const STDIN: &str = "\0-";

/// What the command line asks for.
pub(crate) enum Asked<T> {
    /// To be done.
    Run(Box<T>),
    /// To be shown.
    Help(String),
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked<Arguments>, Failure> {
    parse_as("lantorrent", args)
}

/// Reads the arguments of a program that has some of ours under another name.
pub(crate) fn parse_as<T: FromArgs>(
    name: &str,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Asked<T>, Failure> {
    let words = arrange(args)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match T::from_args(&[name], &words) {
        Ok(arguments) => Ok(Asked::Run(Box::new(arguments))),
        Err(exit) if exit.status.is_ok() => Ok(Asked::Help(exit.output)),
        Err(exit) => {
            let what = public(&exit.output, &words);
            let what = what.split_whitespace().collect::<Vec<_>>().join(" ").replace(STDIN, "-");
            let what = what.trim_end_matches('.');
            Err(Failure::usage(what, format_args!("see `{}`", help_for(name, &words))))
        }
    }
}

/// The text without the arguments that may have a password in them.
fn public(text: &str, words: &[&str]) -> String {
    let secret = words.iter().filter(|word| may_be_secret(word));
    secret.fold(text.to_owned(), |text, word| text.replace(word, "..."))
}

/// Whether there may be a password in that text, whether it is a URL or was to be one: before an `@`, behind a colon.
pub(crate) fn may_be_secret(text: &str) -> bool {
    text.rsplit_once('@').is_some_and(|(before, _)| before.contains(':'))
}

/// All commands, and those of `torrent`.
const COMMANDS: [&str; 15] = [
    "init", "serve", "send", "check", "agent", "request", "status", "cancel", "limit", "links", "demo",
    "tracker", "get", "seed", TORRENT,
];
const TORRENT: &str = "torrent";
const OF_TORRENT: [&str; 3] = ["create", "show", "verify"];

fn help_for(name: &str, words: &[&str]) -> String {
    let Some(at) = words.iter().position(|word| COMMANDS.contains(word)) else {
        return format!("{name} --help");
    };
    let command = words[at];
    let part = words.get(at + 1).filter(|part| command == TORRENT && OF_TORRENT.contains(part));
    part.map_or_else(|| format!("{name} {command} --help"), |part| format!("{name} {command} {part} --help"))
}

/// Moves the options that all commands share to the front, and takes `--name=value` apart.
fn arrange(args: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let (mut shared, mut rest) = (Vec::new(), Vec::new());
    let mut words = args.into_iter().map(|word| {
        word.into_string().map_err(|word| {
            Failure::usage(
                format_args!("the argument `{}` is not UTF-8", word.display()),
                "use UTF-8 in names and paths",
            )
        })
    });
    while let Some(word) = words.next() {
        let word = word?;
        match word.as_str() {
            "-v" | "--verbose" | "--version" | "--weak-password" => shared.push(word),
            "-vv" => shared.extend(["-v".into(), "-v".into()]),
            "--config" => {
                let value = words.next().ok_or_else(|| {
                    Failure::usage("no file follows `--config`", "give the path of an lt.ini")
                })??;
                shared.extend([word, value]);
            }
            "--" => {
                rest.push(word);
                for word in words.by_ref() {
                    rest.push(word?);
                }
            }
            "-" => rest.push(STDIN.into()),
            _ => match split(&word) {
                Some(("--config", value)) => shared.extend(["--config".into(), value.into()]),
                Some((name, value)) => rest.extend([name.into(), value.into()]),
                None => rest.push(word),
            },
        }
    }
    shared.append(&mut rest);
    Ok(shared)
}

/// An option and its value, whether there is such an option or not: what is said of one that there is not leaves out the
/// value, which may be a secret.
fn split(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let option = name.trim_start_matches('-');
    let is_name = !option.is_empty()
        && option.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (is_name && name.starts_with('-')).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Command, Input};
    use lantorrent_core::wire::Wire;
    use std::os::unix::ffi::OsStringExt;

    fn run(line: &str) -> Result<Box<Arguments>, String> {
        match parse(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from)) {
            Ok(Asked::Run(arguments)) => Ok(arguments),
            Ok(Asked::Help(text)) => Err(text),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn shared_options_stand_anywhere() {
        for line in ["--config /a -v serve", "serve --config /a -v", "serve --config=/a --verbose"] {
            let arguments = run(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(arguments.config.as_deref(), Some("/a".as_ref()));
            assert_eq!(arguments.verbose, 1);
        }
        assert_eq!(run("-vv serve").ok().unwrap().verbose, 2);
        assert!(run("serve --config").err().unwrap().contains("--config"));
    }

    #[test]
    fn passwords_are_not_repeated() {
        for url in
            ["htp://u:hidden@h/f", "http//u:hidden@h/f", "u:hidden@h:x", "http://u:hidden@h:x,http://h"]
        {
            let error = run(&format!("get --tracker {url} t.torrent")).err().unwrap();
            assert!(!error.contains("hidden") && error.contains("--tracker"), "{error}");
        }
        let error = run("get --tracker me@home t.torrent").err().unwrap();
        assert!(error.contains("me@home"), "no password: {error}");
    }

    #[test]
    fn dashes_mean_standard_input() {
        let Some(Command::Send(send)) = run("send - h/a --nodes=- --wire=1 --quiet").ok().unwrap().command
        else {
            panic!("not send")
        };
        assert_eq!((send.file, send.nodes, send.wire), (Input::Stdin, Some(Input::Stdin), Wire::One));
        let Some(Command::Send(send)) = run("send --nodes - -- --odd-name h/a=b").ok().unwrap().command
        else {
            panic!("not send")
        };
        assert_eq!(send.file, Input::File("--odd-name".into()));
        assert_eq!(send.destinations, ["h/a=b"]);
    }

    #[test]
    fn what_is_wrong_is_said_on_one_line() {
        for line in
            ["send", "send a h/a --wire 3", "serve --listen 1", "serve -", "fly", "send a h/a --degree 0"]
        {
            let error = run(line).err().unwrap_or_else(|| panic!("{line} was accepted"));
            assert!(!error.contains('\n') && error.contains("--help"), "{error}");
        }
        for (line, help) in [
            ("limit --odd 1", "`lantorrent limit --help`"),
            ("torrent create a --tracker b", "`lantorrent torrent create --help`"),
            ("torrent fly", "`lantorrent torrent --help`"),
        ] {
            let error = run(line).err().unwrap_or_else(|| panic!("{line} was accepted"));
            assert!(error.ends_with(help), "{error}");
        }
        for line in [
            "request a h/a --token=s3cret",
            "request a h/a --TOKEN=s3cret",
            "agent --password_2=s3cret",
            "send -p=s3cret",
            "get a --tracker wss://me:s3cret@a/",
            "get a --web-seed=ftp://me:s3cret@a/",
            "torrent create a --tracker http://me:s3cret@a/,wss://me:s3cret@b",
        ] {
            let error = run(line).err().unwrap_or_else(|| panic!("{line} was accepted"));
            assert!(!error.contains("s3cret"), "{error}");
        }
        let odd = parse([OsString::from_vec(vec![b's', 0xff])]);
        assert!(odd.err().unwrap().to_string().contains("not UTF-8"));
    }
}
