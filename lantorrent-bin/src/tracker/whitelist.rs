//! The torrents that a tracker serves.

use std::collections::HashSet;
use std::path::Path;

use lantorrent_swarm::InfoHash;

use crate::exit::Failure;

/// Reads a file with one info hash on each line; what stands behind it, or behind a `#`, is for people.
pub(super) fn read(file: &Path) -> Result<HashSet<InfoHash>, Failure> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format_args!("{name}: {error}"), "give a file that can be read"))?;
    let mut torrents = HashSet::new();
    for (number, line) in text.lines().enumerate() {
        let words = line.split('#').next().unwrap_or_default();
        let Some(word) = words.split_whitespace().next() else { continue };
        let torrent = word.parse().map_err(|error| {
            Failure::usage(
                format_args!("{name}, line {}: {error}", number + 1),
                "correct it, or remove the line",
            )
        })?;
        torrents.insert(torrent);
    }
    Ok(torrents)
}
