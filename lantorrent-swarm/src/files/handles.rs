//! Open files, a few of many.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::FilesError;

/// How many files are kept open where nobody says otherwise.
const USUAL: usize = 32;

/// Files that are kept open, those that were used last of all torrents that share this. More are open for as long as
/// somebody uses them. Clones are the same.
#[derive(Clone, Debug)]
pub struct OpenFiles(Arc<Mutex<Shelf>>);

/// Which torrent, and the number of the file.
type Place = (u64, usize);

#[derive(Debug)]
struct Shelf {
    most: usize,
    files: HashMap<Place, (u64, Arc<File>)>,
    /// When each was used last, as the how manieth use of all.
    uses: BTreeMap<u64, Place>,
    used: u64,
    owners: u64,
}

impl Default for OpenFiles {
    fn default() -> Self {
        Self::new(USUAL)
    }
}

impl OpenFiles {
    /// So many at most, and one at least.
    pub fn new(most: usize) -> Self {
        let (files, uses) = (HashMap::new(), BTreeMap::new());
        Self(Arc::new(Mutex::new(Shelf { most: most.max(1), files, uses, used: 0, owners: 0 })))
    }

    /// From now on so many at most, and one at least.
    pub fn adjust(&self, most: usize) {
        let mut shelf = self.shelf();
        shelf.most = most.max(1);
        shelf.trim(most.max(1));
    }

    pub(super) fn most(&self) -> usize {
        self.shelf().most
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn get(&mut self, place: Place) -> Option<Arc<File>> {
        let (used, file) = self.files.remove(&place)?;
        self.uses.remove(&used);
        self.put(place, &file);
        Some(file)
    }

    fn put(&mut self, place: Place, file: &Arc<File>) {
        self.used += 1;
        self.uses.insert(self.used, place);
        self.files.insert(place, (self.used, Arc::clone(file)));
    }

    /// Closes those that were not used for longest, so that so many are left.
    fn trim(&mut self, most: usize) {
        while self.files.len() > most
            && let Some((_, place)) = self.uses.pop_first()
        {
            self.files.remove(&place);
        }
    }
}

/// Those of one torrent.
#[derive(Debug)]
pub(super) struct Handles {
    all: OpenFiles,
    owner: u64,
}

impl Handles {
    pub(super) fn of(all: &OpenFiles) -> Self {
        let mut shelf = all.shelf();
        shelf.owners += 1;
        Self { all: all.clone(), owner: shelf.owners }
    }

    /// The file of that number; opened, if need be, in place of the one that was not used for longest.
    pub(super) fn get(
        &self,
        number: usize,
        open: impl Fn() -> Result<File, FilesError>,
    ) -> Result<Arc<File>, FilesError> {
        let place = (self.owner, number);
        if let Some(file) = self.all.shelf().get(place) {
            return Ok(file);
        }
        // Nobody waits meanwhile for a disk that is not his.
        let file = match open() {
            Err(error) if error.lacks_descriptors() => {
                let mut shelf = self.all.shelf();
                let half = shelf.files.len() / 2;
                shelf.trim(half);
                drop(shelf);
                open()?
            }
            opened => opened?,
        };
        let mut shelf = self.all.shelf();
        // Another thread may have been faster.
        if let Some(file) = shelf.get(place) {
            return Ok(file);
        }
        let file = Arc::new(file);
        shelf.put(place, &file);
        let most = shelf.most;
        shelf.trim(most);
        Ok(file)
    }

    /// Closes all that nobody uses.
    pub(super) fn clear(&self) {
        let mut shelf = self.all.shelf();
        shelf.files.retain(|(owner, _), _| *owner != self.owner);
        shelf.uses.retain(|_, (owner, _)| *owner != self.owner);
    }
}

impl Drop for Handles {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io;

    use super::*;

    fn null() -> File {
        File::open("/dev/null").unwrap()
    }

    fn count(all: &OpenFiles) -> usize {
        all.shelf().files.len()
    }

    /// Whether it has to be opened for that.
    fn opens(handles: &Handles, number: usize) -> bool {
        let opened = Cell::new(false);
        let open = || {
            opened.set(true);
            Ok(null())
        };
        handles.get(number, open).unwrap();
        opened.get()
    }

    #[test]
    fn those_that_were_used_last_stay_open_of_all_together() {
        let all = OpenFiles::new(3);
        let (one, other) = (Handles::of(&all), Handles::of(&all));
        assert!(opens(&one, 0) && opens(&one, 1) && opens(&other, 0));
        assert!(!opens(&one, 0));
        assert!(opens(&other, 1), "in place of the second of the first");
        assert_eq!(count(&all), 3);
        assert!(!opens(&one, 0) && !opens(&other, 0) && opens(&one, 1));
        all.adjust(1);
        assert_eq!((count(&all), opens(&one, 1), opens(&one, 0)), (1, false, true));
    }

    #[test]
    fn who_goes_takes_his_files_along() {
        let all = OpenFiles::default();
        let (one, other) = (Handles::of(&all), Handles::of(&all));
        (0..5).for_each(|number| _ = opens(&one, number));
        opens(&other, 0);
        drop(one);
        assert_eq!((count(&all), opens(&other, 0)), (1, false));
        other.clear();
        assert_eq!((count(&all), opens(&other, 0)), (0, true));
    }

    #[test]
    fn where_descriptors_run_out_some_are_closed() {
        let all = OpenFiles::new(100);
        let handles = Handles::of(&all);
        (0..10).for_each(|number| _ = opens(&handles, number));
        let tries = Cell::new(0);
        let open = || {
            tries.set(tries.get() + 1);
            let cause = io::Error::from_raw_os_error(24);
            if tries.get() == 1 { Err(FilesError::Read { path: "a".into(), cause }) } else { Ok(null()) }
        };
        handles.get(10, open).unwrap();
        assert_eq!((tries.get(), count(&all)), (2, 6));
        assert!(handles.get(11, || Err(FilesError::Stopped)).is_err());
        assert_eq!(count(&all), 6);
    }
}
