//! The thread that brings the payload at the source: reads, sums up, fills the ring.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use super::super::block::{Block, Buffer, Pool};
use super::super::hub::Hub;
use super::super::ring::Item;
use super::control::Happening;
use crate::session::Input;
use crate::wire::{Abort, Code, Digest, RawWriter, RootHasher, Sum, Wire, digest};

/// Where the payload comes from.
pub(super) enum Origin {
    /// A file, or a disk.
    File(SourceFile),
    /// A stream, which is also written to a file, so that a child that comes late or is slow can be served.
    Stream { input: Box<dyn Read + Send>, spool: Arc<File> },
}

/// A file as it was when the transfer began.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) file: Arc<File>,
    pub(super) length: u64,
    pub(super) changed: Option<SystemTime>,
}

impl SourceFile {
    /// Fails if the file is not what it was.
    fn check_unchanged(&self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let same = !metadata.is_file()
            || (metadata.len() == self.length && metadata.modified().ok() == self.changed);
        if same { Ok(()) } else { Err(io::Error::other("it was changed while it was being sent")) }
    }
}

impl Origin {
    /// The file that children behind the ring are served from.
    pub(super) fn backing(&self) -> Arc<File> {
        match self {
            Self::File(source) => Arc::clone(&source.file),
            Self::Stream { spool, .. } => Arc::clone(spool),
        }
    }

    /// Fills `buffer` as far as the payload goes, and returns how far that is.
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::File(source) => {
                let len = (source.length - offset).min(buffer.len() as u64) as usize;
                source.file.read_exact_at(&mut buffer[..len], offset).map_err(|error| {
                    match error.kind() {
                        ErrorKind::UnexpectedEof => {
                            io::Error::other("it became shorter while it was being sent")
                        }
                        _ => error,
                    }
                })?;
                Ok(len)
            }
            Self::Stream { input, spool } => {
                let len = fill(input, buffer)?;
                spool.write_all_at(&buffer[..len], offset)?;
                Ok(len)
            }
        }
    }
}

fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A file without a name, which goes when it is closed.
pub(super) fn spool(folder: &Path) -> io::Result<Arc<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(folder, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(Arc::new(File::from(file))),
        // Not every file system can do that.
        Err(_) => {
            let path = folder.join(format!("lantorrent-{}.spool", u128::from_ne_bytes(super::random()?)));
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            std::fs::remove_file(&path)?;
            Ok(Arc::new(file))
        }
    }
}

/// Sums up the payload, as its wire wants it.
enum Summing {
    Md5(RawWriter),
    Root(Box<RootHasher>),
}

impl Summing {
    fn add(&mut self, data: &[u8]) -> Option<Digest> {
        match self {
            Self::Md5(md5) => {
                md5.update(data);
                None
            }
            Self::Root(root) => {
                let digest = digest(data);
                root.block(&digest);
                Some(digest)
            }
        }
    }

    fn sum(&self) -> Sum {
        match self {
            Self::Md5(md5) => Sum::Md5(md5.sum()),
            Self::Root(root) => Sum::Root(root.root()),
        }
    }
}

pub(super) struct Supply {
    pub(super) origin: Origin,
    pub(super) wire: Wire,
    pub(super) block_size: u32,
    pub(super) hub: Arc<Hub>,
    pub(super) pool: Arc<Pool>,
    pub(super) happenings: SyncSender<Happening>,
}

impl Supply {
    /// Brings everything, or tells the session why not.
    pub(super) fn run(mut self) {
        if let Err(error) = self.bring() {
            let abort = Abort {
                code: Code::SOURCE_FAILED,
                reason: format!("the source could not be read to its end: {error}"),
            };
            let _ = self.happenings.send(Input::Aborted(abort).into());
        }
    }

    fn bring(&mut self) -> io::Result<()> {
        let mut summing = match self.wire {
            Wire::One => Summing::Md5(RawWriter::default()),
            Wire::Two => Summing::Root(Box::new(RootHasher::new(self.block_size))),
        };
        let mut offset = 0;
        loop {
            let mut buffer: Buffer = self.pool.take();
            let len = self.origin.read(&mut buffer, offset)?;
            if len == 0 {
                break;
            }
            let block = Block { digest: summing.add(&buffer[..len]), buffer, offset, len: len as u32 };
            offset += len as u64;
            if self.hub.push(Item::Data(Arc::new(block)), || ()).is_err() {
                // The session is over, and knows why.
                return Ok(());
            }
        }
        if let Origin::File(source) = &self.origin {
            source.check_unchanged()?;
        }
        // The session must know before a child can report what it made of it.
        let sum = summing.sum();
        let _ = self.happenings.send(Input::End { size: offset, sum }.into());
        self.hub.finish(offset, sum);
        Ok(())
    }
}
