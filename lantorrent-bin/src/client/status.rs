//! `lantorrent status`.

use crate::args::Status;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};

pub(crate) fn run(status: &Status, config: &Config, home: &Home) -> Result<Exit, Failure> {
    unimplemented!()
}
