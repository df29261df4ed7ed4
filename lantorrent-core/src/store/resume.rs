//! What of a partial file is gone on with, decided when it is opened and locked.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::digests::Digests;
use super::journal::{Header, Journal};
use super::partial::{Partial, resize};
use super::recut::recut;
use super::verify::{Found, Interrupted};
use super::{Durability, StoreError, Target};

/// How a partial file begins.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) digests: Digests,
    /// Bytes at the beginning that were read again and are right. The file has no others, unless another machine may be
    /// writing to it.
    pub(super) resumed: u64,
    /// The file, if it is another one by now.
    pub(super) renewed: Option<Arc<File>>,
}

/// Takes what the journal can prove and cuts off the rest, which without a journal is everything.
pub(super) fn start(
    partial: &mut Partial,
    file: &File,
    path: &Path,
    target: &Target<'_>,
    wanted: &dyn Fn() -> bool,
) -> Result<Start, StoreError> {
    let failed = |cause| StoreError::opening(path, cause);
    partial.forget_next_journal();
    let header = target.resume.as_ref().and_then(|resume| Header::new(resume, target.length));
    if let (Some(resume), Some(header)) = (target.resume, &header)
        && let Some(journal) = partial.find_journal(header)
    {
        let there = There { file, length: target.length, wanted };
        match there.go_on(partial, journal, header, resume.durability) {
            Ok(Some(start)) => {
                // It does not grow by this, so that a crash in between leaves no more than there was.
                if partial.is_ours_alone() {
                    resize(file, start.resumed).map_err(failed)?;
                }
                return Ok(start);
            }
            Ok(None) => {}
            Err(Interrupted::NotWanted) => {
                partial.keep();
                return Err(StoreError::NotWanted { path: path.to_owned() });
            }
            Err(Interrupted::Deaf(error)) => {
                let path = path.to_string_lossy();
                log::warn!("{path:?} begins anew, as its journal cannot be changed: {error}");
            }
        }
    }
    afresh(partial, header.as_ref(), path).map_err(failed)
}

/// Takes away whatever there is.
pub(super) fn start_anew(
    partial: &mut Partial,
    path: &Path,
    target: &Target<'_>,
) -> Result<Start, StoreError> {
    partial.forget_next_journal();
    let header = target.resume.as_ref().and_then(|resume| Header::new(resume, target.length));
    afresh(partial, header.as_ref(), path).map_err(|cause| StoreError::opening(path, cause))
}

fn afresh(partial: &mut Partial, header: Option<&Header>, path: &Path) -> io::Result<Start> {
    // First this: a journal that is still there then finds nothing to agree with.
    let renewed = partial.empty()?;
    let journal = match header {
        Some(header) => partial.make_journal(header).map(Some),
        None => partial.forget_journal().map(|()| None),
    };
    let journal = journal.unwrap_or_else(|error| {
        if header.is_some() {
            warn_in_vain(path, &error);
        }
        None
    });
    Ok(Start { digests: Digests::new(journal), resumed: 0, renewed })
}

/// A partial file that has a journal.
struct There<'a> {
    file: &'a File,
    length: Option<u64>,
    wanted: &'a dyn Fn() -> bool,
}

impl There<'_> {
    /// None where nothing of it is of use.
    fn go_on(
        &self,
        partial: &mut Partial,
        journal: Journal,
        header: &Header,
        durability: Durability,
    ) -> Result<Option<Start>, Interrupted> {
        let found = Found { file: self.file, journal: &journal, length: self.length, wanted: self.wanted };
        let block_size = u64::from(header.block_size());
        let (journal, blocks) = if found.journal.block_size() == header.block_size() {
            let agreeing = found.agreeing(&mut ())?;
            (journal, agreeing.div_ceil(block_size))
        } else {
            let journal = recut(partial, &found, header, durability)?;
            let blocks = journal.blocks();
            (journal, blocks)
        };
        if blocks == 0 {
            return Ok(None);
        }
        // The last one may be short.
        let resumed = blocks.saturating_mul(block_size).min(self.length.unwrap_or(u64::MAX));
        Ok(Some(Start { digests: Digests::resumed(journal, blocks)?, resumed, renewed: None }))
    }
}

/// Says that a file has no journal. That is no reason not to write it.
pub(super) fn warn_in_vain(path: &Path, error: &io::Error) {
    // Escaped, because it may come from anybody.
    let path = path.to_string_lossy();
    log::warn!("{path:?} cannot be resumed if it is interrupted, as it has no journal: {error}");
}
