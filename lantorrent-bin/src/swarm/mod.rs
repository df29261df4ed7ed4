//! What `lantorrent get` and `lantorrent seed` have in common.

mod args;
pub(crate) mod say;
mod stop;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::Limit;
use lantorrent_core::runtime::look_up_all;
use lantorrent_swarm::drive::Dht;
use lantorrent_swarm::metainfo::Contact;
use lantorrent_swarm::{Session, SessionError, Settings, Trust};

pub(crate) use args::{Get, Seed};
pub(crate) use stop::Stop;

use crate::config::Home;
use crate::exit::Failure;

/// The options about the network.
pub(crate) struct Network<'a> {
    pub(crate) port: Option<&'a RangeInclusive<u16>>,
    pub(crate) no_local: bool,
    pub(crate) dht: bool,
    pub(crate) dht_nodes: &'a [Contact],
    pub(crate) download: Option<u64>,
    pub(crate) upload: Option<u64>,
    pub(crate) connections: Option<usize>,
    pub(crate) proxy: Option<&'a str>,
}

impl Network<'_> {
    /// A session as these options want it.
    pub(crate) fn start(&self) -> Result<Session, Failure> {
        let usual = Settings::default();
        let home = Home::find().ok().and_then(|home| Some(home.known()?.join("state")));
        let is_dht = self.dht || !self.dht_nodes.is_empty();
        let dht = is_dht.then(|| {
            let file = home.as_ref().map(|home| home.join("dht"));
            Dht::default().nodes(addresses(self.dht_nodes)).file(file)
        });
        let listen = if has_v6() { usual.listen } else { Ipv4Addr::UNSPECIFIED.into() };
        let ports = self.port.cloned().unwrap_or(usual.ports.clone());
        let bounds = usual.bounds.connections(self.connections.unwrap_or(usual.bounds.connections));
        let settings = usual
            .listen(listen)
            .ports(ports)
            .download(Limit::new(self.download))
            .upload(Limit::new(self.upload))
            .bounds(bounds)
            .local(!self.no_local)
            .dht(dht)
            .proxy(self.proxy.map(str::to_owned))
            .records(home.map(|home| home.join("whole")).and_then(made));
        Ok(Session::start(settings)?)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Proxy(_) => Self::usage(error, "give it with --proxy, or correct the environment"),
            SessionError::Listen { .. } => Self::local(error, "--port takes a port or a range"),
            SessionError::Records(_) => {
                Self::local(error, "set LANTORRENT_HOME to a folder that may be written")
            }
            _ => Self::local(error, "look at the limits and the memory of this machine"),
        }
    }
}

/// Not all systems have IPv6.
fn has_v6() -> bool {
    UdpSocket::bind((std::net::Ipv6Addr::UNSPECIFIED, 0)).is_ok()
}

/// The folder, if it can be had: who cannot keep what is whole has to hash more, and nothing else.
fn made(folder: PathBuf) -> Option<PathBuf> {
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            log::warn!("{}: {error}; torrents are hashed again at each start", folder.display());
            None
        }
    }
}

/// What is believed of files that are there, by the switch `--check`.
pub(crate) fn trust(check: bool) -> Trust {
    if check { Trust::Nothing } else { Trust::Records }
}

/// How long the names of peers may take, all together.
const LOOKUP: Duration = Duration::from_secs(15);

/// The addresses of these hosts. One that has none is named, and left out.
pub(crate) fn addresses(contacts: &[Contact]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    let hosts = contacts.iter().map(|contact| (contact.host.clone(), contact.port));
    for (contact, found) in contacts.iter().zip(look_up_all(hosts, LOOKUP)) {
        match found {
            Ok(found) => addresses.extend(found),
            Err(error) => log::warn!("{contact} is left out: {error}"),
        }
    }
    addresses
}
