//! `ltrequest [-n] SOURCE DEST RID HOST[:PORT]` and `ltrequest [-n] [-c] -a RID`: asks the agent for a file.
//!
//! It is run over ssh by scripts that take any exit status but 0 for a failure of ssh itself. What came of it is in the
//! one line that it prints, which they take apart at its commas: `rc,done,message`. They ask again while done is
//! False, a few times where rc is not 0; if done is True, rc ends them.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lantorrent_core::Target;
use ureq::http::StatusCode;

use super::options::{self, Given};
use crate::agent::request::State;
use crate::api::{NewRequest, Request};
use crate::client::{Agent, Stamina, Trouble};
use crate::config::{Config, Home};
use crate::exit::Failure;
use crate::send::results::reason;
use crate::terminal;
use crate::text::clean;

const HELP: &str = "\
Usage: ltrequest [options] SOURCE DEST RID HOST[:PORT]
       ltrequest [options] -a RID

Asks the agent for a file, as version 0.2 did, and waits for it. Prints `rc,done,message`; exits with 0 in any case.
Without a HOST it is the one that came by ssh. Which agent: `[agent]` in etc/lt.ini under $LANTORRENT_HOME.

  -n, --nonblock      do not wait
  -a, --reattach RID  ask how a request stands that was handed in before
  -c, --cancel        with -a: take it back
  -h, --help
      --version
";

/// Between two questions: as good as any, the agent answers as soon as there is something to say.
const EVERY: Duration = Duration::from_secs(60);

pub(crate) fn main(words: impl Iterator<Item = OsString>) -> ExitCode {
    let words = words.map(OsString::into_string).collect::<Result<Vec<_>, _>>();
    let words = words.map_err(|word| format!("the argument {} is not UTF-8", word.display()));
    match words.and_then(options::parse) {
        Ok(Given { help: true, .. }) => terminal::print(HELP),
        Ok(Given { version: true, .. }) => {
            terminal::print(concat!("ltrequest ", env!("CARGO_PKG_VERSION"), "\n"));
        }
        Ok(given) => act(&given),
        Err(what) => terminal::print_line(&Answer::of_mistake(&what).to_string()),
    }
    ExitCode::SUCCESS
}

fn act(given: &Given) {
    let mut agent = match find(given) {
        Ok(agent) => agent,
        Err(failure) => return terminal::print_line(&Answer::unsettled(&failure).to_string()),
    };
    let asked = match ask(given, &mut agent) {
        Ok(asked) => asked,
        Err(what) => return terminal::print_line(&Answer::of_mistake(&what).to_string()),
    };
    match asked {
        Ok(request) => {
            let told = terminal::deliver(&Answer::of(&request).to_string());
            // If ssh broke off, somebody will ask again.
            if request.record.state.is_final() && told.is_ok() {
                agent.acknowledge(&request.record.id);
            }
        }
        Err(trouble) => {
            let is_settled = is_settled(&trouble);
            let failure = agent.failure(trouble);
            let answer = if is_settled { Answer::settled(&failure) } else { Answer::unsettled(&failure) };
            terminal::print_line(&answer.to_string());
        }
    }
}

fn find(given: &Given) -> Result<Agent, Failure> {
    let home = Home::find()?;
    let config = Config::of_client(&home)?;
    let stamina = if given.nonblock { Stamina::Brief } else { Stamina::Endless };
    Agent::find(None, &config, &home, stamina)
}

/// Fails if the arguments are wrong.
fn ask(given: &Given, agent: &mut Agent) -> Result<Result<Request, Trouble>, String> {
    let stands = match &given.reattach {
        Some(id) if given.cancel => agent.cancel(id),
        Some(id) => agent.show(id),
        None if given.cancel => return Err("-c goes with -a RID".into()),
        None => agent.submit(&wanted(&given.words, std::env::var("SSH_CLIENT").ok().as_deref())?),
    };
    Ok(if given.nonblock { stands } else { stands.and_then(|request| agent.settle(request, EVERY, |_| {})) })
}

fn wanted(words: &[String], ssh_client: Option<&str>) -> Result<NewRequest, String> {
    let [source, destination, id, contact, ..] = words else {
        return Err(format!("it takes SOURCE DEST RID HOST[:PORT], and there are {} of them", words.len()));
    };
    // As in version 0.2, the source is looked for here: this runs on the agent's machine.
    let source = std::path::absolute(Path::new(source)).map_err(|error| format!("the source: {error}"))?;
    let source = source.to_str().ok_or("the source is in a folder whose name is not UTF-8")?.to_owned();
    if !destination.starts_with('/') {
        return Err(format!("the destination {destination} does not begin with /"));
    }
    if contact.contains('/') {
        return Err(format!("{contact} is no HOST[:PORT]"));
    }
    let host = match contact.strip_prefix(':') {
        Some(port) => format!("{}:{port}", caller(ssh_client)?),
        None if contact.is_empty() => caller(ssh_client)?,
        None => contact.clone(),
    };
    let target: Target =
        format!("{host}{destination}").parse().map_err(|error: lantorrent_core::Error| error.to_string())?;
    Ok(NewRequest {
        source,
        destination: target.path,
        host: Some(target.host),
        port: Some(target.port),
        id: Some(id.clone()),
    })
}

