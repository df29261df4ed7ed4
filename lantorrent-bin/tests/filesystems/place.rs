//! A folder on the file system that is tried, and what can arrive there.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Finished, INI, Lab, Node, content, finish, names};
use crate::swarms::{ALONE, Running, make};

pub(crate) const BYTES: usize = 1_500_003;
/// Options of both kinds of node.
pub(crate) const DRIVERS: [&[&str]; 2] = [&[], &["--event-loop"]];

/// A lab whose nodes and commands write below a root that is elsewhere, and log to a file.
pub(crate) struct Place {
    pub(crate) lab: Lab,
    pub(crate) root: PathBuf,
}

impl Place {
    pub(crate) fn new(root: &Path) -> Self {
        let lab = Lab::empty();
        lab.write_ini(&format!("{INI}[log]\nfile = {}\n", lab.path().join("log").display()));
        Self { lab, root: root.to_owned() }
    }

    /// A node that writes there; `wrap` makes the command another.
    pub(crate) fn node(&self, options: &[&str], wrap: impl FnOnce(Command) -> Command) -> Node {
        let mut command = self.lab.command(["serve", "--listen", "127.0.0.1:0"]);
        command.args(options).arg("--root").arg(&self.root);
        Node::start(wrap(command), self.root.clone())
    }

    /// What nodes and commands have logged from a warning on.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let log = fs::read_to_string(self.lab.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| line.contains("WARN") || line.contains("ERR")).map(str::to_owned).collect()
    }

    /// Data, a hole and data.
    pub(crate) fn source(&self) -> (PathBuf, Vec<u8>) {
        let mut bytes = content(BYTES);
        bytes[327_680..917_504].fill(0);
        let path = self.lab.path().join("source");
        let file = fs::File::create(&path).unwrap();
        file.write_all_at(&bytes[..327_680], 0).unwrap();
        file.write_all_at(&bytes[917_504..], 917_504).unwrap();
        (path, bytes)
    }

    /// Sends two copies to the node, and again over the first; nothing else is left there, and they are removed.
    pub(crate) fn receive(&self, node: &Node) {
        let (source, bytes) = self.source();
        let to = [node.destination("a"), node.destination("b")];
        self.lab.send(&source, &to, &[]).expect(0);
        self.lab.send(&source, &to[..1], &[]).expect(0);
        for name in ["a", "b"] {
            assert!(fs::read(node.file(name)).unwrap() == bytes, "{name} differs");
        }
        assert_eq!(names(&self.root), ["a", "b"]);
        for name in ["a", "b"] {
            fs::remove_file(node.file(name)).unwrap();
        }
    }

    /// Fetches a torrent with a program in it, and again, into a folder there.
    pub(crate) fn fetch(&self, wrap: impl Fn(Command) -> Command) {
        let files = self.lab.path().join("tree/bin");
        fs::create_dir_all(&files).unwrap();
        let (run, plain) = (content(300_000), content(100_000));
        fs::write(files.join("run"), &run).unwrap();
        fs::set_permissions(files.join("run"), PermissionsExt::from_mode(0o755)).unwrap();
        fs::write(self.lab.path().join("tree/z"), &plain).unwrap();
        self.lab.run(["torrent", "create", "tree"]).expect(0);
        let (_seed, address) = Running::seed(&self.lab, ".", &["tree.torrent"]);
        for _ in 0..2 {
            self.get("tree.torrent", &address, &wrap).expect(0);
            assert!(fs::read(self.root.join("got/tree/bin/run")).unwrap() == run);
            assert!(fs::read(self.root.join("got/tree/z")).unwrap() == plain);
        }
        assert_eq!(names(&self.root.join("got/tree")), ["bin", "z"]);
        fs::remove_dir_all(self.root.join("got")).unwrap();
    }

    pub(crate) fn get(&self, torrent: &str, peer: &str, wrap: impl Fn(Command) -> Command) -> Finished {
        let mut command = self.lab.command(["get", torrent, "--peer", peer]);
        command.args(ALONE).arg("-o").arg(self.root.join("got"));
        finish(wrap(command))
    }

    /// A file of a torrent, made and served here.
    pub(crate) fn seed(&self, name: &str) -> (Running, String, Vec<u8>) {
        let bytes = make(&self.lab, "here", name, BYTES);
        let (seed, address) = Running::seed(&self.lab, "here", &[&format!("{name}.torrent")]);
        (seed, address, bytes)
    }
}

/// Leaves the command as it is.
pub(crate) fn plain(command: Command) -> Command {
    command
}
