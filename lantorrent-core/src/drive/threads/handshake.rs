//! The first words of a connection from upstream.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::super::outbox::LINGER;
use super::control::now;
use crate::session::{Gate, HandshakeStep, Incoming, Proven};
use crate::wire::Nonce;

/// Lets a sender in, and returns what it said with what it sent behind that. None if it was refused, and told so.
pub(super) fn greet(mut socket: &TcpStream, gate: &Gate, challenge: Nonce) -> Option<(Proven, Vec<u8>)> {
    let local = socket.local_addr().ok();
    let peer = socket.peer_addr().map_or_else(|_| "a peer".to_owned(), |peer| peer.to_string());
    let mut incoming = Incoming::new(now(), gate.clone(), local, challenge);
    let mut bytes = vec![0; 16 << 10];
    loop {
        let patience = incoming.deadline().saturating_duration_since(Instant::now());
        // A timeout of zero would mean none.
        if patience.is_zero() || socket.set_read_timeout(Some(patience)).is_err() {
            log::info!("{peer} did not introduce itself in time");
            return None;
        }
        let greeting = match socket.read(&mut bytes) {
            Ok(0) => incoming.closed(),
            Ok(count) => match listen(socket, &mut incoming, &bytes[..count]) {
                Heard::More => continue,
                Heard::Let(proven, rest) => {
                    socket.set_read_timeout(None).ok()?;
                    return Some((*proven, rest));
                }
                Heard::Refused(greeting) => greeting,
            },
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => {
                log::info!("{peer} left while it introduced itself: {error}");
                return None;
            }
        };
        if let HandshakeStep::Refused { reply, why } = greeting {
            log::warn!("refused {peer}: {why}");
            if socket.write_all(&reply).is_ok() && socket.shutdown(std::net::Shutdown::Write).is_ok() {
                drain(socket, LINGER);
            }
        }
        return None;
    }
}

enum Heard {
    More,
    Let(Box<Proven>, Vec<u8>),
    Refused(HandshakeStep),
}

fn listen(mut socket: &TcpStream, incoming: &mut Incoming, mut bytes: &[u8]) -> Heard {
    while !bytes.is_empty() {
        let (used, greeting) = incoming.push(now(), bytes);
        bytes = &bytes[used..];
        match greeting {
            HandshakeStep::More => {}
            HandshakeStep::Reply(reply) => {
                if socket.write_all(&reply).is_err() {
                    return Heard::Refused(incoming.closed());
                }
            }
            HandshakeStep::Proven(proven) => return Heard::Let(proven, bytes.to_vec()),
            refused @ HandshakeStep::Refused { .. } => return Heard::Refused(refused),
        }
    }
    Heard::More
}

/// Reads what still comes, and drops it, until the peer closes or the time is up: closing a socket with unread data
/// resets the connection, and could take with it what the peer has not read yet.
pub(super) fn drain(mut socket: &TcpStream, time: Duration) {
    let until = Instant::now() + time;
    let mut bytes = [0; 16 << 10];
    loop {
        let patience = until.saturating_duration_since(Instant::now());
        if patience.is_zero() || socket.set_read_timeout(Some(patience)).is_err() {
            return;
        }
        match socket.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
