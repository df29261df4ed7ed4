//! A node: listens, and serves each connection on threads of its own.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::super::config::{NodeConfig, Traffic};
use super::super::error::Error;
use super::connection;
use super::live::{Guest, Live};
use super::siblings::Siblings;
use super::socket::mark;
use super::transfers::Transfers;
use crate::session::Gate;
use crate::store::{Durability, Roots};
use crate::wire::{Verb, Wire};

/// How often to look for partial files that nobody came back for.
const CLEANING: Duration = Duration::from_secs(3600);

/// Whether all connections of the node come to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Yes,
    No,
}

impl Alone {
    /// A cancel would have to find the process that has the transfer, and be remembered by all that come.
    fn verbs(self) -> &'static [Verb] {
        match self {
            Self::Yes => Gate::VERBS,
            Self::No => &[Verb::Send, Verb::Check],
        }
    }
}

/// What all connections of a node share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) roots: Arc<Roots>,
    pub(super) durability: Durability,
    pub(super) traffic: Traffic,
    pub(super) transfers: Transfers,
    pub(super) live: Arc<Live>,
    /// Where each connection has a process of its own.
    pub(super) siblings: Option<Siblings>,
    keep_partial: Duration,
}

impl Shared {
    fn new(config: NodeConfig, alone: Alone) -> Result<Arc<Self>, Error> {
        if !config.keys.has_wire_1() && !config.keys.has_wire_2() {
            return Err(Error::no_password(Wire::Two));
        }
        let roots = Arc::new(Roots::open(&config.roots)?);
        let siblings =
            (alone == Alone::No).then(|| Siblings::new(config.state, config.timing.retain, &config.roots));
        Ok(Arc::new(Self {
            transfers: Transfers::new(config.timing.retain),
            gate: Gate { keys: config.keys, also: config.also, timing: config.timing, verbs: alone.verbs() },
            siblings,
            roots,
            durability: config.durability,
            traffic: Traffic {
                receive_limit: config.receive_limit,
                send_limit: config.send_limit,
                dscp: config.dscp,
            },
            live: Live::new(config.connections),
            keep_partial: config.keep_partial,
        }))
    }

    fn serve(self: &Arc<Self>, guest: Arc<Guest>) {
        if let Err(error) = connection::serve(self, guest) {
            log::error!("could not serve a connection: {error}");
        }
    }

    fn clean_once(&self) {
        let count = self.roots.clean(self.keep_partial);
        if count > 0 {
            log::info!("removed {count} partial files that nobody came back for");
        }
    }

    /// Removes partial files that are too old, now and then, until the node is stopped.
    fn clean(&self) {
        loop {
            self.clean_once();
            if self.live.stops_within(CLEANING) {
                return;
            }
        }
    }
}

/// Where the connections of a node come from.
#[derive(Debug)]
enum Door {
    Listener(TcpListener, SocketAddr),
    /// Somebody else listened: inetd.
    Connection(TcpStream),
}

/// A node that receives, writes and forwards what senders with the password send it.
///
/// ```no_run
/// use lantorrent_core::wire::{Keyring, Password};
/// use lantorrent_core::{Node, NodeConfig};
///
/// let keys = Keyring::new(Password::new("a secret of many bytes"));
/// let node = Node::bind(([0, 0, 0, 0], 2893).into(), NodeConfig::new(keys, vec!["/srv/images".into()]))?;
/// node.run()?;
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Node {
    door: Door,
    shared: Arc<Shared>,
}

impl Node {
    /// Listens on `listen`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address, the roots or the passwords cannot be used.
    pub fn bind(listen: SocketAddr, config: NodeConfig) -> Result<Self, Error> {
        let shared = Shared::new(config, Alone::Yes)?;
        let failed = |cause| Error::Listen { address: listen, cause };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        mark(&listener, shared.traffic.dscp);
        Ok(Self { door: Door::Listener(listener, address), shared })
    }

