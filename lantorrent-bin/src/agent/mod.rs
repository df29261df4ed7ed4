//! `lantorrent agent`: collects requests for files and sends each file in one chain to all that wait for it.

pub(crate) mod clerk;
pub(crate) mod http;
pub(crate) mod metrics;
pub(crate) mod request;
pub(crate) mod transfers;

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
