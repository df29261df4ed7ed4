//! The configuration: lt.ini, in the format of version 0.2, with sections of our own.

mod agent;
mod changes;
mod file;
mod home;
mod ini;
mod secret;
mod template;
pub(crate) mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::Dscp;
use log::LevelFilter;

pub(crate) use agent::AgentConfig;
pub(crate) use home::{Home, absolute, variable};
pub(crate) use secret::{Secret, Strength};
pub(crate) use template::{Template, write_new};

/// What lt.ini says, with its paths made whole.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// Where it was read from, for messages.
    pub(crate) file: PathBuf,
    password: Option<Secret>,
    wire_1_password: Option<Secret>,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) log_level: Option<LevelFilter>,
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) also: Vec<SocketAddr>,
    pub(crate) sync: Option<Sync>,
    pub(crate) connections: Option<usize>,
    pub(crate) greetings: Option<usize>,
    pub(crate) dead_after: Option<Duration>,
    pub(crate) keep_partial: Option<Duration>,
    /// Bytes a second that a node takes in at most, and sends on; 0 is no limit.
    pub(crate) limit: Option<u64>,
    /// How a node marks what it sends.
    pub(crate) dscp: Option<Dscp>,
    /// The agent's queue.
    pub(crate) db: Option<PathBuf>,
    pub(crate) agent: AgentConfig,
    /// What to say of sections and keys that this version does not know.
    pub(crate) unknown: Vec<String>,
}

/// Whether files are made durable before they count as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    Yes,
    No,
}
