//! The torrents that a tracker serves.

use std::collections::HashSet;
use std::path::Path;

use lantorrent_swarm::InfoHash;

use crate::exit::Failure;
use crate::lines;

/// Reads a file with one info hash on each line; what stands behind it, or behind a `#`, is for people.
pub(super) fn read(file: &Path) -> Result<HashSet<InfoHash>, Failure> {
    let name = file.display();
    let text = std::fs::read(file)
        .map_err(|error| Failure::usage(format_args!("{name}: {error}"), "give a file that can be read"))?;
    let mut torrents = HashSet::new();
    for (number, line) in lines::all(&text) {
        let wrong = |what: &dyn std::fmt::Display| {
            Failure::usage(format_args!("{name}, line {number}: {what}"), "correct it, or remove the line")
        };
        let words = line.map_err(|what| wrong(&what))?.split('#').next().unwrap_or_default();
        let Some(word) = words.split_whitespace().next() else { continue };
        let torrent = word.parse().map_err(|error: lantorrent_swarm::ParseHashError| wrong(&error))?;
        torrents.insert(torrent);
    }
    Ok(torrents)
}
