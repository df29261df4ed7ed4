//! Short conversations with many nodes, all on the thread that waits for their answers: what each says and hears is a
//! few lines, so a thread for each would cost more than all the rest.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::super::dscp::Dscp;
use super::bell::Bell;
use super::socket::{ADDRESSES, begin_to_connect};
use crate::session::{Input, LinkId};

/// What happened to one of them.
#[derive(Debug)]
pub(super) enum Heard {
    Connected(LinkId, SocketAddr),
    Bytes(LinkId, Vec<u8>),
    /// It is over, or was never to be: the text says why.
    Closed(LinkId, String),
}

impl Heard {
    /// The same in the words of a session.
    pub(super) fn input(&self) -> Input<'_> {
        match self {
            Self::Connected(link, address) => Input::Connected(*link, *address),
            Self::Bytes(link, bytes) => Input::Bytes(*link, bytes),
            Self::Closed(link, why) => Input::Closed(*link, why.clone()),
        }
    }
}

type Lookup = (LinkId, io::Result<Vec<SocketAddr>>);

#[derive(Debug)]
pub(super) struct Calls {
    open: BTreeMap<LinkId, Call>,
    /// Rung when a name was looked up, and by whoever else wants to be attended to.
    bell: Bell,
    looked_up: (Sender<Lookup>, Receiver<Lookup>),
    dscp: Option<Dscp>,
}

#[derive(Debug)]
enum Call {
    /// The name is being looked up, which only a thread can wait for.
    LookingUp,
    Connecting {
        socket: TcpStream,
        to: SocketAddr,
        /// Tried when this one refuses. One that keeps silent may take all the time there is.
        others: Vec<SocketAddr>,
    },
    Connected {
        socket: TcpStream,
        unsaid: Vec<u8>,
    },
}

impl Call {
    /// What is waited for at its socket.
    fn awaited(&self) -> Option<PollFd<'_>> {
        match self {
            Self::LookingUp => None,
            Self::Connecting { socket, .. } => Some(PollFd::new(socket, PollFlags::OUT)),
            Self::Connected { socket, unsaid } if unsaid.is_empty() => {
                Some(PollFd::new(socket, PollFlags::IN))
            }
            Self::Connected { socket, .. } => Some(PollFd::new(socket, PollFlags::IN | PollFlags::OUT)),
        }
    }
}

impl Calls {
    /// None yet. Their packets are marked as said.
    pub(super) fn new(bell: Bell, dscp: Option<Dscp>) -> Self {
        Self { open: BTreeMap::new(), bell, looked_up: mpsc::channel(), dscp }
    }

    /// Begins to connect. What comes of it is [heard](Self::wait).
    pub(super) fn call(&mut self, link: LinkId, host: String, port: u16) {
        self.open.insert(link, Call::LookingUp);
        if let Ok(address) = host.parse::<IpAddr>() {
            return self.tell(link, Ok(vec![(address, port).into()]));
        }
        let (looked_up, bell) = (self.looked_up.0.clone(), self.bell.clone());
        let look_up = move || {
            let found = (host.as_str(), port).to_socket_addrs();
            // Who has asked may be gone.
            let _ = looked_up.send((link, found.map(|found| found.take(ADDRESSES).collect())));
            bell.ring();
        };
        if let Err(error) = thread::Builder::new().name("look up".into()).spawn(look_up) {
            self.tell(link, Err(error));
        }
    }

    fn tell(&self, link: LinkId, found: io::Result<Vec<SocketAddr>>) {
        // The receiver is in this very struct.
        let _ = self.looked_up.0.send((link, found));
        self.bell.ring();
    }

    pub(super) fn say(&mut self, link: LinkId, bytes: &[u8]) {
        if let Some(Call::Connected { socket, unsaid }) = self.open.get_mut(&link) {
            unsaid.extend_from_slice(bytes);
            // An error shows again when the socket is attended to, behind what the node has still said.
            let _ = say(socket, unsaid);
        }
    }

    /// Nothing that is still under way matters.
    pub(super) fn hang_up(&mut self, link: LinkId) {
        if let Some(Call::Connecting { socket, .. } | Call::Connected { socket, .. }) =
            self.open.remove(&link)
        {
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
        }
    }

    /// Waits until something happened, the bell was rung, or the time has come.
    pub(super) fn wait(&mut self, until: Option<Instant>) -> io::Result<Vec<Heard>> {
        let mut heard = Vec::new();
        for link in self.ready(until)? {
            self.attend(link, &mut heard);
        }
        while let Ok((link, found)) = self.looked_up.1.try_recv() {
            if matches!(self.open.get(&link), Some(Call::LookingUp)) {
                let why = found.as_ref().map_or_else(ToString::to_string, |_| NO_ADDRESS.to_owned());
                self.dial(link, found.unwrap_or_default(), why, &mut heard);
            }
        }
        Ok(heard)
    }

