//! The programs that serve and fetch: how each of them is told to, and in which way it may find others.

mod aria2;
mod libtorrent;
mod ours;
mod transmission;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::table::Way;

/// The system's, which has libtorrent.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
/// Where all of them take connections.
pub(crate) const PORT: u16 = 6881;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Aria2,
    Libtorrent,
    Transmission,
}

/// What one of them is to do.
pub(crate) struct Task<'a> {
    pub(crate) way: Way,
    /// Its own.
    pub(crate) address: Ipv4Addr,
    /// For whatever it keeps about itself.
    pub(crate) home: &'a Path,
    /// Where the file or folder is, or is to be.
    pub(crate) files: &'a Path,
    /// A torrent's path, or a magnet link, which is for those who fetch.
    pub(crate) torrent: &'a str,
}

impl Program {
    pub(crate) const ALL: [Self; 4] = [Self::Ours, Self::Aria2, Self::Libtorrent, Self::Transmission];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Aria2 => "aria2",
            Self::Libtorrent => "libtorrent",
            Self::Transmission => "transmission",
        }
    }

    /// To serve what is there, until it is killed.
    pub(crate) fn seed(self, task: &Task) -> Command {
        match self {
            Self::Ours => ours::seed(task),
            Self::Aria2 => aria2::seed(task),
            Self::Libtorrent => libtorrent::run(task, "seed"),
            Self::Transmission => transmission::seed(task),
        }
    }

    /// To fetch what is not there.
    pub(crate) fn fetch(self, task: &Task) -> Command {
        match self {
            Self::Ours => ours::fetch(task),
            Self::Aria2 => aria2::fetch(task),
            Self::Libtorrent => libtorrent::run(task, "fetch"),
            Self::Transmission => transmission::fetch(task),
        }
    }

    /// Whether it ends when it has everything. The others serve it from then on.
    pub(crate) fn ends_when_done(self) -> bool {
        self != Self::Transmission
    }

    /// Whether it may end with success before it has anything. Transmission stops a torrent for an instant when the
    /// metadata of a magnet link has arrived, and its client looks every 200 ms and ends if it finds a stopped one.
    pub(crate) fn may_end_early(self, way: Way) -> bool {
        self == Self::Transmission && way == Way::Magnet
    }
}

/// A script of Python's beside these tests.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}
