//! Frames for a child that are no part of the payload and that nothing depends on. PROTOCOL.md, "Growth".

use std::collections::VecDeque;

use crate::wire::{Extension, limits};

/// Those that wait for a child's connection. What does not fit is dropped: they are best effort.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    waiting: VecDeque<Extension>,
    /// Bytes of them, with heads and tags.
    bytes: usize,
    /// Whether the last frame that was taken was one of them.
    last: bool,
    /// Whether the child is sent no frame any more.
    over: bool,
}

impl Extensions {
    /// Returns whether there was room.
    pub(super) fn push(&mut self, extension: Extension) -> bool {
        let bytes = self.bytes + extension.size();
        if self.over || bytes as u64 > limits::EXTENSION_RATE {
            return false;
        }
        self.bytes = bytes;
        self.waiting.push_back(extension);
        true
    }

    /// Whether one is next. Where the payload waits too they take turns, so that a slow connection still has it.
    pub(super) fn is_next(&self, payload_waits: bool) -> bool {
        let has_turn = !(self.last && payload_waits);
        has_turn && !self.waiting.is_empty()
    }

    /// The next one, if it is their turn.
    pub(super) fn pop(&mut self, payload_waits: bool) -> Option<Extension> {
        self.last = self.is_next(payload_waits);
        let next = if self.last { self.waiting.pop_front() } else { None }?;
        self.bytes -= next.size();
        Some(next)
    }

    /// What waits is of no use any more.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.bytes = 0;
    }

    /// No frame may follow.
    pub(super) fn end(&mut self) {
        self.clear();
        self.over = true;
    }
}
