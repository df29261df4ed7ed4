//! The clerk as its users see it, with its thread and a real database.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use lantorrent_core::wire::Code;
use tempfile::TempDir;

use super::*;
use crate::agent::batching::Rules;
use crate::agent::desk::Policy;
use crate::agent::retry::Retries;
use crate::agent::testing::{self, system};
use crate::agent::underway::BatchId;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a sender is asked to do.
enum Wish {
    Send(Batch, Reporter),
    Cancel(BatchId, String),
    Clean(String),
}

struct Hand(mpsc::Sender<Wish>);

impl Sender for Hand {
    fn send(&mut self, batch: Batch, reporter: Reporter) {
        self.0.send(Wish::Send(batch, reporter)).unwrap();
    }

    fn cancel(&mut self, batch: BatchId, id: &str) {
        self.0.send(Wish::Cancel(batch, id.to_owned())).unwrap();
    }

    fn clean(&mut self, record: &Record) {
        self.0.send(Wish::Clean(record.id.clone())).unwrap();
    }
}

/// An agent without a network, with a repository of two files.
struct Bench {
    folder: PathBuf,
    _temporary: Option<TempDir>,
    settings: Settings,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bench = Self::on(folder.path());
        Self { _temporary: Some(folder), ..bench }
    }

    fn on(folder: &Path) -> Self {
        let folder = folder.canonicalize().unwrap();
        let root = folder.join("images");
        fs::create_dir(&root).unwrap();
        for name in ["a.img", "b.img"] {
            fs::write(root.join(name), "image").unwrap();
        }
        let policy = Policy {
            rules: Rules { batch: 1, wait: Duration::ZERO, sends: 2 },
            retries: Retries { attempts: 2, pause: Duration::ZERO },
            ..Policy::default()
        };
        let repository = Arc::new(Repository::new(&[root]).unwrap());
        Self { folder, _temporary: None, settings: Settings { policy, repository } }
    }

    fn queue(&self) -> PathBuf {
        self.folder.join("queue.db")
    }

    fn start(&self) -> (Clerk, Receiver<Wish>) {
        let (sender, wishes) = channel();
        let clerk = Clerk::start(&self.queue(), self.settings.clone(), Box::new(Hand(sender))).unwrap();
        (clerk, wishes)
    }

    fn wanted(&self, source: &str) -> Wanted {
        let source = self.folder.join("images").join(source);
        testing::wanted(source.to_str().unwrap(), "10.77.0.1")
    }

    fn submission(&self, id: &str) -> Submission {
        Submission { id: Some(id.into()), wanted: self.wanted("a.img") }
    }
}

fn sent(wishes: &Receiver<Wish>) -> (Batch, Reporter) {
    match wishes.recv_timeout(PATIENCE) {
        Ok(Wish::Send(batch, reporter)) => (batch, reporter),
        Ok(Wish::Cancel(_, id)) => panic!("cancel {id}"),
        Ok(Wish::Clean(id)) => panic!("clean {id}"),
        Err(error) => panic!("{error}"),
    }
}

fn ids(batch: &Batch) -> Vec<&str> {
    batch.requests.iter().map(|record| record.id.as_str()).collect()
}

#[test]
fn a_request_from_its_beginning_to_its_end() {
    let bench = Bench::new();
    let (clerk, wishes) = bench.start();
    let submitted = clerk.submit(vec![bench.submission("one")]).unwrap();
    assert_eq!((submitted[0].novelty, submitted[0].record.state), (Novelty::New, State::Waiting));
    let (batch, reporter) = sent(&wishes);
    assert_eq!(ids(&batch), ["one"]);
    assert_eq!(batch.source, bench.wanted("a.img").source);
    assert_eq!(clerk.count(), [0, 1, 0, 0, 0]);
    assert_eq!(clerk.acknowledge("one").unwrap_err().kind, RefusalKind::Conflict);

    reporter.began("0123");
    reporter.reported("one", Code::CANNOT_CONNECT, "nobody listens");
    reporter.ended(None);
    let (batch, reporter) = sent(&wishes);
    assert_eq!(batch.requests[0].attempts.len(), 1);
    reporter.reported("one", Code::SUCCESS, "");
    reporter.reported("one", Code::LOST, "said twice, which counts once");
    let record = clerk.wait("one", PATIENCE).unwrap();
    assert_eq!(record.state, State::Done);
    assert_eq!(record.attempts[0].transfer.as_deref(), Some("0123"));
    assert_eq!(record.attempts.len(), 2);
    reporter.ended(Some((Code::LOST, "nobody is left to have that")));

    let again = clerk.submit(vec![bench.submission("one")]).unwrap();
    assert_eq!((again[0].novelty, again[0].record.state), (Novelty::Known, State::Done));
    clerk.acknowledge("one").unwrap();
    assert_eq!(clerk.find("one"), None);
    assert_eq!(clerk.acknowledge("one").unwrap_err().kind, RefusalKind::Missing);
    let totals = Totals { submitted: 1, done: 1, retries: 1, ..Totals::default() };
    assert_eq!(clerk.totals(), totals);
    clerk.close();
}

