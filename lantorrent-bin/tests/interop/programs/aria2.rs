//! aria2.

use std::process::Command;

use super::{PORT, Task};
use crate::crowd;
use crate::table::Way;

/// Looks at what is there first.
pub(super) fn seed(task: &Task) -> Command {
    let mut command = command(task);
    command.args(["--check-integrity=true", "--seed-ratio=0.0"]).arg(task.torrent);
    command
}

pub(super) fn fetch(task: &Task) -> Command {
    let mut command = command(task);
    command.args(["--seed-time=0"]).arg(task.torrent);
    command
}

fn command(task: &Task) -> Command {
    let mut command = Command::new("aria2c");
    command.args(["--no-conf", "--disable-ipv6", "--console-log-level=info", "--summary-interval=0"]);
    command.args(["--file-allocation=none", "--enable-peer-exchange=false"]);
    command.arg(format!("--listen-port={PORT}")).arg(format!("--dht-listen-port={PORT}"));
    command.arg("--dir").arg(task.files).arg("--dht-file-path").arg(task.home.join("dht.dat"));
    command.arg(format!("--bt-enable-lpd={}", task.way == Way::Lpd));
    // Only with the table does it speak to trackers by UDP.
    command.arg(format!("--enable-dht={}", matches!(task.way, Way::Dht | Way::Udp(_))));
    if task.way == Way::Dht {
        command.args(crowd::nodes().take(1).map(|node| format!("--dht-entry-point={node}")));
        // Otherwise it waits for others to tell it, which in a private network nobody does.
        command.arg(format!("--bt-external-ip={}", task.address));
    }
    command
}
