//! A chain of three nodes on loopback, beside relays.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::process::{Listening, Usage};
use super::relay::{self, Way};
use super::table::{Row, Section, median};

const HOPS: usize = 3;
/// In the chain that shows what one more hop takes.
const MANY: usize = 32;

/// What carries the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Relay(Way),
    Wire1,
    Wire2,
}

/// In the order in which they are shown: the first is what the others are compared with.
const CARRIERS: [(Carrier, &str); 4] = [
    (Carrier::Relay(Way::SpliceTee), "splice/tee relay, sees no byte"),
    (Carrier::Relay(Way::ReadWrite), "read/write relay, 1 MiB at once"),
    (Carrier::Wire2, "lantorrent, wire 2, all authenticated"),
    (Carrier::Wire1, "lantorrent, wire 1"),
];

/// What one transfer cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// Of all nodes together, without the sender.
    cpu: Duration,
    /// The most that a node had resident, in bytes.
    peak: u64,
}

/// A chain and relays, with their files on the disk that the bench is on.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub(crate) fn measure(disk: &str, bench: &Bench, runs: usize) -> Section {
    let mut costs = CARRIERS.map(|_| Vec::new());
    // In turns, so that a busy moment of this machine does not strike one of them alone.
    for _ in 0..runs {
        for ((carrier, _), costs) in CARRIERS.iter().zip(&mut costs) {
            costs.push(bench.run(*carrier));
        }
    }
    let size = bench.size as f64;
    let mut section = Section::new(format!("{HOPS} hops on loopback, {disk}, {} MiB", bench.size >> 20));
    section.rows.extend(CARRIERS.iter().zip(costs).map(|((_, name), costs)| {
        let wall = median(costs.iter().map(|cost| cost.wall));
        let cpu = median(costs.iter().map(|cost| cost.cpu)).as_secs_f64();
        Row {
            name: (*name).into(),
            wall: Some(wall),
            rate: Some(size / wall.as_secs_f64()),
            cpu: Some(cpu / (size / f64::from(1 << 30)) / HOPS as f64),
            peak: costs.iter().map(|cost| cost.peak).max(),
            remark: String::new(),
        }
    }));
    section
}

/// A folder with a source file and a configuration; removed when dropped.
pub(crate) struct Bench {
    folder: TempDir,
    pub(crate) size: usize,
}

impl Bench {
    /// Below `base`, with a source of `size` bytes.
    pub(crate) fn new(base: &Path, size: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("lantorrent-bench-").tempdir_in(base);
        let folder = folder.expect("a folder for the files");
        fs::create_dir(folder.path().join("etc")).expect("a folder for the configuration");
        let bench = Self { folder, size };
        let ini = format!(
            "[security]\npassword = {}\nwire_1_password = {}\n[node]\nroots = {}\n",
            "benchmarks-need-no-secret",
            "and-this-is-no-secret-either",
            bench.folder.path().display()
        );
        fs::write(bench.config(), ini).expect("the configuration");
        fs::set_permissions(bench.config(), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("its mode");
        bench.make_source();
        bench
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("etc/lt.ini")
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    fn copy(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("copy-{node}"))
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

    fn run(&self, carrier: Carrier) -> Cost {
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
        self.remove_copies(HOPS);
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

    pub(crate) fn serve(&self) -> Command {
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
        assert!(
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("sending").success(),
            "the transfer failed"
        );
    }

    /// What one processor carries as a node, in bytes a second.
    #[allow(clippy::cast_precision_loss)] // Three digits are shown.
    pub(crate) fn rate_of_a_processor(&self, runs: usize) -> f64 {
        let cpu = median((0..runs).map(|_| self.run(Carrier::Wire2).cpu));
        (self.size * HOPS) as f64 / cpu.as_secs_f64()
    }

    /// What each hop adds to the time that a file takes, with all from connecting to the results.
    pub(crate) fn delay_of_a_hop(&self, runs: usize) -> Duration {
        (self.time_of_hops(MANY + 1, runs).saturating_sub(self.time_of_hops(1, runs))) / MANY as u32
    }

    fn time_of_hops(&self, hops: usize, runs: usize) -> Duration {
        let nodes: Vec<Listening> = (0..hops).map(|_| Listening::start(&mut self.serve())).collect();
        let once = || {
            let started = Instant::now();
            self.send(&nodes, "2");
            let wall = started.elapsed();
            self.remove_copies(hops);
            wall
        };
        // The first time there is more to do: pages come in, names are looked up.
        once();
        median((0..runs).map(|_| once()))
    }

    fn remove_copies(&self, count: usize) {
        for node in 0..count {
            assert!(self.is_whole(node), "copy {node} is not whole");
            fs::remove_file(self.copy(node)).expect("removing a copy");
        }
    }

    fn is_whole(&self, node: usize) -> bool {
        let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
        size(&self.copy(node)) == Some(self.size as u64)
    }
}