#[test]
fn refusals_say_which_and_why() {
    let bench = Bench::new();
    let (clerk, _wishes) = bench.start();
    let refused = |submissions| {
        let refusal = clerk.submit(submissions).unwrap_err();
        (refusal.kind, refusal.index)
    };
    let good = || bench.submission("good");
    let with = |id: &str, wanted| Submission { id: Some(id.into()), wanted };
    let elsewhere = Wanted { source: "/etc/passwd".into(), ..bench.wanted("a.img") };
    assert_eq!(refused(vec![good(), with("a b", bench.wanted("a.img"))]), (RefusalKind::Malformed, Some(1)));
    assert_eq!(refused(vec![good(), with("x", elsewhere)]), (RefusalKind::Forbidden, Some(1)));
    assert_eq!(refused(vec![with("x", bench.wanted("gone"))]), (RefusalKind::Missing, Some(0)));
    assert_eq!(refused(vec![good(), with("good", bench.wanted("b.img"))]), (RefusalKind::Conflict, Some(1)));
    // Of a list that is refused nothing is taken.
    assert_eq!(clerk.count(), [0; 5]);
    clerk.submit(vec![good(), good()]).unwrap();
    assert_eq!(refused(vec![with("good", bench.wanted("b.img"))]), (RefusalKind::Conflict, Some(0)));
    // Who asks again for a file that is gone by now has an answer.
    fs::remove_file(bench.wanted("a.img").source).unwrap();
    assert_eq!(clerk.submit(vec![good()]).unwrap()[0].novelty, Novelty::Known);
    clerk.stop();
    assert_eq!(refused(vec![good()]), (RefusalKind::Unavailable, None));
    assert!(clerk.health().is_err());
    clerk.close();
    assert_eq!(clerk.cancel("good").unwrap_err().kind, RefusalKind::Unavailable);
}

#[test]
fn what_was_being_sent_waits_after_a_restart() {
    let bench = Bench::new();
    let (clerk, wishes) = bench.start();
    let request = |id: &str, source| Submission { id: Some(id.into()), wanted: bench.wanted(source) };
    clerk.submit(vec![request("goes-on", "a.img"), request("taken-back", "b.img")]).unwrap();
    let reporters = [sent(&wishes).1, sent(&wishes).1];
    assert_eq!(clerk.cancel("taken-back").unwrap().state, State::Sending);
    assert!(matches!(wishes.recv_timeout(PATIENCE), Ok(Wish::Cancel(2, id)) if id == "taken-back"));
    clerk.stop();
    // At once, however long it would have been waited for.
    assert_eq!(clerk.wait("goes-on", PATIENCE).unwrap().state, State::Sending);
    for reporter in &reporters {
        reporter.ended(None);
    }
    clerk.close();
    reporters[0].reported("goes-on", Code::SUCCESS, "said too late");

    let (clerk, wishes) = bench.start();
    assert_eq!(clerk.wait("taken-back", PATIENCE).unwrap().state, State::Cancelled);
    let mut cleaned = Vec::new();
    let batch = loop {
        match wishes.recv_timeout(PATIENCE).unwrap() {
            Wish::Send(batch, _) => break batch,
            Wish::Clean(id) => cleaned.push(id),
            Wish::Cancel(_, id) => panic!("cancel {id}"),
        }
    };
    assert_eq!(cleaned, ["taken-back"]);
    assert_eq!(ids(&batch), ["goes-on"]);
    assert!(batch.requests[0].attempts.is_empty());
    clerk.close();
}

