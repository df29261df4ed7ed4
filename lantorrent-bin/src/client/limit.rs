//! `lantorrent limit`: how fast the agent may send.

use super::agent::Agent;
use super::patience::Stamina;
use crate::args::Limit as Arguments;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};
use crate::size;
use crate::terminal;

pub(crate) fn run(arguments: &Arguments, config: &Config, home: &Home) -> Result<Exit, Failure> {
    let mut agent = Agent::find(arguments.agent.as_deref(), config, home, Stamina::Brief)?;
    let asked = match arguments.rate {
        Some(rate) => agent.set_limit(Some(rate).filter(|&rate| rate > 0)),
        None => agent.limit(),
    };
    let limit = asked.map_err(|trouble| agent.failure(trouble))?.limit;
    let limit = limit.map_or_else(|| "none".to_owned(), |rate| format!("{}/s", size::bytes(rate)));
    terminal::print_line(&limit);
    Ok(Exit::Success)
}
