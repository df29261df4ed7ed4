//! The ring of a session, and the files that children are served from who have fallen behind it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use lantorrent_core::flow::{Block, Item, Local, Pool, Ring};
use lantorrent_core::wire::{Digest, digest};

/// What an open file leads to, whatever becomes of its name.
#[derive(Debug, Default)]
pub(crate) struct Inode {
    pub(crate) data: Vec<u8>,
    pub(crate) digests: Vec<Digest>,
}

/// A file that blocks can be read from again.
#[derive(Debug, Clone)]
pub(crate) enum Backing {
    /// A node's own.
    Inode(Rc<RefCell<Inode>>),
    /// The source's, which may be broken from an offset on.
    Source { content: Rc<Vec<u8>>, broken_at: Option<usize> },
}

impl Backing {
    /// A block, or a hole where a whole block is known to be zeros.
    pub(crate) fn item(
        &self,
        pool: &Arc<Pool>,
        offset: u64,
        len: u64,
        has_digests: bool,
    ) -> Result<Item, String> {
        let block_size = pool.block_size();
        let part = |data: &[u8]| {
            let end = (offset + block_size.min(len)).min(data.len() as u64);
            (offset < end).then(|| data[offset as usize..end as usize].to_vec())
        };
        let (data, known) = match self {
            Self::Inode(inode) => {
                let inode = inode.borrow();
                (part(&inode.data), inode.digests.get((offset / block_size) as usize).copied())
            }
            Self::Source { broken_at, .. } if broken_at.is_some_and(|at| offset >= at as u64) => (None, None),
            Self::Source { content, .. } => (part(content), None),
        };
        let data = data.ok_or("it is not there")?;
        let found = has_digests.then(|| digest(&data));
        if matches!(self, Self::Inode(_)) && has_digests {
            assert_eq!(known, found, "the journal is wrong at {offset}");
        }
        if has_digests && data.len() as u64 == block_size && data.iter().all(|&byte| byte == 0) {
            return Ok(Item::Hole { offset, span: block_size });
        }
        let mut buffer = pool.take();
        buffer[..data.len()].copy_from_slice(&data);
        Ok(Item::Data(Arc::new(Block { buffer, offset, len: data.len() as u32, digest: found })))
    }
}

pub(crate) type SimRing = Local<Ring<Backing>>;
