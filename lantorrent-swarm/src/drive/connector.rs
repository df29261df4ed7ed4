//! Connections to web servers and trackers, for `ureq`, which tries one address of a name after the other.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ureq::Error;
#[cfg(feature = "tls")]
use ureq::unversioned::transport::RustlsConnector;
// What semantic versions do not cover: the lock file does.
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, LazyBuffers, NextTimeout, ShutdownHandle,
    SocksConnector, Transport,
};

/// Connects to the first address that takes the connection: all of them are tried, one beside the other. As ureq's own does,
/// it asks proxies for tunnels, and puts TLS on top where that is built in.
#[derive(Debug, Default)]
pub struct Dialer {
    socks: SocksConnector,
    proxy: ConnectProxyConnector,
    #[cfg(feature = "tls")]
    tls: RustlsConnector,
}

impl Connector for Dialer {
    type Out = Box<dyn Transport>;

    fn connect(&self, details: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<Self::Out>, Error> {
        let socks = Connector::<Socket>::connect(&self.socks, details, None)?;
        let tunnel = match &socks {
            Some(_) => None,
            None => Connector::<Socket>::connect(&self.proxy, details, None)?,
        };
        let transport: Box<dyn Transport> = match (socks, tunnel) {
            (Some(socks), _) => Box::new(socks),
            (None, Some(tunnel)) => Box::new(tunnel),
            (None, None) => Box::new(dial(details)?),
        };
        #[cfg(feature = "tls")]
        let transport: Box<dyn Transport> = match self.tls.connect(details, Some(transport))? {
            Some(transport) => Box::new(transport),
            None => return Ok(None),
        };
        Ok(Some(transport))
    }
}

fn dial(details: &ConnectionDetails<'_>) -> Result<Socket, Error> {
    let deadline = details.timeout.not_zero().and_then(|patience| Instant::now().checked_add(*patience));
    let stream = lantorrent_core::runtime::connect(details.addrs.iter().copied(), deadline)
        .map_err(|error| told(error, details.timeout))?;
    let stream = Arc::new(stream);
    (details.register_shutdown)(Arc::downgrade(&stream) as Weak<dyn ShutdownHandle>)?;
    let config = details.config;
    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
    Ok(Socket { stream, buffers })
}

struct Socket {
    stream: Arc<TcpStream>,
    buffers: LazyBuffers,
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(patience(timeout)?)?;
        let output = &self.buffers.output()[..amount];
        (&*self.stream).write_all(output).map_err(|error| told(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(patience(timeout)?)?;
        let input = self.buffers.input_append_buf();
        let amount = loop {
            match (&*self.stream).read(input) {
                // Each part of an answer has its time, and a signal gives it once more.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.map_err(|error| told(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// What has something to say by itself has said goodbye, or is no connection to go on with.
    fn is_open(&mut self) -> bool {
        let silent =
            |peeked: io::Result<usize>| peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.stream.set_nonblocking(true).is_ok()
            && silent(self.stream.peek(&mut [0]))
            && self.stream.set_nonblocking(false).is_ok()
    }
}

/// How long to wait; for ever if that is None.
fn patience(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    // A timeout of zero would mean none.
    if timeout.after.is_zero() {
        Err(Error::Timeout(timeout.reason))
    } else {
        Ok(timeout.not_zero().map(|time| *time))
    }
}

/// The system says of a timeout that the call would block.
fn told(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::thread;

    use ureq::Agent;
    use ureq::config::Config;
    use ureq::http::Uri;
    use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};

    use super::*;

    /// A name that has these addresses.
    #[derive(Debug)]
    struct Named(Vec<SocketAddr>);

    impl Resolver for Named {
        fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
            let mut addresses = self.empty();
            self.0.iter().for_each(|address| addresses.push(*address));
            Ok(addresses)
        }
    }

    fn agent(addresses: &[SocketAddr], patience: Duration) -> Agent {
        let config = Config::builder().proxy(None).timeout_connect(Some(patience)).build();
        Agent::with_parts(config, Dialer::default(), Named(addresses.to_vec()))
    }

    /// A listener whose queue is full: nothing answers there.
    fn black_hole() -> (SocketAddr, Vec<socket2::Socket>) {
        let socket = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let mut sockets = vec![socket()];
        sockets[0].bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        sockets[0].listen(0).unwrap();
        let address = sockets[0].local_addr().unwrap();
        for _ in 0..4 {
            let filler = socket();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            sockets.push(filler);
        }
        (address.as_socket().unwrap(), sockets)
    }

    /// Answers requests over one connection. Returns how many there were.
    fn serve(listener: &TcpListener) -> usize {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut heard, mut count) = (Vec::new(), 0);
        let mut some = [0; 1024];
        while let Ok(amount @ 1..) = socket.read(&mut some) {
            heard.extend_from_slice(&some[..amount]);
            while let Some(end) = heard.windows(4).position(|end| end == b"\r\n\r\n") {
                heard.drain(..end + 4);
                socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap();
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a_first_address_that_swallows_everything_costs_no_answer() {
        let (hole, _sockets) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let serving = thread::spawn(move || serve(&listener));
        let agent = agent(&[hole, to], Duration::from_secs(30));
        for _ in 0..3 {
            let answer = agent.get("http://a.example/").call().unwrap().into_body().read_to_string();
            assert_eq!(answer.unwrap(), "hi");
        }
        drop(agent);
        assert_eq!(serving.join().unwrap(), 3, "a connection is used again");
    }

    #[test]
    fn the_time_to_connect_is_that_of_all_addresses_together() {
        let (hole, _sockets) = black_hole();
        let error = agent(&[hole], Duration::from_millis(200)).get("http://a.example/").call().unwrap_err();
        assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    }
}
