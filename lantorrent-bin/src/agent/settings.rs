//! What the agent goes by: the command line where it says something, else lt.ini, else what suits most.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lantorrent_core::session::Timing;

use super::batching::Rules as Batching;
use super::queue::Rules;
use super::repository::Repository;
use super::retry::Retry;
use super::sender::Setup;
use super::topology::Topology;
use crate::args;
use crate::config::{Config, Home, Strength};
use crate::exit::Failure;

/// Where HTTP is served unless something else is said.
pub(crate) const PORT: u16 = 2894;
const SOCKET: &str = "agent.sock";
const DATABASE: &str = "state/agent.redb";

/// What holds as long as the agent runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) listen: SocketAddr,
    pub(super) socket: PathBuf,
    pub(super) database: PathBuf,
}

impl Places {
    pub(super) fn of(args: &args::Agent, config: &Config, home: &Home) -> Self {
        let listen = args.listen.map(|listen| listen.0).or(config.agent.listen);
        Self {
            listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
            socket: args
                .socket
                .clone()
                .or_else(|| config.agent.socket.clone())
                .unwrap_or_else(|| socket(home)),
            database: config.db.clone().unwrap_or_else(|| home.path().join(DATABASE)),
        }
    }
}

/// Where the socket is unless something else is said.
pub(crate) fn socket(home: &Home) -> PathBuf {
    home.path().join(SOCKET)
}

/// What can be changed while the agent runs.
pub(super) struct Rulebook {
    pub(super) rules: Rules,
    pub(super) topology: Topology,
    pub(super) setup: Setup,
    pub(super) token: Option<String>,
}

impl Rulebook {
    pub(super) fn of(args: &args::Agent, config: &Config, strength: Strength) -> Result<Self, Failure> {
        let agent = &config.agent;
        let repository = Arc::new(Repository::open(&agent.repository)?);
        let mut timing = Timing::default();
        if let Some(dead_after) = config.dead_after {
            timing.dead_after = dead_after;
        }
        let seconds = Duration::from_secs;
        Ok(Self {
            rules: Rules {
                batching: Batching {
                    batch: args.batch.or(agent.batch).unwrap_or(64),
                    wait: args.wait.or(agent.wait).unwrap_or(seconds(5)),
                    sends: args.sends.or(agent.sends).unwrap_or(2),
                },
                retry: Retry {
                    attempts: agent.attempts.unwrap_or(3),
                    pause: agent.retry.unwrap_or(seconds(10)),
                },
                keep: agent.keep.unwrap_or(seconds(7 * 24 * 3600)),
            },
            topology: agent.topology.as_deref().map(Topology::load).transpose()?.unwrap_or_default(),
            setup: Setup { keys: config.keyring(strength)?, timing, repository },
            token: agent.token.clone(),
        })
    }
}
