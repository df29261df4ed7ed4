//! What this process may have of the system.

use lantorrent_core::store::rlimit;
use rustix::process::{Resource, Rlimit, setrlimit};

/// To be called first of all, while there is nothing that could be lost.
pub(crate) fn prepare() {
    raise_descriptors();
    #[cfg(target_env = "gnu")]
    share_one_heap();
}

/// Takes as many file descriptors as can be had: what a process may have at first is meant for programs that `select`, which
/// cannot deal with more.
fn raise_descriptors() {
    let Rlimit { current, maximum } = rlimit(Resource::Nofile);
    if current != maximum {
        // Then it has to do with what there is.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// glibc sets 64 MiB of addresses aside for every thread, and so uses up a limit on memory while there is enough of it. It can be
/// told otherwise only before it starts, so the program starts itself once more.
#[cfg(target_env = "gnu")]
fn share_one_heap() {
    use std::os::unix::process::CommandExt;

    const ARENAS: &str = "MALLOC_ARENA_MAX";
    let is_limited = [Resource::As, Resource::Data].map(|resource| rlimit(resource).current.is_some());
    if !is_limited.contains(&true) || std::env::var_os(ARENAS).is_some() {
        return;
    }
    if let (Ok(program), mut words) = (std::env::current_exe(), std::env::args_os()) {
        let mut again = std::process::Command::new(program);
        if let Some(name) = words.next() {
            again.arg0(name);
        }
        // It returns only if it fails, and then things are as they were.
        let _ = again.args(words).env(ARENAS, "1").exec();
    }
}
