//! What labs of processes leave behind that were killed: namespaces with all that runs in them, and folders.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::commands::{printed, try_batch};

const NAME: &str = "lantorrent-lab-";

/// How the names of all begin that this process makes.
pub(crate) fn prefix() -> String {
    format!("{NAME}{}-", std::process::id())
}

/// Removes what nobody owns any more. Labs of living processes stay as they are.
pub(super) fn remove() {
    for line in printed("ip", &["netns", "list"]).lines() {
        // Names are followed by an id in parentheses.
        let name = line.split_whitespace().next().unwrap_or_default();
        if is_orphan(name) {
            remove_namespace(name);
        }
    }
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(is_orphan) {
            remove_folder(&entry.path());
        }
    }
}

fn is_orphan(name: &str) -> bool {
    let owner = name.strip_prefix(NAME).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists())
}

fn remove_namespace(name: &str) {
    for pid in printed("ip", &["netns", "pids", name]).split_whitespace() {
        if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    let _ = try_batch("ip", None, &[format!("netns delete {name}")]);
}

fn remove_folder(folder: &Path) {
    // As a rule there is a disk on it, and on that another one; and where none is, this fails and nothing is lost.
    let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(folder).output();
    let _ = fs::remove_dir_all(folder);
}
