//! Others who turn to the node: who want to be its upstream, and who cancel requests.

use super::super::Script;
use super::keys;
use super::node::Node;
use crate::session::{NodeInput, Now, Proven};
use crate::wire::{Envelope, Features, Header, Line, LineReader, LineWriter, Nonce, Request};

/// A claim by the source or by somebody behind the node, with the list as it was or without one, and what hears its
/// answer. None on wire 1.
pub(super) fn claim(script: &mut Script<'_>, header: &Header) -> Option<(Proven, LineReader)> {
    let kind = script.byte();
    let nonce = Nonce([kind; 16]);
    let challenge = Nonce([6; 16]);
    let mut header = header.clone();
    let envelope = header.envelope.take()?;
    let from = (kind & 1 == 1).then(|| u32::from(kind >> 1 & 3));
    header.envelope = Some(Envelope { nonce, from, ..envelope });
    if kind & 0x80 != 0 {
        header.destinations.clear();
    }
    let mut lines = LineWriter::new(keys().line_key(&nonce, &challenge)?);
    let mut ear = LineReader::new(keys(), nonce);
    ear.push(&lines.encode(&Line::Challenge { challenge })).expect("a challenge");
    let node_key = keys().node_key(&nonce, &challenge).filter(|_| from.is_none());
    Some((Proven { header, lines: Some(lines), node_key, features: Features::default() }, ear))
}

impl Node {
    /// Somebody proves a header that cancels, or asks about, one of the node's requests, all of them, or one that it does not
    /// know.
    pub(super) fn cancelled(&mut self, now: Now, script: &mut Script<'_>) {
        let Some((mut proven, ear)) = self.header().and_then(|header| claim(script, &header)) else { return };
        let which = script.byte();
        let requests = &mut proven.header.node.requests;
        requests.retain(|request| which & 3 == 3 || request.id == format!("0/{}", which & 3));
        if requests.is_empty() {
            requests.push(Request { filename: "/f".into(), id: which.to_string(), rename: true });
        }
        let id = self.add_upstream(ear);
        self.learn(&proven);
        let proven = Box::new(proven);
        let asks = which & 4 != 0;
        self.handle(
            now,
            if asks { NodeInput::Queried(id, proven) } else { NodeInput::Cancelled(id, proven) },
        );
    }

    /// Somebody proves a header for the node's place.
    pub(super) fn claimed(&mut self, now: Now, script: &mut Script<'_>) {
        let Some((proven, ear)) = self.header().and_then(|header| claim(script, &header)) else { return };
        let id = self.add_upstream(ear);
        self.learn(&proven);
        self.reports.claims += 1;
        self.handle(now, NodeInput::Claimed(id, Box::new(proven)));
    }
}
