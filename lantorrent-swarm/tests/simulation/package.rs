//! What all nodes of a swarm agree on.

use std::sync::Arc;

use lantorrent_swarm::swarm::{Bitfield, Content};
use lantorrent_swarm::{Geometry, InfoHash};

#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) geometry: Geometry,
    pub(crate) info: Arc<[u8]>,
}

impl Package {
    pub(crate) fn info_hash(&self) -> InfoHash {
        InfoHash::of(&self.info)
    }

    pub(crate) fn content(&self, have: Bitfield) -> Content {
        Content::new(self.info.clone(), self.geometry, have)
    }
}
