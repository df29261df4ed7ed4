//! Several files on one node, where they can share their room; and an image with holes. What they cost in time, in room,
//! and in bytes on the wire.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::{NamedTempFile, TempDir};

use super::process::Listening;
use super::table::{Row, Section, median};

const COPIES: usize = 8;
const GIB: u64 = 1 << 30;
/// The image: so many bytes, in pieces with holes between them, none of which lies where a large block begins.
const IMAGE: u64 = 10 * GIB;
const PIECE: u64 = 1 << 20;
const PIECES: u64 = 1 << 10;
const SHIFT: u64 = 5 * 4096;

/// Eight files of `size` bytes on a node with XFS, against one. None, after saying so, where that cannot be mounted.
pub(crate) fn measure(memory: &Path, size: usize, runs: usize) -> Option<Section> {
    let place = Place::new(memory);
    let source = place.folder.path().join("source");
    write_data(&File::create(&source).expect("the source"), 0, size as u64);
    let mut figures = [Vec::new(), Vec::new()];
    for _ in 0..runs {
        for (count, figures) in [1, COPIES].into_iter().zip(&mut figures) {
            figures.push(once(&place, &source, size as u64, count)?);
        }
    }
    let mut section = Section::new(format!("files on one node with XFS, {} MiB each", size >> 20));
    let names = ["1 file".to_owned(), format!("{COPIES} files")];
    section.rows.extend(names.into_iter().zip(figures).map(|(name, figures)| {
        let room = median(figures.iter().map(|(_, room)| *room));
        let remark = format!("{:.3} x the room of one", ratio(room, size as u64));
        row(name, size as u64, figures.iter().map(|(wall, _)| *wall), remark)
    }));
    Some(section)
}

/// How long so many copies take, and how much room. On a disk of their own: what was removed keeps XFS busy for a while.
fn once(place: &Place, source: &Path, size: u64, count: usize) -> Option<(Duration, u64)> {
    let disk = Mounted::new("xfs", size * 2 + GIB, place.folder.path())?;
    let node = place.serve(disk.path(), None);
    let copies: Vec<PathBuf> = (0..count).map(|number| disk.path().join(number.to_string())).collect();
    let before = disk.used();
    let wall = place.send(source, node.port, &copies);
    assert!(copies.iter().all(|copy| same_size(copy, source)), "a copy is not whole");
    Some((wall, disk.used() - before))
}

/// An image with many holes, against its data alone.
pub(crate) fn sparse(memory: &Path, runs: usize) -> Section {
    let place = Place::new(memory);
    let [data, image] = ["data", "image"].map(|name| place.folder.path().join(name));
    let bytes = PIECE * PIECES;
    write_data(&File::create(&data).expect("the data"), 0, bytes);
    let file = File::create(&image).expect("the image");
    for piece in 0..PIECES {
        write_data(&file, piece * (IMAGE / PIECES) + SHIFT, PIECE);
    }
    file.set_len(IMAGE).expect("the image");

    let (counter, count) = Counter::new();
    let node = place.serve(place.folder.path(), Some(counter.port()));
    let port = counter.run(node.port);
    let copy = place.folder.path().join("copy");
    let mut walls = [Vec::new(), Vec::new()];
    let (mut sent, mut blocks) = (0, 0);
    for _ in 0..runs {
        for (source, walls) in [&data, &image].into_iter().zip(&mut walls) {
            walls.push(place.send(source, node.port, std::slice::from_ref(&copy)));
            assert!(same_size(&copy, source), "the copy is not whole");
        }
    }
    for source in [&data, &image] {
        count.store(0, Ordering::Relaxed);
        place.send(source, port, std::slice::from_ref(&copy));
        (sent, blocks) = (count.load(Ordering::Relaxed), self::blocks(&copy));
    }
    let [data_walls, image_walls] = walls;
    let remark = format!(
        "{:.3} GiB on the wire, {blocks} blocks, {} at the source",
        ratio(sent, GIB),
        self::blocks(&image)
    );
    let mut section = Section::new("an image with holes, tmpfs");
    section.rows.push(row("1 GiB of data alone".into(), bytes, data_walls, String::new()));
    section.rows.push(row("the same in an image of 10 GiB".into(), bytes, image_walls, remark));
    section
}

#[allow(clippy::cast_precision_loss)] // Three digits are shown.
fn row(name: String, bytes: u64, walls: impl IntoIterator<Item = Duration>, remark: String) -> Row {
    let wall = median(walls);
    Row { name, wall: Some(wall), rate: Some(bytes as f64 / wall.as_secs_f64()), remark, ..Row::default() }
}

