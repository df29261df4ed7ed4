//! A node that behaves on the wire as one of version 0.2 does: above all, it takes nothing for the end of its payload but
//! the end of the stream. It shares no code with the library.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use lantorrent_core::Target;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::sign::signature_1;
use super::target;

const SUFFIX: &str = ".lantorrent";

pub(crate) struct Nimbus {
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Nimbus {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // Until the process ends.
        thread::spawn(move || {
            for upstream in listener.incoming() {
                let upstream = upstream.unwrap();
                thread::spawn(move || serve(&upstream));
            }
        });
        Self { address, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn target(&self, name: &str) -> Target {
        target(self.address, self.path(name).to_str().unwrap())
    }

    /// The names of all files that are whole.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.ends_with(SUFFIX)).collect()
    }
}

/// The hash of what has come, which is written to the files and passed on to the child.
struct Payload {
    md5: Md5,
    files: Vec<File>,
    child: Option<TcpStream>,
}

impl Payload {
    /// Returns whether all of it came.
    fn receive(&mut self, from: &mut impl Read, length: u64) -> bool {
        let mut bytes = vec![0; 128 << 10];
        let mut left = length;
        while left > 0 {
            let most = left.min(bytes.len() as u64) as usize;
            let Ok(count @ 1..) = from.read(&mut bytes[..most]) else { return false };
            self.md5.update(&bytes[..count]);
            for file in &mut self.files {
                file.write_all(&bytes[..count]).unwrap();
            }
            if let Some(child) = &mut self.child {
                let _ = child.write_all(&bytes[..count]);
            }
            left -= count as u64;
        }
        true
    }
}

fn serve(mut upstream: &TcpStream) {
    let mut from = BufReader::new(upstream);
    let Some(header) = read_header(&mut from) else { return };
    let requests = header["requests"].as_array().unwrap();
    let partial = |request: &Value| format!("{}{SUFFIX}", request["filename"].as_str().unwrap());
    let files = requests.iter().map(|request| File::create(partial(request)).unwrap()).collect();
    let child = connect_next(header["destinations"].as_array().unwrap(), upstream);
    let mut payload = Payload { md5: Md5::new(), files, child };
    // 0.2 goes on reading for ever, and never says a word.
    if !payload.receive(&mut from, header["length"].as_u64().unwrap()) {
        return;
    }
    let sum = format!("{:x}", HexOf(&payload.md5.finalize()));
    let mut footer = String::new();
    let read = from.read_to_string(&mut footer);
    if read.is_err() || footer != format!("{{\"md5sum\": \"{sum}\"}}") {
        return;
    }
    if let Some(mut child) = payload.child {
        let _ = child.write_all(footer.as_bytes()).and_then(|()| child.shutdown(Shutdown::Write));
        let _ = io::copy(&mut child, &mut upstream);
    }
    for request in requests {
        fs::rename(partial(request), request["filename"].as_str().unwrap()).unwrap();
    }
    for request in requests {
        report(upstream, &header, request, 0, &sum);
    }
}

/// Everything up to the signature, which has to be right.
fn read_header(from: &mut impl BufRead) -> Option<Value> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(signature) = line.strip_prefix("EOH : ") {
            assert_eq!(signature.trim(), signature_1(text.as_bytes()));
            return serde_json::from_str(&text).ok();
        }
        text.push_str(&line);
    }
}

/// Connects to the first that can be reached, and hands it the rest of the list.
fn connect_next(list: &[Value], upstream: &TcpStream) -> Option<TcpStream> {
    for (place, next) in list.iter().enumerate() {
        let port = u16::try_from(next["port"].as_u64().unwrap()).unwrap();
        let Ok(mut child) = TcpStream::connect((next["host"].as_str().unwrap(), port)) else {
            for request in next["requests"].as_array().unwrap() {
                report(upstream, next, request, 505, "");
            }
            continue;
        };
        let mut header = next.clone();
        header["destinations"] = list[place + 1..].into();
        let text = format!("{header}\n");
        write!(child, "{text}EOH : {}\r\n", signature_1(text.as_bytes())).unwrap();
        return Some(child);
    }
    None
}

fn report(mut upstream: &TcpStream, node: &Value, request: &Value, code: u16, md5sum: &str) {
    let report = json!({
        "code": code,
        "host": node["host"],
        "port": node["port"],
        "file": request["filename"],
        "id": request["id"],
        "message": "as 0.2 would put it",
        "md5sum": md5sum,
    });
    let _ = writeln!(upstream, "{report}");
}

struct HexOf<'a>(&'a [u8]);

impl std::fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
