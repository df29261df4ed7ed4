//! `lantorrent request`: asks for a file, and waits until it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lantorrent_core::Target;

use super::agent::{Agent, Trouble};
use super::patience::Stamina;
use super::show::{Watch, json, outcome};
use crate::agent::request::State;
use crate::api::{self, NewRequest};
use crate::args::Request;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};
use crate::signals;
use crate::terminal;
use crate::text::{clean, shell_word};

pub(crate) fn run(request: &Request, config: &Config, home: &Home) -> Result<Exit, Failure> {
    let id = request.id.clone().map_or_else(random_id, Ok)?;
    let new = wanted(request, &id)?;
    let mut agent = Agent::find(request.agent.as_deref(), config, home, Stamina::Endless)?;
    let taken = Arc::new(AtomicBool::new(false));
    explain_on_signal(request, &id, &taken)?;

    let accepted = agent.submit(&new).map_err(|trouble| {
        // What was refused is not there; of anything else nobody knows whether it is.
        let is_refused = matches!(trouble, Trouble::Refused { .. });
        let failure = agent.failure(trouble);
        if is_refused {
            return failure;
        }
        failure.hint(format_args!("`{}` is the same request again", again(request, &id)))
    })?;
    taken.store(true, Ordering::Relaxed);
    if request.no_wait {
        terminal::print_line(&if request.json { json(&accepted) } else { clean(&id).into_owned() });
        return Ok(Exit::Success);
    }
    let watch = Watch::new();
    let ended = agent.settle(accepted, watch.every(), |standing| watch.update(standing));
    terminal::hide_bar();
    let ended = ended.map_err(|trouble| agent.failure(trouble))?;
    tell(&agent, &ended, request.json);
    Ok(if ended.record.state == State::Done { Exit::Success } else { Exit::Incomplete })
}

/// An answer that nobody took stays with the agent.
fn tell(agent: &Agent, ended: &api::Request, as_json: bool) {
    let line = if as_json { json(ended) } else { clean(&outcome(ended)).into_owned() };
    if terminal::deliver(&line).is_ok() {
        agent.acknowledge(&ended.record.id);
    }
}

fn wanted(request: &Request, id: &str) -> Result<NewRequest, Failure> {
    if !request.source.starts_with('/') {
        return Err(Failure::usage(
            format_args!("the source `{}` does not begin with /", request.source),
            "give its path as the agent's machine has it",
        ));
    }
    let mut new = NewRequest {
        source: request.source.clone(),
        destination: request.destination.clone(),
        host: None,
        port: None,
        id: Some(id.to_owned()),
    };
    if !request.destination.starts_with('/') {
        let Target { host, port, path } = request.destination.parse()?;
        (new.host, new.port, new.destination) = (Some(host), Some(port), path);
    }
    Ok(new)
}

/// Nobody else makes the same.
fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::local(
            format_args!("the system gives no random bytes: {error}"),
            "name the request with --id",
        )
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Who leaves is told how to come back. The agent goes on in any case.
fn explain_on_signal(request: &Request, id: &str, taken: &Arc<AtomicBool>) -> Result<(), Failure> {
    let cancel = command(&["cancel", id], request.agent.as_deref());
    let (again, id, taken) = (again(request, id), id.to_owned(), Arc::clone(taken));
    signals::on_stop(move |_| {
        terminal::hide_bar();
        let stands = if taken.load(Ordering::Relaxed) { "goes on" } else { "may have reached the agent" };
        terminal::note(&format!(
            "lantorrent: request {id} {stands}; `{again}` waits for it again, `{cancel}` takes it back"
        ));
        Exit::Incomplete.exit()
    })
}

/// The command that asks for the same once more.
fn again(request: &Request, id: &str) -> String {
    command(&["request", &request.source, &request.destination, "--id", id], request.agent.as_deref())
}

fn command(words: &[&str], agent: Option<&str>) -> String {
    let agent = agent.into_iter().flat_map(|agent| ["--agent", agent]);
    let words = ["lantorrent"].into_iter().chain(words.iter().copied()).chain(agent);
    words.map(shell_word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(source: &str, destination: &str) -> Request {
        Request {
            source: source.into(),
            destination: destination.into(),
            agent: Some("./a b".into()),
            id: None,
            no_wait: false,
            json: false,
        }
    }

    #[test]
    fn destinations() {
        let wanted = |destination: &str| {
            let new = wanted(&request("/srv/a", destination), "x").map_err(|failure| failure.to_string())?;
            Ok::<_, String>((new.host, new.port, new.destination))
        };
        assert_eq!(wanted("/srv/b").unwrap(), (None, None, "/srv/b".into()));
        assert_eq!(wanted("h/srv/b").unwrap(), (Some("h".into()), Some(2893), "/srv/b".into()));
        assert_eq!(wanted("[::1]:9/b").unwrap(), (Some("::1".into()), Some(9), "/b".into()));
        assert!(wanted("h:x/b").is_err() && wanted("h").is_err());
    }

    #[test]
    fn a_source_is_where_the_agent_is() {
        let error = wanted(&request("a.img", "/b"), "x").unwrap_err().to_string();
        assert!(error.contains("`a.img`") && error.contains("agent's machine"), "{error}");
    }

    #[test]
    fn ids_are_long_and_differ() {
        let (one, other) = (random_id().unwrap(), random_id().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }

    #[test]
    fn the_way_back_can_be_pasted() {
        assert_eq!(
            again(&request("/srv/it's", "h/b"), "x"),
            r"lantorrent request '/srv/it'\''s' h/b --id x --agent './a b'"
        );
    }
}
