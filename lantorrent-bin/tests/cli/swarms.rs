//! What the tests of `get` and `seed` have in common.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::common::{Finished, Lab, content, signal};

/// Options of who finds nobody by himself.
pub(crate) const ALONE: [&str; 3] = ["--port", "0", "--no-local"];

/// Writes a file of that many bytes into the folder, and makes its torrent beside the folder.
pub(crate) fn make(lab: &Lab, folder: &str, name: &str, bytes: usize) -> Vec<u8> {
    let data = content(bytes);
    std::fs::create_dir_all(lab.path().join(folder)).unwrap();
    std::fs::write(lab.path().join(folder).join(name), &data).unwrap();
    let torrent = format!("{name}.torrent");
    lab.run(["torrent", "create", &format!("{folder}/{name}"), "-o", &torrent]).expect(0);
    data
}

pub(crate) fn read(lab: &Lab, path: &str) -> Vec<u8> {
    let path: &Path = &lab.path().join(path);
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A command with `--json` that runs, killed and reaped when dropped.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    /// `seed` in that folder, and the address where peers are awaited.
    pub(crate) fn seed(lab: &Lab, folder: &str, torrents: &[&str]) -> (Self, String) {
        let mut command = lab.command(["seed", "--dir", folder]);
        command.args(ALONE).args(torrents);
        let mut running = Self::start(command);
        let address = running.address();
        running.expect("ready");
        (running, address)
    }

    pub(crate) fn address(&mut self) -> String {
        let event = self.expect("listening");
        format!("127.0.0.1:{}", event["port"])
    }

    /// The next such event; others are passed over.
    pub(crate) fn expect(&mut self, name: &str) -> Value {
        loop {
            let line = self.line();
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
            if event["event"] == name {
                return event;
            }
        }
    }

    /// No more than a line: the rest is for whoever waits for the end.
    fn line(&mut self) -> String {
        let stdout = self.0.as_mut().unwrap().stdout.as_mut().unwrap();
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it has ended");
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    pub(crate) fn kill(mut self) {
        let mut child = self.0.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn stop(self, name: &str) -> Finished {
        signal(name, self.id());
        self.end()
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Finished {
        Finished::of(self.0.take().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
