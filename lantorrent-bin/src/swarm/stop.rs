//! Signals that end it in good order, or have it look again at what it serves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit::{Failure, Status};
use crate::signals::{self, Asked, Inbox, Request};
use crate::terminal;

type Hook = Box<dyn Fn() + Send>;

/// Whether somebody wants it to end.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Stop {
    /// From now on the first signal asks for the end, and the next one ends the process.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let this = Self::default();
        let told = this.clone();
        signals::on_stop(move |request| told.heed(Asked::Stop(request)))?;
        Ok(this)
    }

    /// The same for a daemon, which a hangup does not end.
    pub(crate) fn of_daemon() -> Result<Self, Failure> {
        let this = Self::default();
        let told = this.clone();
        Inbox::of_daemon()?.attend(move |asked| told.heed(asked))?;
        Ok(this)
    }

    fn heed(&self, asked: Asked) {
        match asked {
            Asked::Reload => self.reload.store(true, Ordering::SeqCst),
            Asked::Stop(Request::First) => self.ask(),
            Asked::Stop(Request::Again) => {
                terminal::hide_bar();
                Status::Incomplete.exit()
            }
        }
    }

    /// Whether it is to look again, once.
    pub(crate) fn take_reload(&self) -> bool {
        self.reload.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Calls it when the end is asked for: at once, if it was already.
    pub(crate) fn then(&self, hook: impl Fn() + Send + 'static) {
        let mut place = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_asked() {
            hook();
        } else {
            *place = Some(Box::new(hook));
        }
    }

    fn ask(&self) {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner);
        self.asked.store(true, Ordering::SeqCst);
        if let Some(hook) = &*hook {
            hook();
        }
    }
}