/// The address that came by ssh, as it stands before a port: `SSH_CLIENT` is `address port port`.
fn caller(ssh_client: Option<&str>) -> Result<String, String> {
    let address = ssh_client.and_then(|text| text.split_whitespace().next());
    let address = address.ok_or("there is no HOST, and SSH_CLIENT does not say who came by ssh")?;
    Ok(if address.contains(':') { format!("[{address}]") } else { address.to_owned() })
}

/// Whether asking again would bring nothing else.
fn is_settled(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Refused { status, .. } => status.is_client_error() && *status != StatusCode::UNAUTHORIZED,
        Trouble::Away(_) | Trouble::Busy { .. } | Trouble::Strange(_) => false,
    }
}

/// `rc,done,message`.
#[derive(Debug)]
struct Answer {
    /// 0 unless something is wrong.
    rc: u8,
    done: bool,
    message: String,
}

impl Answer {
    fn of(request: &Request) -> Self {
        let record = &request.record;
        let said = request.outcome.as_ref().map(|outcome| reason(outcome.code, &outcome.reason));
        let (rc, done, message) = match record.state {
            State::Done => (0, true, "Success".into()),
            State::Failed | State::Cancelled => (1, true, said.unwrap_or_else(|| record.state.name().into())),
            // What went wrong so far; it was a None of Python's while there is nothing to say.
            State::Waiting | State::Sending => {
                let last = record.attempts.last().map(|last| reason(last.code, &last.reason));
                (0, false, last.unwrap_or_else(|| "None".into()))
            }
        };
        Self { rc, done, message }
    }

    fn of_mistake(what: &str) -> Self {
        Self { rc: 1, done: true, message: format!("{what}; see ltrequest --help") }
    }

    fn settled(failure: &Failure) -> Self {
        Self { rc: 1, done: true, message: failure.to_string() }
    }

    fn unsettled(failure: &Failure) -> Self {
        Self { rc: 1, done: false, message: failure.to_string() }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.done { "True" } else { "False" };
        // The message is the third field: scripts would lose what stands behind a comma of its own.
        write!(f, "{},{done},{}", self.rc, clean(&self.message.replace(',', ";")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str, ssh_client: Option<&str>) -> Result<(String, String, u16), String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let new = wanted(&words, ssh_client)?;
        Ok((new.source, new.host.unwrap(), new.port.unwrap()))
    }

    #[test]
    fn contacts() {
        let ssh = Some("10.0.0.9 4711 22");
        for (contact, ssh, host, port) in [
            ("10.0.0.7:99", ssh, "10.0.0.7", 99),
            ("vmm7", None, "vmm7", 2893),
            ("", ssh, "10.0.0.9", 2893),
            (":99", ssh, "10.0.0.9", 99),
            (":99", Some("fe80::1 4711 22"), "fe80::1", 99),
            ("", Some("fe80::1 4711 22"), "fe80::1", 2893),
            ("[::1]:99", None, "::1", 99),
        ] {
            let line = format!("/s /d r {contact}");
            assert_eq!(asked(&line, ssh), Ok(("/s".into(), host.into(), port)), "{line}");
        }
        for contact in ["", ":99"] {
            let error = asked(&format!("/s /d r {contact}"), None).unwrap_err();
            assert!(error.contains("SSH_CLIENT"), "{error}");
        }
        for contact in ["h:0", "h:x", "::1", "h/x:1"] {
            assert!(asked(&format!("/s /d r {contact}"), ssh).is_err(), "{contact}");
        }
    }

    #[test]
    fn paths() {
        let (source, ..) = asked("a/b.img /d r h", None).unwrap();
        assert_eq!(Path::new(&source), std::env::current_dir().unwrap().join("a/b.img"));
        assert!(asked("/s d r h", None).unwrap_err().contains("does not begin with /"));
        assert!(asked("/s /d r", None).unwrap_err().contains("there are 3"));
    }

    #[test]
    fn a_message_is_one_field_of_one_line() {
        let answer = Answer { rc: 1, done: false, message: "a, b\nc".into() };
        assert_eq!(answer.to_string(), "1,False,a; b\\u{a}c");
    }
}
