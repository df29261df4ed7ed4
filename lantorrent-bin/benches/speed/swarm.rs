//! A swarm on loopback: one seed, and one or three who fetch at the same moment and serve each other. Beside libtorrent and
//! aria2, where they are installed, with the same torrent and the same tracker.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::loopback::Bench;
use super::process::{Listening, Usage};
use super::table::{Row, Section, median};

/// How many fetch at the same moment.
const LEECHERS: [u16; 2] = [1, 3];
/// The tracker's. Behind it are the seed's and those of the others.
const PORT: u16 = 26_880;
/// The system's, which has libtorrent.
const PYTHON: &str = "/usr/bin/python3";
const POLL: Duration = Duration::from_millis(20);
/// For a seed to look at what it has, and to be known.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Libtorrent,
    Aria2,
    Ours,
}

/// In the order in which they are shown: the first is what the others are compared with.
const CLIENTS: [(Client, &str); 3] =
    [(Client::Libtorrent, "libtorrent"), (Client::Aria2, "aria2"), (Client::Ours, "lantorrent")];

/// What it took until everybody had everything.
struct Cost {
    wall: Duration,
    /// Of the seed and of all who fetched, from the start of the latter.
    cpu: Duration,
    /// The most that one of them had resident, in bytes.
    peak: u64,
}

/// For each number of those who fetch.
pub(crate) fn measure(disk: &Path, size: usize, runs: usize) -> Vec<Section> {
    let swarm = Swarm::new(Bench::new(disk, size));
    LEECHERS.iter().map(|leechers| swarm.section(*leechers, runs)).collect()
}

/// A file and its torrent, which names a tracker.
struct Swarm {
    bench: Bench,
    /// As URLs have it.
    hash: String,
}

impl Swarm {
    fn new(bench: Bench) -> Self {
        let torrent = bench.path().join("torrent");
        let tracker = format!("http://127.0.0.1:{PORT}/announce");
        let made = make_torrent(&bench.source(), &torrent, &["--piece-size", "1M", "--tracker", &tracker]);
        let digits = made["info_hash"].as_str().expect("the torrent's hash").as_bytes();
        let hash = digits.chunks(2).flat_map(|two| [b"%", two].concat()).map(char::from).collect();
        Self { bench, hash }
    }

    fn torrent(&self) -> PathBuf {
        self.bench.path().join("torrent")
    }

    #[allow(clippy::cast_precision_loss)] // Three digits are shown.
    fn section(&self, leechers: u16, runs: usize) -> Section {
        let clients = CLIENTS.iter().filter(|(client, _)| client.is_there());
        let mut costs: Vec<_> = clients.map(|(client, name)| (*client, *name, Vec::new())).collect();
        // In turns, so that a busy moment of this machine does not strike one of them alone.
        for _ in 0..runs {
            for (client, _, costs) in &mut costs {
                costs.push(self.run(*client, leechers));
            }
        }
        let size = self.bench.size as f64;
        let mut section = Section::new(format!(
            "swarm on loopback, 1 seed, {leechers} fetching, {} MiB",
            self.bench.size >> 20
        ));
        section.rows = costs
            .into_iter()
            .map(|(_, name, costs)| {
                let wall = median(costs.iter().map(|cost| cost.wall));
                let cpu = median(costs.iter().map(|cost| cost.cpu)).as_secs_f64();
                Row {
                    name: name.into(),
                    wall: Some(wall),
                    rate: Some(size / wall.as_secs_f64()),
                    cpu: Some(cpu / (size / f64::from(1 << 30)) / f64::from(leechers)),
                    peak: costs.iter().map(|cost| cost.peak).max(),
                    remark: String::new(),
                }
            })
            .collect();
        section
    }

    fn run(&self, client: Client, leechers: u16) -> Cost {
        let folder = |number: u16| self.bench.path().join(format!("fetched-{number}"));
        (1..=leechers).for_each(|number| fs::create_dir(folder(number)).expect("a folder"));
        // A new one each time: those who are killed in the end say goodbye to nobody.
        let mut tracker = lantorrent();
        let _tracker = Listening::start(tracker.args(["tracker", "--listen", &format!("127.0.0.1:{PORT}")]));
        let seed = Peer::start(client.seed(self), here);
        let limit = Instant::now() + LIMIT;
        while !knows_seed(&self.hash) {
            assert!(Instant::now() < limit, "the tracker is not told of the seed");
            thread::sleep(POLL);
        }
        let (before, started) = (seed.usage().cpu, Instant::now());
        let start = |number| Peer::start(client.fetch(self, &folder(number), number), here);
        let mut fetching: Vec<Peer> = (1..=leechers).map(start).collect();
        for peer in &mut fetching {
            peer.until(client.word());
        }
        let wall = started.elapsed();
        let usage: Vec<Usage> = fetching.iter().chain([&seed]).map(Peer::usage).collect();
        drop((fetching, seed));
        for number in 1..=leechers {
            let fetched = folder(number).join("source");
            assert!(is_same(&self.bench.source(), &fetched), "{} is another file", fetched.display());
            fs::remove_dir_all(folder(number)).expect("removing a folder");
        }
        Cost {
            wall,
            cpu: usage.iter().map(|usage| usage.cpu).sum::<Duration>().saturating_sub(before),
            peak: usage.iter().map(|usage| usage.peak).max().unwrap_or(0),
        }
    }
}

