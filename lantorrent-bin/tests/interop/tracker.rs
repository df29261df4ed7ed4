//! A tracker on host 0.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::network::{self, Lab};
use crate::process::Process;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tracker {
    Ours,
    Opentracker,
}

pub(crate) fn address() -> SocketAddr {
    (network::address(0), 6969).into()
}

impl Tracker {
    /// Starts it, for the torrent of that hash and with its files in `home`.
    pub(crate) fn start(self, lab: &Lab, home: &Path, hash: &[u8; 20]) -> Process {
        let (name, command) = match self {
            Self::Ours => ("our tracker", ours()),
            Self::Opentracker => ("opentracker", opentracker(home, hash)),
        };
        Process::start(lab, 0, name, home, command)
    }
}

fn ours() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
    command.args(["tracker", "--listen"]).arg(address().to_string());
    command
}

/// Debian's serves what is on its list, and nothing else.
fn opentracker(home: &Path, hash: &[u8; 20]) -> Command {
    let list = hexadecimal(hash, "");
    fs::create_dir_all(home).expect("a folder for opentracker");
    fs::write(home.join("list"), list + "\n").expect("opentracker's list");
    let (ip, port) = (address().ip().to_string(), address().port().to_string());
    let mut command = Command::new("opentracker");
    // It shuts itself up in the folder, and goes on as nobody.
    command.args(["-i", &ip, "-p", &port, "-P", &port, "-w", "list", "-d"]).arg(home);
    command
}

/// Whether the tracker knows of a seeder, as it answers to a scrape.
pub(crate) fn knows_seeder(lab: &Lab, hash: &[u8; 20]) -> bool {
    let request =
        format!("GET /scrape?info_hash={} HTTP/1.0\r\nHost: tracker\r\n\r\n", hexadecimal(hash, "%"));
    let limit = Duration::from_secs(2);
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&address(), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    lab.inside(0, ask).is_ok_and(|answer| answer.contains("8:completei1e"))
}

/// Of each byte, what stands before it and two digits.
fn hexadecimal(bytes: &[u8], before: &str) -> String {
    bytes.iter().map(|byte| format!("{before}{byte:02x}")).collect::<Vec<_>>().concat()
}
