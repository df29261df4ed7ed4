//! The folders that torrents are in, each open once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use lantorrent_core::store::Identity;

use crate::files::{FilesError, Tree};

/// The folders that are open. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Trees(Arc<Mutex<HashMap<Identity, Weak<Tree>>>>);

impl Trees {
    /// Opens the folder, unless it is open already.
    pub(super) fn open(&self, folder: &Path) -> Result<Arc<Tree>, FilesError> {
        let mut trees = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Identity::of_path(folder).ok().filter(Identity::is_unique);
        if let Some(tree) = place.and_then(|place| trees.get(&place)?.upgrade()) {
            return Ok(tree);
        }
        let tree = Arc::new(Tree::open(folder)?);
        if let Some(place) = place {
            trees.retain(|_, tree| tree.strong_count() > 0);
            trees.insert(place, Arc::downgrade(&tree));
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_same_folder_is_open_once_and_another_of_its_name_is_another() {
        let (above, trees) = (tempfile::tempdir().unwrap(), Trees::default());
        let folder = above.path().join("a");
        assert!(trees.open(&folder).is_err());
        fs::create_dir(&folder).unwrap();
        let first = trees.open(&folder).unwrap();
        assert!(Arc::ptr_eq(&first, &trees.open(&above.path().join("./a")).unwrap()));
        fs::remove_dir(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        let second = trees.open(&folder).unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        drop((first, second));
        trees.open(above.path()).unwrap();
        assert_eq!(trees.0.lock().unwrap().len(), 1);
    }
}
