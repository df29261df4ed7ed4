//! Somebody between two neighbours, who sees, holds up and changes what passes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

/// Where bytes are going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Away from the source.
    Down,
    /// Towards the source.
    Up,
}

/// Called with bytes that pass: number of the connection, way, offset on that way, and the bytes, to be changed.
pub(crate) type Tap = Arc<dyn Fn(usize, Way, usize, &mut [u8]) + Send + Sync>;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        Self::on(Ipv4Addr::LOCALHOST)
    }

    /// On that address of this machine.
    pub(crate) fn on(address: Ipv4Addr) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        Self { address: listener.local_addr().unwrap(), listener }
    }

    /// Hands each connection on, until the process ends.
    pub(crate) fn run_each(self, join: impl Fn(TcpStream) + Send + 'static) {
        thread::spawn(move || self.listener.incoming().map_while(Result::ok).for_each(join));
    }

    /// Passes connections on, one after the other being numbered, until the process ends.
    pub(crate) fn run(self, to: SocketAddr, tap: Tap) {
        thread::spawn(move || {
            for (number, from) in self.listener.incoming().enumerate() {
                let Ok(from) = from else { return };
                // Nobody there: closing says so.
                let Ok(onward) = TcpStream::connect(to) else { continue };
                for socket in [&from, &onward] {
                    socket.set_nodelay(true).unwrap();
                }
                let back = (onward.try_clone().unwrap(), from.try_clone().unwrap());
                for (way, (from, to)) in [(Way::Down, (from, onward)), (Way::Up, back)] {
                    let tap = Arc::clone(&tap);
                    thread::spawn(move || pump(&from, &to, |offset, bytes| tap(number, way, offset, bytes)));
                }
            }
        });
    }
}

fn pump(mut from: &TcpStream, mut to: &TcpStream, tap: impl Fn(usize, &mut [u8])) {
    let mut bytes = vec![0; 16 << 10];
    let mut offset = 0;
    loop {
        match from.read(&mut bytes) {
            Ok(0) => break drop(to.shutdown(Shutdown::Write)),
            Ok(count) => {
                tap(offset, &mut bytes[..count]);
                offset += count;
                if to.write_all(&bytes[..count]).is_err() {
                    // Whoever sends shall not wait for somebody who is gone.
                    break drop(from.shutdown(Shutdown::Both));
                }
            }
            Err(_) => break drop(to.shutdown(Shutdown::Both)),
        }
    }
}
