//! Which transfers a node takes part in, so that none comes to it twice.

use std::collections::HashMap;

use crate::wire::TransferId;

/// The transfers that are under way on a node, and its place in each. One for all connections of the node.
#[derive(Debug, Default)]
pub struct Roster {
    places: HashMap<TransferId, u32>,
}

impl Roster {
    /// Takes part in `transfer` at `index`.
    ///
    /// # Errors
    /// The place that the node has in the transfer already: the list names it twice, or leads back to it.
    pub fn enter(&mut self, transfer: TransferId, index: u32) -> Result<(), u32> {
        match self.places.get(&transfer) {
            Some(&place) => Err(place),
            None => {
                self.places.insert(transfer, index);
                Ok(())
            }
        }
    }

    /// The transfer is over here.
    pub fn leave(&mut self, transfer: &TransferId) {
        self.places.remove(transfer);
    }
}
