//! Taking no part in a transfer, in the words of its session.

use super::clock::now;
use super::site::Site;
use crate::session::{NodeOutput, NodeSession, Proven, UpstreamId};
use crate::wire::Code;

/// What to say to the connection `id` to refuse every request of its header.
pub(super) fn refuse(site: &Site, id: UpstreamId, proven: Proven, code: Code, why: &str) -> Vec<u8> {
    log::warn!("took no part in a transfer: {why}");
    let (keys, timing) = (site.gate.keys.clone(), site.gate.timing.clone());
    let mut session = NodeSession::refuse(now(), id, proven, keys, timing, code, why);
    let mut words = Vec::new();
    while let Some(output) = session.poll() {
        if let NodeOutput::Reply(_, bytes) = output {
            words.extend(bytes);
        }
    }
    words
}

/// Why a node that has that place in the transfer has no other.
pub(super) fn has_place(place: u32) -> String {
    format!(
        "this node is number {place} of the transfer already; its address stands in the list twice, or two names of it"
    )
}
