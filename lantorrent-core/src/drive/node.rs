//! A node, as its owner sees it.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::config::{Driver, NodeConfig};
use super::error::Error;
#[cfg(feature = "event")]
use super::event;
use super::threads;

/// A node that receives, writes and forwards what senders with the password send it.
///
/// ```no_run
/// use lantorrent_core::wire::{Keyring, Password};
/// use lantorrent_core::{Node, NodeConfig};
///
/// let keys = Keyring::new(Password::new("a secret of many bytes")?);
/// let node = Node::bind(([0, 0, 0, 0], 2893).into(), NodeConfig::new(keys, ["/srv/images"])?)?;
/// node.run()?;
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Node(Served);

#[derive(Debug)]
enum Served {
    Threads(threads::Server),
    #[cfg(feature = "event")]
    EventLoop(Box<event::Server>),
}

impl Node {
    /// Listens on `listen`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address, the roots or the passwords cannot be used.
    pub fn bind(listen: SocketAddr, config: NodeConfig) -> Result<Self, Error> {
        Ok(Self(match config.driver {
            Driver::Threads => Served::Threads(threads::Server::bind(listen, config)?),
            #[cfg(feature = "event")]
            Driver::EventLoop => Served::EventLoop(Box::new(event::Server::bind(listen, config)?)),
        }))
    }

    /// A node for one connection that somebody else has accepted, as inetd does. The processes of such a node find each
    /// other by names in the kernel, and by what they keep in [`NodeConfig::state`]. It has threads, whatever the
    /// [driver](NodeConfig::driver).
    ///
    /// # Errors
    /// The roots or the passwords cannot be used.
    pub fn for_connection(socket: TcpStream, config: NodeConfig) -> Result<Self, Error> {
        threads::Server::for_connection(socket, config).map(Served::Threads).map(Self)
    }

    /// The address that it listens on; none for a single connection.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Served::Threads(server) => server.local_addr(),
            #[cfg(feature = "event")]
            Served::EventLoop(server) => Some(server.local_addr()),
        }
    }

    /// Stops the node from elsewhere.
    ///
    /// # Errors
    /// The system has no file descriptor left.
    pub fn handle(&self) -> Result<NodeHandle, Error> {
        Ok(NodeHandle(match &self.0 {
            Served::Threads(server) => Stopper::Threads(server.stopper()?),
            #[cfg(feature = "event")]
            Served::EventLoop(server) => Stopper::EventLoop(server.stopper()),
        }))
    }

    /// Serves until it is stopped, and until every connection has ended. Partial files that were left for later are
    /// removed when their time is over; a node for one connection looks for them at its end, once an hour, where it has
    /// [`NodeConfig::state`].
    ///
    /// # Errors
    /// The listener fails for good.
    pub fn run(self) -> Result<(), Error> {
        match self.0 {
            Served::Threads(server) => server.run(),
            #[cfg(feature = "event")]
            Served::EventLoop(server) => server.run(),
        }
    }
}

/// Stops a node. It may be cloned and sent to other threads.
#[derive(Debug, Clone)]
pub struct NodeHandle(Stopper);

#[derive(Debug, Clone)]
enum Stopper {
    Threads(threads::Stopper),
    #[cfg(feature = "event")]
    EventLoop(event::Stopper),
}

impl NodeHandle {
    /// Takes no more connections. Transfers that are under way have `grace` to end by themselves and are aborted
    /// then; a second call can shorten that.
    pub fn stop(&self, grace: Duration) {
        match &self.0 {
            Stopper::Threads(stopper) => stopper.stop(grace),
            #[cfg(feature = "event")]
            Stopper::EventLoop(stopper) => stopper.stop(grace),
        }
    }
}
