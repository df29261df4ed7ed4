//! Where a span of a torrent stands on disk, for sending it.

use std::io;

use super::outgoing::{Origin, Part};
use crate::Span;
use crate::files::Content;
use crate::metainfo::Kind;

impl Origin for Content {
    fn part(&self, span: Span) -> io::Result<Part> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such part of the torrent");
        let layout = self.info().layout();
        let part = layout.parts(&span).next().ok_or_else(missing)?;
        if layout.files()[part.file].kind == Kind::Padding {
            return Ok(Part::Zeros { length: part.length });
        }
        let file = self.file(part.file).map_err(io::Error::other)?;
        Ok(Part::File { file, offset: part.offset, length: part.length })
    }
}
