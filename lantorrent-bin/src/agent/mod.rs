//! `lantorrent agent`: collects requests for files and sends each file in one chain to all that wait for it.

mod alarms;
mod batching;
mod book;
pub(crate) mod clerk;
mod desk;
mod draft;
mod intake;
mod queue;
mod repository;
pub(crate) mod request;
mod retry;
mod story;
#[cfg(test)]
mod testing;
mod topology;
pub(crate) mod transfers;
mod underway;

use crate::args;
use crate::config::{Config, Home, Strength};
use crate::exit::{Failure, Status};

pub(crate) fn run(
    agent: &args::Agent,
    config: Config,
    home: &Home,
    strength: Strength,
) -> Result<Status, Failure> {
    unimplemented!()
}
