//! Where the payload comes from.

use std::fs::{File, FileType};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};

use crate::drive::grain;
use crate::drive::holes::Holes;
use crate::flow::Content;
use crate::wire::SourceHint;

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
    /// It takes less room than it has bytes.
    pub(super) sparse: bool,
}

impl SourceFile {
    /// Fails if the file is not what it was.
    pub(super) fn check_unchanged(&self) -> io::Result<()> {
        let metadata = self.file.metadata()?;
        let same = !metadata.is_file()
            || (metadata.len() == self.length && metadata.modified().ok() == self.changed);
        if same { Ok(()) } else { Err(io::Error::other("it was changed while it was being sent")) }
    }
}

impl Origin {
    /// Bytes of it, where that is known before its end.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::File(source) => Some(source.length),
            Self::Stream { .. } => None,
        }
    }

    /// Whether there are holes in it.
    pub(super) fn is_sparse(&self) -> bool {
        matches!(self, Self::File(source) if source.sparse)
    }

    /// The size of its blocks, which `usual` is where nothing speaks against it.
    pub(super) fn block_size(&self, usual: u32) -> u32 {
        match self {
            Self::File(source) if source.sparse => grain::block_size(&source.file, source.length, usual),
            _ => usual,
        }
    }

    /// The file that children behind the ring are served from.
    pub(super) fn backing(&self) -> Arc<File> {
        match self {
            Self::File(source) => Arc::clone(&source.file),
            Self::Stream { spool, .. } => Arc::clone(spool),
        }
    }

    /// Fills `buffer` as far as the payload goes, and returns how far that is.
    pub(super) fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
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

/// The same for the data plane, with the holes of a file.
pub(super) struct SourceContent {
    origin: Origin,
    /// A stream says of none.
    holes: Option<Holes>,
}

impl SourceContent {
    pub(super) fn new(origin: Origin, block_size: u32) -> Self {
        let holes = match &origin {
            Origin::File(source) => Some(Holes::new(Arc::clone(&source.file), source.length, block_size)),
            Origin::Stream { .. } => None,
        };
        Self { origin, holes }
    }
}

impl Content for SourceContent {
    fn is_stream(&self) -> bool {
        matches!(self.origin, Origin::Stream { .. })
    }

    fn hole(&mut self, offset: u64, most: u64) -> u64 {
        self.holes.as_mut().map_or(0, |holes| holes.take(offset, most))
    }

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.origin.read(buffer, offset)
    }

    fn check(&mut self) -> io::Result<()> {
        self.holes.as_ref().map_or(Ok(()), Holes::check)?;
        match &self.origin {
            Origin::File(source) => source.check_unchanged(),
            Origin::Stream { .. } => Ok(()),
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

/// Opens a file or a disk, and says which version of it this is.
pub(super) fn open(path: &Path) -> io::Result<(SourceFile, SourceHint)> {
    // Opening something else might wait for ever.
    refuse_others(std::fs::metadata(path)?.file_type())?;
    examine(File::open(path)?, path)
}

fn refuse_others(kind: FileType) -> io::Result<()> {
    if kind.is_file() || kind.is_block_device() {
        return Ok(());
    }
    Err(io::Error::other("it is neither a file nor a disk; a stream can be sent from standard input"))
}

/// Says which version of the file at `path` this is.
pub(super) fn examine(mut file: File, path: &Path) -> io::Result<(SourceFile, SourceHint)> {
    let metadata = file.metadata()?;
    refuse_others(metadata.file_type())?;
    // The metadata of a disk does not say its size.
    let length = if metadata.is_file() { metadata.len() } else { file.seek(SeekFrom::End(0))? };
    let place: PathBuf = path.canonicalize()?;
    let modified = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let mtime = u64::try_from(modified).ok();
    // The wire has no time before 1970, so that such a time counts as a part of the identity.
    let ancient = if mtime.is_none() { &modified.to_be_bytes()[..] } else { &[] };
    let identity = [
        &metadata.dev().to_be_bytes()[..],
        &metadata.ino().to_be_bytes(),
        place.as_os_str().as_encoded_bytes(),
        ancient,
    ]
    .concat();
    let hint =
        SourceHint { size: Some(length), mtime, id: blake3::hash(&identity).to_hex()[..32].to_owned() };
    let changed = metadata.modified().ok();
    // In units of 512 bytes, whatever the file system's blocks are.
    let sparse = metadata.is_file() && metadata.blocks() < length.div_ceil(512);
    Ok((SourceFile { file: Arc::new(file), length, changed, sparse }, hint))
}
