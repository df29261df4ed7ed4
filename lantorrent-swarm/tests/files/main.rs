//! Torrents on disk, seen from outside: what is asked of them, and what is in the folder afterwards.
#![allow(clippy::single_range_in_vec_init)] // Pieces come in runs, if only in one.

mod bench;
mod damage;
mod deleting;
mod reuse;
mod source;
mod trouble;
mod whole;
