//! The SHA-1 of a piece, from the files that it is in.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use sha1::{Digest, Sha1};

use super::FilesError;
use crate::metainfo::{Kind, Layout};

/// Bytes that are read at once: they stay in the processor's cache until they are hashed.
const CHUNK: usize = 128 << 10;

/// Reads and hashes a piece. `open` gives a file by its index.
pub(super) fn piece_hash(
    layout: &Layout,
    piece: u32,
    open: impl Fn(usize) -> Result<Arc<File>, FilesError>,
) -> Result<[u8; 20], FilesError> {
    let mut hasher = Sha1::new();
    let mut buffer = vec![0; CHUNK.min(layout.geometry().size(piece) as usize)];
    for part in layout.parts(&layout.piece(piece)) {
        let entry = &layout.files()[part.file];
        let file = if entry.kind == Kind::Padding { None } else { Some(open(part.file)?) };
        let mut done = 0;
        while done < part.length {
            let wanted = usize::try_from(part.length - done).map_or(CHUNK, |left| left.min(CHUNK));
            let chunk = &mut buffer[..wanted];
            match &file {
                Some(file) => read_at(file, &entry.path, chunk, part.offset + done)?,
                None => chunk.fill(0),
            }
            hasher.update(&chunk);
            done += wanted as u64;
        }
    }
    Ok(hasher.finalize().into())
}

/// Fills the buffer from that offset of the file on.
pub(super) fn read_at(file: &File, path: &Path, buffer: &mut [u8], offset: u64) -> Result<(), FilesError> {
    file.read_exact_at(buffer, offset).map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => FilesError::Short { path: path.to_owned() },
        _ => FilesError::Read { path: path.to_owned(), cause },
    })
}
