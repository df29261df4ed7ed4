//! The items of a ring: the latest part of the payload, in memory.

use std::collections::VecDeque;

use super::Item;
use crate::wire::Sum;

#[derive(Debug)]
pub(super) struct Window {
    items: VecDeque<Item>,
    capacity: usize,
    base: u64,
    head: u64,
    end: Option<(u64, Sum)>,
}

/// What is at an offset.
#[derive(Debug)]
pub(super) enum At {
    /// An item, or the rest of a hole.
    Item(Item),
    /// It has left the window, which begins at `base`.
    Before { base: u64 },
    /// It has not come yet.
    NotYet,
    /// The payload has ended.
    End { size: u64, sum: Sum },
}

impl Window {
    /// Of at most `capacity` items.
    pub(super) fn new(capacity: usize) -> Self {
        Self { items: VecDeque::new(), capacity: capacity.max(1), base: 0, head: 0, end: None }
    }

    pub(super) fn begin(&mut self, from: u64) {
        debug_assert!(self.items.is_empty() && self.head == 0, "the payload has begun");
        self.base = from;
        self.head = from;
    }

    /// Where the next item begins.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= self.capacity
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Where the oldest item begins and ends.
    pub(super) fn oldest(&self) -> Option<(u64, u64)> {
        self.items.front().map(Item::range)
    }

    pub(super) fn drop_oldest(&mut self) {
        if let Some(front) = self.items.pop_front() {
            self.base = front.range().1;
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        let (start, end) = item.range();
        debug_assert_eq!(start, self.head, "the payload has no gap");
        self.head = end;
        self.items.push_back(item);
    }

    pub(super) fn finish(&mut self, size: u64, sum: Sum) {
        self.end = Some((size, sum));
    }

    pub(super) fn at(&self, position: u64) -> At {
        if position < self.base {
            return At::Before { base: self.base };
        }
        if position >= self.head {
            // A child may know more of the file than has come here yet.
            return match self.end {
                Some((size, sum)) if position >= size => At::End { size, sum },
                _ => At::NotYet,
            };
        }
        let place = self.items.partition_point(|item| item.range().1 <= position);
        At::Item(match &self.items[place] {
            Item::Hole { offset, span } => Item::Hole { offset: position, span: offset + span - position },
            data @ Item::Data(_) => data.clone(),
        })
    }
}
