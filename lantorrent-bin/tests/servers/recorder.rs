//! A proxy, and server, that answers everything and keeps what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// Serves until the end of the process.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// At that address, on any port.
    pub(crate) fn start(address: &str) -> Option<Self> {
        let listener = TcpListener::bind(address).ok()?;
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let this = Self { address: listener.local_addr().unwrap(), heard: Arc::clone(&heard) };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
                heard.lock().unwrap().push(head.join("\n"));
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                // Who asked may be gone.
                let _ = (&stream).write_all(answer);
            }
        });
        Some(this)
    }

    /// The heads of the requests since it was asked the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}
