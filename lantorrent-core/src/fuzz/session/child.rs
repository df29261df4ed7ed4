//! A child: at first as it should be, and then as the input has it.

use std::rc::Rc;

use super::super::Script;
use super::upstreams::root;
use super::{BLOCK, LENGTH, keys, timing};
use crate::session::{Gate, HandshakeStep, Incoming, Now, Proven};
use crate::wire::{
    Change, Code, Frame, Line, LineWriter, NodeState, Nonce, PayloadReader, Progress, Report, SealedReport,
};

/// What the node said to it, and what it has to say.
pub(super) struct Child {
    greeting: Option<Incoming>,
    proven: Option<Box<Proven>>,
    pub(super) connected: bool,
    said: Vec<u8>,
    content: Rc<[u8]>,
    /// Where the payload begins, if it is fed.
    from: u64,
    reader: Option<PayloadReader>,
    block: Vec<u8>,
    /// Whether nothing can come any more.
    finished: bool,
}

impl Child {
    pub(super) fn new(now: Now, content: Rc<[u8]>) -> Self {
        let gate = Gate { timing: timing(), ..Gate::new(keys()) };
        let greeting = Incoming::new(now, gate, Some(([10, 0, 0, 2], 1).into()), Nonce([4; 16]));
        Self {
            greeting: Some(greeting),
            proven: None,
            connected: false,
            said: Vec::new(),
            content,
            from: 0,
            reader: None,
            block: vec![0; BLOCK as usize],
            finished: false,
        }
    }

    /// It is to get the payload from that offset on.
    pub(super) fn feed(&mut self, from: u64) {
        assert!(from <= LENGTH as u64 && self.reader.is_none());
        self.from = from;
    }

    /// The node has shut its half of the connection down.
    pub(super) fn finished(&mut self) {
        assert!(!std::mem::replace(&mut self.finished, true), "finished twice");
    }

    /// The node sends its header, its proof, or the payload.
    pub(super) fn hear(&mut self, now: Now, mut bytes: &[u8]) {
        assert!(bytes.is_empty() || !self.finished, "nothing comes behind the end of a connection");
        while let Some(greeting) = self.greeting.as_mut().filter(|_| !bytes.is_empty()) {
            let (used, answer) = greeting.push(now, bytes);
            bytes = &bytes[used..];
            match answer {
                HandshakeStep::More => {}
                HandshakeStep::Reply(reply) => self.said.extend(reply),
                HandshakeStep::Proven(proven) => {
                    self.proven = Some(proven);
                    self.greeting = None;
                }
                HandshakeStep::Refused { why, .. } => panic!("the node's header is refused: {why}"),
            }
        }
        self.read(bytes);
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let reader = self.reader.get_or_insert_with(|| {
                let header = &self.proven.as_ref().expect("a payload has a header").header;
                let before = root(&self.content[..self.from as usize]);
                PayloadReader::resume(header, &keys(), before, self.from).expect("both wires are on")
            });
            let (used, frame) =
                reader.push(bytes, &mut self.block).expect("what a child is sent can be read");
            bytes = &bytes[used..];
            match frame {
                // Only what has a digest cannot be changed on its way.
                Some(Frame::Data { offset, len, digest: Some(_) }) => {
                    let truth = self.content.get(offset as usize..offset as usize + len as usize);
                    assert!(
                        truth == Some(&self.block[..len as usize]),
                        "a block that the source did not send"
                    );
                }
                Some(Frame::Hole { offset, span }) => {
                    let truth = &self.content[offset as usize..(offset + span) as usize];
                    assert!(truth.iter().all(|&byte| byte == 0), "a hole that the source does not have");
                }
                Some(Frame::End { size, .. }) => assert_eq!(size, LENGTH as u64),
                Some(Frame::Extension(extension)) => assert!(extension.is_forwarded(), "{extension:?}"),
                _ => {}
            }
        }
    }

    /// Its place in the list, once it was let in.
    pub(super) fn place(&self) -> Option<u32> {
        self.proven.as_ref().map(|proven| proven.header.node.index)
    }

    fn lines(&mut self) -> Option<&mut LineWriter> {
        self.proven.as_mut()?.lines.as_mut()
    }

    /// What it says next.
    pub(super) fn speak(&mut self, script: &mut Script<'_>) -> Vec<u8> {
        let mut said = std::mem::take(&mut self.said);
        let kind = script.byte();
        let line = match kind % 16 {
            0 | 1 => Line::ACCEPTED,
            2 | 3 => Line::Ready { offset: 0 },
            4 => Line::Ready { offset: u64::from(script.word()) << (script.byte() % 49) },
            5 => Line::Alive,
            6 => Line::Left,
            7 => Line::Aside,
            8 => {
                let numbers: [u32; 3] = std::array::from_fn(|_| u32::from(script.word()) << (kind >> 4));
                let change = Change { index: numbers[0], state: NodeState::Done, offset: numbers[1].into() };
                Line::Progress(Progress {
                    least: numbers[2].into(),
                    greatest: numbers[1].into(),
                    states: [(NodeState::Receiving, numbers[0]), (NodeState::Done, 1)].into(),
                    changed: vec![change; usize::from(kind >> 4) * 2],
                })
            }
            9..=12 => return self.report(script, said),
            13 => Line::Challenge { challenge: Nonce([5; 16]) },
            14 => {
                let count = usize::from(script.byte());
                said.extend(script.take(count));
                return said;
            }
            15 if kind >= 0x80 => Line::Unknown { kind: "later".into() },
            _ => return said,
        };
        said.extend(self.lines().map(|lines| lines.encode(&line)).unwrap_or_default());
        if kind >= 250 {
            script.damage(&mut said);
        }
        said
    }

    /// A report about anybody, in any name.
    fn report(&mut self, script: &mut Script<'_>, mut said: Vec<u8>) -> Vec<u8> {
        let about = script.byte() % 6;
        let sealed_by = script.byte();
        let by = sealed_by % 6;
        let code = script.byte() % 3;
        let index = |place: u8| (place < 5).then_some(u32::from(place));
        let report = Report {
            id: Some(format!("{about}/0")),
            index: index(about),
            by: index(by),
            ..Report::refusal(Code(u16::from(code) * 509), "a report")
        };
        let Some(proven) = &mut self.proven else { return said };
        match (&mut proven.lines, &proven.header.envelope) {
            (Some(lines), Some(envelope)) => {
                let nonce = Nonce([sealed_by; 16]);
                let key = match sealed_by {
                    0..128 => keys().result_key(&envelope.transfer),
                    128.. => keys().node_key(&nonce, &nonce),
                };
                let key = key.expect("wire 2 is on");
                said.extend(lines.encode(&Line::Result(SealedReport::seal(&report, &key))));
            }
            _ => said.extend(report.encode().into_bytes()),
        }
        said
    }
}
