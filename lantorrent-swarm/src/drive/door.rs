//! Who is let in.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::engine::{Engine, LISTENER, Who};

/// Connections that are let in before it is others' turn.
const STRANGERS: usize = 64;
/// How long nobody is let in after the descriptors have run out.
const BREATH: Duration = Duration::from_millis(200);

impl Engine {
    pub(super) fn accept(&mut self) {
        for _ in 0..STRANGERS {
            match self.listener.accept() {
                Ok((socket, address))
                    if self.links.len() < self.settings.bounds.connections && !self.stopping =>
                {
                    self.take_in(socket, canonical(address), None);
                }
                // They come back.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if std::mem::take(&mut self.is_short) {
                        log::info!("everybody is let in again");
                    }
                    return;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.is_short, true) {
                        log::warn!(
                            "not everybody can be let in: {error}; allow this process more open files, or fewer connections"
                        );
                    }
                    return self.timers.set(Who::Door, Some(Instant::now() + BREATH));
                }
            }
        }
        self.ready.push_back(LISTENER);
    }
}

/// Of IPv4, if that is what came to a socket of both families. Otherwise as it is, with the interface that it is behind.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
