//! How exactly limits are kept: by a sender, by a node, by an agent with several transfers at once, and after a change
//! while it sends. On loopback and in memory, where nothing else is slow at these rates.
//!
//! `cargo bench -p lantorrent-bin --bench limits` (with `-- --seconds 5 --json`)

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const MIB: u64 = 1 << 20;
const RATES: [u64; 3] = [MIB, 10 * MIB, 100 * MIB];
/// Transfers that an agent has at the same time.
const TOGETHER: u64 = 3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = seconds.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(5);
    let bench = Bench::new();
    let mut lines = Vec::new();
    for rate in RATES {
        lines.push(Line { kind: "send --limit", asked: rate, measured: bench.sender(rate, seconds) });
        lines.push(Line { kind: "[node] limit", asked: rate, measured: bench.node(rate, seconds) });
        lines.push(Line {
            kind: "[agent] limit, 3 at once",
            asked: rate,
            measured: bench.agent(rate, seconds),
        });
        let measured = bench.change(rate, 2 * rate, seconds);
        lines.push(Line { kind: "after PUT /v1/limit", asked: 2 * rate, measured });
    }
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{}", lines.iter().map(Line::json).collect::<Value>());
    } else {
        print(&lines, seconds);
    }
}

struct Line {
    kind: &'static str,
    /// Bytes a second.
    asked: u64,
    measured: f64,
}

impl Line {
    #[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
    fn ratio(&self) -> f64 {
        self.measured / self.asked as f64
    }

    fn json(&self) -> Value {
        json!({ "kind": self.kind, "asked": self.asked, "measured": self.measured, "ratio": self.ratio() })
    }
}

#[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
fn print(lines: &[Line], seconds: u64) {
    println!(
        "loopback, memory, {seconds} s each; MiB/s of the file, from its transfer's start to its last result"
    );
    println!("{:<26} {:>8} {:>9} {:>8}", "", "asked", "measured", "ratio");
    for line in lines {
        let (asked, measured) = (line.asked / MIB, line.measured / MIB as f64);
        println!("{:<26} {asked:>8} {measured:>9.2} {:>7.3}x", line.kind, line.ratio());
    }
}

/// A folder with a source and all that runs in it.
struct Bench {
    folder: PathBuf,
}

