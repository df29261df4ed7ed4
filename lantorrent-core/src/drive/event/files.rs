//! The files of a session, on the workers: what there is to do is done in order, by one worker at a time.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::super::files::NodeFiles;
use super::mailbox::{Mailbox, Message, News};
use super::ring::SessionRing;
use crate::flow::{Disk, DiskStep};
use crate::runtime::Workers;
use crate::runtime::workers::Then;
use crate::session::FileInput;

/// Things that are done before other sessions have a turn.
const TURN: usize = 8;

/// Nobody works on them, nor is to.
const IDLE: u8 = 0;
/// Somebody does, and there was nothing new since he began.
const AT_WORK: u8 = 1;
/// There may be something that nobody has seen yet.
const WANTED: u8 = 2;

#[derive(Debug)]
pub(super) struct Files(Arc<Shared>);

struct Shared {
    session: u64,
    mailbox: Arc<Mailbox>,
    ring: Arc<SessionRing>,
    disk: Mutex<Disk<NodeFiles>>,
    state: AtomicU8,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Files {
    pub(super) fn new(
        session: u64,
        mailbox: Arc<Mailbox>,
        ring: Arc<SessionRing>,
        disk: Disk<NodeFiles>,
    ) -> Self {
        let (disk, state) = (Mutex::new(disk), AtomicU8::new(IDLE));
        Self(Arc::new(Shared { session, mailbox, ring, disk, state }))
    }

    /// There may be something to do.
    pub(super) fn wake(&self, workers: &Workers) {
        if self.0.state.swap(WANTED, Ordering::AcqRel) == IDLE {
            let shared = Arc::clone(&self.0);
            workers.put(Box::new(move || shared.work()));
        }
    }
}

impl Shared {
    fn work(&self) -> Then {
        // Nobody else has this job, but for one who has just done with it.
        let mut disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.store(AT_WORK, Ordering::Release);
        let tell = &mut |input: FileInput| self.tell(News::Happened(input.into()));
        for _ in 0..TURN {
            match disk.step(Instant::now(), &*self.ring, tell) {
                DiskStep::Until(_) => return Then::Again,
                DiskStep::Over => {
                    self.tell(News::FilesLeft);
                    return Then::Over;
                }
                DiskStep::Idle(_) if self.rests() => {
                    self.tell(News::Written);
                    return Then::Over;
                }
                DiskStep::Moved | DiskStep::Idle(_) => {}
            }
        }
        self.tell(News::Written);
        Then::More
    }

    /// Whether everything is done that was to be done.
    fn rests(&self) -> bool {
        match self.state.compare_exchange(AT_WORK, IDLE, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => {
                self.state.store(AT_WORK, Ordering::Release);
                false
            }
        }
    }

    fn tell(&self, news: News) {
        self.mailbox.send(Message::News(self.session, news));
    }
}
