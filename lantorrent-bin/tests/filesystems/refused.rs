//! A call that a file system refuses costs at most the guarantee that hangs on it.

use fuser::Errno;

use crate::odd::{Call, Odd, Oddity};
use crate::place::{DRIVERS, Place, plain};

/// Files and torrents arrive although that is refused, on both drivers. Returns what was warned of by the first node.
fn arrives(call: Call, errno: Errno) -> Option<Vec<String>> {
    let mut warnings = None;
    for driver in DRIVERS {
        let odd = Odd::mount(Oddity { refuses: vec![(call, errno)], ..Oddity::default() })?;
        let place = Place::new(odd.path());
        let node = place.node(driver, plain);
        place.receive(&node);
        warnings.get_or_insert_with(|| place.warnings());
        place.fetch(plain);
        // What the kernel keeps to itself once it was told ENOSYS is refused once.
        assert!(odd.refusals(call) > 0, "{call:?} was never asked for");
    }
    warnings
}

/// One warning, that names the folder's guarantee by that word.
fn one_warning(warnings: Option<Vec<String>>, word: &str) {
    let Some(warnings) = warnings else { return };
    let told: Vec<_> = warnings.iter().filter(|line| line.contains(word)).collect();
    assert_eq!(told.len(), 1, "{warnings:#?}");
}

#[test]
fn no_locks() {
    for errno in [Errno::ENOSYS, Errno::ENOLCK, Errno::EOPNOTSUPP, Errno::EINVAL] {
        one_warning(arrives(Call::Lock, errno), "lock");
    }
}

#[test]
fn folders_that_cannot_be_synced() {
    for errno in [Errno::EINVAL, Errno::EOPNOTSUPP, Errno::EBADF] {
        one_warning(arrives(Call::FsyncFolder, errno), "power");
    }
}

#[test]
fn files_that_cannot_be_synced() {
    for errno in [Errno::EINVAL, Errno::EOPNOTSUPP] {
        one_warning(arrives(Call::Fsync, errno), "power");
    }
}

#[test]
fn files_that_grow_by_writing_alone() {
    for errno in [Errno::EPERM, Errno::EOPNOTSUPP] {
        arrives(Call::Extend, errno);
    }
}

#[test]
fn modes_that_are_what_they_are() {
    for errno in [Errno::EPERM, Errno::ENOSYS, Errno::EOPNOTSUPP] {
        let warnings = arrives(Call::Chmod, errno);
        // Nothing but the program of the torrent has a mode of its own.
        assert!(warnings.unwrap_or_default().is_empty());
    }
}

/// A device or a file in place, where holes are to be dug.
#[test]
fn no_holes_where_something_was() {
    for errno in [Errno::ENOSYS, Errno::EOPNOTSUPP, Errno::EINVAL] {
        let refuses = vec![(Call::Fallocate, errno)];
        let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let node = place.node(&[], plain);
        let (source, bytes) = place.source();
        std::fs::write(node.file("a"), vec![7; bytes.len()]).unwrap();
        place.lab.send(&source, &[node.destination("a")], &["--in-place"]).expect(0);
        assert!(std::fs::read(node.file("a")).unwrap() == bytes);
        assert!(odd.refusals(Call::Fallocate) > 0);
    }
}

#[test]
fn questions_of_access_that_are_refused() {
    for errno in [Errno::EPERM, Errno::EINVAL, Errno::EOPNOTSUPP] {
        arrives(Call::Access, errno);
    }
}

#[test]
fn nothing_known_of_the_room() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        arrives(Call::Statfs, errno);
    }
}
