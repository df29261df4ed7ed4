//! Signals that end it in good order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::exit::{Failure, Status};
use crate::signals::{self, Request};
use crate::terminal;

type Hook = Box<dyn Fn() + Send>;

/// Whether somebody wants it to end.
#[derive(Clone)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl Stop {
    /// From now on the first signal asks for the end, and the next one ends the process.
    pub(crate) fn on_signals() -> Result<Self, Failure> {
        let this = Self { asked: Arc::default(), hook: Arc::default() };
        let told = this.clone();
        signals::on_stop(move |request| match request {
            Request::First => told.ask(),
            Request::Again => {
                terminal::hide_bar();
                Status::Incomplete.exit()
            }
        })?;
        Ok(this)
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
