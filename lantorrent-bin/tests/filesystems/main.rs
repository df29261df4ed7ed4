//! File systems that are not a local ext4: real ones, one that refuses what it is told to, and a kernel that does.
//!
//! They need root and FUSE. A plain user's machine says that it skips them.

#[path = "../cli/agent/fixture.rs"]
#[allow(dead_code)]
mod agent;
#[path = "../cli/common/mod.rs"]
#[allow(dead_code, unused_imports)] // Some of it is for the other tests.
mod common;
mod daemons;
mod long_names;
mod names;
mod odd;
mod place;
mod real;
mod refused;
mod seccomp;
#[path = "../cli/swarms.rs"]
#[allow(dead_code)]
mod swarms;
mod together;
mod trouble;
