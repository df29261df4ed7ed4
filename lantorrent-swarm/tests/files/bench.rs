//! A torrent, its bytes, and a folder for it.

use std::fs;
use std::ops::{ControlFlow, Range};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lantorrent_swarm::Span;
use lantorrent_swarm::files::{Content, FilesError, Options, Records, Source, Tree};
use lantorrent_swarm::metainfo::{Draft, Info, Layout};
use tempfile::TempDir;

/// Small, so that there are many.
pub(crate) const PIECE: u32 = 16 << 10;

/// A torrent whose files are in a folder of their own, and the folder that they are to be written to.
pub(crate) struct Bench {
    pub(crate) folder: TempDir,
    pub(crate) info: Arc<Info>,
    /// All bytes of the torrent.
    pub(crate) bytes: Vec<u8>,
}

/// Bytes that are not the same anywhere.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

impl Bench {
    /// Of one file.
    pub(crate) fn file(length: usize) -> Self {
        Self::of("a.img", |origin| fs::write(origin, noise(length, 1)).unwrap())
    }

    /// Of a folder with a program, an empty file and some that share pieces.
    pub(crate) fn folder() -> Self {
        Self::of("tool-1.0", |origin| {
            for (number, (path, length)) in
                [("bin/run", 100), ("empty", 0), ("lib/a/b/c", 70_000), ("lib/z", 30_000), ("x", 7)]
                    .iter()
                    .enumerate()
            {
                let path = origin.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, noise(*length, number as u64)).unwrap();
            }
            fs::set_permissions(origin.join("bin/run"), PermissionsExt::from_mode(0o755)).unwrap();
        })
    }

    pub(crate) fn of(name: &str, make: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let origin = folder.path().join("origin").join(name);
        fs::create_dir(origin.parent().unwrap()).unwrap();
        make(&origin);
        let source = Source::find(&origin).unwrap();
        let layout = source.layout(PIECE).unwrap();
        let hashes = source.hash(&layout, &|_| ControlFlow::Continue(())).unwrap();
        let mut bytes = Vec::new();
        for file in layout.files() {
            bytes.extend(fs::read(folder.path().join("origin").join(&file.path)).unwrap());
        }
        Self { folder, info: torrent(&layout, &hashes), bytes }
    }

    /// The torrent's bytes where it was made.
    pub(crate) fn origin(&self) -> PathBuf {
        self.folder.path().join("origin").join(self.info.layout().name())
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join("root").join(name)
    }

    /// Where the torrent is when it is whole.
    pub(crate) fn target(&self) -> PathBuf {
        self.folder.path().join("root").join(self.info.layout().name())
    }

    /// Where it is until then.
    pub(crate) fn partial(&self) -> PathBuf {
        let mut name = self.target().into_os_string();
        name.push(".lantorrent");
        name.into()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        let mut name = self.partial().into_os_string();
        name.push("-journal");
        name.into()
    }

    pub(crate) fn tree(&self) -> Arc<Tree> {
        Arc::new(Tree::open(&self.folder.path().join("root")).unwrap())
    }

    pub(crate) fn open(&self) -> Result<Content, FilesError> {
        let options = Options::default();
        Content::open(self.tree(), Arc::clone(&self.info), options)
    }

    /// With records of what is whole.
    pub(crate) fn open_recorded(&self) -> Result<Content, FilesError> {
        self.open_recorded_in(&self.folder.path().join("root"))
    }

    /// In the folder of another one, with its records.
    pub(crate) fn open_recorded_in(&self, root: &Path) -> Result<Content, FilesError> {
        let records = Records::open(&root.parent().unwrap().join("records"))?;
        let options = Options::default().records(Some(records));
        Content::open(Arc::new(Tree::open(root)?), Arc::clone(&self.info), options)
    }

    pub(crate) fn pieces(&self) -> u32 {
        self.info.geometry().pieces()
    }

    pub(crate) fn piece(&self, piece: u32) -> &[u8] {
        let start = self.info.geometry().start(piece) as usize;
        &self.bytes[start..start + self.info.geometry().size(piece) as usize]
    }

    pub(crate) fn write(&self, content: &Content, piece: u32) {
        let blocks: Vec<&[u8]> = self.piece(piece).chunks(5000).collect();
        content.write(piece, &blocks).unwrap();
    }

    pub(crate) fn write_all(&self, content: &Content, pieces: impl IntoIterator<Item = u32>) {
        pieces.into_iter().for_each(|piece| self.write(content, piece));
    }

    /// All of it, from nothing.
    pub(crate) fn complete(&self, content: &Content) {
        self.write_all(content, 0..self.pieces());
        content.finish().unwrap();
    }

    pub(crate) fn all(&self) -> Vec<Range<u32>> {
        vec![0..self.pieces()]
    }

    pub(crate) fn read_all(&self, content: &Content) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in 0..self.pieces() {
            let mut buffer = vec![0; self.info.geometry().size(piece) as usize];
            let span = Span { piece, begin: 0, length: buffer.len() as u32 };
            content.read(&span, &mut buffer).unwrap();
            bytes.extend(buffer);
        }
        bytes
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.folder.path().join("root"))
    }

    /// The files are those that it was made of, and nothing else is beside them.
    #[track_caller]
    pub(crate) fn assert_whole(&self) {
        assert_eq!(self.names(), [self.info.layout().name().to_str().unwrap()]);
        for file in self.info.layout().files() {
            let (one, other) = (
                self.folder.path().join("origin").join(&file.path),
                self.folder.path().join("root").join(&file.path),
            );
            assert!(fs::read(&one).unwrap() == fs::read(&other).unwrap(), "{}", file.path.display());
            let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o111;
            assert_eq!(mode(one), mode(other), "{}", file.path.display());
        }
    }
}

/// The torrent of these files, whose pieces have these hashes.
pub(crate) fn torrent(layout: &Layout, hashes: &[u8]) -> Arc<Info> {
    Arc::new(Draft::default().build(layout, hashes).unwrap().info)
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn go_on(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Asserts that the result is an error of the given form, and shows the one that it is.
macro_rules! refused {
    ($result:expr, $form:pat) => {{
        let error = $result.map(drop).unwrap_err();
        assert!(matches!(error, $form), "{error:?}");
        error.to_string()
    }};
}
pub(crate) use refused;
