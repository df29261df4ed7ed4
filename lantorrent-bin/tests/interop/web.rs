//! A web server on host 0, which has the files and answers to ranges.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::network::{self, Lab};

/// Of a client that says nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks for a client.
const POLL: Duration = Duration::from_millis(10);

/// Takes no more connections when dropped.
pub(crate) struct WebServer(Arc<AtomicBool>);

/// Of the folder that it serves.
pub(crate) fn url() -> String {
    format!("http://{}/files/", address())
}

fn address() -> SocketAddr {
    (network::address(0), 8080).into()
}

impl WebServer {
    /// Serves what is in `folder`.
    pub(crate) fn start(lab: &Lab, folder: &Path) -> Self {
        let listener = lab.inside(0, || TcpListener::bind(address())).expect("a socket for the web server");
        listener.set_nonblocking(true).expect("a socket that does not wait");
        let ended = Arc::new(AtomicBool::new(false));
        let (folder, server) = (folder.to_owned(), Self(Arc::clone(&ended)));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(POLL);
                    continue;
                };
                let folder = folder.clone();
                // One that hangs up is its own loss: whether it has everything is looked at elsewhere.
                thread::spawn(move || drop(serve(&stream, &folder)));
            }
        });
        server
    }
}

/// Answers one request after the other, also those that come before the answers to others are read.
fn serve(mut stream: &TcpStream, folder: &Path) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(stream);
    while let Some((target, range)) = read_request(&mut reader)? {
        stream.write_all(&answer(folder, &target, range))?;
    }
    Ok(())
}

/// The target and the range of the next request, if there is one.
fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(String, Option<Range<usize>>)>> {
    let (mut target, mut range) = (None, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        match line.to_ascii_lowercase().strip_prefix("range: bytes=").and_then(|range| range.split_once('-'))
        {
            Some((first, last)) => {
                let last: Option<usize> = last.parse().ok();
                range = first.parse().ok().map(|first| first..last.map_or(usize::MAX, |last| last + 1));
            }
            None if line.is_empty() => return Ok(target.map(|target| (target, range))),
            None => {
                target =
                    target.or_else(|| line.strip_prefix("GET ")?.split(' ').next().map(ToOwned::to_owned));
            }
        }
    }
}

fn answer(folder: &Path, target: &str, range: Option<Range<usize>>) -> Vec<u8> {
    let Some(bytes) = path(target).and_then(|path| fs::read(folder.join(path)).ok()) else {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    };
    let length = bytes.len();
    let (status, part) = match range {
        None => ("200 OK".to_owned(), 0..length),
        Some(range) if range.start < length => {
            let part = range.start..range.end.clamp(range.start, length);
            let said = format!("Content-Range: bytes {}-{}/{length}", part.start, part.end - 1);
            (format!("206 Partial Content\r\n{said}"), part)
        }
        Some(_) => (format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{length}"), 0..0),
    };
    let head = format!("HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nContent-Length: {}\r\n\r\n", part.len());
    [head.as_bytes(), &bytes[part]].concat()
}

/// The path that a target names, from the folder.
fn path(target: &str) -> Option<PathBuf> {
    let mut bytes = target.strip_prefix("/files/")?.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                u8::from_str_radix(std::str::from_utf8(&[bytes.next()?, bytes.next()?]).ok()?, 16).ok()?
            }
            // What follows is for the server itself.
            b'?' | b'#' => return None,
            byte => byte,
        });
    }
    let path = PathBuf::from(String::from_utf8(plain).ok()?);
    path.components().all(|part| matches!(part, std::path::Component::Normal(_))).then_some(path)
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
