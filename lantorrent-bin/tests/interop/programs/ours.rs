//! `lantorrent seed` and `lantorrent get`.

use std::process::Command;

use super::{PORT, Task};
use crate::crowd;
use crate::table::Way;

pub(super) fn seed(task: &Task) -> Command {
    let mut command = command("seed", task);
    command.arg("--dir").arg(task.files);
    command
}

pub(super) fn fetch(task: &Task) -> Command {
    let mut command = command("get", task);
    command.arg("-o").arg(task.files);
    command
}

fn command(name: &str, task: &Task) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
    command.args([name, task.torrent, "--port", &PORT.to_string()]);
    if task.way != Way::Lpd {
        command.arg("--no-local");
    }
    if task.way == Way::Dht {
        command.arg("--dht");
        command.args(crowd::nodes().take(1).flat_map(|node| ["--dht-node".to_owned(), node.to_string()]));
    }
    command
}
