//! Torrents for a cell: made by us where we seed, by mktorrent for the others.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::content;
use crate::programs::Program;
use crate::table::{Cell, Way};
use crate::{tracker, web};

/// Of a torrent, as files and as link.
pub(crate) struct Torrent {
    pub(crate) file: PathBuf,
    pub(crate) hash: [u8; 20],
    /// With the tracker, if there is one.
    pub(crate) magnet: String,
}

/// Makes the torrent of what is in `source`, in `folder`.
pub(crate) fn make(cell: Cell, folder: &Path, source: &Path) -> Torrent {
    let (file, content) = (folder.join("the.torrent"), source.join(content::name(cell.content())));
    // Nobody seeds what is on the web, so there it is made by whoever does not fetch.
    let is_ours =
        cell.seeder == Some(Program::Ours) || (cell.seeder.is_none() && cell.leecher != Program::Ours);
    let mut command = if is_ours { ours(cell.way) } else { mktorrent(cell.way) };
    let output = command.arg("-o").arg(&file).arg(&content).output().expect("a program that makes torrents");
    assert!(output.status.success(), "{command:?}: {output:?}");
    let shown = Command::new(env!("CARGO_BIN_EXE_lantorrent"))
        .args(["torrent", "show", "--json"])
        .arg(&file)
        .output();
    let shown: serde_json::Value =
        serde_json::from_slice(&shown.expect("our binary").stdout).expect("what a torrent says");
    let text = |key: &str| shown[key].as_str().expect("a torrent's own word").to_owned();
    let hash = text("info_hash");
    let byte = |at| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).expect("hexadecimal digits");
    Torrent { file, hash: std::array::from_fn(byte), magnet: text("magnet") }
}

fn ours(way: Way) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
    command.args(["torrent", "create", "--piece-size", "32K"]);
    match way {
        Way::WebSeed => command.arg("--web-seed").arg(web::url()),
        _ => command.args(announce(way).iter().flat_map(|url| ["--tracker", url])),
    };
    command
}

fn mktorrent(way: Way) -> Command {
    let mut command = Command::new("mktorrent");
    command.args(["-l", "15"]);
    match way {
        Way::WebSeed => command.arg("-w").arg(web::url()),
        _ => command.args(announce(way).iter().flat_map(|url| ["-a", url])),
    };
    command
}

fn announce(way: Way) -> Option<String> {
    let scheme = match way {
        Way::Udp(_) => "udp",
        Way::Http(_) | Way::Magnet => "http",
        Way::Lpd | Way::Dht | Way::WebSeed => return None,
    };
    Some(format!("{scheme}://{}/announce", tracker::address()))
}
