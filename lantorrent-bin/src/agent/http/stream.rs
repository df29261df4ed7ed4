//! A connection of either kind, whose every wait has an end.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use lantorrent_core::runtime::host_of;
use rustix::net::{RecvFlags, recv};

/// How long a client may take to notice that a connection was closed.
const FAREWELL: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// What comes next, as far as it fits. Nothing at the end. Fails as `TimedOut` at the deadline.
    pub(super) fn read(&self, into: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            let left = Some(left(deadline)?);
            let read = match self {
                Self::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| (&mut &*stream).read(into)),
                Self::Unix(stream) => stream.set_read_timeout(left).and_then(|()| (&mut &*stream).read(into)),
            };
            // What has run out is the time, which `left` finds.
            if !read.as_ref().is_err_and(is_early) {
                return read;
            }
        }
    }

    /// All of it, or `TimedOut` at the deadline.
    pub(super) fn write(&self, mut bytes: &[u8], deadline: Instant) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = Some(left(deadline)?);
            let written = match self {
                Self::Tcp(stream) => {
                    stream.set_write_timeout(left).and_then(|()| (&mut &*stream).write(bytes))
                }
                Self::Unix(stream) => {
                    stream.set_write_timeout(left).and_then(|()| (&mut &*stream).write(bytes))
                }
            };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_early(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes what the system takes at once, for who must not wait.
    pub(super) fn write_at_once(&self, bytes: &[u8]) {
        // A client that cannot be told finds the connection closed.
        let _ = match self {
            Self::Tcp(stream) => stream.set_nonblocking(true).and_then(|()| (&mut &*stream).write(bytes)),
            Self::Unix(stream) => stream.set_nonblocking(true).and_then(|()| (&mut &*stream).write(bytes)),
        };
    }

    /// Wakes who reads or writes.
    pub(super) fn shutdown(&self, how: Shutdown) {
        // It may be closed already.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Says that nothing more comes, and waits a while for the client to say so too. A connection that is closed while
    /// something unread has come is reset, and the client may lose the answer.
    pub(super) fn part(&self) {
        self.shutdown(Shutdown::Write);
        let deadline = Instant::now() + FAREWELL;
        let mut ignored = [0; 16 << 10];
        while matches!(self.read(&mut ignored, deadline), Ok(1..)) {}
    }

    /// Whether the client sends nothing more, which most do only when they are gone.
    pub(super) fn has_ended(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = match self {
            Self::Tcp(stream) => recv(stream, &mut [0_u8; 1][..], flags),
            Self::Unix(stream) => recv(stream, &mut [0_u8; 1][..], flags),
        };
        match peeked {
            Ok((_, count)) => count == 0,
            Err(error) => error != rustix::io::Errno::AGAIN && error != rustix::io::Errno::INTR,
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Network(SocketAddr),
    /// A process of this machine, over the Unix socket.
    Process,
}

impl Peer {
    /// The host that a file goes to which is asked for without one.
    pub(super) fn host(self) -> String {
        match self {
            // A listener for both families sees the old one within the new one.
            Self::Network(address) => host_of(address),
            Self::Process => Ipv4Addr::LOCALHOST.to_string(),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(address) => address.fmt(f),
            Self::Process => f.write_str("a process of this machine"),
        }
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // Zero would be taken for no limit at all.
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Whether it may be tried again if there is time left.
fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Stream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Stream::Unix(ours), theirs)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn waits_end() {
        let (stream, _theirs) = pair();
        assert_eq!(stream.read(&mut [0; 8], soon()).unwrap_err().kind(), ErrorKind::TimedOut);
        // Nobody reads; no buffer of a socket holds that much.
        let much = vec![0; 64 << 20];
        assert_eq!(stream.write(&much, soon()).unwrap_err().kind(), ErrorKind::TimedOut);
        stream.write_at_once(&much);
    }

    #[test]
    fn whether_the_client_is_there() {
        let (stream, mut theirs) = pair();
        assert!(!stream.has_ended());
        theirs.write_all(b"x").unwrap();
        assert!(!stream.has_ended());
        drop(theirs);
        assert!(!stream.has_ended(), "what it sent is still to be read");
        assert_eq!(stream.read(&mut [0; 8], Instant::now() + FAREWELL).unwrap(), 1);
        assert!(stream.has_ended());
    }

    #[test]
    fn hosts_of_peers() {
        let host = |text: &str| Peer::Network(text.parse().unwrap()).host();
        assert_eq!(host("10.0.0.7:1"), "10.0.0.7");
        assert_eq!(host("[::ffff:10.0.0.7]:1"), "10.0.0.7");
        assert_eq!(host("[fd00::7]:1"), "fd00::7");
        assert_eq!(host("[fe80::7%1]:1"), "fe80::7%lo");
        assert_eq!(Peer::Process.host(), "127.0.0.1");
    }
}
