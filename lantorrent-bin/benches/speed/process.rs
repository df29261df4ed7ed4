//! Processes that are measured.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Of /proc/PID/stat, on every Linux that one meets.
const MILLISECONDS_A_TICK: u64 = 10;

/// A process that listens on loopback and says where; killed when dropped.
pub(crate) struct Listening {
    child: Child,
    pub(crate) port: u16,
}

impl Listening {
    /// Waits until it says so in its first line.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starting a process");
        let mut line = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut line).expect("its port");
        let after = line.split_once("127.0.0.1:").map_or("", |(_, after)| after);
        let digits = after.split(|sign: char| !sign.is_ascii_digit()).next().unwrap_or("");
        Self { child, port: digits.parse().expect("its port") }
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Of the processors, by all its threads.
    pub(crate) cpu: Duration,
    /// The most that it ever had resident, in bytes.
    pub(crate) peak: u64,
    /// What it has resident now, in bytes.
    pub(crate) resident: u64,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Self {
        let kibibytes = |name| field(process, name) << 10;
        Self { cpu: cpu(process), peak: kibibytes("VmHWM:"), resident: kibibytes("VmRSS:") }
    }
}

/// A number that the kernel keeps of a process, such as `Threads:`.
pub(crate) fn field(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// User and system, of all its threads, those that have ended too.
fn cpu(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may contain spaces.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * MILLISECONDS_A_TICK)
}