#[test]
fn many_who_ask_at_once_share_commits() {
    let bench = Bench::new();
    let (clerk, _wishes) = bench.start();
    thread::scope(|scope| {
        for caller in 0..100 {
            let (clerk, bench) = (&clerk, &bench);
            scope.spawn(move || {
                for number in 0..5 {
                    let id = format!("r{caller}.{number}");
                    assert_eq!(clerk.submit(vec![bench.submission(&id)]).unwrap()[0].novelty, Novelty::New);
                }
            });
        }
    });
    assert_eq!(clerk.count().iter().sum::<usize>(), 500);
    clerk.close();
    let (clerk, _wishes) = bench.start();
    assert_eq!(clerk.count().iter().sum::<usize>(), 500);
    clerk.close();
}

#[test]
fn lists_are_in_the_order_of_submission() {
    let bench = Bench::new();
    let (clerk, _wishes) = bench.start();
    let names = |filter: &Filter| -> Vec<String> {
        clerk.list(filter).unwrap().into_iter().map(|record| record.id).collect()
    };
    let all: Vec<String> = (0..2 * LOOK + 10).map(|number| format!("r{number}")).collect();
    clerk.submit(all.iter().map(|id| bench.submission(id)).collect()).unwrap();
    let last = Submission { id: Some("last".into()), wanted: bench.wanted("b.img") };
    clerk.submit(vec![last]).unwrap();
    let everything = Filter { limit: usize::MAX, ..Filter::default() };
    assert_eq!(names(&everything)[..all.len()], all);
    assert_eq!(names(&Filter { limit: 2, after: Some("r7".into()), ..Filter::default() }), ["r8", "r9"]);
    assert_eq!(names(&Filter { limit: 0, ..Filter::default() }), [""; 0]);
    // One far behind is found, whatever stands before it.
    let source = Some(format!("/{}", bench.wanted("b.img").source));
    assert_eq!(names(&Filter { source, limit: 5, ..Filter::default() }), ["last"]);
    assert_eq!(names(&Filter { state: Some(State::Done), ..everything.clone() }), [""; 0]);
    assert_eq!(names(&Filter { host: Some("other".into()), ..everything.clone() }), [""; 0]);
    assert_eq!(names(&Filter { after: Some("last".into()), ..everything.clone() }), [""; 0]);
    let gone = Filter { after: Some("gone".into()), ..everything };
    assert_eq!(clerk.list(&gone).unwrap_err().kind, RefusalKind::Missing);
    clerk.close();
}

/// Refused is what has no room, lost is nothing, and when there is room again it goes on by itself.
#[test]
fn a_full_disk() {
    let Some(disk) = system::SmallDisk::new(4 << 20) else { return };
    let bench = Bench::on(disk.path());
    let (clerk, wishes) = bench.start();
    clerk.submit(vec![bench.submission("sent")]).unwrap();
    let (_, reporter) = sent(&wishes);

    let filler = disk.path().join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
    let mut taken = vec!["sent".to_owned()];
    let refusal = loop {
        let ids: Vec<String> = (0..500).map(|place| format!("r{}", taken.len() + place)).collect();
        match clerk.submit(ids.iter().map(|id| bench.submission(id)).collect()) {
            Ok(_) => taken.extend(ids),
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal.kind, RefusalKind::NoSpace);
    assert!(clerk.health().is_err());
    let next = format!("r{}", taken.len());
    assert_eq!(clerk.find(&next), None);
    assert_eq!(clerk.submit(vec![bench.submission(&next)]).unwrap_err().kind, RefusalKind::NoSpace);
    assert_eq!(clerk.totals().submitted, taken.len() as u64);
    // A result comes in the midst of it.
    reporter.reported("sent", Code::SUCCESS, "");
    reporter.ended(None);

    drop(file);
    fs::remove_file(filler).unwrap();
    assert_eq!(clerk.wait("sent", PATIENCE).unwrap().state, State::Done);
    let until = Instant::now() + PATIENCE;
    while clerk.health().is_err() {
        assert!(Instant::now() < until, "{:?}", clerk.health());
        thread::sleep(Duration::from_millis(20));
    }
    clerk.submit(vec![bench.submission(&next)]).unwrap();
    taken.push(next);
    assert!(clerk.totals().database_errors > 0);
    clerk.close();

    let (clerk, _wishes) = bench.start();
    let kept = clerk.list(&Filter { limit: usize::MAX, ..Filter::default() }).unwrap();
    let kept: Vec<String> = kept.into_iter().map(|record| record.id).collect();
    assert_eq!(kept, taken);
    clerk.close();
}
