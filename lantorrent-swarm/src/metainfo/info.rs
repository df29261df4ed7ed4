//! The info dictionary: what peers have to agree on, and what a torrent is known by.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{FILES, METAINFO, MetainfoError, PIECE_LENGTH, path};
use crate::bencode::{Dict, Value};
use crate::{Geometry, InfoHash, Span};

/// What a torrent is: its files, how they are cut, and the hash of each piece (BEP 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    encoded: Arc<[u8]>,
    hash: InfoHash,
    name: PathBuf,
    is_folder: bool,
    files: Vec<FileEntry>,
    geometry: Geometry,
    /// Where in the encoding they are.
    piece_hashes: Range<usize>,
    private: bool,
}

/// One file, or a run of zeros between two.
#[derive(Clone, Debug, PartialEq, Eq)]
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
pub struct Part {
    /// Which file, as an index of [`Info::files`].
    pub file: usize,
    /// The first byte in that file.
    pub offset: u64,
    /// How many bytes. Never 0.
    pub length: u64,
}

impl Info {
    /// Reads an info dictionary by itself, as peers send it (BEP 9). What comes from peers has to be compared with the
    /// hash that was asked for: it is [`hash`](Self::hash).
    pub fn read(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > METAINFO {
            return Err(MetainfoError::TooLarge { size: bytes.len(), limit: METAINFO });
        }
        let info = Value::read_whole(bytes)?
            .dict()
            .ok_or(MetainfoError::Missing { key: "info", expected: "dictionary" })?;
        let piece_hashes = piece_hashes(&info)?;
        let piece_length = piece_length(&info)?;
        let name = name(&info)?;
        let (is_folder, files) = files(&info, &name)?;
        // Each was checked when it was added to those before it.
        let length = files.last().map_or(0, |file| file.offset + file.length);
        let geometry = Geometry::new(length, piece_length);
        let expected = length.div_ceil(piece_length.into()) * 20;
        let geometry = geometry
            .filter(|_| expected == piece_hashes.len() as u64)
            .ok_or(MetainfoError::Hashes { found: piece_hashes.len(), expected })?;
        let start = piece_hashes.as_ptr().addr() - bytes.as_ptr().addr();
        Ok(Self {
            hash: InfoHash::of(bytes),
            name,
            is_folder,
            files,
            geometry,
            piece_hashes: start..start + piece_hashes.len(),
            private: info.get("private").is_some_and(|value| value.integer() != Some(0)),
            encoded: bytes.into(),
        })
    }

    /// What the torrent is known by.
    pub fn hash(&self) -> InfoHash {
        self.hash
    }

    /// The dictionary as it was read, for peers that ask for it (BEP 9).
    pub fn encoded(&self) -> &Arc<[u8]> {
        &self.encoded
    }

    /// The name of the file, or of the folder that all files are in: one component of a path.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether the files are in a folder of that [`name`](Self::name), be it only one.
    pub fn is_folder(&self) -> bool {
        self.is_folder
    }

    /// The files in the order of their bytes. Paths and folders are distinct.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// How the bytes are cut.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The SHA-1 that a piece must have. None if there is no piece of that number.
    pub fn piece_hash(&self, piece: u32) -> Option<[u8; 20]> {
        let hashes = &self.encoded[self.piece_hashes.clone()];
        hashes.as_chunks::<20>().0.get(piece as usize).copied()
    }

    /// Whether peers may be learnt from the trackers alone (BEP 27): neither from PEX, LPD nor DHT.
    pub fn is_private(&self) -> bool {
        self.private
    }

    /// The parts of files that a span covers, in order. What is beyond the torrent is left out, and so are files without
    /// bytes.
    pub fn parts(&self, span: &Span) -> impl Iterator<Item = Part> {
        let size = self.geometry.size(span.piece);
        let begin = self.geometry.start(span.piece) + u64::from(span.begin.min(size));
        let end = begin + u64::from(span.length.min(size - span.begin.min(size)));
        let first = self.files.partition_point(|file| file.offset + file.length <= begin);
        let files = self.files.iter().enumerate().skip(first).take_while(move |(_, file)| file.offset < end);
        files.filter(|(_, file)| file.length > 0).map(move |(index, file)| {
            let offset = begin.max(file.offset) - file.offset;
            let length = end.min(file.offset + file.length) - file.offset - offset;
            Part { file: index, offset, length }
        })
    }
}

