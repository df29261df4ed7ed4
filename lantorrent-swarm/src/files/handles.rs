//! Open files, a few of many.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

/// How many files of one torrent are kept open at most. More are open for as long as somebody uses them.
const MOST: usize = 32;

/// The files that were used last, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Handles(Mutex<VecDeque<(usize, Arc<File>)>>);

impl Handles {
    /// The file of that number; opened, if need be, in place of the one that was not used for longest.
    pub(super) fn get<E>(
        &self,
        number: usize,
        open: impl FnOnce() -> Result<File, E>,
    ) -> Result<Arc<File>, E> {
        let mut handles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = handles.iter().position(|(other, _)| *other == number);
        let file = match at.and_then(|at| handles.remove(at)) {
            Some((_, file)) => file,
            None => Arc::new(open()?),
        };
        handles.push_back((number, Arc::clone(&file)));
        if handles.len() > MOST {
            handles.pop_front();
        }
        Ok(file)
    }

    /// Closes all that nobody uses.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
