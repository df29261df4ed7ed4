//! Making connections without waiting for them, and the options of sockets.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::dscp::Dscp;

/// What a socket takes before the network can, in bytes: some blocks. More would only wait there, in memory that is not
/// counted as ours, and every block would have left the processor's cache by the time it is read again.
const UNSENT: u32 = 256 << 10;

/// Lines and frames are written whole, so nothing is gained by holding back the last packet. Keep-alive finds a host
/// that vanished while nobody speaks. A user timeout would not help: it also fires on a peer whose window is closed
/// because the node behind it is slow.
pub fn prepare(socket: &impl AsFd) {
    let keepalive =
        TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    // The transfer works without any of them, so a refusal is no reason to refuse the transfer.
    let socket = SockRef::from(socket);
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_notsent_lowat(UNSENT);
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// Which peers a socket at an IPv6 address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// Those of IPv6, so that another socket can have the same port for IPv4.
    Own,
    /// Those of IPv4 as well, where the address is `[::]`.
    Both,
    /// As the system is set up.
    Default,
}

impl Families {
    fn apply(self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        match self {
            Self::Own | Self::Both if address.is_ipv6() => socket.set_only_v6(self == Self::Own),
            _ => Ok(()),
        }
    }
}

/// Listens, with room for as many as the system allows to wait until they are accepted.
pub fn listen(address: SocketAddr, families: Families, dscp: Option<Dscp>) -> io::Result<TcpListener> {
    let socket = make(address, dscp)?;
    families.apply(&socket, address)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::from(u16::MAX))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// A socket for datagrams of that address's family alone, which never waits.
pub fn datagrams(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    Families::Own.apply(&socket, address)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Whether a listener that says so will never accept a connection again.
pub fn is_final(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Bytes in the queue of a socket that is read slowly: packets of a fast network fit in, and the kernel allows that much.
const QUEUE_MIN: u64 = 32 << 10;
const QUEUE_MAX: u64 = 4 << 20;

/// Marks all packets that the socket sends, and those of the connections that it accepts.
pub fn mark<'a>(socket: impl Into<SockRef<'a>>, dscp: Option<Dscp>) {
    let (Some(dscp), socket) = (dscp, socket.into()) else { return };
    // One for IPv4 may also carry IPv4, and of both only what fits succeeds.
    let marked = [socket.set_tos_v4(dscp.byte()), socket.set_tclass_v6(dscp.byte())];
    if let [Err(error), Err(_)] = marked {
        log::warn!("cannot mark packets with {dscp}: {error}");
    }
}

/// A socket for that kind of address, which marks its packets from the first one on.
fn make(address: SocketAddr, dscp: Option<Dscp>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    mark(&socket, dscp);
    Ok(socket)
}

/// Begins to connect. The socket never waits, and can be written to when the connection stands or has failed.
pub fn begin_to_connect(to: SocketAddr, dscp: Option<Dscp>) -> io::Result<TcpStream> {
    let socket = make(to, dscp)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let socket = TcpStream::from(socket);
    prepare(&socket);
    Ok(socket)
}

/// Waits until a connection that was begun stands, or cannot be made; to shut the socket down ends the wait.
pub fn finish_to_connect(socket: &TcpStream) -> io::Result<()> {
    let mut fds = [PollFd::new(socket, PollFlags::OUT)];
    while let Err(error) = poll(&mut fds, None) {
        if error != rustix::io::Errno::INTR {
            return Err(error.into());
        }
    }
    // One that was shut down has no error to show.
    outcome(socket)?.ok_or(io::ErrorKind::NotConnected)?;
    socket.set_nonblocking(false)
}

/// What came of a connection that was begun. None if the network has not said yet.
pub fn outcome(socket: &TcpStream) -> io::Result<Option<()>> {
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(socket.peer_addr().is_ok().then_some(())),
    }
}

/// Lets no more wait in the kernel than is read in about a second at that rate. Otherwise megabytes would, and the other
/// side would take for done what is not.
pub fn keep_queue_short(socket: &impl AsFd, rate: u64) {
    let bytes = rate.clamp(QUEUE_MIN, QUEUE_MAX) as usize;
    // Without it the transfer works as well.
    let _ = SockRef::from(socket).set_recv_buffer_size(bytes);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An address at which nothing answers: the queue of its listener is full, and the system drops what else comes.
    pub(in super::super) struct BlackHole {
        pub(in super::super) address: SocketAddr,
        _listener: Socket,
        _full: [TcpStream; 4],
    }

    impl BlackHole {
        pub(in super::super) fn new() -> Self {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = make(any, None).unwrap();
            listener.bind(&any.into()).unwrap();
            listener.listen(0).unwrap();
            let address = listener.local_addr().unwrap().as_socket().unwrap();
            let full = [(); 4].map(|()| begin_to_connect(address, None).unwrap());
            Self { address, _listener: listener, _full: full }
        }
    }

    fn connect(to: SocketAddr, dscp: Option<Dscp>) -> TcpStream {
        let socket = begin_to_connect(to, dscp).unwrap();
        finish_to_connect(&socket).unwrap();
        socket
    }

    #[test]
    fn a_connection_that_is_not_wanted_any_more_is_not_waited_for() {
        let hole = BlackHole::new();
        let stuck = begin_to_connect(hole.address, None).unwrap();
        let waiting = stuck.try_clone().unwrap();
        let waiting = std::thread::spawn(move || finish_to_connect(&waiting));
        stuck.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(waiting.join().unwrap().is_err());
    }

    #[test]
    fn packets_are_marked_on_both_ends() {
        let dscp = Dscp::new(46);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        mark(&listener, dscp);
        let to = listener.local_addr().unwrap();
        let socket = connect(to, dscp);
        let (accepted, _) = listener.accept().unwrap();
        for socket in [&socket, &accepted] {
            assert_eq!(SockRef::from(socket).tos_v4().unwrap(), 0xb8);
        }
        let plain = connect(to, None);
        assert_eq!(SockRef::from(&plain).tos_v4().unwrap(), 0);
    }

    #[test]
    fn both_families_or_one_of_a_port() {
        let at = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
        let Ok(v6) = listen(at("::1", 0), Families::Own, None) else {
            assert!(std::env::var_os("CI").is_none(), "no IPv6 here");
            return println!("skipped: no IPv6 here");
        };
        drop(v6);
        let accepts = |families| {
            let listener = listen(at("::", 0), families, None).unwrap();
            let port = listener.local_addr().unwrap().port();
            (TcpStream::connect(at("127.0.0.1", port)).is_ok(), TcpStream::connect(at("::1", port)).is_ok())
        };
        assert_eq!(accepts(Families::Both), (true, true));
        assert_eq!(accepts(Families::Own), (false, true));
        let v6 = datagrams(at("::", 0)).unwrap();
        let port = v6.local_addr().unwrap().port();
        assert!(datagrams(at("0.0.0.0", port)).is_ok());
        assert_eq!(v6.recv(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
