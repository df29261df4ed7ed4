//! What the servers serve: files whose names give trouble, and kinds that servers like to pack.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::common::{Finished, Lab, content, finish};

/// Path of a file in the site, and the URL's path as somebody may write it.
pub(crate) const FILES: [(&str, &str); 5] = [
    ("My Images/tool 1.0.img", "My Images/tool 1.0.img"),
    ("größe/日本 🦀.img", "größe/日本 🦀.img"),
    ("odd/a+b#c?d%41&e;f=g.img", "odd/a+b%23c%3Fd%2541&e;f=g.img"),
    ("plain/notes.txt", "plain/notes.txt"),
    ("plain/tool.tar.gz", "plain/tool.tar.gz"),
];

/// A lab in which `site` is served, to programs of other users as well.
pub(crate) fn lab() -> (Lab, PathBuf) {
    let lab = Lab::empty();
    let site = lab.path().join("site");
    for (name, _) in FILES {
        let path = site.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Text, so that it is worth packing.
        let bytes = if name.contains("notes") { b"some words ".repeat(60_000) } else { content(700_001) };
        fs::write(path, bytes).unwrap();
    }
    open(lab.path());
    (lab, site)
}

/// Lets everybody read the folder itself: what is in it may be read already.
fn open(folder: &std::path::Path) {
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A folder of the site as a torrent.
pub(crate) fn torrent(lab: &Lab, folder: &str, torrent: &str) {
    lab.run(["torrent", "create", folder, "-o", torrent, "--piece-size", "16K"]).expect(0);
}

/// `get`, by itself and with this environment alone.
pub(crate) fn get(lab: &Lab, args: &[&str], environment: &[(&str, &str)]) -> Finished {
    let mut command = lab.command(["get", "--port", "0", "--no-local"]);
    command.env_clear().env("LANTORRENT_HOME", lab.home()).envs(environment.iter().copied()).args(args);
    finish(command)
}

pub(crate) fn read(lab: &Lab, path: &str) -> Vec<u8> {
    fs::read(lab.path().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
