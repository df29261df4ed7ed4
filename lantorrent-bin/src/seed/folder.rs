//! The folder whose files are served, as its path leads to it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use lantorrent_core::store::Identity;

/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(1);

pub(super) struct Folder<'a> {
    path: &'a Path,
    /// None while it is not there.
    place: Option<Identity>,
    /// The one that was there last.
    last: Option<Identity>,
    looked: Instant,
}

/// What has become of it.
#[derive(Debug)]
pub(super) enum Change {
    Gone(io::Error),
    /// Another one has its path, such as one that was mounted there.
    Other,
}

impl<'a> Folder<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        let place = Identity::of_path(path).ok();
        Self { path, place, last: place, looked: Instant::now() }
    }

    /// Says once what has changed since it was last looked at, which is not done more often than it is worth.
    pub(super) fn change(&mut self) -> Option<Change> {
        if self.looked.elapsed() < EVERY {
            return None;
        }
        self.looked = Instant::now();
        self.look()
    }

    fn look(&mut self) -> Option<Change> {
        let before = self.place;
        match Identity::of_path(self.path) {
            Ok(place) => {
                self.place = Some(place);
                (self.last.replace(place) != Some(place)).then_some(Change::Other)
            }
            Err(error) => {
                self.place = None;
                before.map(|_| Change::Gone(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_becomes_of_a_folder_is_said_once() {
        let above = tempfile::tempdir().unwrap();
        let (path, away) = (above.path().join("a"), above.path().join("b"));
        fs::create_dir(&path).unwrap();
        let mut folder = Folder::new(&path);
        assert!(folder.look().is_none());
        fs::rename(&path, &away).unwrap();
        assert!(matches!(folder.look(), Some(Change::Gone(_))));
        assert!(folder.look().is_none());
        fs::rename(&away, &path).unwrap();
        assert!(folder.look().is_none(), "it is the same again");
        fs::rename(&path, &away).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(matches!(folder.look(), Some(Change::Other)));
        assert!(folder.look().is_none());
    }
}
