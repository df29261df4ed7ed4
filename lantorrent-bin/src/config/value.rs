//! The values of lt.ini, one parser for each kind. An error says what would be right.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use log::LevelFilter;

use super::Sync;

/// The program's name, as the placeholder `@PGM@` has it.
const PROGRAM: &str = "lantorrent";

/// Puts in what stands for `@LANTORRENT_HOME@` and `@PGM@`.
pub(super) fn path(text: &str, home: &Path) -> Result<PathBuf, String> {
    let mut path = text.replace("@PGM@", PROGRAM);
    if text.contains("@LANTORRENT_HOME@") {
        let home = home.to_str().ok_or("@LANTORRENT_HOME@ stands for a path that is not UTF-8")?;
        path = path.replace("@LANTORRENT_HOME@", home);
    }
    let path = PathBuf::from(path);
    if path.is_absolute() { Ok(path) } else { Err("it must be a path that begins with /".into()) }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

pub(super) fn roots(text: &str, home: &Path) -> Result<Vec<PathBuf>, String> {
    list(text).map(|part| path(part, home).map_err(|error| format!("{part}: {error}"))).collect()
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "it must be an address and port such as 0.0.0.0:2893 or [::]:2893".into())
}

pub(super) fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    list(text).map(|part| address(part).map_err(|error| format!("{part}: {error}"))).collect()
}

pub(super) fn sync(text: &str) -> Result<Sync, String> {
    match text {
        "yes" => Ok(Sync::Yes),
        "no" => Ok(Sync::No),
        _ => Err("it must be yes or no".into()),
    }
}

pub(super) fn connections(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "it must be a number of at least 1".into())
}

/// The names that version 0.2 has, and those of the `log` crate.
pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(LevelFilter::Trace),
        "debug" => Ok(LevelFilter::Debug),
        "info" => Ok(LevelFilter::Info),
        "warning" | "warn" => Ok(LevelFilter::Warn),
        "error" | "critical" => Ok(LevelFilter::Error),
        _ => Err("it must be debug, info, warning, error or critical".into()),
    }
}
