//! What became of a node: what its report says, and what is on its disk.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::fault::Expected;
use super::node::Node;
use super::scenario::Scenario;

/// For a node to tidy up after the sender has ended.
const TIDYING: Duration = Duration::from_secs(5);

pub(crate) struct Fate {
    pub(crate) node: usize,
    /// Whether anything was the matter with it.
    pub(crate) struck: bool,
    pub(crate) expected: Expected,
    /// Of the report about it, if there is exactly one.
    pub(crate) code: Option<u64>,
    pub(crate) message: String,
    /// What is under the name that was asked for.
    pub(crate) content: Content,
    /// When it was put there, counted from the start of the first sender.
    pub(crate) placed: Option<Duration>,
    /// Names of partial files and journals.
    pub(crate) leftovers: Vec<String>,
    /// What came over its link, and what of that after the fault.
    pub(crate) received: u64,
    pub(crate) received_since: Option<u64>,
    pub(crate) log: String,
    pub(crate) panicked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Missing,
    Identical,
    Different,
}

impl Fate {
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Whatever is not as it has to be.
    pub(super) fn complaints(&self) -> impl Iterator<Item = &'static str> {
        let (expected, content) = (self.expected, self.content);
        let has_failed = matches!(expected, Expected::Failed | Expected::Lost);
        let complaints = [
            (self.code.is_none(), "no report, or more than one"),
            (expected == Expected::Whole && !self.succeeded(), "no success reported"),
            (has_failed && self.succeeded(), "success reported where there cannot be one"),
            (self.succeeded() && content != Content::Identical, "success reported without an identical file"),
            (expected == Expected::Whole && content != Content::Identical, "no identical file"),
            (content == Content::Different, "another file under the name that was asked for"),
            (self.panicked, "panicked"),
            (self.has_last_word() && !self.leftovers.is_empty(), "not tidied up"),
        ];
        complaints.into_iter().filter(|(holds, _)| *holds).map(|(_, complaint)| complaint)
    }

    /// Whether it is done with the transfer, as opposed to keeping what may be resumed.
    fn has_last_word(&self) -> bool {
        self.succeeded() || self.expected == Expected::Failed
    }

    /// Looks at the node's disk, and at what the sender reports.
    pub(super) fn of(
        node: &Node,
        scenario: &Scenario,
        reports: &[serde_json::Value],
        source: &Path,
        began: SystemTime,
    ) -> Self {
        let file = node.file();
        let mut own = reports.iter().filter(|report| report["file"].as_str() == file.to_str());
        let report = own.next().filter(|_| own.next().is_none());
        let mut fate = Self {
            node: node.host,
            struck: scenario.strikes(node.host),
            expected: scenario.expected(node.host),
            code: report.and_then(|report| report["code"].as_u64()),
            message: report.and_then(|report| report["message"].as_str()).unwrap_or_default().to_owned(),
            content: compare(&file, source).expect("comparing a copy"),
            placed: placed(&file, began),
            leftovers: Vec::new(),
            received: 0,
            received_since: None,
            log: node.program.tail(),
            panicked: node.program.has_panicked(),
        };
        fate.leftovers = fate.leftovers(node.root());
        fate
    }

    /// A node that is done may take a moment to tidy up, but not for ever.
    fn leftovers(&self, root: &Path) -> Vec<String> {
        let limit = Instant::now() + if self.has_last_word() { TIDYING } else { Duration::ZERO };
        loop {
            let found = partials(root);
            if found.is_empty() || Instant::now() >= limit {
                return found;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.map_or("none".into(), |code| code.to_string());
        write!(
            f,
            "node {:>2}: expected {:?}, code {code} {:?}, file {:?}, in place after {}, received {:.1} MiB",
            self.node,
            self.expected,
            self.message,
            self.content,
            seconds(self.placed),
            mebibytes(self.received),
        )?;
        if let Some(since) = self.received_since {
            write!(f, ", {:.1} of them after the fault", mebibytes(since))?;
        }
        if !self.leftovers.is_empty() {
            write!(f, ", leaves {}", self.leftovers.join(" "))?;
        }
        Ok(())
    }
}

pub(crate) fn seconds(time: Option<Duration>) -> String {
    time.map_or("-".into(), |time| format!("{:.2} s", time.as_secs_f64()))
}

#[allow(clippy::cast_precision_loss)] // Figures of four digits are shown.
pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn compare(copy: &Path, source: &Path) -> io::Result<Content> {
    let mut copy = match File::open(copy) {
        Ok(copy) => copy,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
        Err(error) => return Err(error),
    };
    let mut source = File::open(source)?;
    let length = source.metadata()?.len();
    if copy.metadata()?.len() != length {
        return Ok(Content::Different);
    }
    let (mut one, mut other) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut left = length;
    while left > 0 {
        let count = left.min(1 << 20) as usize;
        copy.read_exact(&mut one[..count])?;
        source.read_exact(&mut other[..count])?;
        if one[..count] != other[..count] {
            return Ok(Content::Different);
        }
        left -= count as u64;
    }
    Ok(Content::Identical)
}

/// The rename at the end is the last thing that happens to a file, and sets the time of its last change.
fn placed(file: &Path, began: SystemTime) -> Option<Duration> {
    let data = fs::metadata(file).ok()?;
    let seconds = Duration::from_secs(data.ctime().try_into().ok()?);
    let changed = UNIX_EPOCH + seconds + Duration::from_nanos(data.ctime_nsec().try_into().ok()?);
    changed.duration_since(began).ok()
}

fn partials(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains(".lantorrent")).collect()
}
