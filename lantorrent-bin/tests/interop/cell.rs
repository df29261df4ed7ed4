//! One cell: a lab with a seeder on host 1, a leecher on host 2, and on host 0 what they need to find each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::harness::leftovers;
use crate::harness::network::{self, Lab};
use crate::process::Process;
use crate::programs::{PORT, Program, Task};
use crate::table::{Cell, Way};
use crate::torrent::{self, Torrent};
use crate::web::WebServer;
use crate::{content, crowd, tracker};

const HOSTS: usize = 3;
const SEEDER: usize = 1;
const LEECHER: usize = 2;
const RATE: &str = "1gbit";
/// For a seeder to be found, and then for a leecher to have everything. Transmission takes the better part of a minute to
/// enter a distributed hash table.
const LIMIT: Duration = Duration::from_secs(120);
/// For two of ours to exchange pieces after the second has been started, by local peer discovery alone.
const AT_ONCE: Duration = Duration::from_secs(1);
/// More bytes than a host gets that is sent no piece.
const A_PIECE: u64 = 64 << 10;
const POLL: Duration = Duration::from_millis(20);

/// The fields are in the order in which they have to go: processes before what they use.
struct Stage {
    /// The seeder, if there is one, and whoever helps to find it.
    processes: Vec<Process>,
    lab: Lab,
    folder: TempDir,
    torrent: Torrent,
    cell: Cell,
}

/// Runs it. What is told on success is worth a note; on failure it is what was wrong and what everybody has said.
pub(crate) fn run(cell: Cell) -> Result<String, String> {
    let Some(lab) = Lab::new(HOSTS, RATE) else { return Ok(", skipped".into()) };
    let folder =
        tempfile::Builder::new().prefix(&leftovers::prefix()).tempdir().expect("a folder for a cell");
    let source = folder.path().join("source");
    content::make(&source, cell.content());
    let torrent = torrent::make(cell, folder.path(), &source);
    let mut stage = Stage { processes: Vec::new(), lab, folder, torrent, cell };
    let _web = (cell.way == Way::WebSeed).then(|| WebServer::start(&stage.lab, &source));
    let seeding = stage.seed(&source);
    let outcome = seeding.and_then(|()| stage.fetch(&source));
    outcome.map_err(|wrong| {
        let reports = stage.processes.iter().map(Process::report).collect::<Vec<_>>();
        format!("{wrong}\n{}", reports.join("\n"))
    })
}

impl Stage {
    /// Starts the helpers and the seeder, and waits until it can be found.
    fn seed(&mut self, source: &Path) -> Result<(), String> {
        let Some(seeder) = self.cell.seeder else { return Ok(()) };
        if let Some(tracker) = self.cell.way.tracker() {
            self.processes.push(tracker.start(&self.lab, &self.home("tracker"), &self.torrent.hash));
        }
        if self.cell.way == Way::Dht {
            self.processes.push(crowd::start(&self.lab, &self.home("crowd")));
        }
        let file = self.torrent.file.to_str().expect("a path of ours").to_owned();
        let process = self.start(SEEDER, seeder, source, &file, Program::seed);
        self.processes.push(process);
        let limit = Instant::now() + LIMIT;
        while !self.is_found() {
            let ended = self.processes.iter_mut().find_map(Process::ended);
            if ended.is_some() || Instant::now() > limit {
                return Err(format!("the seeder cannot be found; ended: {ended:?}"));
            }
            thread::sleep(5 * POLL);
        }
        Ok(())
    }

    /// Whether a leecher that comes now can find the seeder.
    fn is_found(&self) -> bool {
        match self.cell.way {
            Way::Dht => crowd::knows(&self.processes[0], network::address(SEEDER)),
            // It hears who comes, and needs no more for that than to listen.
            Way::Lpd => self.lab.inside(0, || {
                let seeder = (network::address(SEEDER), PORT).into();
                std::net::TcpStream::connect_timeout(&seeder, LIMIT).is_ok()
            }),
            _ => tracker::knows_seeder(&self.lab, &self.torrent.hash),
        }
    }

    /// Starts the leecher, and waits until it has everything.
    fn fetch(&mut self, source: &Path) -> Result<String, String> {
        let copy = self.home("copy");
        fs::create_dir(&copy).expect("a folder for what is fetched");
        let file = self.torrent.file.to_str().expect("a path of ours");
        let torrent = if self.cell.way == Way::Magnet { &self.torrent.magnet } else { file };
        let started = Instant::now();
        let start = || self.start(LEECHER, self.cell.leecher, &copy, torrent, Program::fetch);
        let mut process = start();
        let difference = || content::difference(source, &copy, self.cell.content());
        let (first, outcome) = self.watch(&mut process, started, start, || difference().is_none());
        let late = self.cell.is_measured() && first >= AT_ONCE;
        let complaint = || late.then(|| format!("the first piece takes {first:?}")).or_else(difference);
        let outcome = outcome.and_then(|()| complaint().map_or(Ok(()), Err));
        outcome.map_err(|wrong| format!("{wrong}\n{}", process.report()))?;
        Ok(format!(", first piece after {:.2} s", first.as_secs_f64()))
    }

    /// Waits until the leecher has ended or `is_whole`, for as long as it may take. When did it get its first piece?
    fn watch(
        &self,
        leecher: &mut Process,
        started: Instant,
        start_again: impl Fn() -> Process,
        is_whole: impl Fn() -> bool,
    ) -> (Duration, Result<(), String>) {
        let ends = self.cell.leecher.ends_when_done();
        let mut may_end_early = self.cell.leecher.may_end_early(self.cell.way);
        let mut first = None;
        let outcome = loop {
            if first.is_none() && self.lab.received()[LEECHER] > A_PIECE {
                first = Some(started.elapsed());
            }
            match leecher.ended() {
                Some(status) if ends && status.success() => break Ok(()),
                Some(status) if may_end_early && status.success() => {
                    may_end_early = false;
                    *leecher = start_again();
                }
                Some(status) => break Err(format!("the leecher ends: {status}")),
                None if !ends && is_whole() => break Ok(()),
                None if started.elapsed() > LIMIT => break Err("the leecher takes too long".to_owned()),
                None => thread::sleep(POLL),
            }
        };
        (first.unwrap_or_else(|| started.elapsed()), outcome)
    }

    fn home(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(
        &self,
        host: usize,
        program: Program,
        files: &Path,
        torrent: &str,
        command: impl Fn(Program, &Task) -> Command,
    ) -> Process {
        let role = if host == SEEDER { "seeder" } else { "leecher" };
        let (home, address) = (self.home(role), network::address(host));
        if program != Program::Ours {
            self.give_route(host);
        }
        let task = Task { way: self.cell.way, address, home: &home, files, torrent };
        let name = format!("{role}: {}", program.name());
        Process::start(&self.lab, host, &name, &home, command(program, &task))
    }

    /// A way to everywhere: what others send to a group goes by that. Ours needs none.
    fn give_route(&self, host: usize) {
        let mut command = Command::new("ip");
        let status =
            self.lab.spawn(host, command.args(["route", "replace", "default", "dev", "eth0"])).wait();
        assert!(status.expect("ip").success(), "adding a route");
    }
}
