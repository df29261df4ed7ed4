//! How a torrent is made. Always the same for the same files and wishes.

use std::ffi::OsStr;
use std::path::{Component, Path};

use super::{FileEntry, Info, Kind, Layout, METAINFO, Metainfo, MetainfoError};
use crate::bencode::{Item, dict};

/// What stands in a new torrent as the program that made it.
const CREATED_BY: &str = "LANTorrent";

/// Pieces that a new torrent has at most, but for the largest ones.
const PIECES: u64 = 1000;

/// The least and the greatest length of a piece that is chosen.
const LEAST: u32 = 16 << 10;
const GREATEST: u32 = 16 << 20;

/// What a new torrent says beside its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draft {
    /// URLs of trackers in tiers (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// URLs of servers that have the files (BEP 19).
    pub web_seeds: Vec<String>,
    /// Whether peers are to be learnt from the trackers alone (BEP 27).
    pub private: bool,
    /// Whatever is to be said about it.
    pub comment: Option<String>,
    /// When it was made, in seconds since 1970. Without it the same files make the same torrent at any time.
    pub creation_date: Option<i64>,
}

impl Draft {
    /// Names these trackers: URLs in tiers.
    pub fn trackers(self, trackers: Vec<Vec<String>>) -> Self {
        Self { trackers, ..self }
    }

    /// Names these web seeds.
    pub fn web_seeds(self, web_seeds: Vec<String>) -> Self {
        Self { web_seeds, ..self }
    }

    /// Has peers learnt from the trackers alone, or not.
    pub fn private(self, private: bool) -> Self {
        Self { private, ..self }
    }

    /// Adds a comment.
    pub fn comment(self, comment: impl Into<Option<String>>) -> Self {
        Self { comment: comment.into(), ..self }
    }

    /// Adds the time when it was made, in seconds since 1970.
    pub fn creation_date(self, creation_date: impl Into<Option<i64>>) -> Self {
        Self { creation_date: creation_date.into(), ..self }
    }
}

/// The length of pieces for so many bytes: the least power of two from 16 KiB on that makes at most 1,000 pieces, and at
/// most 16 MiB. Smaller pieces are passed on sooner, and less is lost with a bad one; more of them make a larger torrent.
pub fn piece_length_for(length: u64) -> u32 {
    let mut piece = LEAST;
    while piece < GREATEST && length.div_ceil(piece.into()) > PIECES {
        piece *= 2;
    }
    piece
}

impl Draft {
    /// The torrent of these files, whose pieces have these SHA-1 hashes one after another.
    ///
    /// # Errors
    /// Whatever would be refused when it is read, such as names that are too long: no torrent is made that nobody takes.
    pub fn build(&self, layout: &Layout, piece_hashes: &[u8]) -> Result<Metainfo, MetainfoError> {
        let torrent = Metainfo {
            info: Info::read(&self.info(layout, piece_hashes).encode())?,
            trackers: self.trackers.clone(),
            web_seeds: self.web_seeds.clone(),
            left_out: Vec::new(),
            nodes: Vec::new(),
            comment: self.comment.clone(),
            created_by: Some(CREATED_BY.to_owned()),
            creation_date: self.creation_date,
        };
        match torrent.encode().len() {
            size if size > METAINFO => Err(MetainfoError::TooLarge { size, limit: METAINFO }),
            _ => Ok(torrent),
        }
    }

    fn info(&self, layout: &Layout, piece_hashes: &[u8]) -> Item {
        let mut entries = vec![
            ("name", bytes(layout.name().as_os_str())),
            ("piece length", i64::from(layout.geometry().piece_length()).into()),
            ("pieces", piece_hashes.into()),
        ];
        if layout.is_folder() {
            let files = layout.files().iter().map(|file| {
                let mut entries = about(file);
                entries.push(("path", names(&file.path)));
                dict(entries)
            });
            entries.push(("files", files.collect::<Vec<_>>().into()));
        } else {
            entries.extend(layout.files().first().into_iter().flat_map(about));
        }
        entries.extend(self.private.then_some(("private", Item::Integer(1))));
        dict(entries)
    }
}

/// The entries that a file has wherever it is.
fn about(file: &FileEntry) -> Vec<(&'static str, Item)> {
    // No disk has more bytes than that.
    let mut entries = vec![("length", i64::try_from(file.length).unwrap_or(i64::MAX).into())];
    match file.kind {
        Kind::Plain => {}
        Kind::Executable => entries.push(("attr", "x".into())),
        Kind::Padding => entries.push(("attr", "p".into())),
    }
    entries
}

/// The names in a path below the torrent's own.
fn names(path: &Path) -> Item {
    let names = path.components().skip(1).map(Component::as_os_str).map(bytes);
    Item::List(names.collect())
}

fn bytes(name: &OsStr) -> Item {
    name.as_encoded_bytes().into()
}
