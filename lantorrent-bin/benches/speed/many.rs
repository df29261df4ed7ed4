//! Very many connections: at one node, on threads and on an event loop, and in a chain of a thousand nodes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_core::{Driver, Node, NodeConfig, Target, Transfer};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tempfile::TempDir;

use super::crowd::{self, Content, keys};
use super::process::{Usage, field};
use super::table::{Row, Section, median};

const TRANSFERS: usize = 1000;
const SMALL: usize = 1 << 20;
const IDLE: usize = 10_000;
const CHAIN: usize = 1000;
const LARGE: usize = 16 << 20;
/// More connections than any of this needs.
const PLENTY: usize = 20_000;

/// What serves a node, and how that is said on a command line.
const DRIVERS: [(Driver, &str); 2] = [(Driver::Threads, "threads"), (Driver::EventLoop, "event-loop")];

/// The process of nodes that are measured: `many DRIVER COUNT FOLDER`. Says on which ports they listen, and serves until its
/// standard input ends.
pub(crate) fn main(driver: &str, arguments: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let [count, folder] = arguments else { return Err("many DRIVER COUNT FOLDER".into()) };
    let (driver, _) = DRIVERS.into_iter().find(|(_, name)| *name == driver).ok_or("an unknown driver")?;
    raise_descriptor_limit()?;
    let mut config = NodeConfig::new(keys(), vec![PathBuf::from(folder)]).unwrap();
    config.driver = driver;
    (config.connections, config.greetings) = (PLENTY, PLENTY);
    config.timing.greeting = Duration::from_secs(3600);
    // Who is ready waits until all are, and says nothing meanwhile.
    config.timing.dead_after = Duration::from_secs(60);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let nodes: Vec<Node> =
        (0..count.parse()?).map(|_| Node::bind(listen, config.clone())).collect::<Result<_, _>>()?;
    let ports = nodes.iter().filter_map(Node::local_addr).map(|address| address.port().to_string());
    println!("{}", ports.collect::<Vec<_>>().join(" "));
    for node in nodes {
        thread::Builder::new().stack_size(256 << 10).spawn(|| node.run())?;
    }
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    std::process::exit(0);
}

/// At one node.
pub(crate) fn measure(base: &Path, runs: usize) -> [Section; 2] {
    raise_descriptor_limit().expect("file descriptors");
    [at_once(base, runs), idle(base)]
}

fn raise_descriptor_limit() -> std::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// Nodes in a process of their own, which ends with this.
struct Nodes {
    process: Child,
    ports: Vec<u16>,
    folder: TempDir,
}

impl Nodes {
    fn start(driver: &str, count: usize, base: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("lantorrent-bench-").tempdir_in(base).expect("a folder");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["many", driver, &count.to_string()]).arg(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("starting nodes");
        let mut line = String::new();
        let output = process.stdout.take().expect("their output");
        BufReader::new(output).read_line(&mut line).expect("their ports");
        let ports = line.split_whitespace().map(|port| port.parse().expect("a port")).collect();
        Self { process, ports, folder }
    }

    fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports[0]).into()
    }

    fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    usage: Usage,
    threads: u64,
}

