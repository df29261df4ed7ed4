//! A place for each test: a folder with a configuration, and real processes that end with it.

pub(crate) mod fake_agent;
mod inetd;
mod lab;
mod node;
mod output;
#[path = "../../../../lantorrent-core/tests/common/system.rs"]
#[allow(dead_code)] // The tests of the library have more kinds of small disks.
pub(crate) mod system;

pub(crate) use inetd::Inetd;
pub(crate) use lab::{INI, Lab, PASSWORD, WIRE_1_PASSWORD};
pub(crate) use node::Node;
pub(crate) use output::{Finished, finish};

use std::path::Path;
use std::time::{Duration, Instant};

/// Far more than anything here takes: what is not there by then never comes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Waits until it holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a program that is started here heeds that signal: what is ignored here stays ignored there. In CI nothing is.
pub(crate) fn can_signal(name: &str) -> bool {
    let number = match name {
        "HUP" => 1,
        "INT" => 2,
        "QUIT" => 3,
        _ => return true,
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let is_ignored = u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << (number - 1)) != 0;
    assert!(!is_ignored || std::env::var_os("CI").is_none(), "SIG{name} must not be ignored in CI");
    if is_ignored {
        println!("skipped: SIG{name} is ignored here, as under nohup or in the background of a script");
    }
    !is_ignored
}

/// The signal, by name; TERM stands in for an INT that is ignored.
pub(crate) fn signal(name: &str, pid: u32) {
    kill(if name == "INT" && !can_signal("INT") { "TERM" } else { name }, pid);
}

/// That very signal. There is no safe call for it in the standard library.
pub(crate) fn kill(name: &str, pid: u32) {
    let script = format!("kill -{name} {pid}");
    let status = std::process::Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success(), "{script}");
}

/// Names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Bytes that differ from block to block, the same at each run.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    let mut word = 0x2545_f491_4f6c_dd1d_u64;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        content.extend(word.to_le_bytes());
    }
    content.truncate(bytes);
    content
}
