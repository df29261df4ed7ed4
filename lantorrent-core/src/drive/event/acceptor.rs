//! Accepts connections.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::Token;
use mio::net::{TcpListener, TcpStream};

use super::super::socket::{is_final, prepare};
use super::pending::Pending;
use super::world::{Owner, Who, World};
use crate::flow::admission::Slot;

/// Connections that are accepted before others have a turn.
const TURN: usize = 64;
/// How soon to try again what failed.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Acceptor {
    /// None when no connection is accepted any more.
    listener: Option<TcpListener>,
    /// Whether a connection may wait.
    ready: bool,
    /// Whether none can be accepted for the moment.
    paused: bool,
}

impl Acceptor {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener: Some(listener), ready: true, paused: false }
    }

    /// A connection may wait.
    pub(super) fn wake(&mut self) {
        self.ready = true;
    }

    /// There may be what was missing to accept connections.
    pub(super) fn unpause(&mut self) {
        self.ready |= self.paused;
    }

    /// Whether one is to be accepted now.
    pub(super) fn has_work(&self) -> bool {
        self.ready && self.listener.is_some()
    }

    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// Accepts those that wait.
    ///
    /// # Errors
    /// None ever will be again.
    pub(super) fn accept(&mut self, world: &mut World) -> io::Result<()> {
        let Some(listener) = self.listener.as_ref().filter(|_| self.ready) else { return Ok(()) };
        for _ in 0..TURN {
            match listener.accept() {
                Ok((socket, _)) => {
                    if std::mem::take(&mut self.paused) {
                        log::info!("connections can be accepted again");
                    }
                    let_in(socket, world);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.ready = false;
                    return Ok(());
                }
                // It has left already.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    // Out of descriptors, as a rule: those in use will be given back.
                    if !std::mem::replace(&mut self.paused, true) {
                        log::error!("cannot accept connections for now: {error}; new ones have to wait");
                    }
                    self.ready = false;
                    world.timers.set(Who::Acceptor, Some(Instant::now() + PAUSE));
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn let_in(mut socket: TcpStream, world: &mut World) {
    // It may have left already.
    let Ok(from) = socket.peer_addr() else { return };
    let token = match world.take_in(&mut socket, Owner::Pending) {
        Ok(token) => token,
        Err(error) => return log::error!("cannot serve a connection: {error}"),
    };
    match world.slots.enter(token.0 as u64, from.ip()) {
        Slot::Granted => {}
        Slot::InPlaceOf(other) => world.dismiss(Token(other as usize)),
        Slot::Full => return world.forget(token),
    }
    prepare(&socket);
    world.add_pending(Pending::accepted(token, socket, &world.site.gate));
}
