//! One HTTP connection: a request comes, an answer goes, and that is all.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::net::TcpStream;

use crate::tracker::server::{HttpAnswer, Tracker};

/// The longest request: one that scrapes a hundred torrents, and has headers.
const LONGEST: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 64;

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    state: State,
}

#[derive(Debug)]
enum State {
    Reading(Vec<u8>),
    Writing {
        answer: Vec<u8>,
        sent: usize,
    },
    /// For the other side's end: who closes before all is read may take back what it has written.
    Ending,
}

/// Whether there is more to do when the socket is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waits,
    Over,
}

/// What is in a request so far.
#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    Partial,
    Get(&'a [u8]),
    Head(&'a [u8]),
    Bad(u16),
}

impl Connection {
    pub(super) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { stream, peer, state: State::Reading(Vec::new()) }
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Does all that can be done without waiting.
    pub(super) fn go_on(&mut self, now: Instant, tracker: &mut Tracker) -> Progress {
        loop {
            let step = match &mut self.state {
                State::Reading(request) => match read(&mut self.stream, request) {
                    Ok(0) => return Progress::Over,
                    Ok(_) => {
                        if let Some(answer) = answer(request, now, self.peer, tracker) {
                            self.state = State::Writing { answer, sent: 0 };
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                State::Writing { answer, sent } => match self.stream.write(&answer[*sent..]) {
                    Ok(written) => {
                        *sent += written;
                        if *sent == answer.len() {
                            // Whoever is gone by now has no use for it.
                            let _ = self.stream.shutdown(Shutdown::Write);
                            self.state = State::Ending;
                        }
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                State::Ending => match self.stream.read(&mut [0; 512]) {
                    Ok(0) => return Progress::Over,
                    Ok(_) => Ok(()),
                    Err(error) => Err(error),
                },
            };
            match step {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waits,
                Err(_) => return Progress::Over,
            }
        }
    }
}

fn read(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<usize> {
    let mut bytes = [0; 2048];
    let count = stream.read(&mut bytes)?;
    request.extend_from_slice(&bytes[..count]);
    Ok(count)
}

/// The answer, if the request is there.
fn answer(request: &[u8], now: Instant, peer: SocketAddr, tracker: &mut Tracker) -> Option<Vec<u8>> {
    let (answer, is_head) = match parse(request) {
        Request::Partial => return None,
        Request::Get(target) => (tracker.http(now, peer, target), false),
        Request::Head(target) => (tracker.http(now, peer, target), true),
        Request::Bad(status) => {
            (HttpAnswer { status, body: b"GET only, and no more than 16 KiB\n".into() }, false)
        }
    };
    let HttpAnswer { status, body } = answer;
    let reason = match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        _ => "Request Header Fields Too Large",
    };
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut bytes = head.into_bytes();
    if !is_head {
        bytes.extend(body);
    }
    Some(bytes)
}

fn parse(bytes: &[u8]) -> Request<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) if bytes.len() >= LONGEST => Request::Bad(431),
        Ok(httparse::Status::Partial) => Request::Partial,
        Ok(httparse::Status::Complete(_)) => {
            // Some send the whole URL, as to a proxy.
            let target = request.path.unwrap_or_default();
            let target = target
                .split_once("://")
                .map_or(target, |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
            match request.method {
                Some("GET") => Request::Get(target.as_bytes()),
                Some("HEAD") => Request::Head(target.as_bytes()),
                _ => Request::Bad(405),
            }
        }
        Err(httparse::Error::TooManyHeaders) => Request::Bad(431),
        Err(_) => Request::Bad(400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let cases: [(&str, Request<'_>); 9] = [
            ("GET /announce?x=y HTTP/1.0\r\n\r\n", Request::Get(b"/announce?x=y")),
            (
                "GET http://t:1/announce?x=http://y/ HTTP/1.1\r\nHost: t\r\n\r\n",
                Request::Get(b"/announce?x=http://y/"),
            ),
            ("GET http://t HTTP/1.1\r\n\r\n", Request::Get(b"/")),
            ("HEAD / HTTP/1.1\r\n\r\nmore", Request::Head(b"/")),
            ("GET / HTTP/1.1\r\nHost:", Request::Partial),
            ("", Request::Partial),
            ("POST /announce HTTP/1.1\r\n\r\n", Request::Bad(405)),
            ("\x13BitTorrent protocol\0\0", Request::Bad(400)),
            ("GET  / HTTP/1.1\r\n\r\n", Request::Bad(400)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text.as_bytes()), expected, "{text}");
        }
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(LONGEST));
        assert_eq!(parse(long.as_bytes()), Request::Bad(431));
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(HEADERS + 1));
        assert_eq!(parse(many.as_bytes()), Request::Bad(431));
    }
}
