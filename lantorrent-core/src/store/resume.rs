//! What of a partial file is gone on with, decided when it is opened and locked.

use std::fs::File;
use std::io;
use std::path::Path;

use super::digests::Digests;
use super::journal::{Header, Journal};
use super::partial::Partial;
use super::{Resume, verify};

/// How a partial file begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) digests: Digests,
    /// Bytes at the beginning that were read again and are right. The file has no others.
    pub(super) resumed: u64,
}

/// Takes what the journal can prove and cuts off the rest, which without a journal is everything.
pub(super) fn start(
    partial: &mut Partial,
    file: &File,
    resume: Option<&Resume<'_>>,
    length: Option<u64>,
    path: &Path,
) -> io::Result<Start> {
    let header = resume.and_then(|resume| Header::new(resume, length));
    if let (Some(resume), Some(header)) = (resume, &header)
        && let Some(journal) = partial.find_journal(header)
        && let Some(start) = go_on(file, journal, resume.block_size, length)
    {
        // It does not grow by this, so that a crash in between leaves no more than there was.
        file.set_len(start.resumed)?;
        return Ok(start);
    }
    // First this: a journal that is still there then finds nothing to agree with.
    file.set_len(0)?;
    let journal = match &header {
        Some(header) => partial.make_journal(header).map(Some),
        None => partial.forget_journal().map(|()| None),
    };
    let journal = journal.unwrap_or_else(|error| {
        if header.is_some() {
            warn_in_vain(path, &error);
        }
        None
    });
    Ok(Start { digests: Digests::new(journal), resumed: 0 })
}

fn go_on(file: &File, journal: Journal, block_size: u32, length: Option<u64>) -> Option<Start> {
    let blocks = verify::agreeing_blocks(file, &journal, block_size, length);
    if blocks == 0 {
        return None;
    }
    let digests = Digests::resumed(journal, blocks).ok()?;
    Some(Start { digests, resumed: blocks * u64::from(block_size) })
}

/// Says that a file has no journal. That is no reason not to write it.
pub(super) fn warn_in_vain(path: &Path, error: &io::Error) {
    // Escaped, because it may come from anybody.
    let path = path.to_string_lossy();
    log::warn!("{path:?} cannot be resumed if it is interrupted, as it has no journal: {error}");
}
