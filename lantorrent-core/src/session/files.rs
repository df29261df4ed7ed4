//! Where each file of a node stands.

use super::io::{Opened, ReadBack};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// The driver was asked to open it.
    Opening,
    /// It takes the payload.
    Open(Opened),
    /// It is not wanted any more, and the driver was asked to remove what there is of it.
    Removing,
    /// It holds everything, and the driver was asked to place it.
    Placing,
    /// Its result is out.
    Settled,
}

#[derive(Debug)]
pub(super) struct Files {
    states: Vec<FileState>,
    failed: bool,
}

impl Files {
    pub(super) fn new(count: usize) -> Self {
        Self { states: vec![FileState::Opening; count], failed: false }
    }

    pub(super) fn state(&self, file: usize) -> Option<FileState> {
        self.states.get(file).copied()
    }

    pub(super) fn set(&mut self, file: usize, state: FileState) {
        self.states[file] = state;
    }

    /// A file has its result, and it is not a good one.
    pub(super) fn fail(&mut self, file: usize) {
        self.set(file, FileState::Settled);
        self.failed = true;
    }

    pub(super) fn any_failed(&self) -> bool {
        self.failed
    }

    pub(super) fn opening(&self) -> bool {
        self.states.contains(&FileState::Opening)
    }

    pub(super) fn settled(&self) -> bool {
        self.states.iter().all(|&state| state == FileState::Settled)
    }

    fn opened(&self) -> impl Iterator<Item = Opened> {
        self.states.iter().filter_map(|state| match state {
            FileState::Open(opened) => Some(*opened),
            _ => None,
        })
    }

    /// Whether a child that comes late can be served from one of them.
    pub(super) fn readable(&self) -> bool {
        self.opened().any(|opened| opened.read_back == ReadBack::Possible)
    }

    /// How much of the payload all that are open have already.
    pub(super) fn resumed(&self) -> u64 {
        self.opened().map(|opened| opened.resumed).min().unwrap_or(0)
    }

    /// The files that take the payload.
    pub(super) fn open(&self) -> Vec<usize> {
        let states = self.states.iter().enumerate();
        states.filter(|(_, state)| matches!(state, FileState::Open(_))).map(|(file, _)| file).collect()
    }

    /// The files that are open, or about to be.
    pub(super) fn unfinished(&self) -> Vec<usize> {
        let states = self.states.iter().enumerate();
        let open = states.filter(|(_, state)| matches!(state, FileState::Opening | FileState::Open(_)));
        open.map(|(file, _)| file).collect()
    }
}