#[allow(clippy::cast_precision_loss)] // Three digits are shown.
fn at_once(base: &Path, runs: usize) -> Section {
    let content = Content::new(noise(SMALL));
    let mut costs = DRIVERS.map(|_| Vec::new());
    for _ in 0..runs {
        for ((_, driver), costs) in DRIVERS.iter().zip(&mut costs) {
            let nodes = Nodes::start(driver, 1, base);
            let threads = AtomicU64::new(0);
            let count = || threads.store(field(nodes.id(), "Threads:"), Ordering::Relaxed);
            let started = Instant::now();
            crowd::send(nodes.address(), nodes.folder.path(), &content, TRANSFERS, count);
            let wall = started.elapsed();
            let (usage, threads) = (Usage::of(nodes.id()), threads.into_inner());
            costs.push(Cost { wall, usage, threads });
        }
    }
    let mut section = Section::new(format!("{TRANSFERS} transfers of {} MiB at once, one node", SMALL >> 20));
    section.rows.extend(DRIVERS.iter().zip(costs).map(|((_, driver), costs)| {
        let wall = median(costs.iter().map(|cost| cost.wall));
        let cpu = median(costs.iter().map(|cost| cost.usage.cpu)).as_secs_f64();
        let bytes = (TRANSFERS * SMALL) as f64;
        Row {
            name: (*driver).into(),
            wall: Some(wall),
            rate: Some(bytes / wall.as_secs_f64()),
            cpu: Some(cpu / (bytes / f64::from(1 << 30))),
            peak: costs.iter().map(|cost| cost.usage.peak).max(),
            remark: format!("{} threads", median(costs.iter().map(|cost| cost.threads))),
        }
    }));
    section
}

fn idle(base: &Path) -> Section {
    let nodes = Nodes::start("event-loop", 1, base);
    let open = || fs::read_dir(format!("/proc/{}/fd", nodes.id())).expect("its descriptors").count();
    let connections: Vec<TcpStream> =
        (0..IDLE).map(|_| TcpStream::connect(nodes.address()).expect("a connection")).collect();
    while open() < IDLE {
        thread::sleep(Duration::from_millis(10));
    }
    let resident = Usage::of(nodes.id()).resident;
    let started = Instant::now();
    crowd::send(nodes.address(), nodes.folder.path(), &Content::new(noise(SMALL)), 1, || ());
    let wall = started.elapsed();
    drop(connections);
    let mut section = Section::new(format!("{IDLE} connections that say nothing, event loop"));
    section.rows.push(Row { name: "resident".into(), peak: Some(resident), ..Row::default() });
    section.rows.push(Row {
        name: format!("{} MiB past them", SMALL >> 20),
        wall: Some(wall),
        ..Row::default()
    });
    section
}

/// Down a chain, once: every copy is a file of its own, and they need as much room as that.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub(crate) fn chain(base: &Path) -> Section {
    raise_descriptor_limit().expect("file descriptors");
    let nodes = Nodes::start("event-loop", CHAIN, base);
    let content = noise(LARGE);
    let source = nodes.folder.path().join("source");
    fs::write(&source, &content).expect("the source");
    let copy = |number: usize| nodes.folder.path().join(format!("copy-{number}"));
    let mut transfer = Transfer::from_file(&source, keys()).expect("the source");
    for (number, port) in nodes.ports.iter().enumerate() {
        let path = copy(number).display().to_string();
        transfer = transfer.to(Target { host: Ipv4Addr::LOCALHOST.to_string(), port: *port, path });
    }
    let outcome = transfer.send().expect("a transfer");
    let failed = outcome.failed().next();
    assert!(failed.is_none(), "{failed:?}");
    assert!(outcome.bypassed().is_empty(), "{:?}", outcome.bypassed());
    let whole = |number| fs::read(copy(number)).expect("a copy") == content;
    assert!((0..CHAIN).all(whole), "not all copies are whole");
    let usage = Usage::of(nodes.id());
    let mut section = Section::new(format!("a chain of {CHAIN} nodes in one process, {} MiB", LARGE >> 20));
    let bytes = (LARGE * CHAIN) as f64;
    section.rows.push(Row {
        name: "event loops, all copies identical".into(),
        wall: Some(outcome.elapsed()),
        rate: Some(LARGE as f64 / outcome.elapsed().as_secs_f64()),
        cpu: Some(usage.cpu.as_secs_f64() / (bytes / f64::from(1 << 30))),
        peak: Some(usage.peak),
        remark: format!("{:.2} ms a hop", outcome.elapsed().as_secs_f64() * 1e3 / CHAIN as f64),
    });
    section
}

/// Content that looks random enough for nobody to take a short cut.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_ne_bytes()
    };
    (0..len / 8).flat_map(|_| next()).collect()
}
