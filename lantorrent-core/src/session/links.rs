//! Which part of a session each of its connections to nodes belongs to.

use std::collections::HashMap;

use super::io::LinkId;

/// The part of a session that has asked for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// A run of the list, by its place among the runs.
    Run(usize),
    /// The probe of a lost node, by its place in the list.
    Probe(u32),
    /// A question, by its number.
    Question(u32),
}

/// The open connections of a session, and the lookups that lead to some.
#[derive(Debug, Default)]
pub(super) struct Links {
    opened: u32,
    owners: HashMap<LinkId, Owner>,
}

impl Links {
    /// A number that was not given out before.
    pub(super) fn open(&mut self, owner: Owner) -> LinkId {
        let link = LinkId(self.opened);
        self.opened += 1;
        self.owners.insert(link, owner);
        link
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.owners.remove(&link);
    }

    /// None for one that is closed: what the driver still says of it is of no interest.
    pub(super) fn owner(&self, link: LinkId) -> Option<Owner> {
        self.owners.get(&link).copied()
    }
}
