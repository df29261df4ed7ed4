//! A node on a host of the lab.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::network::{Lab, address};
use super::program::Program;

/// Where nodes listen.
pub(crate) const PORT: u16 = 2893;
/// The name of the file on every node.
const FILE: &str = "image";

/// Killed and reaped when dropped.
pub(crate) struct Node {
    /// Which host it is on.
    pub(crate) host: usize,
    pub(crate) program: Program,
    /// Where senders and other nodes reach it.
    reached_at: SocketAddr,
    root: PathBuf,
    child: Child,
}

impl Node {
    /// Starts it, with its files in `root` and its configuration and log in `folder`. It is reached at another address
    /// than its own if that is given.
    pub(crate) fn start(
        lab: &Lab,
        host: usize,
        root: &Path,
        folder: &Path,
        also: Option<SocketAddr>,
    ) -> Self {
        let more = also.map(|also| format!("[node]\nalso = {also}\n")).unwrap_or_default();
        let program = Program::new(folder, &format!("node-{host}"), &more);
        Self::start_as(lab, host, root, program, also)
    }

    /// The same with a configuration of its own.
    pub(crate) fn start_as(
        lab: &Lab,
        host: usize,
        root: &Path,
        program: Program,
        also: Option<SocketAddr>,
    ) -> Self {
        let child = serve(lab, host, root, &program);
        let reached_at = also.unwrap_or((address(host), PORT).into());
        Self { host, program, reached_at, root: root.to_owned(), child }
    }

    /// Kills it, and starts another one in its place.
    pub(crate) fn restart(&mut self, lab: &Lab) {
        self.end();
        self.child = serve(lab, self.host, &self.root, &self.program);
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the file is to be in the end.
    pub(crate) fn file(&self) -> PathBuf {
        self.root.join(FILE)
    }

    pub(crate) fn destination(&self) -> String {
        format!("{}{}", self.reached_at, self.file().display())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal to a node");
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts `lantorrent serve` and waits until it listens.
fn serve(lab: &Lab, host: usize, root: &Path, program: &Program) -> Child {
    let mut command = program.command();
    command.args(["serve", "--until-eof", "--listen", &format!("{}:{PORT}", address(host))]);
    command.arg("--root").arg(root);
    // It ends with its standard input, should this process be killed.
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = lab.spawn(host, &mut command);
    let mut line = String::new();
    let output = child.stdout.take().expect("its standard output");
    let read = BufReader::new(output).read_line(&mut line);
    if read.is_err() || !line.starts_with("listening on ") {
        let _ = child.kill();
        panic!("node {host} says {line:?} and ends with {:?}\n{}", child.wait(), program.tail());
    }
    child
}
