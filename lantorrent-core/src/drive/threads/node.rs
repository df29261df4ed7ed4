//! A node: listens, and serves each connection on threads of its own.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::super::config::NodeConfig;
use super::super::error::Error;
use super::super::memory::{self, Promise};
use super::super::site::Site;
use super::super::socket::{is_final, mark};
use super::connection;
use super::live::{Guest, Live};
use super::siblings::Siblings;
use super::transfers::Transfers;
use crate::flow::admission::Slots;

/// Whether all connections of the node come to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alone {
    Yes,
    No,
}

/// What all connections of a node share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) site: Site,
    pub(super) transfers: Transfers,
    pub(super) live: Arc<Live>,
    /// Where each connection has a process of its own.
    pub(super) siblings: Option<Siblings>,
}

impl Shared {
    fn new(mut config: NodeConfig, alone: Alone) -> Result<Arc<Self>, Error> {
        let (state, timing) = (config.state.take(), config.timing.clone());
        let folders = config.roots.clone();
        let site = Site::open(config)?;
        let siblings = (alone == Alone::No).then(|| Siblings::new(state, &timing, &folders));
        let live = Live::new(Slots::new(site.capacity));
        Ok(Arc::new(Self { transfers: Transfers::new(site.admission()), site, live, siblings }))
    }

    fn serve(self: &Arc<Self>, guest: Arc<Guest>) {
        if let Err(error) = connection::serve(self, guest) {
            log::error!("could not serve a connection: {error}");
        }
    }

    fn stop(&self, grace: Duration) {
        self.transfers.stop(grace);
        self.live.stop();
    }

    /// Removes partial files that are too old, now and then, until the node is stopped.
    fn clean(&self) {
        loop {
            self.site.clean();
            if self.live.stops_within(self.site.cleaning()) {
                return;
            }
        }
    }
}

/// Where the connections of a node come from.
#[derive(Debug)]
enum Door {
    Listener(TcpListener, SocketAddr),
    /// Another program listened: inetd.
    Connection(TcpStream),
}

/// A node whose connections have threads.
#[derive(Debug)]
pub(in super::super) struct Server {
    door: Door,
    shared: Arc<Shared>,
}

impl Server {
    pub(in super::super) fn bind(listen: SocketAddr, config: NodeConfig) -> Result<Self, Error> {
        let shared = Shared::new(config, Alone::Yes)?;
        let failed = |cause| Error::Listen { address: listen, cause };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        mark(&listener, shared.site.traffic.dscp);
        Ok(Self { door: Door::Listener(listener, address), shared })
    }

    pub(in super::super) fn for_connection(socket: TcpStream, config: NodeConfig) -> Result<Self, Error> {
        mark(&socket, config.dscp);
        Ok(Self { door: Door::Connection(socket), shared: Shared::new(config, Alone::No)? })
    }

    pub(in super::super) fn local_addr(&self) -> Option<SocketAddr> {
        match &self.door {
            Door::Listener(_, address) => Some(*address),
            Door::Connection(_) => None,
        }
    }

    pub(in super::super) fn stopper(&self) -> Result<Stopper, Error> {
        let listener = match &self.door {
            Door::Listener(listener, _) => {
                Some(Arc::new(listener.try_clone().map_err(Error::system("keep a handle of the listener"))?))
            }
            Door::Connection(_) => None,
        };
        Ok(Stopper { listener, shared: Arc::clone(&self.shared) })
    }

    pub(in super::super) fn run(self) -> Result<(), Error> {
        let Self { door, shared } = self;
        match door {
            Door::Listener(listener, _) => {
                clean_in_background(&shared);
                let result = accept(&listener, &shared);
                if result.is_err() {
                    // No connection comes any more, so none is waited for.
                    shared.stop(Duration::ZERO);
                }
                result?;
            }
            Door::Connection(socket) => {
                if let Some(guest) = shared.live.enter(socket) {
                    shared.serve(guest);
                }
                shared.live.wait_for_all();
                // There is no process that could do it in the background.
                if shared
                    .siblings
                    .as_ref()
                    .is_some_and(|siblings| siblings.archive.cleaning_is_due(shared.site.cleaning()))
                {
                    shared.site.clean();
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
        let spawned = Promise::of(memory::CONNECTION).and_then(|promise| {
            thread::Builder::new().name(name).spawn(move || {
                serving.serve(guest);
                drop(promise);
            })
        });
        if let Err(error) = spawned {
            log::error!("no thread for a connection: {error}");
        }
    }
}

#[derive(Debug, Clone)]
pub(in super::super) struct Stopper {
    listener: Option<Arc<TcpListener>>,
    shared: Arc<Shared>,
}

impl Stopper {
    pub(in super::super) fn stop(&self, grace: Duration) {
        // First this, so that no connection is taken in behind it.
        self.shared.stop(grace);
        if let Some(listener) = &self.listener {
            // On Linux this wakes a thread that waits in accept.
            let _ = SockRef::from(listener.as_ref()).shutdown(Shutdown::Both);
        }
    }
}
