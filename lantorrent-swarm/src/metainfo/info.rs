//! The info dictionary: what peers have to agree on, and what a torrent is known by.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{Files, Shape};
use super::{FILES, Kind, Layout, METAINFO, MetainfoError, PIECE_LENGTH, path};
use crate::bencode::{Dict, Value};
use crate::{Geometry, InfoHash};

/// What a torrent is: its files, how they are cut, and the hash of each piece (BEP 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    encoded: Arc<[u8]>,
    hash: InfoHash,
    layout: Layout,
    /// Where in the encoding they are.
    piece_hashes: Range<usize>,
    private: bool,
}

impl Info {
    /// Reads an info dictionary by itself, as peers send it (BEP 9). What comes from peers has to be compared with the
    /// hash that was asked for: it is [`hash`](Self::hash).
    pub fn read(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > METAINFO {
            return Err(MetainfoError::TooLarge { size: bytes.len(), limit: METAINFO });
        }
        let missing = MetainfoError::Missing { key: "info", expected: "dictionary" };
        let info = Value::read_whole(bytes)?.dict().ok_or(missing)?;
        let hashes = piece_hashes(&info)?;
        let piece_length = piece_length(&info)?;
        let name = name(&info)?;
        let (shape, files) = files(&info, &name)?;
        let expected = files.length().div_ceil(piece_length.into()) * 20;
        if expected != hashes.len() as u64 {
            return Err(MetainfoError::Hashes { found: hashes.len(), expected });
        }
        let start = hashes.as_ptr().addr() - bytes.as_ptr().addr();
        Ok(Self {
            hash: InfoHash::of(bytes),
            layout: files.cut(&name, shape, piece_length)?,
            piece_hashes: start..start + hashes.len(),
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

    /// The files. Their paths and folders are distinct, and all below the torrent's own name.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How the bytes are cut.
    pub fn geometry(&self) -> &Geometry {
        self.layout.geometry()
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
}

fn piece_hashes<'a>(info: &Dict<'a>) -> Result<&'a [u8], MetainfoError> {
    info.get("pieces").and_then(Value::bytes).ok_or_else(|| {
        // A hybrid has both, and is read as what it is in version 1.
        if info.get("file tree").is_some() || info.get("meta version").is_some() {
            MetainfoError::VersionTwo
        } else {
            MetainfoError::Missing { key: "pieces", expected: "string" }
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

fn files(info: &Dict<'_>, name: &Path) -> Result<(Shape, Files), MetainfoError> {
    let mut files = Files::default();
    let Some(listed) = info.get("files") else {
        push(&mut files, info, name.to_owned())?;
        return Ok((Shape::File, files));
    };
    if info.get("length").is_some() {
        return Err(MetainfoError::Ambiguous);
    }
    let missing = MetainfoError::Missing { key: "files", expected: "list of dictionaries" };
    for file in listed.list().ok_or_else(|| missing.clone())? {
        if files.as_slice().len() == FILES {
            return Err(MetainfoError::TooManyFiles { limit: FILES });
        }
        let file = file.dict().ok_or_else(|| missing.clone())?;
        let path = if kind(&file) == Kind::Padding { PathBuf::new() } else { path_of(&file, name)? };
        push(&mut files, &file, path)?;
    }
    if files.as_slice().is_empty() {
        return Err(missing);
    }
    path::distinct(files.as_slice())?;
    Ok((Shape::Folder, files))
}

fn path_of(file: &Dict<'_>, name: &Path) -> Result<PathBuf, MetainfoError> {
    let is_text =
        |names: &Value<'_>| names.list().is_some_and(|mut names| names.all(|name| name.text().is_some()));
    let names = file.get("path.utf-8").filter(is_text).or_else(|| file.get("path"));
    path::below(name, names.ok_or(MetainfoError::Missing { key: "path", expected: "list of names" })?)
}

/// Adds the file behind the others.
fn push(files: &mut Files, file: &Dict<'_>, path: PathBuf) -> Result<(), MetainfoError> {
    if attributes(file).contains(&b'l') || file.get("symlink path").is_some() {
        return Err(MetainfoError::Name { name: path, why: "it is a link, and those could lead anywhere" });
    }
    let length = integer(file, "length")?;
    match u64::try_from(length) {
        Ok(length) => files.push(path, length, kind(file)),
        Err(_) => Err(MetainfoError::Length { path, length: length.into() }),
    }
}

fn kind(file: &Dict<'_>) -> Kind {
    let attributes = attributes(file);
    match attributes {
        _ if attributes.contains(&b'p') => Kind::Padding,
        _ if attributes.contains(&b'x') => Kind::Executable,
        _ => Kind::Plain,
    }
}

/// The letters that say what a file is (BEP 47).
fn attributes<'a>(file: &Dict<'a>) -> &'a [u8] {
    file.get("attr").and_then(Value::bytes).unwrap_or_default()
}
