//! The store, seen from outside: what a caller asks of it, and what is in the folder afterwards.
#![cfg(feature = "store")]

mod clean;
mod damage;
mod holes;
mod in_place;
mod interrupted;
mod moved;
mod paths;
#[path = "../common/random.rs"]
mod random;
mod recut;
mod remove;
mod rename;
mod resume;
mod tree;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use lantorrent_core::store::{Output, Placement, Roots, StoreError, Target};
use tempfile::TempDir;

/// A folder that is a root, in a folder that is not.
struct Bench {
    outside: TempDir,
    roots: Roots,
}

impl Bench {
    fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("root");
        fs::create_dir(&root).unwrap();
        let roots = Roots::open(&[root]).unwrap();
        Self { outside, roots }
    }

    fn root(&self) -> PathBuf {
        self.outside.path().join("root")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn text(&self, name: &str) -> String {
        text(&self.at(name))
    }

    fn rename(&self, name: &str) -> Result<Output, StoreError> {
        self.create(name, Placement::Rename, None)
    }

    fn in_place(&self, name: &str) -> Result<Output, StoreError> {
        self.create(name, Placement::InPlace, None)
    }

    fn create(&self, name: &str, placement: Placement, length: Option<u64>) -> Result<Output, StoreError> {
        self.roots.create(&Target { path: &self.text(name), placement, length, resume: None })
    }

    /// What is in the root, sorted.
    fn names(&self) -> Vec<OsString> {
        let mut names: Vec<_> =
            fs::read_dir(self.root()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Asserts that the result is an error of the given form, and shows the one that it is.
macro_rules! refused {
    ($result:expr, $form:pat) => {{
        let error = $result.unwrap_err();
        assert!(matches!(error, $form), "{error:?}");
        error.to_string()
    }};
}
use refused;
