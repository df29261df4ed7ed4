//! A real source, and what it has said that the node has not heard yet.

use super::super::Script;
use super::payload::{content, payload};
use super::{BEHIND, BLOCK, FILES, LENGTH, keys, timing, transfer_key};
use crate::session::{
    Control, FeedOutput, LinkId, LinkInput, LinkOutput, Now, Plan, Seed, SourceInput, SourceOutput,
    SourceSession,
};
use crate::wire::{Destination, Frame, PayloadWriter, Request, Wire};

pub(super) struct Source {
    session: SourceSession,
    content: Vec<u8>,
    down: Vec<u8>,
    over: bool,
}

impl Source {
    pub(super) fn new(now: Now, wire: Wire, degree: u32) -> Self {
        let node = |place: usize| {
            let files = if place == 0 { FILES } else { 1 };
            let request =
                |file| Request { filename: "/f".into(), id: format!("{place}/{file}"), rename: true };
            let requests = (0..files).map(request).collect();
            let host = if place == 0 { "10.0.0.1" } else { "h" };
            Destination { host: host.into(), port: 1, index: 0, requests, degree: None, block_size: None }
        };
        // The tested node is alone at the head of the list, and the degree is its own.
        let mut destinations: Vec<Destination> = (0..=BEHIND).map(node).collect();
        destinations[0].degree = Some(degree);
        let length = Some(LENGTH as u64);
        let plan = Plan { length, key: Some(transfer_key()), ..Plan::new(wire, destinations, BLOCK) };
        let session = SourceSession::new(now, plan, keys(), timing(), Seed([1; 32]));
        let mut this = Self { session, content: content(), down: Vec::new(), over: false };
        this.carry_out(now);
        this
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn take(&mut self, most: usize) -> Vec<u8> {
        let count = most.min(self.down.len());
        self.down.drain(..count).collect()
    }

    pub(super) fn hear(&mut self, now: Now, bytes: &[u8]) {
        self.session.handle(now, LinkInput::Bytes(LinkId(0), bytes));
        self.carry_out(now);
    }

    pub(super) fn tick(&mut self, now: Now) {
        self.session.handle(now, SourceInput::Tick);
        self.carry_out(now);
    }

    pub(super) fn stop(&mut self, now: Now) {
        self.session.handle(now, SourceInput::Stop);
        self.carry_out(now);
    }

    /// Changes, removes or adds something in what is on its way.
    pub(super) fn damage(&mut self, script: &mut Script<'_>) {
        match script.byte() % 3 {
            0 => script.damage(&mut self.down),
            1 => self.down.truncate(script.word().into()),
            _ => {
                let at = usize::from(script.word()).min(self.down.len());
                let count = usize::from(script.byte());
                self.down.splice(at..at, script.take(count).iter().copied());
            }
        }
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.session.poll() {
            match output {
                // Of those behind the node none can be reached from here.
                SourceOutput::Link(LinkOutput::LookUp { link, .. }) => {
                    self.session.handle(now, LinkInput::Closed(link, "no such host".into()));
                }
                SourceOutput::Link(LinkOutput::Connect { link, to }) if link == LinkId(0) => {
                    self.session.handle(now, LinkInput::Connected(link, to));
                }
                SourceOutput::Link(LinkOutput::Send(LinkId(0), bytes)) => self.down.extend(bytes),
                SourceOutput::Feed(FeedOutput::Feed(LinkId(0), from)) => self.feed(now, from),
                SourceOutput::Feed(FeedOutput::Control(LinkId(0), control)) => {
                    let frame = match control {
                        Control::Idle => continue,
                        Control::Abort(abort) => Frame::Abort(abort),
                    };
                    let writer = PayloadWriter::new(self.session.header(), &keys());
                    if let Ok(wrapping) = writer.expect("both wires are on").encode(&frame) {
                        self.down.extend([wrapping.before, wrapping.after].concat());
                    }
                }
                SourceOutput::Link(LinkOutput::Close(LinkId(0))) | SourceOutput::Done => self.over = true,
                _ => {}
            }
        }
    }

    fn feed(&mut self, now: Now, from: u64) {
        let mut told = Vec::new();
        let header = self.session.header();
        let bytes = payload(now, header, &self.content, from, &mut |input| told.push(input));
        self.down.extend(bytes);
        for input in told {
            self.session.handle(now, input);
        }
    }
}
