//! `lantorrent agent`: collects requests for files and sends each file in one chain to all that wait for it.

mod alarms;
mod batching;
mod book;
mod cleaner;
pub(crate) mod clerk;
mod desk;
mod draft;
mod http;
mod intake;
mod metrics;
mod queue;
mod repository;
pub(crate) mod request;
mod retry;
mod sender;
pub(crate) mod settings;
mod story;
#[cfg(test)]
pub(crate) mod testing;
mod topology;
mod transfers;
mod underway;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::args;
use crate::config::{Config, Strength};
use crate::exit::{Failure, Status};
use crate::setup::Setup;
use crate::signals::{Asked, Inbox};
use crate::terminal;
use crate::time::Timestamp;
use clerk::Clerk;
use http::{App, Limits, Listener, Server};
use metrics::Metrics;
use sender::Sender;
use settings::{Places, Rulebook};
use transfers::Transfers;

/// For transfers to come to a point from which they can be gone on with.
const SUSPENDING: Duration = Duration::from_secs(3);
/// For answers that are being given.
const ANSWERING: Duration = Duration::from_secs(1);

/// An agent that runs until it is told to stop.
pub(crate) fn run(args: &args::Agent, setup: &Setup, strength: Strength) -> Result<Status, Failure> {
    let mut signals = Inbox::of_daemon()?;
    let config = setup.read()?;
    let places = Places::of(args, &config, &setup.home)?;
    let agent = Agent::start(&places, Rulebook::of(args, &config, strength)?)?;
    agent.announce(&places, &config);
    while signals.next() == Asked::Reload {
        let read = setup.read_again().and_then(|config| {
            let now = Places::of(args, &config, &setup.home)?;
            agent.reload(Rulebook::of(args, &config, strength)?).map(|()| now)
        });
        let file = setup.file.display();
        match read {
            Ok(now) => {
                log::info!("{file} was read again, and the log opened again");
                let differences = places.differences(&now);
                if !differences.is_empty() {
                    log::warn!("{file}: {} changed; that takes a restart", differences.join(", "));
                }
            }
            Err(failure) => log::error!("everything stays as it was: {failure}"),
        }
    }
    agent.stop();
    Ok(Status::Success)
}

/// A new queue takes a folder, which only its owner looks into.
fn make_folder_for(database: &Path) -> Result<(), Failure> {
    let Some(folder) = database.parent() else { return Ok(()) };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
        Failure::local(
            format_args!("cannot make the folder {} for the queue: {error}", folder.display()),
            "name a file in another one in `file` of [db]",
        )
    })
}

/// The parts of a running agent.
struct Agent {
    clerk: Clerk,
    sender: Sender,
    server: Server,
}

impl Agent {
    fn start(places: &Places, rulebook: Rulebook) -> Result<Self, Failure> {
        make_folder_for(&places.database)?;
        let token = rulebook.token.as_deref();
        let listeners = vec![Listener::tcp(places.listen, token)?, Listener::unix(&places.socket)?];
        let metrics = Arc::new(Metrics::new(Timestamp::now()));
        let transfers = Arc::new(Transfers::default());
        let sender = Sender::new(rulebook.setup, Arc::clone(&transfers), Arc::clone(&metrics));
        let clerk = Clerk::start(&places.database, rulebook.settings, Box::new(sender.clone()))?;
        let app = App { clerk: clerk.clone(), transfers, metrics, limit: sender.limit() };
        let server = Server::start(listeners, app, rulebook.token, Limits::default())?;
        Ok(Self { clerk, sender, server })
    }

    /// For who has started it and waits until it serves.
    fn announce(&self, places: &Places, config: &Config) {
        let addresses: Vec<String> =
            self.server.addresses().iter().map(|address| format!("http://{address}")).collect();
        let line = format!("listening on {} and {}", addresses.join(", "), places.socket.display());
        terminal::announce(&line);
        if config.log_file.is_some() {
            log::info!("{line}");
        }
        if config.agent.repository.is_empty() {
            log::warn!("no file can be asked for: name folders in `repository` of [agent]");
        }
    }

    fn reload(&self, rulebook: Rulebook) -> Result<(), Failure> {
        self.server.set_token(rulebook.token)?;
        self.sender.reconfigure(rulebook.setup);
        self.clerk.reconfigure(rulebook.settings);
        Ok(())
    }

    /// What runs is interrupted and can be gone on with, and what was asked is answered.
    fn stop(self) {
        log::info!("stopping: transfers are interrupted, and go on at the next start");
        self.clerk.stop();
        self.sender.suspend(SUSPENDING);
        self.clerk.close();
        self.server.stop(ANSWERING);
        log::info!("stopped");
    }
}
