//! `lantorrent links`.

use crate::args::Links;
use crate::exit::{Failure, Status};

pub(crate) fn run(links: &Links) -> Result<Status, Failure> {
    unimplemented!()
}
