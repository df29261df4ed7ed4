//! What a session has of the payload in memory: its latest part, between who brings it and who takes it.

use std::collections::VecDeque;

use lantorrent_core::wire::{Digest, RootHasher, Sum, digest};

/// One frame's worth of the file.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) offset: u64,
    pub(crate) span: u64,
    pub(crate) digest: Option<Digest>,
    /// None for a hole.
    pub(crate) data: Option<Vec<u8>>,
}

impl Item {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.span
    }

    /// The bytes of a block that is all there.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.data.clone().unwrap_or_else(|| vec![0; self.span as usize])
    }
}

/// Where a child is served from that has fallen behind the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    Nothing,
    /// A node's own file, as far as the disk is.
    Written,
    /// The source's file.
    Whole,
}

#[derive(Debug)]
pub(crate) struct Ring {
    items: VecDeque<Item>,
    capacity: usize,
    block_size: u64,
    pub(crate) base: u64,
    pub(crate) head: u64,
    pub(crate) end: Option<(u64, Sum)>,
    /// h of every block from the beginning of the file, on wire 2.
    pub(crate) digests: Vec<Digest>,
}

impl Ring {
    pub(crate) fn new(capacity: usize, block_size: u32) -> Self {
        Self {
            items: VecDeque::new(),
            capacity,
            block_size: block_size.into(),
            base: 0,
            head: 0,
            end: None,
            digests: Vec::new(),
        }
    }

    /// Nothing has come here yet; what does begins there.
    pub(crate) fn begin(&mut self, from: u64, digests: &[Digest]) {
        assert!(self.items.is_empty() && self.head == 0, "begun twice");
        self.base = from;
        self.head = from;
        self.digests = digests[..from.div_ceil(self.block_size) as usize].to_vec();
    }

    /// What has seen every block so far.
    pub(crate) fn root(&self) -> RootHasher {
        let mut root = RootHasher::new(self.block_size as u32);
        self.digests.iter().for_each(|digest| root.block(digest));
        root
    }

    /// Makes room for one more item, if nobody needs the oldest. `disk` and `children` say how far each of them is.
    pub(crate) fn has_room(
        &mut self,
        backing: Backing,
        disk: Option<u64>,
        mut children: impl Iterator<Item = Option<u64>>,
    ) -> bool {
        let Some(front) = self.items.front().filter(|_| self.items.len() >= self.capacity) else {
            return true;
        };
        let has = |position: Option<u64>| position.is_some_and(|position| position >= front.end());
        let dispensable = match backing {
            Backing::Whole => children.any(has),
            _ if disk.is_some_and(|disk| disk < front.end()) => false,
            Backing::Written => true,
            Backing::Nothing => children.all(has),
        };
        if dispensable {
            self.base = front.end();
            self.items.pop_front();
        }
        dispensable
    }

    pub(crate) fn push(&mut self, item: Item) {
        assert_eq!(item.offset, self.head, "the payload has no gap");
        match (item.digest, &item.data) {
            (Some(digest), _) => self.digests.push(digest),
            (None, None) => self.digest_hole(item.span),
            (None, Some(_)) => {}
        }
        self.head = item.end();
        self.items.push_back(item);
    }

    fn digest_hole(&mut self, mut span: u64) {
        while span > 0 {
            let block = span.min(self.block_size);
            self.digests.push(digest(&vec![0; block as usize]));
            span -= block;
        }
    }

    /// What comes at `position`, of what is here: a whole item, or the rest of a hole.
    pub(crate) fn at(&self, position: u64) -> Option<Item> {
        let place = self.items.partition_point(|item| item.end() <= position);
        let item = self.items.get(place)?;
        if item.offset == position {
            return Some(item.clone());
        }
        assert!(item.data.is_none(), "a child inside of a block");
        Some(Item { offset: position, span: item.end() - position, digest: None, data: None })
    }
}
