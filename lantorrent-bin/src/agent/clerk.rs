//! The one who writes: takes what is asked of the agent, makes it durable, and answers.

use std::time::Duration;

use super::request::{Record, State, Wanted};

/// What is handed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    /// None: a random one is made.
    pub(crate) id: Option<String>,
    pub(crate) wanted: Wanted,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submitted {
    pub(crate) record: Record,
    pub(crate) novelty: Novelty,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Novelty {
    New,
    /// The same was handed in before.
    Known,
}

/// Why the agent does not do what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) kind: RefusalKind,
    /// What happened, to which request and file, and what to do.
    pub(crate) detail: String,
    /// The place in the list of what was handed in.
    pub(crate) index: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// An id, a path, a host or a port that cannot be.
    Malformed,
    /// Outside the repository.
    Forbidden,
    /// No such file there, or no such request.
    Missing,
    /// The file is there and cannot be read, or is nothing that can be sent.
    Unusable,
    /// The id belongs to another request; or the request has not ended, and is to be acknowledged.
    Conflict,
    /// The disk of the queue is full.
    NoSpace,
    /// More requests than are kept, or the agent is being stopped, or its disk fails: later it may go.
    Unavailable,
}

/// Which requests are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) state: Option<State>,
    pub(crate) source: Option<String>,
    pub(crate) host: Option<String>,
    /// Those behind this one, in the order in which they were handed in.
    pub(crate) after: Option<String>,
    /// At most so many.
    pub(crate) limit: usize,
}

/// Cheap to clone, and usable from any thread.
#[derive(Clone)]
pub(crate) struct Clerk {}

impl Clerk {
    /// Takes all of them, durably, or none.
    pub(crate) fn submit(&self, submissions: Vec<Submission>) -> Result<Vec<Submitted>, Refusal> {
        unimplemented!()
    }

    pub(crate) fn find(&self, id: &str) -> Option<Record> {
        unimplemented!()
    }

    /// The request when it has ended, or as it stands after `patience`.
    pub(crate) fn wait(&self, id: &str, patience: Duration) -> Option<Record> {
        unimplemented!()
    }

    /// In the order in which they were handed in. Fails if `after` is not known any more.
    pub(crate) fn list(&self, filter: &Filter) -> Result<Vec<Record>, Refusal> {
        unimplemented!()
    }

    /// How many requests are in each state, in the order of [`State::ALL`].
    pub(crate) fn count(&self) -> [usize; 5] {
        unimplemented!()
    }

    /// Whether new requests could be written down; else why not.
    pub(crate) fn health(&self) -> Result<(), String> {
        unimplemented!()
    }

    /// Takes a request back. What has ended stays as it is, and is no error.
    pub(crate) fn cancel(&self, id: &str) -> Result<Record, Refusal> {
        unimplemented!()
    }

    /// Forgets a request that has ended.
    pub(crate) fn acknowledge(&self, id: &str) -> Result<(), Refusal> {
        unimplemented!()
    }
}
