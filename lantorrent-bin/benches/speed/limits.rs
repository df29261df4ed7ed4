//! How exactly limits are kept: by a sender, by a node, by an agent with several transfers at once, and after a change
//! while it sends. On loopback and in memory, where nothing else is slow at these rates.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::Listening;
use super::table::{Row, Section};

const MIB: u64 = 1 << 20;
const RATES: [u64; 3] = [MIB, 10 * MIB, 100 * MIB];
/// For each measurement.
const SECONDS: u64 = 5;
/// Transfers that an agent has at the same time.
const TOGETHER: u64 = 3;

pub(crate) fn measure(base: &Path) -> Section {
    let bench = Bench::new(base);
    let mut section = Section::new(format!("limits, loopback, tmpfs, {SECONDS} s each"));
    for rate in RATES {
        section.rows.push(row("send --limit", rate, bench.sender(rate)));
        section.rows.push(row("[node] limit", rate, bench.node(rate)));
        section.rows.push(row("[agent] limit, three transfers at once", rate, bench.agent(rate)));
        section.rows.push(row("after PUT /v1/limit", 2 * rate, bench.change(rate, 2 * rate)));
    }
    section
}

#[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
fn row(kind: &str, asked: u64, measured: f64) -> Row {
    let percent = (measured / asked as f64 - 1.0) * 100.0;
    let remark = format!("{percent:+.2} % of {} MiB/s", asked / MIB);
    Row { name: kind.into(), rate: Some(measured), remark, ..Row::default() }
}

/// A folder with a source and all that runs in it.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(base: &Path) -> Self {
        Self { folder: tempfile::tempdir_in(base).expect("a folder for the files") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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
        let folder = self.folder.path().display();
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

    /// Starts a node or an agent.
    fn start(&self, more: &str, arguments: &[&str]) -> Listening {
        Listening::start(self.command(more).args(arguments))
    }

    fn start_node(&self, more: &str) -> Listening {
        let root = self.folder.path().to_str().expect("a path in UTF-8");
        self.start(more, &["serve", "--listen", "127.0.0.1:0", "--root", root])
    }

    /// Sends so many bytes, and returns how many that were each second.
    fn send(&self, node: &Listening, bytes: u64, options: &[&str]) -> f64 {
        let source = self.source("source", bytes);
        let copy = self.path("copy");
        let mut command = self.command("");
        command.args(["send", "--json"]).args(options).arg(source);
        let output =
            command.arg(format!("127.0.0.1:{}{}", node.port, copy.display())).output().expect("sending");
        assert!(output.status.success(), "the transfer failed");
        fs::remove_file(copy).expect("removing the copy");
        let output = String::from_utf8_lossy(&output.stdout);
        let summary: Value = serde_json::from_str(output.lines().last().expect("a summary")).expect("JSON");
        rate(bytes, summary["summary"]["seconds"].as_f64().expect("its seconds"))
    }

    fn sender(&self, rate: u64) -> f64 {
        let node = self.start_node("");
        self.send(&node, rate * SECONDS, &["--limit", &rate.to_string()])
    }

    fn node(&self, rate: u64) -> f64 {
        let node = self.start_node(&format!("[node]\nlimit = {rate}"));
        self.send(&node, rate * SECONDS, &[])
    }

    fn agent(&self, limit: u64) -> f64 {
        let node = self.start_node("");
        let agent = Agent(self.start(&format!("limit = {limit}"), &["agent"]));
        let bytes = limit * SECONDS / TOGETHER;
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
    fn change(&self, before: u64, after: u64) -> f64 {
        let node = self.start_node("");
        let agent = Agent(self.start(&format!("limit = {before}"), &["agent"]));
        let bytes = (before + after * SECONDS).min(2 << 30);
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

struct Agent(Listening);

impl Agent {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.0.port)
    }

    /// Asks for each of them beside itself on the node.
    fn request(&self, sources: &[PathBuf], node: &Listening) {
        let wish = |source: &PathBuf| {
            let destination = copy_of(source);
            json!({ "source": source, "destination": destination, "host": "127.0.0.1", "port": node.port })
        };
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