impl Client {
    fn is_there(self) -> bool {
        let mut command = match self {
            Self::Libtorrent => Command::new(PYTHON),
            Self::Aria2 => Command::new("aria2c"),
            Self::Ours => return true,
        };
        let asked = if self == Self::Aria2 { ["--version", "-v"] } else { ["-c", "import libtorrent"] };
        command.args(asked).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    fn seed(self, swarm: &Swarm) -> Command {
        let mut command = self.command("seed", swarm, swarm.bench.path(), 1);
        match self {
            Self::Libtorrent => {}
            Self::Aria2 => drop(command.args(["--check-integrity=true", "--seed-ratio=0.0"])),
            Self::Ours => drop(command.arg("--dir").arg(swarm.bench.path())),
        }
        command
    }

    /// Serves what it has until it is killed.
    fn fetch(self, swarm: &Swarm, folder: &Path, number: u16) -> Command {
        let name = if self == Self::Ours { "get" } else { "keep" };
        let mut command = self.command(name, swarm, folder, 1 + number);
        match self {
            Self::Libtorrent => {}
            // It says so itself only when it ends.
            Self::Aria2 => drop(command.args(["--seed-ratio=0.0", "--on-bt-download-complete=/bin/echo"])),
            Self::Ours => drop(command.args(["--seed", "-o"]).arg(folder)),
        }
        command
    }

    fn command(self, task: &str, swarm: &Swarm, folder: &Path, number: u16) -> Command {
        let port = PORT + number;
        match self {
            Self::Libtorrent => {
                let mut command = Command::new(PYTHON);
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/peer.py"));
                command.args([task, "tracker", &format!("127.0.0.1:{port}")]);
                command.arg(folder).arg(swarm.torrent()).arg("");
                command
            }
            Self::Aria2 => {
                let mut command = Command::new("aria2c");
                command.args(["--no-conf", "--disable-ipv6", "--enable-dht=false", "--bt-enable-lpd=false"]);
                command.args(["--file-allocation=none", "--summary-interval=0"]);
                command.arg(format!("--listen-port={port}")).arg("--dir").arg(folder).arg(swarm.torrent());
                command
            }
            Self::Ours => {
                let mut command = lantorrent();
                command.args([task, "--json", "--no-local", "--port", &port.to_string()]);
                command.arg(swarm.torrent());
                command
            }
        }
    }

    /// What who fetches says when all is there.
    fn word(self) -> &'static str {
        match self {
            Self::Libtorrent | Self::Ours => "whole",
            Self::Aria2 => "/source",
        }
    }
}

/// Makes a torrent with these options, and says what it is.
pub(crate) fn make_torrent(source: &Path, torrent: &Path, options: &[&str]) -> Value {
    let mut command = lantorrent();
    command.args(["torrent", "create", "--json"]).args(options).arg("-o").arg(torrent).arg(source);
    let made = command.output().expect("making a torrent");
    serde_json::from_slice(&made.stdout).expect("what was made")
}

pub(crate) fn lantorrent() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lantorrent"))
}

fn here(command: &mut Command) -> Child {
    command.spawn().expect("starting a process")
}

/// Serves or fetches; killed when dropped.
pub(crate) struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it in that way, with its output to be read.
    pub(crate) fn start(mut command: Command, spawn: impl FnOnce(&mut Command) -> Child) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = spawn(&mut command);
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    /// Waits until it says something with that word in it.
    pub(crate) fn until(&mut self, word: &str) {
        let mut line = String::new();
        while !line.contains(word) {
            line.clear();
            let length = self.output.read_line(&mut line).expect("what it says");
            assert!(length > 0, "it ends before it has everything");
        }
    }

    fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the tracker knows of somebody who has everything.
fn knows_seed(hash: &str) -> bool {
    let request = format!("GET /scrape?info_hash={hash} HTTP/1.0\r\nHost: tracker\r\n\r\n");
    let ask = || {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PORT))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).contains("8:completei1e"))
    };
    ask().is_ok_and(|knows| knows)
}

/// Whether two files have the same bytes.
pub(crate) fn is_same(one: &Path, other: &Path) -> bool {
    Command::new("cmp").arg("-s").args([one, other]).status().is_ok_and(|status| status.success())
}
