//! A chain of three nodes on loopback, beside relays.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process::{Listening, Usage};
use super::relay::{self, Way};

pub(crate) const HOPS: usize = 3;

/// What carries the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    Relay(Way),
    Wire1,
    Wire2,
}

/// What one transfer cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// Of all nodes together, without the sender.
    pub(crate) cpu: Duration,
    /// The most that a node had resident, in bytes.
    pub(crate) peak: u64,
}

/// A folder with a source file and a configuration; removed when dropped.
pub(crate) struct Bench {
    folder: PathBuf,
    size: usize,
}

impl Bench {
    /// Below `base`, with a source of `size` bytes.
    pub(crate) fn new(base: &Path, size: usize) -> Self {
        let folder = base.join(format!("lantorrent-bench-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for the files");
        fs::create_dir(folder.join("etc")).expect("a folder for the configuration");
        let bench = Self { folder, size };
        let ini = format!(
            "[security]\npassword = {}\nwire_1_password = {}\n[node]\nroots = {}\n",
            "benchmarks-need-no-secret",
            "and-this-is-no-secret-either",
            bench.folder.display()
        );
        fs::write(bench.config(), ini).expect("the configuration");
        fs::set_permissions(bench.config(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
        bench.make_source();
        bench
    }

    fn config(&self) -> PathBuf {
        self.folder.join("etc/lt.ini")
    }

    fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    fn copy(&self, node: usize) -> PathBuf {
        self.folder.join(format!("copy-{node}"))
    }

    /// Content that looks random enough for nobody to take a short cut.
    fn make_source(&self) {
        let mut file = std::io::BufWriter::new(File::create(self.source()).expect("the source"));
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..self.size / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&state.to_ne_bytes()).expect("writing the source");
        }
        file.flush().expect("writing the source");
    }

    pub(crate) fn run(&self, carrier: Carrier) -> Cost {
        let nodes = self.start(carrier);
        let started = Instant::now();
        match carrier {
            Carrier::Relay(_) => relay::send(&self.source(), nodes[0].port).expect("sending"),
            Carrier::Wire1 => self.send(&nodes, "1"),
            Carrier::Wire2 => self.send(&nodes, "2"),
        }
        let wall = started.elapsed();
        let usage: Vec<Usage> = nodes.iter().map(Listening::usage).collect();
        drop(nodes);
        for node in 0..HOPS {
            assert!(self.is_whole(node), "copy {node} is not whole");
            fs::remove_file(self.copy(node)).expect("removing a copy");
        }
        Cost {
            wall,
            cpu: usage.iter().map(|usage| usage.cpu).sum(),
            peak: usage.iter().map(|usage| usage.peak).max().unwrap_or(0),
        }
    }

    /// Starts the nodes, last first, as a relay has to know the next one.
    fn start(&self, carrier: Carrier) -> Vec<Listening> {
        let mut nodes: Vec<Listening> = Vec::new();
        for node in (0..HOPS).rev() {
            let mut command = match carrier {
                Carrier::Relay(way) => {
                    let next = nodes.last().map_or("-".into(), |next| next.port.to_string());
                    let mut command = Command::new(std::env::current_exe().expect("this program"));
                    command.args(["relay", way.name()]).arg(self.copy(node)).arg(next);
                    command
                }
                Carrier::Wire1 | Carrier::Wire2 => self.serve(),
            };
            nodes.push(Listening::start(&mut command));
        }
        nodes.reverse();
        nodes
    }

    fn serve(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.arg("--config").arg(self.config()).args(["serve", "--listen", "127.0.0.1:0"]);
        command
    }

    fn send(&self, nodes: &[Listening], wire: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.arg("--config").arg(self.config()).args(["send", "--quiet", "--wire", wire]);
        command.arg(self.source());
        for (node, listening) in nodes.iter().enumerate() {
            command.arg(format!("127.0.0.1:{}{}", listening.port, self.copy(node).display()));
        }
        assert!(command.stdout(Stdio::null()).status().expect("sending").success(), "the transfer failed");
    }

    fn is_whole(&self, node: usize) -> bool {
        let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
        size(&self.copy(node)) == Some(self.size as u64)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
