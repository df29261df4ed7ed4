//! The clerk as its users see it, with its thread and a real database.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use lantorrent_core::wire::Code;
use tempfile::TempDir;

use super::*;
use crate::agent::batching::Rules;
use crate::agent::desk::Policy;
use crate::agent::retry::Retries;
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

/// An agent without a network, with a repository of one file.
struct Bench {
    folder: TempDir,
    settings: Settings,
}

impl Bench {
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(folder: TempDir) -> Self {
        let root = folder.path().canonicalize().unwrap().join("images");
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
        Self { folder, settings: Settings { policy, repository } }
    }

    fn queue(&self) -> PathBuf {
        self.folder.path().join("queue.db")
    }

    fn start(&self) -> (Clerk, Receiver<Wish>) {
        let (sender, wishes) = channel();
        let clerk = Clerk::start(&self.queue(), self.settings.clone(), Box::new(Hand(sender))).unwrap();
        (clerk, wishes)
    }

    fn wanted(&self, source: &str) -> Wanted {
        let root = self.folder.path().canonicalize().unwrap().join("images");
        Wanted {
            source: root.join(source).to_str().unwrap().into(),
            destination: "/dst/a.img".into(),
            host: "10.77.0.1".into(),
            port: 2893,
        }
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
    for id in ["done", "open", "back"] {
        clerk.submit(vec![bench.submission(id)]).unwrap();
        let (_, reporter) = sent(&wishes);
        if id == "done" {
            reporter.reported("done", Code::SUCCESS, "");
        }
        if id == "back" {
            // Its transfer does not let go of it.
            assert_eq!(clerk.cancel("back").unwrap().state, State::Sending);
        } else {
            reporter.ended(None);
            if id == "open" {
                drop(sent(&wishes));
                // The lane of this source is taken from here on.
                clerk.reconfigure(bench.settings.clone());
                break;
            }
        }
    }
    clerk.close();
    let (clerk, wishes) = bench.start();
    assert_eq!(clerk.find("done").unwrap().state, State::Done);
    let (batch, _reporter) = sent(&wishes);
    assert_eq!(ids(&batch), ["open"]);
    assert!(batch.requests[0].attempts.is_empty());
    clerk.close();
}
