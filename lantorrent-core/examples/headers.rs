//! Reads headers of wire 1 in an event loop, and says of each whether its signature is right.
//!
//! `LANTORRENT_PASSWORD=... cargo run --example headers ADDRESS:PORT`

use std::io::{ErrorKind, Read};

use lantorrent_core::wire::{HeaderReader, Keyring, Password};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = Keyring::wire_1_only(Password::new(std::env::var("LANTORRENT_PASSWORD")?)?);
    let listen = std::env::args().nth(1).ok_or("usage: headers ADDRESS:PORT")?;
    let mut listener = TcpListener::bind(listen.parse()?)?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(64));
    poll.registry().register(&mut listener, Token(0), Interest::READABLE)?;
    let mut connections = Vec::new();
    loop {
        poll.poll(&mut events, None)?;
        while let Ok((mut socket, _)) = listener.accept() {
            poll.registry().register(&mut socket, Token(1), Interest::READABLE)?;
            connections.push((socket, HeaderReader::default()));
        }
        connections.retain_mut(|(socket, reader)| read(socket, reader, &keys));
    }
}

/// Reads what is there. Returns whether more is to come.
fn read(socket: &mut TcpStream, reader: &mut HeaderReader, keys: &Keyring) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer).map(|count| (count, reader.push(&buffer[..count]))) {
            Ok((1.., Ok((_, None)))) => continue,
            Ok((_, Ok((_, Some(signed))))) => println!("{:?}", signed.verify(keys)),
            Ok((_, Err(error))) => println!("{error}"),
            Ok((0, _)) => println!("the connection closed within the header"),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
            Err(error) => println!("{error}"),
        }
        return false;
    }
}
