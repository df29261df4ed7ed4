//! Sockets that listen at one address, over TCP and UDP.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// Bytes of datagrams that the kernel keeps until they are read.
const RECEIVED: usize = 1 << 20;
/// How often a free port is looked for that is free over UDP as well.
const ATTEMPTS: u32 = 20;

/// Both, with the same port; with any that is free if it is 0.
pub(super) fn bind(address: SocketAddr) -> io::Result<(mio::net::TcpListener, mio::net::UdpSocket)> {
    let mut attempt = 1;
    loop {
        let listener: TcpListener = socket(address, Type::STREAM)?.into();
        let bound = listener.local_addr()?;
        match socket(bound, Type::DGRAM) {
            Ok(datagrams) => {
                let datagrams: UdpSocket = datagrams.into();
                let listener = mio::net::TcpListener::from_std(listener);
                return Ok((listener, mio::net::UdpSocket::from_std(datagrams)));
            }
            Err(_) if address.port() == 0 && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

fn socket(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket =
        Socket::new(domain, kind, Some(if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP }))?;
    if domain == Domain::IPV6 {
        // So that 0.0.0.0 and [::] can both be listened at, and an address is what it is.
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    } else {
        // The kernel may allow less, which is enough.
        let _ = socket.set_recv_buffer_size(RECEIVED);
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}