    /// A node for one connection that somebody else has accepted, as inetd does. The processes of such a node find each
    /// other by names in the kernel, and by what they keep in [`NodeConfig::state`].
    ///
    /// # Errors
    /// The roots or the passwords cannot be used.
    pub fn for_connection(socket: TcpStream, config: NodeConfig) -> Result<Self, Error> {
        mark(&socket, config.dscp);
        Ok(Self { door: Door::Connection(socket), shared: Shared::new(config, Alone::No)? })
    }

    /// The address that it listens on; none for a single connection.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Listener(_, address) => Some(*address),
            Door::Connection(_) => None,
        }
    }

    /// Stops the node from elsewhere.
    ///
    /// # Errors
    /// The system has no file descriptor left.
    pub fn handle(&self) -> Result<NodeHandle, Error> {
        let listener = match &self.door {
            Door::Listener(listener, _) => {
                Some(Arc::new(listener.try_clone().map_err(Error::system("keep a handle of the listener"))?))
            }
            Door::Connection(_) => None,
        };
        Ok(NodeHandle { listener, shared: Arc::clone(&self.shared) })
    }

    /// Serves until it is stopped, and until every connection has ended. Partial files that were left for later are
    /// removed when their time is over; a node for one connection looks for them at its end, once an hour, where it has
    /// [`NodeConfig::state`].
    ///
    /// # Errors
    /// The listener fails for good.
    pub fn run(self) -> Result<(), Error> {
        let Self { door, shared } = self;
        match door {
            Door::Listener(listener, _) => {
                clean_in_background(&shared);
                let result = accept(&listener, &shared);
                if result.is_err() {
                    // Nobody comes any more, so nobody is waited for.
                    shared.live.stop(Duration::ZERO);
                }
                result?;
            }
            Door::Connection(socket) => {
                if let Some(guest) = shared.live.enter(socket) {
                    shared.serve(guest);
                }
                shared.live.wait_for_all();
                // There is no process that could do it in the background.
                if shared.siblings.as_ref().is_some_and(|siblings| siblings.archive.cleaning_is_due(CLEANING))
                {
                    shared.clean_once();
                }
            }
        }
        shared.live.wait_for_all();
        Ok(())
    }
}

fn clean_in_background(shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    // Not waited for at the end: a look at large folders may take long.
    if let Err(error) = thread::Builder::new().name("clean".into()).spawn(move || shared.clean()) {
        log::error!("no thread to remove old partial files with: {error}");
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) -> Result<(), Error> {
    loop {
        let accepted = listener.accept();
        if shared.live.is_stopping() {
            return Ok(());
        }
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(error) if is_final(&error) => {
                return Err(Error::System { what: "accept connections", cause: error });
            }
            Err(error) => {
                // Out of descriptors, as a rule: those in use will be given back.
                log::error!("cannot accept a connection: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let Some(guest) = shared.live.enter(socket) else { continue };
        let serving = Arc::clone(shared);
        let name = format!("connection {}", guest.number);
        if let Err(error) = thread::Builder::new().name(name).spawn(move || serving.serve(guest)) {
            log::error!("no thread for a connection: {error}");
        }
    }
}

fn is_final(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Stops a node. It may be cloned and sent to other threads.
#[derive(Debug, Clone)]
pub struct NodeHandle {
    listener: Option<Arc<TcpListener>>,
    shared: Arc<Shared>,
}

impl NodeHandle {
    /// Takes no more connections. Transfers that are under way have `grace` to end by themselves and are aborted
    /// then; a second call can shorten that.
    pub fn stop(&self, grace: Duration) {
        // First this, so that nobody is let in behind it.
        self.shared.live.stop(grace);
        if let Some(listener) = &self.listener {
            // On Linux this wakes a thread that waits in accept.
            let _ = SockRef::from(listener.as_ref()).shutdown(Shutdown::Both);
        }
    }
}
