//! What the agent goes by: the command line where it says something, else lt.ini, else what suits most.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use lantorrent_core::session::Timing;

use super::batching::Rules;
use super::clerk::{Policy, Settings};
use super::repository::Repository;
use super::retry::Retries;
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
#[derive(Debug)]
pub(super) struct Places {
    pub(super) listen: SocketAddr,
    pub(super) socket: PathBuf,
    pub(super) database: PathBuf,
}

impl Places {
    pub(super) fn of(args: &args::Agent, config: &Config, home: &Home) -> Result<Self, Failure> {
        let listen = args.listen.map(|listen| listen.0).or(config.agent.listen);
        let socket = args.socket.clone().or_else(|| config.agent.socket.clone());
        let in_home = |name: &str| home.path().map(|home| home.join(name));
        Ok(Self {
            listen: listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, PORT))),
            socket: socket.map_or_else(|| in_home(SOCKET), Ok)?,
            database: config.db.clone().map_or_else(|| in_home(DATABASE), Ok)?,
        })
    }

    /// What another configuration has otherwise, by name.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("[agent] listen", self.listen != other.listen),
            ("[agent] socket", self.socket != other.socket),
            ("[db] file", self.database != other.database),
        ];
        differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

/// What can be changed while the agent runs.
pub(super) struct Rulebook {
    pub(super) settings: Settings,
    pub(super) setup: Setup,
    pub(super) token: Option<String>,
}

impl Rulebook {
    pub(super) fn of(args: &args::Agent, config: &Config, strength: Strength) -> Result<Self, Failure> {
        let repository = Arc::new(Repository::new(&config.agent.repository)?);
        let mut timing = Timing::default();
        timing.dead_after = config.dead_after.unwrap_or(timing.dead_after);
        let setup = Setup {
            keys: config.keyring(strength)?,
            timing,
            repository: Arc::clone(&repository),
            limit: config.agent.limit,
            dscp: config.agent.dscp,
        };
        let settings = Settings { policy: policy(args, config)?, repository };
        let token = config.agent.token.as_ref().map(|token| token.get().to_owned());
        Ok(Self { settings, setup, token })
    }
}

fn policy(args: &args::Agent, config: &Config) -> Result<Policy, Failure> {
    let agent = &config.agent;
    let usual = Policy::default();
    Ok(Policy {
        rules: Rules {
            batch: args.batch.or(agent.batch).unwrap_or(usual.rules.batch),
            wait: args.wait.or(agent.wait).unwrap_or(usual.rules.wait),
            sends: args.sends.or(agent.sends).unwrap_or(usual.rules.sends),
        },
        retries: Retries {
            attempts: agent.attempts.unwrap_or(usual.retries.attempts),
            pause: agent.retry.unwrap_or(usual.retries.pause),
        },
        keep: agent.keep.unwrap_or(usual.keep),
        topology: agent.topology.as_deref().map(Topology::load).transpose()?.unwrap_or_default(),
    })
}
