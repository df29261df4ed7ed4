//! A database as it would be after repairs, without a byte of its file being changed.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::disk::Latest;

const BLOCK: usize = 4096;

/// Reads from a file, and keeps what is written in memory.
#[derive(Debug)]
pub(super) struct Overlay {
    file: Arc<File>,
    latest: Latest,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// The file counts up to here; behind it are zeros.
    file_len: u64,
    /// What was written, block by block.
    blocks: HashMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn new(file: Arc<File>, latest: Latest) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let state = Mutex::new(State { len, file_len: len, blocks: HashMap::new() });
        Ok(Self { file, latest, state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        match offset.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "behind the end of the file")),
        }
    }

    /// What the file says there, without what was written since.
    fn below(&self, file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = self.file_len.saturating_sub(offset);
        let there = usize::try_from(there).unwrap_or(usize::MAX).min(out.len());
        file.read_exact_at(&mut out[..there], offset)?;
        out[there..].fill(0);
        Ok(())
    }
}

/// The blocks that `len` bytes from `offset` on touch: the number of each, where in it they begin, and how many of them
/// it has.
fn blocks(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let place = offset + done as u64;
        let start = (place % BLOCK as u64) as usize;
        let count = (len - done).min(BLOCK - start);
        done += count;
        (count > 0).then_some((place / BLOCK as u64, start, count))
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.lock();
        state.check(offset, out.len())?;
        state.below(&self.file, offset, out)?;
        let mut rest = &mut *out;
        for (number, start, count) in blocks(offset, rest.len()) {
            let (part, behind) = std::mem::take(&mut rest).split_at_mut(count);
            if let Some(block) = state.blocks.get(&number) {
                part.copy_from_slice(&block[start..start + count]);
            }
            rest = behind;
        }
        self.latest.show(offset, out);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.lock();
        if len < state.len {
            let kept = len / BLOCK as u64;
            state.blocks.retain(|&number, _| number <= kept);
            if let Some(block) = state.blocks.get_mut(&kept) {
                block[(len % BLOCK as u64) as usize..].fill(0);
            }
            state.file_len = state.file_len.min(len);
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.check(offset, data.len())?;
        let mut rest = data;
        for (number, start, count) in blocks(offset, data.len()) {
            let (part, behind) = rest.split_at(count);
            if !state.blocks.contains_key(&number) {
                let mut block = vec![0; BLOCK].into_boxed_slice();
                state.below(&self.file, number * BLOCK as u64, &mut block)?;
                state.blocks.insert(number, block);
            }
            if let Some(block) = state.blocks.get_mut(&number) {
                block[start..start + count].copy_from_slice(part);
            }
            rest = behind;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redb does to it looks as on a file, and the file stays as it is.
    #[test]
    fn it_behaves_as_a_file_does() {
        let below = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..20_000u32).map(|n| n as u8 | 1).collect();
        below.write_all_at(&content, 0).unwrap();
        let twin = tempfile::tempfile().unwrap();
        twin.write_all_at(&content, 0).unwrap();
        let below = Arc::new(below);
        let overlay = Overlay::new(Arc::clone(&below), Latest::Named).unwrap();
        let mut seed = 1u64;
        let mut draw = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for step in 0..2_000u32 {
            let len = overlay.len().unwrap();
            if step % 50 == 0 {
                let len = draw(30_000);
                overlay.set_len(len).unwrap();
                twin.set_len(len).unwrap();
            } else if len > 0 {
                let offset = draw(len);
                let data = vec![step as u8; draw((len - offset).min(9_000) + 1) as usize];
                overlay.write(offset, &data).unwrap();
                twin.write_all_at(&data, offset).unwrap();
            }
            let (mut one, mut other) = (vec![0; overlay.len().unwrap() as usize], Vec::new());
            overlay.read(0, &mut one).unwrap();
            other.resize(one.len(), 0);
            twin.read_exact_at(&mut other, 0).unwrap();
            assert!(one == other, "step {step}");
        }
        let len = overlay.len().unwrap();
        assert!(overlay.read(len, &mut [0]).is_err());
        assert!(overlay.write(u64::MAX, &[0]).is_err());
        let mut same = vec![0; content.len()];
        below.read_exact_at(&mut same, 0).unwrap();
        assert!(same == content);
    }
}
