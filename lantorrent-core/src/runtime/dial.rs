//! Connecting to a server of which a connection is all that is wanted: the addresses of its name race.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::socket::{begin_to_connect, outcome};
use crate::race::Race;

/// Connects to the first of these addresses that takes the connection, each being tried beside those before it as RFC 8305
/// says. The others are closed. The socket waits where it is read and written.
///
/// # Errors
/// [`ErrorKind::TimedOut`] at the deadline; else that of the address where there is one, and of all where there are several.
pub fn connect(
    addresses: impl IntoIterator<Item = SocketAddr>,
    deadline: Option<Instant>,
) -> io::Result<TcpStream> {
    let mut race = Race::new(addresses, Instant::now());
    let mut open: Vec<(SocketAddr, TcpStream)> = Vec::new();
    let mut failures = Vec::new();
    loop {
        let now = Instant::now();
        while let Some(to) = race.poll(now) {
            match begin_to_connect(to, None) {
                Ok(socket) => open.push((to, socket)),
                Err(error) => {
                    race.failed(now);
                    failures.push((to, error));
                }
            }
        }
        if race.is_lost() {
            return Err(verdict(failures));
        }
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(ErrorKind::TimedOut.into());
        }
        for at in ready(&open, race.deadline().into_iter().chain(deadline).min())? {
            match outcome(&open[at].1).transpose() {
                None => {}
                Some(Ok(())) => {
                    let (_, socket) = open.swap_remove(at);
                    socket.set_nonblocking(false)?;
                    return Ok(socket);
                }
                Some(Err(error)) => {
                    race.failed(Instant::now());
                    failures.push((open.swap_remove(at).0, error));
                }
            }
        }
    }
}

/// Those of which the network has said something, the last first. Waits for that, but not beyond `until`.
fn ready(open: &[(SocketAddr, TcpStream)], until: Option<Instant>) -> io::Result<Vec<usize>> {
    let mut fds: Vec<_> = open.iter().map(|(_, socket)| PollFd::new(socket, PollFlags::OUT)).collect();
    let patience = until.map(|until| until.saturating_duration_since(Instant::now()));
    // A time that the system cannot express is none.
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    match poll(&mut fds, patience.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ready = fds.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
    Ok(ready.map(|(at, _)| at).rev().collect())
}

fn verdict(mut failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    match failures.len() {
        0 => io::Error::new(ErrorKind::NotFound, "the name has no address"),
        1 => failures.remove(0).1,
        _ => {
            let kind = failures[0].1.kind();
            let told = failures.iter().map(|(to, error)| format!("{}: {error}", to.ip()));
            io::Error::new(kind, told.collect::<Vec<_>>().join("; "))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use super::super::socket::tests::BlackHole;
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn an_address_that_swallows_everything_holds_up_no_other() {
        let (hole, listener) = (BlackHole::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let to = listener.local_addr().unwrap();
        let socket = connect([hole.address, to], Some(soon())).unwrap();
        assert_eq!(socket.peer_addr().unwrap(), to);
        // It waits again.
        socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        assert!(io::Read::read(&mut &socket, &mut [0]).is_err());
    }

    #[test]
    fn every_wait_has_an_end() {
        let hole = BlackHole::new();
        let deadline = Instant::now() + Duration::from_millis(300);
        let error = connect([hole.address], Some(deadline)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(Instant::now() >= deadline);
    }

    #[test]
    fn what_each_address_says_is_told() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let [one, other] = [1, 2].map(|last| SocketAddr::from(([127, 0, 0, last], port)));
        let error = connect([one, other], Some(soon())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains("127.0.0.2: "), "{error}");
        // There is no way to that one, which shows at once.
        let error = connect(["[fe80::1]:1".parse().unwrap()], Some(soon())).unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
        assert_eq!(connect([], Some(soon())).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
