//! Running a program to its end.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::wait_until;

/// What a program that has ended said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Ends a running program's life in an orderly way: waits, and collects what it says.
    pub(crate) fn of(mut child: Child) -> Self {
        let stdout = collect(child.stdout.take());
        let stderr = collect(child.stderr.take());
        let mut status = None;
        wait_until("the program has ended", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        Self { status: status.unwrap().code(), stdout: text(stdout), stderr: text(stderr) }
    }

    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "stdout:\n{}stderr:\n{}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Wrong usage or configuration, said on one line that contains all of `parts`, and nothing on standard output.
    #[track_caller]
    pub(crate) fn expect_usage(self, parts: &[&str]) {
        let this = self.expect(2);
        assert_eq!(this.stdout, "");
        let line = this.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("lantorrent: ") && line.contains("; "), "{line}");
        for part in parts {
            assert!(line.contains(part), "`{part}` is missing in: {line}");
        }
    }

    /// The objects that `send --json` printed: results, and the summary.
    #[track_caller]
    pub(crate) fn json(&self) -> (Vec<serde_json::Value>, serde_json::Value) {
        let mut lines: Vec<serde_json::Value> =
            self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        let summary = lines.pop().expect("there is a summary");
        (lines, summary["summary"].clone())
    }

    /// The codes of `send --json`, in order.
    #[track_caller]
    pub(crate) fn codes(&self) -> Vec<u64> {
        self.json().0.iter().map(|report| report["code"].as_u64().unwrap()).collect()
    }
}

fn collect(stream: Option<impl Read + Send + 'static>) -> Option<JoinHandle<String>> {
    let mut stream = stream?;
    Some(std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }))
}

fn text(stream: Option<JoinHandle<String>>) -> String {
    stream.map(|thread| thread.join().unwrap()).unwrap_or_default()
}

/// Runs it to its end.
pub(crate) fn finish(mut command: Command) -> Finished {
    Finished::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}
