//! A running server with a clerk, a repository with a file, and what tests ask them.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lantorrent_core::DEFAULT_PORT;
use lantorrent_core::Limit;
use tempfile::TempDir;

use super::super::guard::Access;
use super::super::{App, Limits, Listener, Server};
use super::client::Client;
use crate::agent::batching::Rules;
use crate::agent::clerk::{Batch, Clerk, Policy, Reporter, Sender, Settings, Submission};
use crate::agent::metrics::Metrics;
use crate::agent::repository::Repository;
use crate::agent::request::{Record, Wanted};
use crate::agent::transfers::Transfers;
use crate::agent::underway::BatchId;
use crate::time::Timestamp;

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct House {
    pub(super) server: Server,
    pub(super) clerk: Clerk,
    pub(super) limit: Limit,
    pub(super) address: SocketAddr,
    /// What is to be sent.
    batches: Receiver<(Batch, Reporter)>,
    pub(super) folder: TempDir,
}

/// Sends nothing by itself.
struct Hand(Mutex<mpsc::Sender<(Batch, Reporter)>>);

impl Sender for Hand {
    fn send(&mut self, batch: Batch, reporter: Reporter) {
        // A test that does not look at batches may be over.
        let _ = self.0.get_mut().unwrap().send((batch, reporter));
    }

    fn cancel(&mut self, _: BatchId, _: &str) {}

    fn clean(&mut self, _: &Record) {}
}

impl House {
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        Self::build(limits, Access::Loopback, None, usize::MAX)
    }

    /// Every request is to be sent as soon as it has come.
    pub(super) fn in_a_hurry() -> Self {
        Self::build(Limits::default(), Access::Loopback, None, 1)
    }

    /// As if its address were one that others reach.
    pub(super) fn on_the_network(token: &str) -> Self {
        Self::build(Limits::default(), Access::Network, Some(token.to_owned()), usize::MAX)
    }

    fn build(limits: Limits, access: Access, token: Option<String>, batch: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        fs::create_dir_all(repository.join("folder")).unwrap();
        fs::write(repository.join("file"), "image").unwrap();
        let policy =
            Policy { rules: Rules { batch, wait: Duration::from_secs(3600), sends: 2 }, ..Policy::default() };
        let settings = Settings { policy, repository: Arc::new(Repository::new(&[repository]).unwrap()) };
        let (sender, batches) = mpsc::channel();
        let hand = Hand(Mutex::new(sender));
        let clerk = Clerk::start(&folder.path().join("queue"), settings, Box::new(hand)).unwrap();
        let tcp = Listener::tcp(SocketAddr::from(([127, 0, 0, 1], 0)), None).unwrap().with_access(access);
        let unix = Listener::unix(&folder.path().join("agent.sock")).unwrap();
        let limit = Limit::default();
        let app = App {
            clerk: clerk.clone(),
            transfers: Arc::new(Transfers::default()),
            metrics: Arc::new(Metrics::new(Timestamp::now())),
            limit: limit.clone(),
        };
        let server = Server::start(vec![tcp, unix], app, token, limits).unwrap();
        let address = server.addresses()[0];
        Self { server, clerk, limit, address, batches, folder }
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent.sock")
    }

    pub(super) fn tcp(&self) -> Client {
        Client::tcp(self.address)
    }

    pub(super) fn unix(&self) -> Client {
        Client::unix(&self.socket())
    }

    /// A path in the repository, where there is `file` and `folder`.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join("repository").join(name).to_str().unwrap().to_owned()
    }

    /// A request for the file, in JSON.
    pub(super) fn request(&self, id: &str) -> String {
        self.request_to(id, "10.77.0.7")
    }

    pub(super) fn request_to(&self, id: &str, host: &str) -> String {
        let source = self.path("file");
        format!(r#"{{"source":"{source}","destination":"/srv/{id}","host":"{host}","id":"{id}"}}"#)
    }

    /// Hands it in without a connection.
    pub(super) fn submit(&self, id: &str) {
        let (source, destination) = (self.path("file"), format!("/srv/{id}"));
        let wanted = Wanted { source, destination, host: "10.77.0.7".into(), port: DEFAULT_PORT };
        self.clerk.submit(vec![Submission { id: Some(id.into()), wanted }]).unwrap();
    }

    /// The next batch that is to be sent.
    #[track_caller]
    pub(super) fn batch(&self) -> (Batch, Reporter) {
        self.batches.recv_timeout(PATIENCE).expect("there is something to send")
    }

    pub(super) fn connections(&self) -> usize {
        self.server.service.guests.count()
    }

    pub(super) fn is_full_of_polls(&self) -> bool {
        self.server.service.polls.take(1).is_none()
    }
}

/// Waits for what is bound to happen.
#[track_caller]
pub(super) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it does not come about that {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
