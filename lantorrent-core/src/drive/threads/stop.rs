//! Stopping what a source does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

use super::control::Happening;
use crate::session::Input;

/// Whether somebody wants a source to stop, and how to wake who has to look at that.
#[derive(Debug, Default)]
pub(super) struct StopSign {
    asked: AtomicBool,
    wake: Mutex<Option<SyncSender<Happening>>>,
}

impl StopSign {
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        if let Some(happenings) = &*self.wake.lock().unwrap_or_else(PoisonError::into_inner) {
            // Where there is no room the session is awake; and this may be its own thread, in the listener, which must
            // not be made to wait for itself.
            let _ = happenings.try_send(Input::Tick.into());
        }
    }

    /// From now on who reads these happenings is woken.
    pub(super) fn wakes(&self, happenings: SyncSender<Happening>) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Some(happenings);
    }

    /// Whether it was asked for. Says so once.
    pub(super) fn take(&self) -> bool {
        self.asked.swap(false, Ordering::AcqRel)
    }
}

/// Stops a transfer. It may be cloned and sent to other threads.
#[derive(Debug, Clone)]
pub struct TransferHandle(pub(super) Arc<StopSign>);

impl TransferHandle {
    /// Aborts the transfer: no node keeps a part of the file, and [`Transfer::send`](super::Transfer::send) returns
    /// within seconds.
    pub fn stop(&self) {
        self.0.ask();
    }
}
