//! Wakes a thread that waits for sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};

/// Readable once it was rung, until it is hushed. It may be cloned and rung by other threads.
#[derive(Debug, Clone)]
pub(super) struct Bell(Arc<OwnedFd>);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    pub(super) fn ring(&self) {
        // Fails only where it was rung 2^64 times and nobody came.
        let _ = rustix::io::write(self.0.as_fd(), &1_u64.to_ne_bytes());
    }

    pub(super) fn hush(&self) {
        // Fails where it was not rung, which is as good.
        let _ = rustix::io::read(self.0.as_fd(), &mut [0_u8; 8]);
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn is_heard(bell: &Bell) -> bool {
        let mut fds = [PollFd::new(bell, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    }

    #[test]
    fn it_is_heard_until_it_is_hushed() {
        let bell = Bell::new().unwrap();
        assert!(!is_heard(&bell));
        let ringing = bell.clone();
        std::thread::spawn(move || (0..3).for_each(|_| ringing.ring())).join().unwrap();
        assert!(is_heard(&bell));
        bell.hush();
        assert!(!is_heard(&bell));
        bell.hush();
    }
}