#[allow(clippy::cast_precision_loss)] // Three digits are shown.
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").blocks()
}

fn same_size(one: &Path, other: &Path) -> bool {
    let size = |path| fs::metadata(path).map(|found| found.len()).ok();
    size(one).is_some() && size(one) == size(other)
}

/// Bytes that nobody could take for zeros.
fn write_data(file: &File, at: u64, bytes: u64) {
    let block: Vec<u8> = (0..PIECE).map(|byte| (byte % 251) as u8 | 1).collect();
    for offset in (at..at + bytes).step_by(block.len()) {
        let part = (at + bytes - offset).min(PIECE);
        file.write_all_at(&block[..part as usize], offset).expect("writing the source");
    }
}

/// A folder for sources and the configuration.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(base: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("lantorrent-bench-").tempdir_in(base);
        Self { folder: folder.expect("a folder for the files") }
    }

    /// A node that writes to `root`, and is known under that port, too.
    fn serve(&self, root: &Path, also: Option<u16>) -> Listening {
        let also = also.map_or(String::new(), |port| format!("also = 127.0.0.1:{port}\n"));
        let ini = format!(
            "[security]\npassword = benchmarks-need-no-secret\n[node]\nroots = {}\n{also}",
            root.display()
        );
        fs::write(self.config(), ini).expect("the configuration");
        fs::set_permissions(self.config(), fs::Permissions::from_mode(0o600)).expect("its mode");
        Listening::start(self.command().args(["serve", "--listen", "127.0.0.1:0"]))
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("lt.ini")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.arg("--config").arg(self.config());
        command
    }

    fn send(&self, source: &Path, port: u16, copies: &[PathBuf]) -> Duration {
        let mut command = self.command();
        command.args(["send", "--quiet"]).arg(source);
        command.args(copies.iter().map(|copy| format!("127.0.0.1:{port}{}", copy.display())));
        let started = Instant::now();
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.expect("sending").success(), "the transfer failed");
        started.elapsed()
    }
}

/// A file system in a file, mounted for as long as this lives.
struct Mounted(TempDir);

impl Mounted {
    fn new(kind: &str, size: u64, base: &Path) -> Option<Self> {
        let image = NamedTempFile::new_in(base).expect("a file for the disk");
        image.as_file().set_len(size).expect("its size");
        let folder = tempfile::tempdir().expect("a folder to mount it at");
        let quietly = |command: &mut Command| {
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let ready = quietly(Command::new(format!("mkfs.{kind}")).arg("-q").arg(image.path()))
            && quietly(Command::new("mount").args(["-o", "loop"]).arg(image.path()).arg(folder.path()));
        if !ready {
            eprintln!("skipped: {kind} cannot be mounted here");
        }
        // The mount keeps the image, whose name goes here.
        ready.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Bytes that are taken.
    fn used(&self) -> u64 {
        let folder = File::open(self.path()).expect("the disk");
        rustix::fs::syncfs(&folder).expect("writing everything");
        let found = rustix::fs::fstatvfs(&folder).expect("its size");
        (found.f_blocks - found.f_bfree) * found.f_frsize
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Stands before a node and counts what goes to it.
struct Counter {
    listener: TcpListener,
    count: Arc<AtomicU64>,
}

impl Counter {
    fn new() -> (Self, Arc<AtomicU64>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let count = Arc::new(AtomicU64::new(0));
        (Self { listener, count: Arc::clone(&count) }, count)
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().expect("its address").port()
    }

    /// Passes on to that port until the process ends.
    fn run(self, to: u16) -> u16 {
        let port = self.port();
        thread::spawn(move || {
            for from in self.listener.incoming().flatten() {
                let Ok(onward) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (Ok(back_from), Ok(back_to)) = (onward.try_clone(), from.try_clone()) else { continue };
                let count = Arc::clone(&self.count);
                thread::spawn(move || pass(&from, &onward, &count));
                thread::spawn(move || pass(&back_from, &back_to, &AtomicU64::new(0)));
            }
        });
        port
    }
}

/// Passes on what comes until there is no more, and counts it.
fn pass(mut from: &TcpStream, mut to: &TcpStream, count: &AtomicU64) {
    let mut bytes = vec![0; 64 << 10];
    let mut once = || -> io::Result<bool> {
        let read = from.read(&mut bytes)?;
        count.fetch_add(read as u64, Ordering::Relaxed);
        to.write_all(&bytes[..read])?;
        Ok(read > 0)
    };
    while once().unwrap_or(false) {}
    let _ = to.shutdown(Shutdown::Write);
}
