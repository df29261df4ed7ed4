//! Torrents on disk, seen from outside: what is asked of them, and what is in the folder afterwards.
#![cfg(feature = "files")]

mod bench;
mod damage;
mod reuse;
mod source;
mod trouble;
mod whole;
