//! Heads of requests and answers, as proxies and servers have them and `ureq` has not: requests for plain HTTP that name the
//! whole URL, interim answers, and lines that are folded.

use std::io;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine};
use ureq::config::Config;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Error, Proxy, ProxyProtocol};

/// Interim answers before one that counts.
const INTERIM: u32 = 100;

/// Connects by another connector, and sees to the heads. `plain` is without a proxy.
#[derive(Debug)]
pub struct Heads<C> {
    connector: C,
    plain: Config,
}

impl<C> Heads<C> {
    /// `plain` configures the connection to a proxy itself.
    pub fn new(connector: C, plain: Config) -> Self {
        Self { connector, plain }
    }
}

impl<C: Connector<()>> Connector<()> for Heads<C> {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(proxy) = details.config.proxy().filter(|proxy| forwards(proxy, details)) {
            return self.forward(proxy, details).map(Some);
        }
        let transport = self.connector.connect(details, chained)?;
        Ok(transport.map(|transport| Head::over(Box::new(transport), None)))
    }
}

/// A proxy opens tunnels to few ports, usually to 443 alone: what is plain it forwards.
fn forwards(proxy: &Proxy, details: &ConnectionDetails<'_>) -> bool {
    matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https) && !details.needs_tls()
}

impl<C: Connector<()>> Heads<C> {
    fn forward(&self, proxy: &Proxy, details: &ConnectionDetails<'_>) -> Result<Box<dyn Transport>, Error> {
        let to_proxy = ConnectionDetails {
            uri: proxy.uri(),
            addrs: details.resolver.resolve(proxy.uri(), &self.plain, details.timeout)?,
            config: &self.plain,
            request_level: false,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::clone(&details.run_connector),
            register_shutdown: Arc::clone(&details.register_shutdown),
        };
        let transport = self.connector.connect(&to_proxy, None)?.ok_or(Error::ConnectionFailed)?;
        let forward = Forward {
            server: format!("http://{}", details.uri.authority().map_or("", |authority| authority.as_str())),
            authorization: proxy.username().map(|user| {
                let both = format!("{user}:{}", proxy.password().unwrap_or_default());
                format!("Proxy-Authorization: Basic {}\r\n", BASE64_STANDARD.encode(both))
            }),
        };
        Ok(Head::over(Box::new(transport), Some(forward)))
    }
}

/// What a proxy has to be told of a request.
#[derive(Debug)]
struct Forward {
    server: String,
    authorization: Option<String>,
}

impl Forward {
    /// The head of a request as it goes to the proxy.
    fn amend(&self, head: &[u8]) -> Option<Vec<u8>> {
        let target = head.iter().position(|&byte| byte == b' ')? + 1;
        let line_end = head.windows(2).position(|end| end == b"\r\n")? + 2;
        let authorization = self.authorization.as_deref().unwrap_or_default();
        Some(
            [
                &head[..target],
                self.server.as_bytes(),
                &head[target..line_end],
                authorization.as_bytes(),
                &head[line_end..],
            ]
            .concat(),
        )
    }
}

/// A connection on which one request follows the other.
#[derive(Debug)]
struct Head {
    inner: Box<dyn Transport>,
    forward: Option<Forward>,
    /// How many interim answers came, while a head is awaited.
    awaited: Option<u32>,
}

impl Head {
    fn over(inner: Box<dyn Transport>, forward: Option<Forward>) -> Box<dyn Transport> {
        Box::new(Self { inner, forward, awaited: None })
    }

    /// Takes interim answers away, and unfolds the head of the one that counts.
    fn tidy(&mut self) -> Result<(), Error> {
        while let Some(interim) = self.awaited {
            let input = self.inner.buffers().input();
            match read(input) {
                Found::Nothing => return Ok(()),
                Found::Interim(length) if interim < INTERIM => {
                    self.inner.buffers().input_consume(length);
                    self.awaited = Some(interim + 1);
                }
                Found::Interim(_) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "too many interim answers").into());
                }
                Found::Head(length) => {
                    self.awaited = None;
                    if let Some(unfolded) = unfold(input, length) {
                        let buffers = self.inner.buffers();
                        buffers.input_consume(unfolded.len());
                        buffers.input_append_buf()[..unfolded.len()].copy_from_slice(&unfolded);
                        buffers.input_appended(unfolded.len());
                    }
                }
            }
        }
        Ok(())
    }
}

