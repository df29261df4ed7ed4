//! `lantorrent send` on host 0.

use std::io::Read;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::POLL;
use super::network::Lab;
use super::node::Node;
use super::program::Program;

/// Killed and reaped when dropped.
pub(crate) struct Sender {
    child: Child,
    /// What it prints, and when it stopped printing, which is when it ended.
    output: Option<JoinHandle<(String, Instant)>>,
}

/// A sender that has ended.
pub(crate) struct Ended {
    /// None if it had to be killed.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: String,
    pub(crate) at: Instant,
}

impl Sender {
    /// Sends `source` to `nodes`.
    pub(crate) fn start(
        lab: &Lab,
        program: &Program,
        options: &[&str],
        source: &Path,
        nodes: &[Node],
    ) -> Self {
        let mut command = program.command();
        command.args(["send", "--json"]).args(options).arg(source);
        command.args(nodes.iter().map(Node::destination));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = lab.spawn(0, &mut command);
        let mut stdout = child.stdout.take().expect("its standard output");
        let output = thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).expect("what the sender prints");
            (String::from_utf8_lossy(&bytes).into_owned(), Instant::now())
        });
        Self { child, output: Some(output) }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the state of the sender").is_some()
    }

    /// Waits for its end, and makes one at `limit`.
    pub(crate) fn finish(mut self, limit: Instant) -> Ended {
        while !self.has_ended() && Instant::now() < limit {
            thread::sleep(POLL);
        }
        let status = self.child.try_wait().expect("the state of the sender");
        let _ = self.child.kill();
        let output = self.output.take().map(JoinHandle::join);
        let (output, at) = output.expect("it is waited for once").expect("what the sender prints");
        Ended { status, output, at }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
