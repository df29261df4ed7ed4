//! Others who turn to the node: who want to be its upstream, one who becomes it, and who cancel requests.

use super::super::Script;
use super::node::Node;
use super::{BLOCK, LENGTH, keys};
use crate::session::{NodeInput, Now, Proven, UpstreamId};
use crate::wire::{
    Envelope, Frame, FrameReader, Header, Line, LineReader, LineWriter, Nonce, PayloadReader, PayloadWriter,
    Request, RootHasher, Sum, digest,
};

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
    Some((Proven { header, lines: Some(lines) }, ear))
}

/// The payload from there on, and what reads it.
pub(super) fn payload(header: &Header, content: &[u8], from: u64) -> (PayloadReader, Vec<u8>) {
    let transfer = header.envelope.as_ref().expect("only wire 2 has claims").transfer;
    let writer = PayloadWriter::new(header, &keys()).expect("wire 2 is on");
    let (mut before, mut all) = (RootHasher::new(BLOCK), RootHasher::new(BLOCK));
    let mut bytes = Vec::new();
    for (place, data) in content.chunks(BLOCK as usize).enumerate() {
        let (offset, h) = (place as u64 * u64::from(BLOCK), digest(data));
        all.block(&h);
        if offset < from {
            before.block(&h);
            continue;
        }
        let frame = Frame::Data { offset, len: data.len() as u32, digest: Some(h) };
        let wrapping = writer.encode(&frame).expect("a frame of wire 2");
        bytes.extend([&wrapping.before[..], data, &wrapping.after].concat());
    }
    let end = Frame::End { size: LENGTH as u64, sum: Sum::Root(all.root()) };
    let wrapping = writer.encode(&end).expect("a frame of wire 2");
    bytes.extend([wrapping.before, wrapping.after].concat());
    let key = keys().frame_key(&transfer).expect("wire 2 is on");
    (PayloadReader::Frames(FrameReader::new(key, before, Some(LENGTH as u64), from)), bytes)
}

impl Node {
    /// Somebody proves a header that cancels one of the node's requests, all of them, or one that it does not know.
    pub(super) fn cancelled(&mut self, now: Now, script: &mut Script<'_>) {
        let Some((mut proven, ear)) = self.header().and_then(|header| claim(script, &header)) else { return };
        let which = script.byte();
        let requests = &mut proven.header.node.requests;
        requests.retain(|request| which & 3 == 3 || request.id == format!("0/{}", which & 3));
        if requests.is_empty() {
            requests.push(Request { filename: "/f".into(), id: which.to_string(), rename: true });
        }
        let id = UpstreamId(self.next_upstream());
        self.listen(id, ear);
        self.handle(now, NodeInput::Cancelled(id, Box::new(proven)));
    }

    /// Somebody proves a header for the node's place.
    pub(super) fn claimed(&mut self, now: Now, script: &mut Script<'_>) {
        let Some((proven, ear)) = self.header().and_then(|header| claim(script, &header)) else { return };
        let id = UpstreamId(self.next_upstream());
        self.listen(id, ear);
        self.reports.claims += 1;
        self.handle(now, NodeInput::Claimed(id, Box::new(proven)));
    }
}
