//! Ctrl-C during the demo: what runs is stopped, and then everything is cleaned up as after any other error.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lantorrent_core::TransferHandle;

use crate::exit::{Failure, Status};
use crate::signals::{self, Request};

/// Whether the demo was asked to stop.
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    transfer: Arc<Mutex<Option<TransferHandle>>>,
}

impl Interrupt {
    /// Handles signals from now on. Asked twice, the process ends without waiting for anything, but for the removal of
    /// `folder`; its nodes end with it.
    pub(super) fn install(folder: &Path) -> Result<Self, Failure> {
        let this = Self { asked: Arc::default(), transfer: Arc::default() };
        let (asked, transfer, folder) =
            (Arc::clone(&this.asked), Arc::clone(&this.transfer), folder.to_owned());
        signals::on_stop(move |request| match request {
            Request::First => {
                asked.store(true, Ordering::SeqCst);
                if let Some(transfer) = &*transfer.lock().unwrap_or_else(PoisonError::into_inner) {
                    transfer.stop();
                }
            }
            Request::Again => {
                let _ = std::fs::remove_dir_all(&folder);
                Status::Incomplete.exit()
            }
        })?;
        Ok(this)
    }

    /// From now on a signal stops that transfer.
    pub(super) fn stops(&self, transfer: TransferHandle) {
        let mut place = self.transfer.lock().unwrap_or_else(PoisonError::into_inner);
        if self.asked.load(Ordering::SeqCst) {
            transfer.stop();
        }
        *place = Some(transfer);
    }

    /// An error once the demo was asked to stop. Called often enough that nobody waits for it.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.asked.load(Ordering::SeqCst) {
            return Err(Failure::local("the demo was interrupted", "its nodes and files are gone"));
        }
        Ok(())
    }
}

#[cfg(test)]
impl Interrupt {
    /// One that no signal reaches.
    pub(super) fn never() -> Self {
        Self { asked: Arc::default(), transfer: Arc::default() }
    }
}
