//! Lets connections in.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};

use super::super::site::Entry;
use super::super::socket::{is_final, prepare};
use super::pending::Stranger;
use super::world::{Owner, Who, World};

/// Connections that are accepted before others have a turn.
const TURN: usize = 64;
/// How soon to try again what failed.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Door {
    /// None when nobody is let in any more.
    listener: Option<TcpListener>,
    /// Whether somebody may stand outside.
    knocked: bool,
    /// Whether nobody can be accepted for the moment.
    paused: bool,
}

impl Door {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener: Some(listener), knocked: true, paused: false }
    }

    /// Somebody may stand outside.
    pub(super) fn knock(&mut self) {
        self.knocked = true;
    }

    /// There may be what was missing to accept connections.
    pub(super) fn unpause(&mut self) {
        self.knocked |= self.paused;
    }

    /// Whether somebody is to be let in now.
    pub(super) fn has_work(&self) -> bool {
        self.knocked && self.listener.is_some()
    }

    pub(super) fn close(&mut self) {
        self.listener = None;
    }

    /// Lets in who stands outside.
    ///
    /// # Errors
    /// Nobody ever will again.
    pub(super) fn open(&mut self, world: &mut World) -> io::Result<()> {
        let Some(listener) = self.listener.as_ref().filter(|_| self.knocked) else { return Ok(()) };
        for _ in 0..TURN {
            match listener.accept() {
                Ok((socket, _)) => {
                    if std::mem::take(&mut self.paused) {
                        log::info!("connections can be accepted again");
                    }
                    let_in(socket, world);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.knocked = false;
                    return Ok(());
                }
                // It has left already.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => {
                    // Out of descriptors, as a rule: those in use will be given back.
                    if !std::mem::replace(&mut self.paused, true) {
                        log::error!(
                            "cannot accept connections for now: {error}; those that come have to wait"
                        );
                    }
                    self.knocked = false;
                    world.timers.set(Who::Door, Some(Instant::now() + PAUSE));
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn let_in(mut socket: TcpStream, world: &mut World) {
    let (connections, greetings) = world.guests();
    match world.site.capacity.entry(connections, greetings) {
        Entry::Free => {}
        Entry::InPlaceOfAStranger => world.crowd_out(),
        Entry::Full => return world.site.capacity.warn_of_full_house(),
    }
    prepare(&socket);
    match world.take_in(&mut socket, Owner::Stranger) {
        Ok(token) => world.add_stranger(Stranger::accepted(token, socket, &world.site.gate)),
        Err(error) => log::error!("cannot serve a connection: {error}"),
    }
}
