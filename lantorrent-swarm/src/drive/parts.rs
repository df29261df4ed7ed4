//! Where a span of a torrent stands on disk, for sending it.

use std::io;

use rustix::io::Errno;

use super::outgoing::{Origin, Part};
use crate::Span;
use crate::files::{Content, FilesError};
use crate::metainfo::Kind;

impl Origin for Content {
    fn part(&self, span: Span) -> io::Result<Part> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such part of the torrent");
        let layout = self.info().layout();
        let part = layout.parts(&span).next().ok_or_else(missing)?;
        if layout.files()[part.file].kind == Kind::Padding {
            return Ok(Part::Zeros { length: part.length });
        }
        let file = self.file(part.file).map_err(cause)?;
        Ok(Part::File { file, offset: part.offset, length: part.length })
    }
}

/// What the system says, where it does: whether descriptors have run out makes a difference.
fn cause(error: FilesError) -> io::Error {
    if error.lacks_descriptors() { Errno::MFILE.into() } else { io::Error::other(error) }
}
