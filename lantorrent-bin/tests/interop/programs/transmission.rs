//! Transmission: its daemon serves, its command-line client fetches.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use super::{PORT, Task};
use crate::crowd;
use crate::table::Way;

/// The daemon looks for torrents in a folder.
pub(super) fn seed(task: &Task) -> Command {
    let watched = task.home.join("watched");
    fs::create_dir_all(&watched).expect("a folder for torrents");
    fs::copy(task.torrent, watched.join("the.torrent")).expect("a torrent in that folder");
    let mut command = Command::new("transmission-daemon");
    command.args(["--foreground", "--log-debug", "--config-dir"]).arg(configuration(task));
    command.arg("--download-dir").arg(task.files).arg("--watch-dir").arg(watched);
    command
}

pub(super) fn fetch(task: &Task) -> Command {
    let mut command = Command::new("transmission-cli");
    command.arg("--config-dir").arg(configuration(task)).arg("--download-dir").arg(task.files);
    command.arg("--port").arg(PORT.to_string()).arg(task.torrent);
    command
}

/// Makes its folder.
fn configuration(task: &Task) -> PathBuf {
    let settings = json!({
        "dht-enabled": task.way == Way::Dht,
        "lpd-enabled": task.way == Way::Lpd,
        "pex-enabled": false,
        "utp-enabled": false,
        "rpc-enabled": false,
        "port-forwarding-enabled": false,
        "peer-port": PORT,
        "message-level": 3,
    });
    let folder = task.home.join("configuration");
    fs::create_dir_all(&folder).expect("a folder for Transmission");
    fs::write(folder.join("settings.json"), settings.to_string()).expect("its settings");
    if task.way == Way::Dht {
        fs::write(folder.join("dht.dat"), table()).expect("nodes that it is to know");
    }
    folder
}

/// What it keeps of a distributed hash table from one run to the next. All nodes are in it: it asks one every two seconds
/// at best, goes on with what it has learned when it knows nine, and takes minutes for that where it begins with one.
fn table() -> Vec<u8> {
    let nodes: Vec<u8> = crowd::nodes()
        .flat_map(|node| [&node.ip().octets()[..], &node.port().to_be_bytes()].concat())
        .collect();
    let head = format!("d5:nodes{}:", nodes.len());
    [head.as_bytes(), &nodes, b"e"].concat()
}
