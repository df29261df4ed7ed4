//! `lantorrent cancel`.

use crate::args::Cancel;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};

pub(crate) fn run(cancel: &Cancel, config: &Config, home: &Home) -> Result<Exit, Failure> {
    unimplemented!()
}
