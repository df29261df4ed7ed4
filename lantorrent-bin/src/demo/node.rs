//! One node of the demo: a `lantorrent serve` of its own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::exit::Failure;

/// A running node, killed and reaped when dropped. Should this process die without dropping it, the node sees the end
/// of its standard input and ends by itself.
pub(super) struct ServeProcess {
    child: Child,
    address: SocketAddr,
    root: PathBuf,
}

impl ServeProcess {
    /// Starts node `number` and waits until it listens.
    pub(super) fn start(home: &Path, folder: &Path, number: usize) -> Result<Self, Failure> {
        let root = folder.join(format!("node-{number}"));
        let errors = folder.join(format!("node-{number}.err"));
        let cannot = |what: String| {
            Failure::local(
                format_args!("node {number} does not start: {what}"),
                "try `lantorrent serve` itself",
            )
        };
        let io = |error: std::io::Error| cannot(error.to_string());
        std::fs::create_dir(&root).map_err(io)?;
        let mut child = Command::new(std::env::current_exe().map_err(io)?)
            .args(["serve", "--until-eof", "--listen", "127.0.0.1:0", "--root"])
            .arg(&root)
            .env("LANTORRENT_HOME", home)
            // Ctrl-C is for the demo, which then ends its nodes.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors).map_err(io)?)
            .spawn()
            .map_err(io)?;
        let stdout = child.stdout.take().map(BufReader::new);
        // From here on the child is reaped whatever happens.
        let mut node = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), root };
        let mut line = String::new();
        let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_line(&mut line));
        read.map_err(io)?;
        let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        node.address = address.ok_or_else(|| {
            let said = std::fs::read_to_string(&errors).unwrap_or_default();
            cannot(format!("it says `{}`", said.trim_end()))
        })?;
        Ok(node)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder that the node may write.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for ServeProcess {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
