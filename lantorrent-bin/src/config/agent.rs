//! The section `[agent]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lantorrent_core::Dscp;

use super::{Secret, value};

/// What `[agent]` says. What it leaves out has a default where it is used.
#[derive(Debug, Default)]
pub(crate) struct AgentConfig {
    /// Where HTTP is served over TCP.
    pub(crate) listen: Option<SocketAddr>,
    /// Where HTTP is served over a Unix socket.
    pub(crate) socket: Option<PathBuf>,
    /// What who asks over TCP has to say, where that is not only this machine.
    pub(crate) token: Option<Secret>,
    /// Where clients find the agent: `http://HOST:PORT`, or the path of its socket.
    pub(crate) url: Option<String>,
    /// Folders below which files may be asked for.
    pub(crate) repository: Vec<PathBuf>,
    /// Hosts, rack by rack.
    pub(crate) topology: Option<PathBuf>,
    /// Requests for a file that are not kept waiting any more.
    pub(crate) batch: Option<usize>,
    /// How long a file's requests wait for another one.
    pub(crate) wait: Option<Duration>,
    /// Files sent at the same time.
    pub(crate) sends: Option<usize>,
    /// Bytes a second that all transfers together send at most; 0 is no limit.
    pub(crate) limit: Option<u64>,
    /// How what they send is marked.
    pub(crate) dscp: Option<Dscp>,
    /// How often a request is tried.
    pub(crate) attempts: Option<usize>,
    /// The pause before the second attempt.
    pub(crate) retry: Option<Duration>,
    /// How long the answer of a request is kept that nobody acknowledges.
    pub(crate) keep: Option<Duration>,
}

impl AgentConfig {
    /// Takes one value over. False if there is no such key.
    pub(super) fn set(&mut self, key: &str, text: &str, home: Option<&Path>) -> Result<bool, String> {
        match key {
            "listen" => self.listen = Some(value::address(text)?),
            "socket" => self.socket = Some(value::path(text, home)?),
            "token" => self.token = Some(Secret::new(value::token(text)?)),
            "url" => self.url = Some(text.into()),
            "repository" => self.repository = value::roots(text, home)?,
            "topology" => self.topology = Some(value::path(text, home)?),
            "batch" => self.batch = Some(value::within(text, &value::BATCH)?),
            "wait" => self.wait = Some(value::time(text)?),
            "sends" => self.sends = Some(value::within(text, &value::SENDS)?),
            "limit" => self.limit = Some(value::limit(text)?),
            "dscp" => self.dscp = Some(value::dscp(text)?),
            "attempts" => self.attempts = Some(value::within(text, &value::ATTEMPTS)?),
            "retry" => self.retry = Some(value::time(text)?),
            "keep" => self.keep = Some(value::time(text)?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
