//! `lantorrent torrent`.

mod args;
mod create;
mod hashing;
mod show;
mod verify;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use lantorrent_swarm::files::FilesError;
use lantorrent_swarm::metainfo::{METAINFO, Metainfo};
use lantorrent_swarm::url::shown;

use crate::argv::may_be_secret;
use crate::exit::{Failure, Status};
use args::Command;
pub(crate) use args::{Torrent, file, tier, web_seed, web_url};

pub(crate) fn run(torrent: &Torrent) -> Result<Status, Failure> {
    match &torrent.command {
        Command::Create(create) => create::run(create),
        Command::Show(show) => show::run(show),
        Command::Verify(verify) => verify::run(verify),
    }
}

/// Reads a `.torrent` file.
pub(crate) fn read(path: &Path) -> Result<Metainfo, Failure> {
    let read = || {
        let mut bytes = Vec::new();
        // One more, by which it is known to be too large.
        File::open(path)?.take(METAINFO as u64 + 1).read_to_end(&mut bytes)?;
        Ok::<_, std::io::Error>(bytes)
    };
    // It may have been meant for a URL.
    let mut name = path.display().to_string();
    if may_be_secret(&name) {
        name = shown(&name);
    }
    let bytes = read().map_err(|error| {
        Failure::usage(format_args!("cannot read {name}: {error}"), "give a .torrent file")
    })?;
    Metainfo::read(&bytes).map_err(|error| {
        Failure::usage(format_args!("{name}: {error}"), "give a .torrent file that is in order")
    })
}

/// Something that was begun did not come to its end.
fn broken(error: &FilesError) -> Failure {
    Failure::told(Status::Incomplete, error.to_string())
}
