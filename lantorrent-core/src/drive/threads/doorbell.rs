//! What goes to a session ahead of all that happens to it, from threads that must not wait for it.

use std::collections::VecDeque;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::control::ToNode;
use super::live::Guest;
use crate::flow::admission::Join;
use crate::session::{Ask, FileFault, NodeInput, Proven, Standing};

/// A connection whose sender has proven to have the password.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) guest: Arc<Guest>,
    pub(super) proven: Box<Proven>,
    /// What came behind the greeting.
    pub(super) first: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Knock {
    Stop(Duration),
    Superseded,
    /// The file of a request is not where it was placed any more.
    Displaced(String, FileFault),
    /// A connection that belongs to the session now, and what it wants.
    Join(Join, Arrival),
    /// Another process of this node asks for the files.
    Ask(Ask, UnixStream),
}

#[derive(Debug)]
pub(super) struct Doorbell {
    knocks: Mutex<VecDeque<Knock>>,
    happenings: ToNode,
    /// As the session last said.
    standing: Mutex<Standing>,
}

impl Doorbell {
    /// For the session that reads these happenings.
    pub(super) fn new(happenings: ToNode) -> Arc<Self> {
        Arc::new(Self { knocks: Mutex::default(), happenings, standing: Mutex::new(Standing::Served) })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Knock>> {
        self.knocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits.
    pub(super) fn ring(&self, knock: Knock) {
        self.lock().push_back(knock);
        // Only to wake the session. Where there is no room for it, the session is awake.
        let _ = self.happenings.try_send(NodeInput::Tick.into());
    }

    pub(super) fn set_standing(&self, standing: Standing) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
    }

    pub(super) fn standing(&self) -> Standing {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn answer(&self) -> Option<Knock> {
        self.lock().pop_front()
    }

    /// Those who came too late. The session is over, and nobody rings any more.
    pub(super) fn unanswered(&self) -> Vec<Arrival> {
        let knocks = std::mem::take(&mut *self.lock());
        knocks
            .into_iter()
            .filter_map(|knock| match knock {
                Knock::Join(_, arrival) => Some(arrival),
                Knock::Stop(_) | Knock::Superseded | Knock::Displaced(..) | Knock::Ask(..) => None,
            })
            .collect()
    }
}
