//! Options of the sockets, and writing several slices as one.

use std::io::{self, IoSlice, Write};
#[cfg(feature = "event")]
use std::net::TcpListener;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::AsFd;
use std::time::Duration;

#[cfg(feature = "event")]
use socket2::{Domain, Socket, Type};
use socket2::{SockRef, TcpKeepalive};

/// What a socket takes before the network can, in bytes: some blocks. More would only wait there, in memory that is not
/// counted as ours, and every block would have left the processor's cache by the time it is read again.
const UNSENT: u32 = 256 << 10;

/// Lines and frames are written whole, so nothing is gained by holding back the last packet. Keep-alive finds a host
/// that vanished while nobody speaks. A user timeout would not help: it also fires on a peer whose window is closed
/// because the node behind it is slow.
pub(super) fn prepare(socket: &impl AsFd) {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    // The transfer works without any of them, so a refusal is no reason to refuse the transfer.
    let socket = SockRef::from(socket);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// Listens, with room for as many as the system allows to wait until they are accepted.
#[cfg(feature = "event")]
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::from(u16::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether a listener that says so will never accept a connection again.
pub(super) fn is_final(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// More addresses of a name than this would outlast the session's patience.
pub(super) const ADDRESSES: usize = 4;

/// Bytes in the queue of a socket that is read slowly: packets of a fast network fit in, and the kernel allows that much.
const QUEUE_MIN: u64 = 32 << 10;
const QUEUE_MAX: u64 = 4 << 20;

/// Connects to the first address of the name that answers, each within `timeout`.
pub(super) fn connect(host: &str, port: u16, timeout: Duration) -> io::Result<(TcpStream, SocketAddr)> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()?.take(ADDRESSES) {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(socket) => {
                prepare(&socket);
                return Ok((socket, address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Lets no more wait in the kernel than is read in about a second at that rate. Otherwise megabytes would, and the other
/// side would take for done what is not.
pub(super) fn keep_queue_short(socket: &TcpStream, rate: u64) {
    let bytes = rate.clamp(QUEUE_MIN, QUEUE_MAX) as usize;
    // Without it the transfer works as well.
    let _ = SockRef::from(socket).set_recv_buffer_size(bytes);
}

/// Takes so many bytes from the beginning of what the parts make up together.
pub(super) fn split_off_start<'a>(parts: &mut [&'a [u8]; 3], mut count: usize) -> [&'a [u8]; 3] {
    parts.each_mut().map(|part| {
        let (start, rest) = part.split_at(count.min(part.len()));
        count -= start.len();
        *part = rest;
        start
    })
}

/// Writes all of all slices, in order.
pub(super) fn write_all(mut socket: &TcpStream, parts: [&[u8]; 3]) -> io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut rest = &mut slices[..];
    // Leading empty slices would make a write of nothing look like the end.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match socket.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut rest, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_split_off_in_pieces_is_all_of_it() {
        for size in 1..12 {
            let mut rest: [&[u8]; 3] = [b"abc", b"", b"defgh"];
            let mut all = Vec::new();
            while rest.iter().any(|part| !part.is_empty()) {
                let piece = split_off_start(&mut rest, size).concat();
                assert!(piece.len() == size || rest.concat().is_empty());
                all.extend(piece);
            }
            assert_eq!(all, b"abcdefgh", "{size}");
        }
    }
}
