//! A connection on its way from one process of a node to another: the socket itself, and what its sender has said. The other
//! process checks that once more, as if it had come to it.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::connection;
use super::control::now;
use super::doorbell::Arrival;
use super::listeners::say;
use super::node::Shared;
use crate::session::{Answer, HandshakeStep, Incoming, Proven};
use crate::wire::{Keyring, Nonce, proof};

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The challenge of the connection.
    challenge: Nonce,
}

/// What is handed over.
#[derive(Debug)]
pub(super) struct Handover<'a> {
    pub(super) arrival: &'a Arrival,
    pub(super) challenge: Nonce,
    pub(super) keys: &'a Keyring,
}

/// Hands a connection over to the process at the other end. It is that process's when that has said yes.
pub(super) fn give(stream: &UnixStream, handover: &Handover<'_>) -> io::Result<()> {
    let Handover { arrival, challenge, keys } = *handover;
    let header = &arrival.proven.header;
    let nonce = header.envelope.as_ref().map(|envelope| envelope.nonce);
    let proof = nonce.and_then(|nonce| proof::line(keys, &nonce, &challenge));
    let (Some(header), Some(proof)) = (header.sign(keys), proof) else {
        return Err(io::Error::other("wire 2 is off"));
    };
    let mut line = serde_json::to_vec(&Head { challenge })?;
    line.push(b'\n');
    let sent = send_with(stream, &line, &arrival.guest.socket)?;
    for bytes in [&line[sent..], &header, &proof, &arrival.first] {
        (&*stream).write_all(bytes)?;
    }
    stream.shutdown(Shutdown::Write)
}

fn send_with(stream: &UnixStream, bytes: &[u8], socket: &TcpStream) -> io::Result<usize> {
    let sockets = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    Ok(sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

/// Reads a line of at most `most` bytes, without its end, and the socket that comes with it, if one does.
pub(super) fn receive(stream: &UnixStream, most: usize) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let (mut line, mut socket) = (Vec::new(), None);
    // One byte at a time, so that nothing behind the line is taken: it is short, and seldom.
    while line.len() < most {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let read = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        socket = rights.flatten().last().or(socket);
        match byte {
            _ if read.bytes == 0 => break,
            [b'\n'] => break,
            [byte] => line.push(byte),
        }
    }
    Ok((line, socket))
}

/// A connection that another process hands over.
#[derive(Debug)]
pub(super) struct Received {
    socket: TcpStream,
    challenge: Nonce,
    /// What its sender has said, and where the answer goes.
    stream: UnixStream,
}

impl Received {
    pub(super) fn new(line: &[u8], socket: OwnedFd, stream: UnixStream) -> io::Result<Self> {
        let Head { challenge } = serde_json::from_slice(line)?;
        Ok(Self { socket: socket.into(), challenge, stream })
    }

    /// Takes the connection over, and serves it.
    pub(super) fn serve(self, shared: &Arc<Shared>) -> io::Result<()> {
        let Self { socket, challenge, stream } = self;
        // Before the answer, so that this process does not end before it has served it.
        let Some(guest) = shared.live.enter(socket) else {
            // A process that ends refuses nothing: what it knew is kept, and the other finds that when this one is gone.
            if !shared.live.is_stopping() {
                say(&stream, Answer::No);
            }
            return Ok(());
        };
        let local = guest.socket.local_addr().ok();
        let incoming = Incoming::new(now(), shared.site.gate.clone(), local, challenge);
        let (proven, first) = hear(incoming, &stream)?;
        guest.prove();
        say(&stream, Answer::Yes);
        connection::serve_proven(shared, Arrival { guest, proven, first });
        Ok(())
    }
}

/// Lets the sender in by what it has said.
fn hear(mut incoming: Incoming, mut said: &UnixStream) -> io::Result<(Box<Proven>, Vec<u8>)> {
    let mut all = Vec::new();
    said.read_to_end(&mut all)?;
    let mut bytes = &all[..];
    while !bytes.is_empty() {
        let (used, greeting) = incoming.push(now(), bytes);
        bytes = &bytes[used..];
        match greeting {
            // The challenge was said before.
            HandshakeStep::More | HandshakeStep::Reply(_) => {}
            HandshakeStep::Proven(proven) => return Ok((proven, bytes.to_vec())),
            HandshakeStep::Refused { why, .. } => return Err(io::Error::other(why)),
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
