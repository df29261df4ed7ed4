//! A running `lantorrent serve`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use super::{signal, wait_until};

/// Killed and reaped when dropped.
pub(crate) struct Node {
    child: Child,
    address: SocketAddr,
    root: PathBuf,
}

impl Node {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(mut command: Command, root: PathBuf) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").and_then(|text| text.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!("serve says {line:?} and ends with {:?}", child.wait());
        };
        Self { child, address, root }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where `name` is to be written.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The destination that makes it so.
    pub(crate) fn destination(&self, name: &str) -> String {
        format!("{}{}", self.address, self.file(name).display())
    }

    /// Sends the signal and waits for the end.
    pub(crate) fn stop(&mut self, name: &str) -> ExitStatus {
        signal(name, self.pid());
        self.end()
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the node has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
