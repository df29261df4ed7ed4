//! Files one after another, cut into pieces.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::MetainfoError;
use crate::{Geometry, Span};

/// The files of a torrent, and how their bytes are cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    name: PathBuf,
    is_folder: bool,
    files: Vec<FileEntry>,
    geometry: Geometry,
}

/// One file, or a run of zeros between two.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileEntry {
    /// Where it belongs below the folder that a torrent is kept in. Begins with the torrent's own name. Relative, without
    /// `..`, and its bytes as they are in the torrent, which need not be UTF-8. Empty for padding.
    pub path: PathBuf,
    /// Its bytes.
    pub length: u64,
    /// Its first byte in the torrent.
    pub offset: u64,
    /// What it is.
    pub kind: Kind,
}

/// What a file in a torrent is (BEP 47).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Data.
    Plain,
    /// A program: may be executed.
    Executable,
    /// Zeros, so that the next file begins with a piece. It is in no folder.
    Padding,
}

/// A part of a file that a span of the torrent covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a span of a file has three numbers")]
pub struct Part {
    /// Which file, as an index of [`Layout::files`].
    pub file: usize,
    /// The first byte in that file.
    pub offset: u64,
    /// How many bytes. Never 0.
    pub length: u64,
}

impl Layout {
    /// Of a single file that is to become a torrent.
    pub fn of_file(name: &Path, length: u64, kind: Kind, piece_length: u32) -> Result<Self, MetainfoError> {
        let mut files = Files::default();
        files.push(name.to_owned(), length, kind)?;
        files.cut(name, Shape::File, piece_length)
    }

    /// Of a folder that is to become a torrent: each file with its path below the folder, its bytes and what it is.
    pub fn of_folder(
        name: &Path,
        files: impl IntoIterator<Item = (PathBuf, u64, Kind)>,
        piece_length: u32,
    ) -> Result<Self, MetainfoError> {
        let mut below = Files::default();
        for (path, length, kind) in files {
            below.push(name.join(path), length, kind)?;
        }
        below.cut(name, Shape::Folder, piece_length)
    }

    /// The name of the file, or of the folder that all files are in: one component of a path.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether the files are in a folder of that [`name`](Self::name), be it only one.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The files in the order of their bytes.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// How the bytes are cut.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// All of a piece. Empty if there is none of that number.
    pub fn piece(&self, piece: u32) -> Span {
        Span { piece, begin: 0, length: self.geometry.size(piece) }
    }

    /// The pieces that some of a file is in. None for a file without bytes.
    pub fn pieces_of(&self, file: &FileEntry) -> Range<u32> {
        if file.length == 0 {
            return 0..0;
        }
        let length = u64::from(self.geometry.piece_length());
        let end = (file.offset + file.length).div_ceil(length);
        // No piece of a torrent has a number beyond.
        (file.offset / length) as u32..u32::try_from(end).unwrap_or(u32::MAX)
    }

    /// The parts of files that a span covers, in order. What is beyond its piece is left out, and so are files without
    /// bytes.
    pub fn parts(&self, span: &Span) -> impl Iterator<Item = Part> {
        let size = self.geometry.size(span.piece);
        let skipped = span.begin.min(size);
        let begin = self.geometry.start(span.piece) + u64::from(skipped);
        let end = begin + u64::from(span.length.min(size - skipped));
        let first = self.files.partition_point(|file| file.offset + file.length <= begin);
        let files = self.files.iter().enumerate().skip(first).take_while(move |(_, file)| file.offset < end);
        files.filter(|(_, file)| file.length > 0).map(move |(index, file)| {
            let offset = begin.max(file.offset) - file.offset;
            let length = end.min(file.offset + file.length) - file.offset - offset;
            Part { file: index, offset, length }
        })
    }
}

/// Whether it is a file or a folder of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    File,
    Folder,
}

/// Files that are put one behind the other.
#[derive(Default)]
pub(super) struct Files(Vec<FileEntry>);

impl Files {
    pub(super) fn push(&mut self, path: PathBuf, length: u64, kind: Kind) -> Result<(), MetainfoError> {
        let offset = self.length();
        if offset.checked_add(length).is_none_or(|end| i64::try_from(end).is_err()) {
            return Err(MetainfoError::Length { path, length: i128::from(length) });
        }
        self.0.push(FileEntry { path, length, offset, kind });
        Ok(())
    }

    pub(super) fn as_slice(&self) -> &[FileEntry] {
        &self.0
    }

    /// Bytes in all.
    pub(super) fn length(&self) -> u64 {
        self.0.last().map_or(0, |last| last.offset + last.length)
    }

    pub(super) fn cut(self, name: &Path, shape: Shape, piece_length: u32) -> Result<Layout, MetainfoError> {
        let geometry = Geometry::new(self.length(), piece_length);
        let geometry = geometry.ok_or(MetainfoError::PieceLength(piece_length.into()))?;
        Ok(Layout { name: name.to_owned(), is_folder: shape == Shape::Folder, files: self.0, geometry })
    }
}