fn piece_hashes<'a>(info: &Dict<'a>) -> Result<&'a [u8], MetainfoError> {
    let missing = MetainfoError::Missing { key: "pieces", expected: "string" };
    info.get("pieces").and_then(Value::bytes).ok_or_else(|| {
        // A hybrid has both, and is read as what it is in version 1.
        if info.get("file tree").is_some() || info.get("meta version").is_some() {
            MetainfoError::VersionTwo
        } else {
            missing
        }
    })
}

fn piece_length(info: &Dict<'_>) -> Result<u32, MetainfoError> {
    let length = integer(info, "piece length")?;
    let possible = u32::try_from(length).ok().filter(|length| (1..=PIECE_LENGTH).contains(length));
    possible.ok_or(MetainfoError::PieceLength(length))
}

fn name(info: &Dict<'_>) -> Result<PathBuf, MetainfoError> {
    let value = info.get("name.utf-8").filter(|name| name.text().is_some()).or_else(|| info.get("name"));
    let missing = MetainfoError::Missing { key: "name", expected: "string" };
    let name = value.and_then(Value::bytes).ok_or(missing)?;
    Ok(path::component(name)?.to_owned())
}

fn integer(dict: &Dict<'_>, key: &'static str) -> Result<i64, MetainfoError> {
    dict.get(key).and_then(Value::integer).ok_or(MetainfoError::Missing { key, expected: "number" })
}

/// Whether they are in a folder, and all of them.
fn files(info: &Dict<'_>, name: &Path) -> Result<(bool, Vec<FileEntry>), MetainfoError> {
    let mut files = Vec::new();
    let Some(listed) = info.get("files") else {
        push(&mut files, info, name.to_owned())?;
        return Ok((false, files));
    };
    if info.get("length").is_some() {
        return Err(MetainfoError::Ambiguous);
    }
    let missing = MetainfoError::Missing { key: "files", expected: "list of dictionaries" };
    for file in listed.list().ok_or_else(|| missing.clone())? {
        if files.len() == FILES {
            return Err(MetainfoError::TooManyFiles { limit: FILES });
        }
        let file = file.dict().ok_or_else(|| missing.clone())?;
        let path = if kind(&file) == Kind::Padding { PathBuf::new() } else { path_of(&file, name)? };
        push(&mut files, &file, path)?;
    }
    if files.is_empty() {
        return Err(missing);
    }
    path::distinct(&files)?;
    Ok((true, files))
}

fn path_of(file: &Dict<'_>, name: &Path) -> Result<PathBuf, MetainfoError> {
    let is_text = |names: &Value<'_>| names.list().is_some_and(|mut names| names.all(|name| name.text().is_some()));
    let names = file.get("path.utf-8").filter(is_text).or_else(|| file.get("path"));
    path::below(name, names.ok_or(MetainfoError::Missing { key: "path", expected: "list of names" })?)
}

fn kind(file: &Dict<'_>) -> Kind {
    let attributes = file.get("attr").and_then(Value::bytes).unwrap_or_default();
    match attributes {
        _ if attributes.contains(&b'p') => Kind::Padding,
        _ if attributes.contains(&b'x') => Kind::Executable,
        _ => Kind::Plain,
    }
}

/// Adds the file behind the others.
fn push(files: &mut Vec<FileEntry>, file: &Dict<'_>, path: PathBuf) -> Result<(), MetainfoError> {
    let is_link = file.get("attr").and_then(Value::bytes).is_some_and(|attributes| attributes.contains(&b'l'));
    if is_link || file.get("symlink path").is_some() {
        return Err(MetainfoError::Name { name: path, why: "it is a link, and those could lead anywhere" });
    }
    let length = integer(file, "length")?;
    let offset = files.last().map_or(0, |last| last.offset + last.length);
    let possible = u64::try_from(length).ok().filter(|length| {
        offset.checked_add(*length).is_some_and(|end| end <= i64::MAX as u64)
    });
    let Some(possible) = possible else { return Err(MetainfoError::Length { path, length }) };
    files.push(FileEntry { path, length: possible, offset, kind: kind(file) });
    Ok(())
}
