//! A client that sends the bytes it is given, and reads whole answers.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer takes: a test that waits for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) enum Client {
    Tcp(TcpStream, Vec<u8>),
    Unix(UnixStream, Vec<u8>),
}

impl Client {
    pub(super) fn tcp(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Tcp(stream, Vec::new())
    }

    pub(super) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::Unix(stream, Vec::new())
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).unwrap();
    }

    pub(super) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream, _) => stream.write_all(bytes),
            Self::Unix(stream, _) => stream.write_all(bytes),
        }
    }

    pub(super) fn send_nothing_more(&mut self) {
        // The server may have closed it already.
        let _ = match self {
            Self::Tcp(stream, _) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream, _) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Reads something. False at the end.
    fn more(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        let (read, unread) = match self {
            Self::Tcp(stream, unread) => (stream.read(&mut bytes), unread),
            Self::Unix(stream, unread) => (stream.read(&mut bytes), unread),
        };
        let count = read.unwrap();
        unread.extend_from_slice(&bytes[..count]);
        count > 0
    }

    fn unread(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Tcp(_, unread) | Self::Unix(_, unread) => unread,
        }
    }

    /// The next answer, with its body. None at the end.
    pub(super) fn next(&mut self) -> Option<Reply> {
        self.reply(true)
    }

    #[track_caller]
    pub(super) fn answer(&mut self) -> Reply {
        self.next().expect("the server answers")
    }

    /// The next answer, to HEAD.
    #[track_caller]
    pub(super) fn bare_answer(&mut self) -> Reply {
        self.reply(false).expect("the server answers")
    }

    #[track_caller]
    pub(super) fn ask(&mut self, request: impl AsRef<[u8]>) -> Reply {
        self.send(request);
        self.answer()
    }

    fn reply(&mut self, has_body: bool) -> Option<Reply> {
        loop {
            if let Some((mut reply, used, length)) = Reply::head(self.unread()) {
                let length = if has_body { length } else { 0 };
                while self.unread().len() < used + length {
                    assert!(self.more(), "the answer ends within its body");
                }
                reply.body = self.unread()[used..used + length].to_vec();
                self.unread().drain(..used + length);
                return Some(reply);
            }
            if !self.more() {
                assert!(self.unread().is_empty(), "the answer ends within its head");
                return None;
            }
        }
    }

    /// The server has said all it wanted to, and has closed the connection.
    #[track_caller]
    pub(super) fn assert_closed(&mut self) {
        assert_eq!(self.next(), None);
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Without the time, which is never the same.
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    /// With the bytes of the head, and those of the body.
    fn head(bytes: &[u8]) -> Option<(Self, usize, usize)> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(used) = response.parse(bytes).unwrap() else { return None };
        let headers: Vec<(String, String)> = response
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), String::from_utf8(header.value.to_vec()).unwrap()))
            .filter(|(name, _)| name != "Date")
            .collect();
        let reply = Self { status: response.code.unwrap(), headers, body: Vec::new() };
        let length = reply.header("Content-Length").map_or(0, |length| length.parse().unwrap());
        Some((reply, used, length))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(there, _)| there == name);
        found.map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// It has that status, and where that is an error it says why.
    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?} {}", String::from_utf8_lossy(&self.body));
        if status >= 400 && !self.body.is_empty() {
            assert_eq!(self.header("Content-Type"), Some("application/problem+json"));
            assert_eq!(self.json()["status"], status);
        }
        self
    }

    #[track_caller]
    pub(super) fn says(self, what: &str) -> Self {
        let detail = self.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(what), "{detail}");
        self
    }
}

pub(super) fn get(target: &str) -> String {
    with("GET", target, "")
}

/// A request without a body, with more headers.
pub(super) fn with(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n")
}

pub(super) fn post(target: &str, body: &str) -> String {
    with_body("POST", target, body)
}

pub(super) fn put(target: &str, body: &str) -> String {
    with_body("PUT", target, body)
}

fn with_body(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    let headers = format!("Content-Type: application/json\r\nContent-Length: {length}\r\n");
    with(method, target, &headers) + body
}
