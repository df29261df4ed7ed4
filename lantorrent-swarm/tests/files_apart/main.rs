//! Torrents on disk when the program is killed, when the disk is full, and when few files may be open.
//!
//! Apart from the others, because they start processes: a child that has not yet got to its `exec` holds the locks of
//! the files that other tests have open.
#![allow(clippy::single_range_in_vec_init)] // Pieces come in runs, if only in one.

#[path = "../files/bench.rs"]
#[allow(dead_code, unused_imports, unused_macros)] // The other tests ask for more.
mod bench;
mod full;
mod killed;
mod open_files;
mod same_file;
#[path = "../common/system.rs"]
#[allow(dead_code)] // The tests of the store make other disks, too.
mod system;