/// Killed and reaped when dropped.
struct Running {
    child: Child,
    /// Where it listens.
    address: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Bench {
    fn new() -> Self {
        let shm = Path::new("/dev/shm");
        let base = if shm.is_dir() { shm.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("lantorrent-limits-{}", std::process::id()));
        fs::create_dir(&folder).expect("a folder for the files");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A source of that many bytes.
    fn source(&self, name: &str, bytes: u64) -> PathBuf {
        let path = self.path(name);
        let mut random = File::open("/dev/urandom").expect("random bytes").take(bytes);
        io::copy(&mut random, &mut File::create(&path).expect("the source")).expect("writing the source");
        path
    }

    /// The program, with that in its lt.ini.
    fn command(&self, more: &str) -> Command {
        let folder = self.folder.display();
        let ini = self.path("lt.ini");
        let text = format!(
            "[security]\npassword = benchmarks-need-no-secret\n[db]\nfile = {folder}/queue\n\
             [agent]\nrepository = {folder}\nsocket = {folder}/socket\nlisten = 127.0.0.1:0\nwait = 0\nsends = 3\n{more}\n"
        );
        fs::write(&ini, text).expect("the configuration");
        fs::set_permissions(&ini, PermissionsExt::from_mode(0o600)).expect("its mode");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.arg("--config").arg(ini).stderr(Stdio::null());
        command
    }

    /// Starts a node or an agent, and waits until it listens.
    fn start(&self, more: &str, arguments: &[&str]) -> Running {
        let mut command = self.command(more);
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().expect("starting");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its address");
        let address = line.strip_prefix("listening on ").and_then(|rest| rest.split_whitespace().next());
        Running { address: address.expect("its address").to_owned(), child }
    }

    fn start_node(&self, more: &str) -> Running {
        let root = self.folder.to_str().expect("a path in UTF-8");
        self.start(more, &["serve", "--listen", "127.0.0.1:0", "--root", root])
    }

    /// Sends so many bytes, and returns how many that were each second.
    fn send(&self, node: &Running, bytes: u64, options: &[&str]) -> f64 {
        let source = self.source("source", bytes);
        let copy = self.path("copy");
        let mut command = self.command("");
        command.args(["send", "--json"]).args(options).arg(source);
        let output = command.arg(format!("{}{}", node.address, copy.display())).output().expect("sending");
        assert!(output.status.success(), "the transfer failed");
        fs::remove_file(copy).expect("removing the copy");
        let output = String::from_utf8_lossy(&output.stdout);
        let summary: Value = serde_json::from_str(output.lines().last().expect("a summary")).expect("JSON");
        rate(bytes, summary["summary"]["seconds"].as_f64().expect("its seconds"))
    }

    fn sender(&self, rate: u64, seconds: u64) -> f64 {
        let node = self.start_node("");
        self.send(&node, rate * seconds, &["--limit", &rate.to_string()])
    }

    fn node(&self, rate: u64, seconds: u64) -> f64 {
        let node = self.start_node(&format!("[node]\nlimit = {rate}"));
        self.send(&node, rate * seconds, &[])
    }

    fn agent(&self, limit: u64, seconds: u64) -> f64 {
        let node = self.start_node("");
        let agent = Agent(self.start(&format!("limit = {limit}"), &["agent"]));
        let bytes = limit * seconds / TOGETHER;
        let sources: Vec<PathBuf> =
            (0..TOGETHER).map(|number| self.source(&format!("source-{number}"), bytes)).collect();
        agent.request(&sources, &node);
        let transfers = agent.ended(sources.len());
        let times =
            |key: &str| transfers.iter().map(|transfer| milliseconds(&transfer[key])).collect::<Vec<_>>();
        let (started, ended) = (times("started"), times("ended"));
        let time = ended.iter().max().expect("transfers") - started.iter().min().expect("transfers");
        self.forget(&sources);
        rate(bytes * TOGETHER, Duration::from_millis(time).as_secs_f64())
    }

    /// What goes at another limit than that at which it began.
    fn change(&self, before: u64, after: u64, seconds: u64) -> f64 {
        let node = self.start_node("");
        let agent = Agent(self.start(&format!("limit = {before}"), &["agent"]));
        let bytes = (before + after * seconds).min(2 << 30);
        let sources = [self.source("source-0", bytes)];
        agent.request(&sources, &node);
        while agent.transfers().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        let begun = Instant::now();
        thread::sleep(Duration::from_secs(1));
        agent.set_limit(after);
        let first = begun.elapsed();
        let transfers = agent.ended(1);
        let time = milliseconds(&transfers[0]["ended"]) - milliseconds(&transfers[0]["started"]);
        self.forget(&sources);
        // What went before the change went at the limit of then, as the other lines show.
        #[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
        let rest = bytes as f64 - before as f64 * first.as_secs_f64();
        rest / (Duration::from_millis(time).as_secs_f64() - first.as_secs_f64())
    }

    fn forget(&self, sources: &[PathBuf]) {
        for source in sources {
            fs::remove_file(source).and_then(|()| fs::remove_file(copy_of(source))).expect("removing files");
        }
        let _ = fs::remove_file(self.path("queue"));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn copy_of(source: &Path) -> PathBuf {
    source.with_extension("copy")
}

#[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
fn rate(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / seconds
}

/// Of a time of the same day, as the agent writes it: `2026-11-22T03:04:05.678Z`.
fn milliseconds(time: &Value) -> u64 {
    let text = time.as_str().expect("a time");
    let number = |from: usize, to: usize| text[from..to].parse::<u64>().expect("a time");
    ((number(8, 10) * 24 + number(11, 13)) * 60 + number(14, 16)) * 60_000
        + number(17, 19) * 1000
        + number(20, 23)
}

struct Agent(Running);

impl Agent {
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0.address)
    }

    /// Asks for each of them beside itself on the node.
    fn request(&self, sources: &[PathBuf], node: &Running) {
        let (host, port) = node.address.rsplit_once(':').expect("an address");
        let port: u16 = port.parse().expect("a port");
        let wish = |source: &PathBuf| json!({ "source": source, "destination": copy_of(source), "host": host, "port": port });
        let body: Value = sources.iter().map(wish).collect();
        let request = ureq::post(self.url("/v1/requests")).header("content-type", "application/json");
        request.send(body.to_string()).expect("the agent takes requests");
    }

    fn set_limit(&self, limit: u64) {
        let request = ureq::put(self.url("/v1/limit")).header("content-type", "application/json");
        request.send(json!({ "limit": limit }).to_string()).expect("the agent takes a limit");
    }

    fn transfers(&self) -> Vec<Value> {
        let mut answer = ureq::get(self.url("/v1/transfers")).call().expect("the agent answers");
        let text = answer.body_mut().read_to_string().expect("its answer");
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["transfers"].as_array().expect("a list").clone()
    }

    /// All transfers, once there are so many and all of them have ended.
    fn ended(&self, count: usize) -> Vec<Value> {
        loop {
            let transfers = self.transfers();
            if transfers.len() == count && transfers.iter().all(|transfer| !transfer["ended"].is_null()) {
                return transfers;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
