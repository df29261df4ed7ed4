//! libtorrent, through its binding for Python: it has no program of its own.

use std::process::Command;

use super::{PORT, PYTHON, Task, script};
use crate::crowd;
use crate::table::Way;

/// Does the task that the script calls so.
pub(super) fn run(task: &Task, name: &str) -> Command {
    let way = match task.way {
        Way::Dht => "dht",
        Way::Lpd => "lpd",
        Way::Http(_) | Way::Udp(_) | Way::Magnet | Way::WebSeed => "as the torrent says",
    };
    let nodes = crowd::nodes().next().filter(|_| task.way == Way::Dht);
    let mut command = Command::new(PYTHON);
    command.arg(script("peer.py")).args([name, way]).arg(format!("{}:{PORT}", task.address)).arg(task.files);
    command.arg(task.torrent).arg(nodes.map(|node| node.to_string()).unwrap_or_default());
    command
}