    /// Whose socket has something to be attended to.
    fn ready(&mut self, until: Option<Instant>) -> io::Result<Vec<LinkId>> {
        let waiting = self.open.iter().filter_map(|(link, call)| Some((*link, call.awaited()?)));
        let (links, awaited): (Vec<LinkId>, Vec<PollFd<'_>>) = waiting.unzip();
        let mut fds = vec![PollFd::new(&self.bell, PollFlags::IN)];
        fds.extend(awaited);
        let patience = until.map(|until| until.saturating_duration_since(Instant::now()));
        // A time that the system cannot express is none.
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut fds, patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let rung = !fds[0].revents().is_empty();
        let ready = links.into_iter().zip(&fds[1..]);
        let ready = ready.filter(|(_, fd)| !fd.revents().is_empty()).map(|(link, _)| link).collect();
        if rung {
            self.bell.hush();
        }
        Ok(ready)
    }

    fn attend(&mut self, link: LinkId, heard: &mut Vec<Heard>) {
        match self.open.remove(&link) {
            None | Some(Call::LookingUp) => {}
            Some(Call::Connecting { socket, to, others }) => match socket.take_error() {
                Ok(None) => {
                    self.open.insert(link, Call::Connected { socket, unsaid: Vec::new() });
                    heard.push(Heard::Connected(link, to));
                }
                Ok(Some(error)) | Err(error) => self.dial(link, others, error.to_string(), heard),
            },
            Some(Call::Connected { socket, unsaid }) => match exchange(link, &socket, unsaid, heard) {
                Ok(unsaid) => drop(self.open.insert(link, Call::Connected { socket, unsaid })),
                Err(why) => heard.push(Heard::Closed(link, why)),
            },
        }
    }

    /// Asks the next address for a connection. Where there is none left, `why` is what the last one said.
    fn dial(&mut self, link: LinkId, addresses: Vec<SocketAddr>, mut why: String, heard: &mut Vec<Heard>) {
        let mut addresses = addresses.into_iter();
        while let Some(to) = addresses.next() {
            match begin_to_connect(to, self.dscp) {
                Ok(socket) => {
                    let others = addresses.collect();
                    self.open.insert(link, Call::Connecting { socket, to, others });
                    return;
                }
                Err(error) => why = error.to_string(),
            }
        }
        self.open.remove(&link);
        heard.push(Heard::Closed(link, why));
    }
}

const NO_ADDRESS: &str = "the name has no address";

/// Says what can be said without waiting, and hears what there is. Returns what is left to say, or why it is over.
fn exchange(
    link: LinkId,
    mut socket: &TcpStream,
    mut unsaid: Vec<u8>,
    heard: &mut Vec<Heard>,
) -> Result<Vec<u8>, String> {
    let said = say(socket, &mut unsaid);
    let mut bytes = [0; 16 << 10];
    match socket.read(&mut bytes) {
        Ok(0) => return Err("it closed the connection".to_owned()),
        Ok(count) => heard.push(Heard::Bytes(link, bytes[..count].to_vec())),
        Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
            // Who refuses a header may stop listening before its end, but its words come first.
            said.map_err(|error| error.to_string())?;
        }
        Err(error) => return Err(error.to_string()),
    }
    Ok(unsaid)
}

fn say(mut socket: &TcpStream, unsaid: &mut Vec<u8>) -> io::Result<()> {
    while !unsaid.is_empty() {
        match socket.write(unsaid) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => drop(unsaid.drain(..count)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const LINK: LinkId = LinkId(7);
    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(30);

    fn calls() -> Calls {
        Calls::new(Bell::new().unwrap(), None)
    }

    /// The next thing that happens.
    fn next(calls: &mut Calls) -> Heard {
        let until = Instant::now() + PATIENCE;
        loop {
            let heard = calls.wait(Some(until)).unwrap();
            assert!(Instant::now() < until, "nothing happened");
            if let Some(heard) = heard.into_iter().next() {
                return heard;
            }
        }
    }

    fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    #[test]
    fn a_name_is_looked_up_and_all_its_addresses_are_tried() {
        let (listener, port) = listen();
        let mut calls = calls();
        // It has an IPv6 address too on most machines, where nobody listens.
        calls.call(LINK, "localhost".into(), port);
        let heard = next(&mut calls);
        assert!(
            matches!(heard, Heard::Connected(LINK, to) if to == listener.local_addr().unwrap()),
            "{heard:?}"
        );
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let (listener, port) = listen();
        let mut calls = calls();
        // No name at all, so that nobody is asked for it.
        calls.call(LINK, "a\0b".into(), port);
        assert!(matches!(next(&mut calls), Heard::Closed(LINK, _)));
        calls.call(LINK, "127.0.0.1".into(), port);
        assert!(matches!(next(&mut calls), Heard::Connected(LINK, _)));
        drop(listener.accept().unwrap());
        let heard = next(&mut calls);
        assert!(matches!(&heard, Heard::Closed(LINK, why) if why.contains("closed")), "{heard:?}");
        drop(listener);
        calls.call(LINK, "127.0.0.1".into(), port);
        let heard = next(&mut calls);
        assert!(matches!(&heard, Heard::Closed(LINK, why) if why.contains("refused")), "{heard:?}");
    }

    #[test]
    fn what_does_not_fit_into_the_socket_is_said_when_there_is_room() {
        const SIZE: usize = 32 << 20;
        let (listener, port) = listen();
        let mut calls = calls();
        calls.call(LINK, "127.0.0.1".into(), port);
        assert!(matches!(next(&mut calls), Heard::Connected(LINK, _)));
        calls.say(LINK, &vec![b'x'; SIZE]);
        let reading = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            socket.read_exact(&mut vec![0; SIZE]).unwrap();
            socket.write_all(b"enough").unwrap();
            socket
        });
        let heard = next(&mut calls);
        assert!(matches!(&heard, Heard::Bytes(LINK, bytes) if bytes == b"enough"), "{heard:?}");
        calls.hang_up(LINK);
        let error = reading.join().unwrap().read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }

    #[test]
    fn whoever_rings_ends_the_wait() {
        let bell = Bell::new().unwrap();
        let mut calls = Calls::new(bell.clone(), None);
        let ringing = thread::spawn(move || bell.ring());
        assert!(calls.wait(None).unwrap().is_empty());
        ringing.join().unwrap();
    }
}
