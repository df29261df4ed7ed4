//! A node: listens, and serves each connection on threads of its own.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::super::config::NodeConfig;
use super::super::error::Error;
use super::connection;
use super::control::Happening;
use crate::session::{Gate, Input, Roster};
use crate::store::{Durability, Roots};

/// What all connections of a node share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) gate: Gate,
    pub(super) roots: Arc<Roots>,
    pub(super) durability: Durability,
    most: usize,
    roster: Mutex<Roster>,
    live: Mutex<Live>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Live {
    stopping: Option<Duration>,
    next: u64,
    connections: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    socket: TcpStream,
    session: Option<SyncSender<Happening>>,
}

/// Connections at the same time whose sender is not let in yet: each may cost as much memory as a header is long.
const GREETINGS: usize = 32;

impl Live {
    fn greetings(&self) -> usize {
        self.connections.values().filter(|connection| connection.session.is_none()).count()
    }

    /// Closes the connection that has been introducing itself for longest, so that strangers who only hold the line
    /// cannot keep out who has something to say. False if there is none.
    fn crowd_out(&self) -> bool {
        let greeting = self.connections.iter().filter(|(_, connection)| connection.session.is_none());
        let oldest = greeting.min_by_key(|(number, _)| **number);
        if let Some((_, connection)) = oldest {
            connection.stop(Duration::ZERO);
        }
        oldest.is_some()
    }
}

impl Connection {
    fn stop(&self, grace: Duration) {
        match &self.session {
            // The session reads what it is told without ever waiting for anybody else.
            Some(session) => drop(session.send(Input::Stop(grace).into())),
            None => drop(self.socket.shutdown(Shutdown::Both)),
        }
    }
}

impl Shared {
    fn new(config: NodeConfig) -> Result<Arc<Self>, Error> {
        if !config.keys.has_wire_1() && !config.keys.has_wire_2() {
            return Err(Error::NoPassword { wire: 2, key: "[security] password" });
        }
        let roots = Arc::new(Roots::open(&config.roots)?);
        Ok(Arc::new(Self {
            gate: Gate { keys: config.keys, also: config.also, timing: config.timing },
            roots,
            durability: config.durability,
            most: config.connections,
            roster: Mutex::default(),
            live: Mutex::default(),
            ended: Condvar::new(),
        }))
    }

    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that the connection has a session, which can be stopped through `session`. False if the node is
    /// being stopped, and it should not begin.
    pub(super) fn has_session(&self, number: u64, session: SyncSender<Happening>) -> bool {
        let mut live = self.live();
        if live.stopping.is_some() {
            return false;
        }
        if let Some(connection) = live.connections.get_mut(&number) {
            connection.session = Some(session);
        }
        true
    }

    /// None if there are too many, or the node is being stopped.
    fn enter(&self, socket: &TcpStream) -> Option<u64> {
        let mut live = self.live();
        if live.stopping.is_some() {
            return None;
        }
        if live.greetings() >= GREETINGS {
            live.crowd_out();
        } else if live.connections.len() >= self.most && !live.crowd_out() {
            log::warn!("closed a connection: {} transfers are under way, and no more are allowed", self.most);
            return None;
        }
        let socket = socket.try_clone().ok()?;
        live.next += 1;
        let number = live.next;
        live.connections.insert(number, Connection { socket, session: None });
        Some(number)
    }

    fn leave(&self, number: u64) {
        self.live().connections.remove(&number);
        self.ended.notify_all();
    }

    fn serve(self: &Arc<Self>, number: u64, socket: &TcpStream) {
        // Leaves even if the connection's thread panics: nobody may wait for it for ever.
        struct Leave<'a>(&'a Shared, u64);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.leave(self.1);
            }
        }
        let _leave = Leave(self, number);
        if let Err(error) = connection::serve(self, number, socket) {
            log::error!("could not serve a connection: {error}");
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
        let shared = Shared::new(config)?;
        let failed = |cause| Error::Listen { address: listen, cause };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { door: Door::Listener(listener, address), shared })
    }

    /// A node for one connection that somebody else has accepted, as inetd does.
    ///
    /// # Errors
    /// The roots or the passwords cannot be used.
    pub fn for_connection(socket: TcpStream, config: NodeConfig) -> Result<Self, Error> {
        Ok(Self { door: Door::Connection(socket), shared: Shared::new(config)? })
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

    /// Serves until it is stopped, and until every connection has ended.
    ///
    /// # Errors
    /// The listener fails for good.
    pub fn run(self) -> Result<(), Error> {
        match self.door {
            Door::Listener(listener, _) => accept(&listener, &self.shared)?,
            Door::Connection(socket) => {
                if let Some(number) = self.shared.enter(&socket) {
                    self.shared.serve(number, &socket);
                }
            }
        }
        let mut live = self.shared.live();
        while !live.connections.is_empty() {
            live = self.shared.ended.wait(live).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) -> Result<(), Error> {
    loop {
        let accepted = listener.accept();
        if shared.live().stopping.is_some() {
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
        let Some(number) = shared.enter(&socket) else { continue };
        let serving = Arc::clone(shared);
        let serve = move || serving.serve(number, &socket);
        if let Err(error) = thread::Builder::new().name(format!("connection {number}")).spawn(serve) {
            log::error!("no thread for a connection: {error}");
            shared.leave(number);
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
        let mut live = self.shared.live();
        live.stopping = Some(grace);
        if let Some(listener) = &self.listener {
            // On Linux this wakes a thread that waits in accept.
            let _ = SockRef::from(listener.as_ref()).shutdown(Shutdown::Both);
        }
        live.connections.values().for_each(|connection| connection.stop(grace));
    }
}
