//! Memory that is promised before something begins. An allocation that fails ends the process, and with it everything that
//! goes on in it. So where the process may have only so much, what cannot be had now is refused now. The event loop does
//! without: its transfers share blocks and threads.

use std::io::{self, ErrorKind};
use std::sync::{Mutex, PoisonError};

use rustix::process::Resource;

use crate::rlimit::rlimit;

/// For a thread: its stack.
const THREAD: usize = 2 << 20;
/// For the blocks of a transfer, twice: some are with its children and its disk.
const BLOCKS: usize = 8 << 20;
/// A connection on a thread of its own.
pub(super) const CONNECTION: usize = THREAD + (1 << 20);
/// A transfer whose connections and files have threads.
pub(super) const TRANSFER: usize = BLOCKS + 6 * THREAD;
/// For what is not counted.
const REST: usize = 8 << 20;

/// Bytes of all promises of this process.
static PROMISED: Mutex<usize> = Mutex::new(0);

/// Memory that others leave alone for as long as this lives. Nothing where the process has no limit.
#[derive(Debug)]
pub(super) struct Promise(usize);

impl Promise {
    /// Fails if so much cannot be had besides all that is promised already.
    pub(super) fn of(bytes: usize) -> io::Result<Self> {
        let is_limited = |resource| rlimit(resource).current.is_some();
        if !is_limited(Resource::As) && !is_limited(Resource::Data) {
            return Ok(Self(0));
        }
        let mut promised = PROMISED.lock().unwrap_or_else(PoisonError::into_inner);
        let all = *promised + bytes;
        let why = "memory is short (RLIMIT_AS, RLIMIT_DATA); raise the limit, or have fewer connections";
        can_be_had(all + REST).then(|| *promised = all).ok_or(io::Error::new(ErrorKind::OutOfMemory, why))?;
        Ok(Self(bytes))
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        *PROMISED.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
    }
}

/// Nothing of it is touched, so that it costs no more than a call or two.
fn can_be_had(bytes: usize) -> bool {
    Vec::<u8>::new().try_reserve_exact(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_cannot_be_had() {
        assert!(can_be_had(1 << 20));
        assert!(!can_be_had(usize::MAX / 2));
    }

    #[test]
    fn without_a_limit_nothing_is_refused() {
        // Tests have none.
        assert!(Promise::of(usize::MAX / 4).is_ok());
    }
}
