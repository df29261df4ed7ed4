//! An agent that is killed at any instant, again and again, over the same queue.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::thread;
use std::time::Duration;

use lantorrent_core::wire::Code;

use super::*;
use crate::agent::batching::Rules;
use crate::agent::desk::Policy;
use crate::agent::retry::Retries;
use crate::agent::testing::Random;
use crate::agent::underway::BatchId;

const ROUNDS: u64 = 60;
/// Where the agent finds its folder, and which round it is.
const FOLDER: &str = "LANTORRENT_TEST_FOLDER";
const ROUND: &str = "LANTORRENT_TEST_ROUND";
/// What its lines begin with, among those of the test's own.
const MARK: &str = "::";

/// What somebody outside knows of a request.
#[derive(Default)]
struct Known {
    ended: Option<Record>,
    forgetting: bool,
    forgotten: bool,
}

#[test]
fn whenever_it_is_killed_nothing_is_lost_or_said_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    fs::create_dir(folder.join("images")).unwrap();
    fs::write(folder.join("images/a.img"), "image").unwrap();
    let mut random = Random(1);
    let mut known = BTreeMap::new();
    for round in 0..ROUNDS {
        // Sometimes before it has said anything: while it opens, or makes, its queue.
        let lines = if round % 5 == 0 { 0 } else { random.below(300) };
        listen(spawn(&folder, round), lines, &mut known);
        compare(&folder.join("queue.db"), &known);
        if round % 20 == 19 {
            assert!(known.values().filter(|known| known.ended.is_some()).count() > 100, "it hardly works");
            fs::remove_file(folder.join("queue.db")).unwrap();
            known.clear();
        }
    }
}

fn spawn(folder: &Path, round: u64) -> Child {
    Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", "agent::clerk::killed::works_until_it_is_killed"])
        .env(FOLDER, folder)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Takes in what it says, and kills it after so many lines.
fn listen(mut child: Child, lines: u64, known: &mut BTreeMap<String, Known>) {
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut heard = 0;
    loop {
        if heard == lines {
            child.kill().unwrap();
        }
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        match line.strip_suffix('\n') {
            // The last line may be cut off.
            None => break,
            Some(line) => {
                if let Some(line) = line.strip_prefix(MARK) {
                    hear(line, known);
                }
            }
        }
        heard += 1;
    }
    assert!(heard >= lines, "it ended by itself");
    child.wait().unwrap();
}

fn hear(line: &str, known: &mut BTreeMap<String, Known>) {
    let (word, rest) = line.split_once(' ').unwrap();
    if word == "ended" {
        let record: Record = serde_json::from_str(rest).unwrap();
        let known = known.entry(record.id.clone()).or_default();
        assert!(known.ended.is_none(), "{rest} ended twice");
        known.ended = Some(record);
        return;
    }
    let known = known.entry(rest.to_owned()).or_default();
    match word {
        "submitted" => {}
        "sent" => assert!(known.ended.is_none(), "{rest} has ended, and is sent again"),
        "forgetting" => known.forgetting = true,
        "forgotten" => known.forgotten = true,
        other => panic!("{other}"),
    }
}

/// Whether the queue is what everybody was told.
fn compare(queue: &Path, known: &BTreeMap<String, Known>) {
    let (_book, records) = Book::open(queue).unwrap();
    let records: BTreeMap<String, Record> =
        records.into_iter().map(|(_, record)| (record.id.clone(), record)).collect();
    for (id, known) in known {
        let record = records.get(id);
        assert!(known.forgetting || record.is_some(), "{id} is lost");
        assert!(!known.forgotten || record.is_none(), "{id} is there again");
        if let (Some(ended), Some(record)) = (&known.ended, record) {
            assert_eq!(ended, record);
        }
    }
}

/// The agent: takes requests from several threads, and sends them without a network.
#[test]
#[ignore = "started by the other test"]
fn works_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let policy = Policy {
        rules: Rules { batch: 1, wait: Duration::ZERO, sends: 2 },
        retries: Retries { attempts: 2, pause: Duration::ZERO },
        ..Policy::default()
    };
    let repository = Arc::new(Repository::new(&[folder.join("images")]).unwrap());
    let settings = Settings { policy, repository };
    let clerk = Clerk::start(&folder.join("queue.db"), settings, Box::new(Pretender(Random(round)))).unwrap();
    let source = folder.join("images/a.img").to_str().unwrap().to_owned();
    for worker in 0..4 {
        let (clerk, source) = (clerk.clone(), source.clone());
        thread::spawn(move || work(&clerk, &source, round, worker));
    }
    // Nobody leaves it running, should the other test fail.
    thread::sleep(Duration::from_secs(60));
}

fn work(clerk: &Clerk, source: &str, round: u64, worker: u64) {
    let mut random = Random(round * 10 + worker);
    for number in 0.. {
        let submission = |id: &str| {
            let (source, destination, host) =
                (source.to_owned(), format!("/dst/{id}"), format!("node{worker}"));
            Submission { id: Some(id.into()), wanted: Wanted { source, destination, host, port: 2893 } }
        };
        let ids: Vec<String> =
            (0..=random.below(3)).map(|place| format!("{round}-{worker}-{number}-{place}")).collect();
        clerk.submit(ids.iter().map(|id| submission(id)).collect()).unwrap();
        for id in ids {
            println!("{MARK}submitted {id}");
            if random.below(5) == 0 {
                clerk.cancel(&id).unwrap();
            }
            if random.below(3) == 0 {
                continue;
            }
            let record = clerk.wait(&id, Duration::from_secs(60)).unwrap();
            println!("{MARK}ended {}", serde_json::to_string(&record).unwrap());
            if random.below(2) == 0 {
                println!("{MARK}forgetting {id}");
                clerk.acknowledge(&id).unwrap();
                println!("{MARK}forgotten {id}");
            }
        }
    }
}

/// Sends nothing, and says that it did.
struct Pretender(Random);

impl Sender for Pretender {
    fn send(&mut self, batch: Batch, reporter: Reporter) {
        let mut random = Random(self.0.next());
        thread::spawn(move || {
            reporter.began("t");
            for request in &batch.requests {
                println!("{MARK}sent {}", request.id);
                let codes = [Code::SUCCESS, Code::CANNOT_CONNECT, Code::NOT_ALLOWED];
                reporter.reported(&request.id, codes[random.below(3) as usize], "so it is said");
            }
            reporter.ended(None);
        });
    }

    fn cancel(&mut self, _: BatchId, _: &str) {}

    fn clean(&mut self, _: &Record) {}
}
