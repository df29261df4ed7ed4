//! Short conversations with many nodes, all on the thread that waits for their answers: what each says and hears is a
//! few lines, so a thread for each would cost more than all the rest.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::SockRef;

use super::super::dscp::Dscp;
use super::super::names::{Resolver, Zones};
use super::bell::Bell;
use super::socket::begin_to_connect;
use crate::session::{LinkId, LinkInput};

/// What happened to one of them.
#[derive(Debug)]
pub(super) enum Heard {
    /// The addresses of a name.
    Found(LinkId, Vec<SocketAddr>),
    Connected(LinkId, SocketAddr),
    Bytes(LinkId, Vec<u8>),
    /// It is over, or was never to be: the text says why.
    Closed(LinkId, String),
}

impl Heard {
    /// The same in the words of a session.
    pub(super) fn input(&self) -> LinkInput<'_> {
        match self {
            Self::Found(link, addresses) => LinkInput::Found(*link, addresses.clone()),
            Self::Connected(link, address) => LinkInput::Connected(*link, *address),
            Self::Bytes(link, bytes) => LinkInput::Bytes(*link, bytes),
            Self::Closed(link, why) => LinkInput::Closed(*link, why.clone()),
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
    resolver: Resolver,
    /// What went wrong at once.
    failed: Vec<(LinkId, String)>,
}

#[derive(Debug)]
enum Call {
    /// The name is being looked up, which only a thread can wait for.
    LookingUp,
    Connecting {
        socket: TcpStream,
        to: SocketAddr,
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
    pub(super) fn new(bell: Bell, dscp: Option<Dscp>, resolver: Resolver) -> Self {
        Self { open: BTreeMap::new(), bell, looked_up: mpsc::channel(), dscp, resolver, failed: Vec::new() }
    }

    /// Begins to look up a name. What comes of it is [heard](Self::wait).
    pub(super) fn look_up(&mut self, link: LinkId, host: String, port: u16) {
        self.open.insert(link, Call::LookingUp);
        let (looked_up, bell, resolver) =
            (self.looked_up.0.clone(), self.bell.clone(), self.resolver.clone());
        let look_up = move || {
            // Who has asked may be gone.
            let _ = looked_up.send((link, resolver.look_up(&host, port, Zones::Own)));
            bell.ring();
        };
        if let Err(error) = thread::Builder::new().name("look up".into()).spawn(look_up) {
            self.fail(link, &error);
        }
    }

    /// Begins to connect.
    pub(super) fn connect(&mut self, link: LinkId, to: SocketAddr) {
        match begin_to_connect(to, self.dscp) {
            Ok(socket) => drop(self.open.insert(link, Call::Connecting { socket, to })),
            Err(error) => self.fail(link, &error),
        }
    }

    fn fail(&mut self, link: LinkId, why: &io::Error) {
        self.open.remove(&link);
        self.failed.push((link, why.to_string()));
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
                self.open.remove(&link);
                heard.push(match found {
                    Ok(addresses) => Heard::Found(link, addresses),
                    Err(error) => Heard::Closed(link, error.to_string()),
                });
            }
        }
        heard.extend(self.failed.drain(..).map(|(link, why)| Heard::Closed(link, why)));
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
            Some(Call::Connecting { socket, to }) => match socket.take_error() {
                Ok(None) => {
                    self.open.insert(link, Call::Connected { socket, unsaid: Vec::new() });
                    heard.push(Heard::Connected(link, to));
                }
                Ok(Some(error)) | Err(error) => heard.push(Heard::Closed(link, error.to_string())),
            },
            Some(Call::Connected { socket, unsaid }) => match exchange(link, &socket, unsaid, heard) {
                Ok(unsaid) => drop(self.open.insert(link, Call::Connected { socket, unsaid })),
                Err(why) => heard.push(Heard::Closed(link, why)),
            },
        }
    }
}

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
        Calls::new(Bell::new().unwrap(), None, Resolver::default())
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
    fn a_name_that_is_not_found_holds_up_no_other() {
        let (listener, port) = listen();
        let (done, waits) = mpsc::channel::<()>();
        let waits = std::sync::Mutex::new(waits);
        let resolver = Resolver::new(move |host, port| match host {
            "dead" => {
                let _ = waits.lock().unwrap().recv();
                Err(io::Error::other("no answer"))
            }
            _ => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
        });
        let mut calls = Calls::new(Bell::new().unwrap(), None, resolver);
        calls.look_up(LinkId(8), "dead".into(), port);
        calls.look_up(LINK, "alive".into(), port);
        let heard = next(&mut calls);
        let to = listener.local_addr().unwrap();
        assert!(matches!(&heard, Heard::Found(LINK, found) if *found == [to]), "{heard:?}");
        calls.connect(LINK, to);
        let heard = next(&mut calls);
        assert!(matches!(heard, Heard::Connected(LINK, address) if address == to), "{heard:?}");
        drop(done);
        let heard = next(&mut calls);
        assert!(matches!(&heard, Heard::Closed(LinkId(8), why) if why == "no answer"), "{heard:?}");
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let (listener, port) = listen();
        let mut calls = calls();
        // No name at all, so that nobody is asked for it.
        calls.look_up(LINK, "a\0b".into(), port);
        assert!(matches!(next(&mut calls), Heard::Closed(LINK, _)));
        let to = listener.local_addr().unwrap();
        calls.connect(LINK, to);
        assert!(matches!(next(&mut calls), Heard::Connected(LINK, _)));
        drop(listener.accept().unwrap());
        let heard = next(&mut calls);
        assert!(matches!(&heard, Heard::Closed(LINK, why) if why.contains("closed")), "{heard:?}");
        drop(listener);
        calls.connect(LINK, to);
        let heard = next(&mut calls);
        assert!(matches!(&heard, Heard::Closed(LINK, why) if why.contains("refused")), "{heard:?}");
        // One of a single link, without its interface: nothing is sent anywhere.
        calls.connect(LINK, "[fe80::1]:1".parse().unwrap());
        assert!(matches!(next(&mut calls), Heard::Closed(LINK, _)));
    }

    #[test]
    fn what_does_not_fit_into_the_socket_is_said_when_there_is_room() {
        const SIZE: usize = 32 << 20;
        let (listener, port) = listen();
        let mut calls = calls();
        calls.connect(LINK, ([127, 0, 0, 1], port).into());
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
        let mut calls = Calls::new(bell.clone(), None, Resolver::default());
        let ringing = thread::spawn(move || bell.ring());
        assert!(calls.wait(None).unwrap().is_empty());
        ringing.join().unwrap();
    }
}
