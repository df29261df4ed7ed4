//! `lantorrent cancel`: takes a request back.

use std::time::Duration;

use super::agent::Agent;
use super::patience::Stamina;
use super::show::{json, outcome};
use crate::agent::request::State;
use crate::args::Cancel;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};
use crate::terminal;
use crate::text::clean;

/// Between two questions while a transfer lets go of the request.
const EVERY: Duration = Duration::from_secs(60);

/// Succeeds if the request has ended as cancelled. What has ended otherwise could not be taken back.
pub(crate) fn run(cancel: &Cancel, config: &Config, home: &Home) -> Result<Exit, Failure> {
    let mut agent = Agent::find(cancel.agent.as_deref(), config, home, Stamina::Endless)?;
    let told = agent.cancel(&cancel.id);
    let ended = told.and_then(|request| agent.settle(request, EVERY, |_| {}));
    let ended = ended.map_err(|trouble| agent.failure(trouble))?;
    terminal::print_line(&if cancel.json { json(&ended) } else { clean(&outcome(&ended)).into_owned() });
    Ok(if ended.record.state == State::Cancelled { Exit::Success } else { Exit::Incomplete })
}
