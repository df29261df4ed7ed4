//! Sockets that listen at one address, over TCP and UDP.

use std::io;
use std::net::SocketAddr;

use lantorrent_core::runtime::socket::{Families, datagrams, listen};
use socket2::SockRef;

/// Bytes of datagrams that the kernel keeps until they are read.
const RECEIVED: usize = 1 << 20;
/// How often a free port is looked for that is free over UDP as well.
const ATTEMPTS: u32 = 20;

/// Both, with the same port; with any that is free if it is 0.
pub(super) fn bind(address: SocketAddr) -> io::Result<(mio::net::TcpListener, mio::net::UdpSocket)> {
    let mut attempt = 1;
    loop {
        // So that 0.0.0.0 and [::] can both be listened at, and an address is what it is.
        let listener = listen(address, Families::Own, None)?;
        let bound = listener.local_addr()?;
        match datagrams(bound) {
            Ok(datagrams) => {
                // The kernel may allow less, which is enough.
                let _ = SockRef::from(&datagrams).set_recv_buffer_size(RECEIVED);
                let listener = mio::net::TcpListener::from_std(listener);
                return Ok((listener, mio::net::UdpSocket::from_std(datagrams)));
            }
            Err(_) if address.port() == 0 && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}