impl Transport for Head {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, mut amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.awaited = Some(0);
        // All that is asked of a proxy has no body, and its head goes out at once.
        if let Some(forward) = &self.forward {
            let output = self.inner.buffers().output();
            let amended = forward.amend(&output[..amount]).filter(|amended| amended.len() <= output.len());
            let amended = amended.ok_or_else(|| io::Error::other("the request is too long for a proxy"))?;
            output[..amended.len()].copy_from_slice(&amended);
            amount = amended.len();
        }
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let more = self.inner.await_input(timeout)?;
        self.tidy()?;
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// What an answer begins with.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Too little to tell.
    Nothing,
    /// The whole head of an answer behind which another one comes.
    Interim(usize),
    /// The head of the answer, or something else.
    Head(usize),
}

fn read(input: &[u8]) -> Found {
    let start = input.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(input.len());
    let head = &input[start..];
    if !head.starts_with(&b"HTTP/1."[..head.len().min(7)]) {
        return Found::Head(0);
    }
    let Some(end) = end_of_head(head) else { return Found::Nothing };
    // 101 is the last word in this protocol.
    let status = head.get(9..12).unwrap_or_default();
    if status.starts_with(b"1") && status != b"101" {
        Found::Interim(start + end)
    } else {
        Found::Head(start + end)
    }
}

/// Where the empty line ends behind it.
fn end_of_head(head: &[u8]) -> Option<usize> {
    let ends = head.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    ends.into_iter().find_map(|at| match &head[at..] {
        [b'\n', ..] => Some(at + 1),
        [b'\r', b'\n', ..] => Some(at + 2),
        _ => None,
    })
}

/// The input with blanks in place of the line ends within values, if there are any (RFC 9112, 5.2).
fn unfold(input: &[u8], head: usize) -> Option<Vec<u8>> {
    let is_fold = |at: usize| input[at] == b'\n' && matches!(input.get(at + 1), Some(b' ' | b'\t'));
    // The last line end is that of the head; what follows is the body.
    let folds: Vec<usize> = (0..head.saturating_sub(1)).filter(|&at| is_fold(at)).collect();
    if folds.is_empty() {
        return None;
    }
    let mut unfolded = input.to_vec();
    for at in folds {
        unfolded[at] = b' ';
        if at > 0 && unfolded[at - 1] == b'\r' {
            unfolded[at - 1] = b' ';
        }
    }
    Some(unfolded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_first() {
        for (input, found) in [
            (&b""[..], Found::Nothing),
            (b"HTT", Found::Nothing),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n", Found::Nothing),
            (b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n1", Found::Head(25)),
            (b"\r\nHTTP/1.0 200\n\nx", Found::Head(16)),
            (b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\nHTTP/1.1", Found::Interim(31)),
            (b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", Found::Interim(39)),
            (b"HTTP/1.1 101 Switching\r\n\r\n", Found::Head(26)),
            (b"\x16\x03\x01", Found::Head(0)),
            (b"ICY 200 OK\r\n\r\n", Found::Head(0)),
        ] {
            assert_eq!(read(input), found, "{}", input.escape_ascii());
        }
    }

    #[test]
    fn folded_lines() {
        let input = b"HTTP/1.1 200 OK\r\nA: b\r\n\tc\n d\r\n\r\n\n body";
        let Found::Head(head) = read(input) else { panic!("no head") };
        assert_eq!(unfold(input, head).unwrap(), b"HTTP/1.1 200 OK\r\nA: b  \tc  d\r\n\r\n\n body");
        assert_eq!(unfold(b"HTTP/1.1 200 OK\r\n\r\n x", 19), None);
    }

    #[test]
    fn what_a_proxy_is_told() {
        let mut forward = Forward { server: "http://a:81".into(), authorization: None };
        let head = b"GET /x?y HTTP/1.1\r\nhost: a:81\r\n\r\n";
        assert_eq!(forward.amend(head).unwrap(), b"GET http://a:81/x?y HTTP/1.1\r\nhost: a:81\r\n\r\n");
        forward.authorization = Some("Proxy-Authorization: Basic x\r\n".into());
        let amended = forward.amend(head).unwrap();
        assert!(
            amended.starts_with(b"GET http://a:81/x?y HTTP/1.1\r\nProxy-Authorization: Basic x\r\nhost:")
        );
        assert_eq!(forward.amend(b"nothing"), None);
    }
}
