//! How fast a chain of three nodes carries a file, beside a relay that only reads and writes: the least that a chain
//! in user space could do. All on loopback, files on tmpfs, real processes, medians.
//!
//! `cargo bench -p lantorrent-bin --bench chain` (with `-- --size 1024 --runs 5` for MiB and repetitions)

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const HOPS: usize = 3;
const RELAY_BUFFER: usize = 1 << 20;

#[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(["relay", file, next]) = arguments.iter().map(String::as_str).collect::<Vec<_>>().get(..3) {
        return relay(Path::new(file), next).expect("the relay failed");
    }
    let option = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| argument == name);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(default)
    };
    let (size, runs) = (option("--size", 1024) << 20, option("--runs", 5));
    let bench = Bench::new(size);
    println!(
        "{HOPS} hops, {} MiB, {} processors, files in {}",
        size >> 20,
        processors(),
        bench.folder.display()
    );
    println!(
        "{:<24} {:>9} {:>9} {:>9} {:>16} {:>12}",
        "", "seconds", "MB/s", "ratio", "cpu s/GiB/hop", "MiB a node"
    );
    let mut baseline = None;
    for kind in [Kind::Relay, Kind::Wire2, Kind::Wire1] {
        let mut figures: Vec<Figures> = (0..runs).map(|_| bench.run(kind)).collect();
        figures.sort_by_key(|one| one.wall);
        let Figures { wall, cpu, memory } = figures[runs / 2];
        let seconds = wall.as_secs_f64();
        let baseline = *baseline.get_or_insert(seconds);
        println!(
            "{:<24} {seconds:>9.2} {:>9.0} {:>8.2}x {:>16.2} {:>12.1}",
            kind.name(),
            size as f64 / 1e6 / seconds,
            seconds / baseline,
            cpu.as_secs_f64() / (size as f64 / f64::from(1 << 30)) / HOPS as f64,
            memory as f64 / 1024.0,
        );
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Relay,
    Wire1,
    Wire2,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Relay => "read/write relay, 1 MiB",
            Self::Wire1 => "lantorrent, wire 1",
            Self::Wire2 => "lantorrent, wire 2",
        }
    }
}

#[derive(Clone, Copy)]
struct Figures {
    wall: Duration,
    /// Of the nodes together, without the sender.
    cpu: Duration,
    /// The most that a node had resident, in KiB.
    memory: u64,
}

struct Bench {
    folder: PathBuf,
    size: usize,
}

impl Bench {
    fn new(size: usize) -> Self {
        let shm = Path::new("/dev/shm");
        let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("lantorrent-bench-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for the files");
        fs::create_dir(folder.join("etc")).expect("a folder for the configuration");
        let ini = format!(
            "[security]\npassword = {}\nwire_1_password = {}\n[node]\nroots = {}\n",
            "benchmarks-need-no-secret",
            "and-this-is-no-secret-either",
            folder.display()
        );
        let bench = Self { folder, size };
        let config = bench.config();
        fs::write(&config, ini).expect("the configuration");
        fs::set_permissions(&config, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
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
        let mut file = io::BufWriter::new(File::create(self.source()).expect("the source"));
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..self.size / 8 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            file.write_all(&state.to_ne_bytes()).expect("writing the source");
        }
        file.flush().expect("writing the source");
    }

    fn run(&self, kind: Kind) -> Figures {
        let nodes = self.start(kind);
        let started = Instant::now();
        match kind {
            Kind::Relay => self.send_plainly(nodes[0].1),
            Kind::Wire1 => self.send(&nodes, "1"),
            Kind::Wire2 => self.send(&nodes, "2"),
        }
        let wall = started.elapsed();
        let cpu = nodes.iter().map(|(node, _)| cpu_of(node.id())).sum();
        let memory = nodes.iter().map(|(node, _)| memory_of(node.id())).max().unwrap_or(0);
        for (mut node, _) in nodes {
            node.kill().and_then(|()| node.wait()).expect("stopping a node");
        }
        for node in 0..HOPS {
            let same = same_size(&self.copy(node), &self.source());
            assert!(same, "copy {node} is not whole");
            fs::remove_file(self.copy(node)).expect("removing a copy");
        }
        Figures { wall, cpu, memory }
    }

    /// Starts the nodes, last first, as a relay has to know the next one.
    fn start(&self, kind: Kind) -> Vec<(Child, u16)> {
        let mut nodes: Vec<(Child, u16)> = Vec::new();
        for node in (0..HOPS).rev() {
            let mut command = match kind {
                Kind::Relay => {
                    let next = nodes.last().map_or("-".into(), |(_, port)| port.to_string());
                    let mut command = Command::new(std::env::current_exe().expect("this program"));
                    command.arg("relay").arg(self.copy(node)).arg(next);
                    command
                }
                Kind::Wire1 | Kind::Wire2 => {
                    let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
                    command.arg("--config").arg(self.config()).args(["serve", "--listen", "127.0.0.1:0"]);
                    command
                }
            };
            let mut child = command.stdout(Stdio::piped()).spawn().expect("starting a node");
            let mut line = String::new();
            let output = child.stdout.take().expect("its output");
            BufReader::new(output).read_line(&mut line).expect("its port");
            let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
            nodes.push((child, port.expect("its port")));
        }
        nodes.reverse();
        nodes
    }

    fn send(&self, nodes: &[(Child, u16)], wire: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.arg("--config").arg(self.config()).args(["send", "--quiet", "--wire", wire]);
        command.arg(self.source());
        for (node, (_, port)) in nodes.iter().enumerate() {
            command.arg(format!("127.0.0.1:{port}{}", self.copy(node).display()));
        }
        assert!(command.stdout(Stdio::null()).status().expect("sending").success(), "the transfer failed");
    }

    fn send_plainly(&self, port: u16) {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("the first relay");
        let mut file = File::open(self.source()).expect("the source");
        copy(&mut file, &mut [&mut socket]).expect("sending");
        socket.shutdown(Shutdown::Write).expect("the end");
        let _ = socket.read(&mut [0]).expect("the relays' end");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy(from: &mut impl Read, to: &mut [&mut dyn Write]) -> io::Result<()> {
    let mut buffer = vec![0; RELAY_BUFFER];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        for writer in &mut *to {
            writer.write_all(&buffer[..count])?;
        }
    }
}

/// One node of the baseline: reads, writes to the file, writes to the next; checks nothing, reports nothing.
fn relay(file: &Path, next: &str) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("127.0.0.1:{}", listener.local_addr()?.port());
    let (mut upstream, _) = listener.accept()?;
    let mut file = File::create(file)?;
    if next == "-" {
        copy(&mut upstream, &mut [&mut file])?;
    } else {
        let mut next = TcpStream::connect(format!("127.0.0.1:{next}"))?;
        copy(&mut upstream, &mut [&mut file, &mut next])?;
        next.shutdown(Shutdown::Write)?;
        let _ = next.read(&mut [0])?;
    }
    upstream.shutdown(Shutdown::Both)?;
    // Its figures are read from outside.
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn same_size(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| fs::metadata(path).map(|metadata| metadata.len()).ok();
    size(one).is_some() && size(one) == size(other)
}

/// Processor time of all threads of a process, user and system.
fn cpu_of(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may contain spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// The most that a process ever had resident, in KiB.
fn memory_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
