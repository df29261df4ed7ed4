//! The loop of a tracker.

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantorrent_core::runtime::Mailbox;
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll, Token, Waker};
use thiserror::Error;

use super::connection::Connection;
use super::connections::Connections;
use super::socket;
use crate::InfoHash;
use crate::tracker::server::Tracker;

/// Datagrams, and connections, of one socket that are answered before others have their turn.
const TURN: usize = 256;
/// How long no connection is accepted after that failed, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const WAKE: Token = Token(0);

/// A [`Tracker`] with sockets: HTTP and UDP at the same addresses, all on the thread that calls [`run`](Self::run).
#[derive(Debug)]
pub struct TrackerService {
    poll: Poll,
    doors: Vec<Door>,
    tracker: Tracker,
    handle: TrackerHandle,
}

/// Ends or changes a [`TrackerService`], from any thread.
#[derive(Clone, Debug)]
pub struct TrackerHandle(Arc<Mailbox<Message>>);

/// What the loop is to do next.
#[derive(Debug)]
enum Message {
    Stop,
    /// The torrents that are served; none: any.
    Whitelist(Option<HashSet<InfoHash>>),
}

/// Why a tracker does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// It cannot listen there.
    #[error("cannot listen at {address}: {cause}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The system lacks something.
    #[error("the tracker cannot go on: {0}")]
    System(#[from] io::Error),
}

#[derive(Debug)]
struct Door {
    address: SocketAddr,
    listener: TcpListener,
    datagrams: UdpSocket,
    /// Whether connections, or datagrams, may wait: the poll says so once.
    may_accept: bool,
    may_receive: bool,
}

impl TrackerService {
    /// Listens at these addresses; with port 0 at any that is free.
    pub fn bind(addresses: &[SocketAddr], tracker: Tracker) -> Result<Self, ServiceError> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let mut doors = Vec::new();
        for &address in addresses {
            let (mut listener, mut datagrams) =
                socket::bind(address).map_err(|cause| ServiceError::Listen { address, cause })?;
            let token = 1 + 2 * doors.len();
            poll.registry().register(&mut listener, Token(token), Interest::READABLE)?;
            poll.registry().register(&mut datagrams, Token(token + 1), Interest::READABLE)?;
            let address = listener.local_addr()?;
            doors.push(Door { address, listener, datagrams, may_accept: true, may_receive: true });
        }
        let handle = TrackerHandle(Arc::new(Mailbox::new(move || waker.wake())));
        Ok(Self { poll, doors, tracker, handle })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(|door| door.address).collect()
    }

    /// What ends or changes it.
    pub fn handle(&self) -> TrackerHandle {
        self.handle.clone()
    }

    /// Serves until it is stopped, and returns the tracker.
    pub fn run(mut self) -> Result<Tracker, ServiceError> {
        let first = 1 + 2 * self.doors.len();
        let mut connections = Connections::new(first);
        let mut events = Events::with_capacity(1024);
        let mut paused = None;
        loop {
            for message in self.handle.0.take() {
                match message {
                    Message::Stop => return Ok(self.tracker),
                    Message::Whitelist(whitelist) => self.tracker.set_whitelist(whitelist),
                }
            }
            let now = Instant::now();
            let timeout = self.timeout(now, &connections, paused);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
                _ => {}
            }
            let now = Instant::now();
            for event in &events {
                match event.token() {
                    WAKE => {}
                    Token(token) if token < first => {
                        let door = &mut self.doors[(token - 1) / 2];
                        door.may_accept |= token % 2 == 1;
                        door.may_receive |= token % 2 == 0;
                    }
                    token => connections.go_on(now, token, &mut self.tracker),
                }
            }
            connections.expire(now);
            paused = paused.filter(|&until| until > now);
            for door in &mut self.doors {
                door.receive(now, &mut self.tracker);
                if paused.is_none()
                    && let Err(error) = door.accept(now, &self.poll, &mut connections, &mut self.tracker)
                {
                    log::warn!("cannot accept connections for now: {error}");
                    paused = Some(now + PAUSE);
                }
            }
        }
    }

    /// How long there is nothing to do but to wait.
    fn timeout(&self, now: Instant, connections: &Connections, paused: Option<Instant>) -> Option<Duration> {
        let accepts = self.doors.iter().any(|door| door.may_accept);
        if self.doors.iter().any(|door| door.may_receive) || accepts && paused.is_none() {
            return Some(Duration::ZERO);
        }
        let next = connections.deadline().into_iter().chain(paused.filter(|_| accepts)).min();
        next.map(|next| next.saturating_duration_since(now))
    }
}

impl TrackerHandle {
    /// The tracker returns from [`TrackerService::run`] as soon as it is done with what it does.
    pub fn stop(&self) {
        self.0.send(Message::Stop);
    }

    /// From now on the tracker serves these torrents, or any.
    pub fn set_whitelist(&self, whitelist: Option<HashSet<InfoHash>>) {
        self.0.send(Message::Whitelist(whitelist));
    }
}

impl Door {
    /// Accepts what waits. What else may go wrong with one connection is not the next one's fault.
    fn accept(
        &mut self,
        now: Instant,
        poll: &Poll,
        connections: &mut Connections,
        tracker: &mut Tracker,
    ) -> io::Result<()> {
        for _ in 0..TURN {
            if !self.may_accept {
                break;
            }
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    let mut connection = Connection::new(stream, peer);
                    let token = connections.token();
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(connection.stream(), token, both)?;
                    connections.add(now, connection);
                    connections.go_on(now, token, tracker);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.may_accept = false,
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, now: Instant, tracker: &mut Tracker) {
        let mut datagram = [0; 2048];
        for _ in 0..TURN {
            match self.datagrams.recv_from(&mut datagram) {
                Ok((length, from)) => {
                    if let Some(answer) = tracker.udp(now, from, &datagram[..length]) {
                        // Datagrams get lost; the client asks again.
                        let _ = self.datagrams.send_to(&answer, from);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.may_receive = false;
                    return;
                }
                // What the network says of an answer that could not be delivered.
                Err(_) => {}
            }
        }
    }
}
