//! The file of the log. It is known by its path: when another file has that, such as after logrotate, or none, the next line
//! goes there.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lantorrent_core::store::Identity;
use log::Level;

use super::file_line;

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    place: Identity,
    /// The path leads nowhere, and what is open had it before.
    is_astray: bool,
    /// What could not be written since the last line that could.
    lost: Option<Lost>,
}

/// Lines that are in no log.
struct Lost {
    lines: u64,
    why: io::Error,
    /// Whether the last one is there in part.
    is_torn: bool,
}

/// That lines are lost from now on.
#[derive(Debug)]
pub(super) struct Trouble(String);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl LogFile {
    /// Makes it, and its folder, if need be. Where there is no room for that, it is as a log that is full already.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let (file, place) = open(path).or_else(|error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => open(Path::new("/dev/full")),
            _ => Err(error),
        })?;
        Ok(Self { path: path.to_owned(), file, place, is_astray: false, lost: None })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what has the path by now. On error the one that is open stays.
    pub(super) fn follow(&mut self) -> io::Result<()> {
        if !Identity::of_path(&self.path).is_ok_and(|there| there == self.place && there.is_unique()) {
            (self.file, self.place) = open(&self.path)?;
        }
        Ok(())
    }

    /// Appends a line. Says when it begins to be in vain; when it is not any more, the log says what is missing.
    pub(super) fn write(&mut self, line: &str) -> Option<Trouble> {
        let strayed = self.stray();
        let line = match &self.lost {
            Some(lost) => format!("{}{line}", lost.notice()),
            None => line.to_owned(),
        };
        // One write, so that lines of processes which share the file do not mix.
        match append(&mut self.file, line.as_bytes()) {
            Ok(()) => {
                self.lost = None;
                strayed
            }
            Err(Torn { why, is_torn }) => self.lose(why, is_torn),
        }
    }

    /// Follows the path. Says when it begins to be in vain: then the file that is open is better than none.
    fn stray(&mut self) -> Option<Trouble> {
        let followed = self.follow();
        let was_astray = std::mem::replace(&mut self.is_astray, followed.is_err());
        let why = followed.err().filter(|_| !was_astray)?;
        let path = self.path.display();
        Some(Trouble(format!(
            "cannot write the log {path}: {why}; the file that had the name before goes on"
        )))
    }

    fn lose(&mut self, why: io::Error, is_torn: bool) -> Option<Trouble> {
        if let Some(lost) = &mut self.lost {
            lost.lines += 1;
            lost.is_torn |= is_torn;
            return None;
        }
        let trouble = format!("cannot write the log {}: {why}; it says so when it can", self.path.display());
        self.lost = Some(Lost { lines: 1, why, is_torn });
        Some(Trouble(trouble))
    }
}

impl Lost {
    fn notice(&self) -> String {
        let text = format!("{} messages could not be written here: {}", self.lines, self.why);
        let line = file_line(SystemTime::now(), Level::Warn, &text);
        if self.is_torn { format!("\n{line}") } else { line }
    }
}

/// Why a line is not there, and whether the beginning of it is.
struct Torn {
    why: io::Error,
    is_torn: bool,
}

fn append(file: &mut File, mut line: &[u8]) -> Result<(), Torn> {
    let all = line.len();
    while !line.is_empty() {
        match file.write(line) {
            Ok(0) => return Err(Torn { why: ErrorKind::WriteZero.into(), is_torn: line.len() < all }),
            Ok(count) => line = &line[count..],
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => return Err(Torn { why, is_torn: line.len() < all }),
        }
    }
    Ok(())
}

fn open(path: &Path) -> io::Result<(File, Identity)> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let place = Identity::of_file(&file)?;
    Ok((file, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::testing::system::{SmallDisk, run};

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_next_line_goes_to_what_has_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log/lt.log"), folder.path().join("log/lt.log.1"));
        let mut log = LogFile::open(&path).unwrap();
        assert!(log.write("one\n").is_none());
        fs::rename(&path, &old).unwrap();
        assert!(log.write("two\n").is_none());
        assert_eq!((read(&old).as_str(), read(&path).as_str()), ("one\n", "two\n"));
        fs::remove_dir_all(folder.path().join("log")).unwrap();
        assert!(log.write("three\n").is_none());
        assert_eq!(read(&path), "three\n");
    }

    #[test]
    fn a_line_that_finds_no_room_is_told_of_once_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut log = LogFile::open(&path).unwrap();
        let trouble = log.write("one\n").unwrap().to_string();
        assert!(trouble.contains("No space left") && trouble.contains(path.to_str().unwrap()), "{trouble}");
        assert!(log.write("two\n").is_none());
        fs::remove_file(&path).unwrap();
        assert!(log.write("three\n").is_none());
        let text = read(&path);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("2 messages") && lines[0].contains("No space left"), "{text}");
        assert_eq!(lines[1..], ["three"]);
    }

    #[test]
    fn where_its_folder_cannot_be_made_the_open_file_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (path, away) = (folder.path().join("log/lt.log"), folder.path().join("away"));
        let mut log = LogFile::open(&path).unwrap();
        fs::rename(folder.path().join("log"), &away).unwrap();
        fs::write(folder.path().join("log"), "in the way").unwrap();
        assert!(log.write("one\n").is_some() && log.write("two\n").is_none());
        assert_eq!(read(&away.join("lt.log")), "one\ntwo\n");
        assert!(log.follow().is_err());
    }

    /// Takes root for a disk of its own.
    #[test]
    fn a_log_that_finds_no_room_at_the_start_begins_when_there_is() {
        let Some(disk) = SmallDisk::new(1 << 20) else { return };
        let path = disk.path().join("log/lt.log");
        fs::write(disk.path().join("other"), "").unwrap();
        // With its own folder these are two.
        let inodes = |count| {
            let options = format!("remount,nr_inodes={count}");
            run("mount", &["-o", &options, disk.path().to_str().unwrap()]).expect("as root");
        };
        inodes(2);
        let mut log = LogFile::open(&path).unwrap();
        assert!(log.write("one\n").is_some());
        assert!(log.write("two\n").is_none());
        inodes(100);
        assert!(log.write("three\n").is_none());
        let text = read(&path);
        assert!(text.contains("2 messages") && text.ends_with("\nthree\n"), "{text}");
    }
}
