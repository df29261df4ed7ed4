//! `lantorrent request`.

use crate::args::Request;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};

pub(crate) fn run(request: &Request, config: &Config, home: &Home) -> Result<Exit, Failure> {
    unimplemented!()
}
