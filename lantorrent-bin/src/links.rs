//! `lantorrent links`: makes the links by whose names the program is that of version 0.2.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::args::Links;
use crate::exit::{Failure, Status};
use crate::legacy::NAMES;
use crate::terminal;
use crate::text::clean;

/// Makes those that are not there, or none if a name is taken by something else.
pub(crate) fn run(links: &Links) -> Result<Status, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::local(format_args!("cannot find out where this program is: {error}"), "mount /proc")
    })?;
    let folder = links.folder.canonicalize().map_err(|error| {
        Failure::usage(
            format_args!("cannot make links in {}: {error}", links.folder.display()),
            "name a folder that is there",
        )
    })?;
    let wanted: Vec<PathBuf> = NAMES.iter().map(|(name, _)| folder.join(name)).collect();
    let mut missing = Vec::new();
    for link in wanted {
        match link.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(link),
            Err(error) => return Err(cannot(&link, &error)),
            Ok(_) if link.canonicalize().is_ok_and(|place| place == program) => {}
            Ok(_) => {
                return Err(Failure::usage(
                    format_args!("{} is there already, and no link to this program", link.display()),
                    "move it away, or name another folder; nothing was changed",
                ));
            }
        }
    }
    for link in missing {
        symlink(target(&program, &folder), &link).map_err(|error| cannot(&link, &error))?;
        terminal::print_line(&clean(&link.to_string_lossy()));
    }
    Ok(Status::Success)
}

/// A link beside the program goes on working where both are moved together.
fn target<'a>(program: &'a Path, folder: &Path) -> &'a Path {
    match (program.parent(), program.file_name()) {
        (Some(parent), Some(name)) if parent == folder => name.as_ref(),
        _ => program,
    }
}

fn cannot(link: &Path, error: &std::io::Error) -> Failure {
    Failure::local(
        format_args!("cannot make the link {}: {error}", link.display()),
        "look at who may write that folder",
    )
}
