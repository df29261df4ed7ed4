//! `lantorrent torrent create`.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use lantorrent_swarm::files::{FilesError, Source};
use lantorrent_swarm::metainfo::{Draft, Info, Layout, Metainfo, MetainfoError, piece_length_for};
use serde::Serialize;

use super::args::Create;
use super::broken;
use super::hashing::Hashing;
use super::show::size_of;
use crate::exit::{Failure, Status};
use crate::terminal;
use crate::text::{clean, clean_json};

pub(super) fn run(create: &Create) -> Result<Status, Failure> {
    let source = Source::find(&create.path).map_err(|error| match error {
        FilesError::Read { path, cause } => Failure::usage(
            format_args!("cannot read {}: {cause}", path.display()),
            "give a file or a folder that can be read",
        ),
        error => Failure::told(Status::Usage, error.to_string()),
    })?;
    let piece_length = create.piece_size.unwrap_or_else(|| piece_length_for(source.length()));
    let layout = source.layout(piece_length).map_err(|error| refused(&error))?;
    let draft = Draft::default()
        .trackers(create.tracker.clone())
        .web_seeds(create.web_seed.clone())
        .private(create.private)
        .comment(create.comment.clone());
    // What nobody would take is refused before all of it is hashed, and not after.
    build(&draft, &layout, &vec![0; layout.geometry().pieces() as usize * 20])?;
    let output = create.output.clone().unwrap_or_else(|| default_output(&layout));
    refuse_existing(&output)?;

    let hashing = Hashing::begin(source.length())?;
    let hashes = source.hash(&layout, &|bytes| hashing.add(bytes));
    terminal::hide_bar();
    let hashes = hashes.map_err(|error| broken(&error))?;
    let torrent = build(&draft, &layout, &hashes)?;
    write(&output, &torrent.encode())?;
    tell(create, &output, &torrent);
    Ok(Status::Success)
}

fn build(draft: &Draft, layout: &Layout, hashes: &[u8]) -> Result<Metainfo, Failure> {
    draft.build(layout, hashes).map_err(|error| refused(&error))
}

fn refused(error: &MetainfoError) -> Failure {
    Failure::usage(
        format_args!("no torrent can be made of this: {error}"),
        "change that, or pack all into an archive",
    )
}

fn default_output(layout: &Layout) -> PathBuf {
    let mut name = layout.name().as_os_str().to_owned();
    name.push(".torrent");
    name.into()
}

fn refuse_existing(output: &Path) -> Result<(), Failure> {
    if fs::symlink_metadata(output).is_err() {
        return Ok(());
    }
    Err(Failure::usage(
        format_args!("{} is there already", output.display()),
        "give another name with -o, or remove it",
    ))
}

/// Writes a new file: all of it, or none.
fn write(output: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        let what = format!("cannot write {}: {error}", output.display());
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::local(what, "give another name with -o, or remove it"),
            _ => Failure::local(what, "give another place with -o"),
        }
    };
    let mut file = File::create_new(output).map_err(failed)?;
    file.write_all(bytes).map_err(|error| {
        let _ = fs::remove_file(output);
        failed(error)
    })
}

#[derive(Serialize)]
struct Made {
    torrent: String,
    info_hash: String,
    name: String,
    bytes: u64,
    files: usize,
    piece_length: u32,
    pieces: u32,
    magnet: String,
}

fn tell(create: &Create, output: &Path, torrent: &Metainfo) {
    let info: &Info = &torrent.info;
    let magnet = torrent.magnet().to_string();
    if create.json {
        let made = Made {
            torrent: output.to_string_lossy().into_owned(),
            info_hash: info.hash().to_string(),
            name: info.layout().name().to_string_lossy().into_owned(),
            bytes: info.geometry().length(),
            files: info.layout().files().len(),
            piece_length: info.geometry().piece_length(),
            pieces: info.geometry().pieces(),
            magnet,
        };
        // Strings and numbers: nothing in it can fail to become JSON.
        let json = serde_json::to_string(&made).expect("what was made is plain JSON");
        terminal::print_line(&clean_json(&json));
    } else {
        let output = output.to_string_lossy();
        terminal::print_line(&format!("{}: {}\n{magnet}", clean(&output), size_of(info)));
    }
}
