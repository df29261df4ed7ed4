//! The node that is tested, and its driver, who believes nothing: what the session promises is checked here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::super::Script;
use super::child::Child;
use super::claim;
use super::reports::Reports;
use super::{BEHIND, FILES, LENGTH, keys, pick, timing};
use crate::session::{
    Control, FeedInput, FeedOutput, FileFault, FileInput, Gate, Greeting, Incoming, LinkId, LinkInput,
    LinkOutput, NodeInput, NodeOutput, NodeSession, Now, Opened, ReadBack, Seed, UpstreamId,
};
use crate::wire::{
    Frame, FromNode, Header, HeaderReader, Line, LineReader, Nonce, PayloadError, PayloadReader, Report,
    ReportReader, ResultKey, SealedReport, Wire,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    New,
    Opening,
    Open,
    /// Cannot be written any more.
    Failed,
    Placing,
    Placed,
    Discarded,
    /// Let go, for another transfer to go on with.
    Kept,
    /// Not wanted any more, and about to be removed.
    Removing,
    Removed,
}

/// Reads what the node says towards the source.
enum Ear {
    Wire1(ReportReader),
    Wire2(HeaderReader, Option<LineReader>),
}

/// The one connection that it is asked on.
const UPSTREAM: UpstreamId = UpstreamId(1);

/// Of a host. Some have the first alone.
const ADDRESSES: [[u8; 4]; 2] = [[10, 0, 0, 2], [10, 0, 0, 3]];

#[expect(clippy::struct_excessive_bools, reason = "what a driver remembers is yes or no")]
pub(super) struct Node {
    greeting: Option<Incoming>,
    session: Option<(NodeSession, PayloadReader)>,
    refused: bool,
    content: Vec<u8>,
    block: Vec<u8>,
    received: usize,
    ended: bool,
    accepted: bool,
    waiting: VecDeque<u8>,
    written: u64,
    files: [File; FILES],
    /// The requests whose files are to be removed.
    removing: VecDeque<String>,
    children: BTreeMap<LinkId, Child>,
    said: Vec<u8>,
    ear: Ear,
    /// Who hears what is said to later upstreams.
    ears: BTreeMap<UpstreamId, LineReader>,
    /// The first header, of which claims are variations.
    header: Option<Header>,
    key: Option<ResultKey>,
    pub(super) reports: Reports,
    done: bool,
}

impl Node {
    pub(super) fn new(now: Now, wire: Wire, content: &[u8]) -> Self {
        let gate = Gate { keys: keys(), also: Vec::new(), timing: timing(), verbs: Gate::VERBS };
        let greeting = Incoming::new(now, gate, Some(([10, 0, 0, 1], 1).into()), Nonce([2; 16]));
        let ear = match wire {
            Wire::One => Ear::Wire1(ReportReader::default()),
            Wire::Two => Ear::Wire2(HeaderReader::default(), None),
        };
        Self {
            greeting: Some(greeting),
            session: None,
            refused: false,
            content: content.to_vec(),
            block: Vec::new(),
            received: 0,
            ended: false,
            accepted: false,
            waiting: VecDeque::new(),
            written: 0,
            files: [File::New; FILES],
            removing: VecDeque::new(),
            children: BTreeMap::new(),
            said: Vec::new(),
            ear,
            ears: BTreeMap::new(),
            header: None,
            key: None,
            reports: Reports::new(wire),
            done: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.done || self.refused
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match (&self.session, &self.greeting) {
            (Some((session, _)), _) => session.deadline(),
            (None, Some(greeting)) => Some(greeting.deadline()),
            (None, None) => None,
        }
    }

    pub(super) fn take_said(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.said)
    }

    /// Bytes from upstream.
    pub(super) fn receive(&mut self, now: Now, bytes: &[u8]) {
        if let (Ear::Wire2(header, ear @ None), Some(_)) = (&mut self.ear, &self.greeting)
            && let Ok((_, Some(signed))) = header.push(bytes)
            && let Ok(header) = signed.verify(&keys())
        {
            *ear = header.envelope.map(|envelope| LineReader::new(keys(), envelope.nonce));
        }
        let mut rest = bytes;
        while let Some(greeting) = self.greeting.as_mut().filter(|_| !rest.is_empty()) {
            let (used, answer) = greeting.push(now, rest);
            rest = &rest[used..];
            self.answer(now, answer);
        }
        self.waiting.extend(rest);
        self.read_payload(now);
    }

    fn answer(&mut self, now: Now, answer: Greeting) {
        match answer {
            Greeting::More => {}
            Greeting::Reply(reply) => self.reply(UPSTREAM, &reply),
            Greeting::Refused { reply, .. } => {
                self.said.extend(reply);
                self.greeting = None;
                self.refused = true;
            }
            Greeting::Proven(proven) => {
                self.greeting = None;
                let header = proven.header.clone();
                self.header = Some(header.clone());
                assert_eq!(header.node.requests.len(), FILES, "the header is the source's, or it is none");
                self.block = vec![0; header.block_size as usize];
                self.key =
                    header.envelope.as_ref().and_then(|envelope| keys().result_key(&envelope.transfer));
                let reader = PayloadReader::new(&header, &keys()).expect("both wires are on");
                let session = NodeSession::new(now, UPSTREAM, *proven, keys(), timing(), Seed([3; 32]));
                self.session = Some((session, reader));
                self.carry_out(now);
            }
        }
    }

    fn read_payload(&mut self, now: Now) {
        while self.accepted && !self.is_over() && !self.waiting.is_empty() {
            let Some((_, reader)) = &mut self.session else { return };
            let input = match reader.push(self.waiting.as_slices().0, &mut self.block) {
                Ok((used, frame)) => {
                    self.waiting.drain(..used);
                    let Some(frame) = frame else { continue };
                    self.frame(frame)
                }
                Err(error) => return self.halted(now, Some(error)),
            };
            self.handle(now, input);
        }
    }

    fn frame(&mut self, frame: Frame) -> NodeInput<'static> {
        match frame {
            Frame::Data { len, digest, .. } => {
                let data = &self.block[..len as usize];
                let next = self.content.get(self.received..self.received + data.len());
                assert!(digest.is_none() || next == Some(data), "a block that the source did not send");
                self.received += data.len();
                NodeInput::Received(self.received as u64)
            }
            Frame::End { size, sum } => {
                assert_eq!((size, self.received), (LENGTH as u64, LENGTH));
                self.ended = true;
                NodeInput::End { size, sum }
            }
            Frame::Abort(abort) => NodeInput::Aborted(abort),
            Frame::Hole { .. } => panic!("the source has no holes"),
            Frame::Bye => NodeInput::Bye,
            Frame::Idle { .. } => NodeInput::Heard,
        }
    }

    pub(super) fn upstream_closed(&mut self, now: Now) {
        if let Some(greeting) = &mut self.greeting {
            let answer = greeting.closed();
            return self.answer(now, answer);
        }
        // What is behind a connection's end cannot come any more.
        let offset = self.received as u64;
        self.halted(now, Some(PayloadError::Truncated { offset }));
    }

    /// Who reads from upstream says its last word, once.
    fn halted(&mut self, now: Now, cause: Option<PayloadError>) {
        if std::mem::replace(&mut self.accepted, false) {
            self.handle(now, NodeInput::Halted { offset: self.received as u64, cause });
        }
    }

    pub(super) fn handle<'a>(&mut self, now: Now, input: impl Into<NodeInput<'a>>) {
        let input = input.into();
        if let Some(greeting) = &self.greeting
            && greeting.deadline() <= now.instant
        {
            self.greeting = None;
            self.refused = true;
        }
        let Some((session, _)) = &mut self.session else { return };
        let due = matches!(input, NodeInput::Tick) && session.deadline().is_some_and(|at| at <= now.instant);
        session.handle(now, input);
        assert!(!due || session.deadline().is_none_or(|at| at > now.instant), "it would spin");
        self.carry_out(now);
        if let Some((session, _)) = &self.session {
            assert_eq!(session.deadline().is_none(), self.done);
        }
    }

    fn carry_out(&mut self, now: Now) {
        while let Some(output) = self.session.as_mut().and_then(|(session, _)| session.poll()) {
            assert!(!self.done, "after Done came {output:?}");
            match output {
                NodeOutput::Open(file) => self.turn(file, &[File::New], File::Opening),
                NodeOutput::Accept(upstream, offset) => self.accept(upstream, offset),
                NodeOutput::Halt => self.halted(now, None),
                NodeOutput::Reply(upstream, bytes) => self.reply(upstream, &bytes),
                NodeOutput::Link(LinkOutput::LookUp { link, .. }) => {
                    assert!(self.children.insert(link, Child::new(now)).is_none());
                    let addresses =
                        ADDRESSES[..=usize::from(link.0 % 4 == 2)].iter().map(|&ip| (ip, 1).into());
                    let found = LinkInput::Found(link, addresses.collect());
                    self.session.as_mut().expect("it has asked").0.handle(now, found);
                }
                NodeOutput::Link(LinkOutput::Connect { link, .. }) => {
                    assert!(self.children.insert(link, Child::new(now)).is_none());
                    assert!(
                        self.children.len() <= BEHIND * ADDRESSES.len(),
                        "more children at once than there are addresses behind"
                    );
                }
                NodeOutput::Link(LinkOutput::Send(link, bytes)) => {
                    let child = self.children.get_mut(&link).expect("a link that is open");
                    assert!(child.connected && !child.fed);
                    child.hear(now, &bytes);
                }
                NodeOutput::Feed(FeedOutput::Feed(link, offset)) => {
                    let child = self.children.get_mut(&link).expect("a link that is open");
                    assert!(!std::mem::replace(&mut child.fed, true), "fed twice");
                    assert!(offset <= LENGTH as u64);
                }
                // Who is not ready yet hears of an abort too. Nothing but the end comes behind that.
                NodeOutput::Feed(FeedOutput::Control(link, Control::Abort(_))) => {
                    self.children.get_mut(&link).expect("a link that is open").fed = true;
                }
                NodeOutput::Feed(FeedOutput::Control(link, _) | FeedOutput::Finish(link)) => {
                    assert!(self.children[&link].fed);
                }
                NodeOutput::Link(LinkOutput::Close(link)) => {
                    assert!(self.children.remove(&link).is_some(), "closed twice");
                }
                NodeOutput::Place(file, size) => {
                    assert!(self.ended, "placed without END");
                    assert_eq!((size, self.written), (LENGTH as u64, LENGTH as u64));
                    self.turn(file, &[File::Open], File::Placing);
                }
                NodeOutput::Discard(file) => self.turn(file, &[File::Open, File::Failed], File::Discarded),
                NodeOutput::Keep(file) => {
                    self.turn(file, &[File::Open, File::Failed], File::Kept);
                }
                NodeOutput::Remove(request) => {
                    if let Some(file) = own_file(&request.id) {
                        self.turn(file, &[File::Opening, File::Open, File::Failed], File::Removing);
                    }
                    self.removing.push_back(request.id);
                }
                NodeOutput::CloseUpstream(_) | NodeOutput::DropUpstream(_) | NodeOutput::Answer(_) => {}
                NodeOutput::Done => self.done = true,
            }
        }
        self.read_payload_later(now);
    }

    /// What came with the greeting, once the session accepts it.
    fn read_payload_later(&mut self, now: Now) {
        if self.accepted && !self.waiting.is_empty() {
            self.read_payload(now);
        }
    }

    fn turn(&mut self, file: usize, from: &[File], to: File) {
        assert!(from.contains(&self.files[file]), "from {:?} to {to:?}", self.files[file]);
        self.files[file] = to;
    }

    fn accept(&mut self, upstream: UpstreamId, offset: u64) {
        assert!(!std::mem::replace(&mut self.accepted, true), "two are read at once");
        assert_eq!(offset, self.received as u64, "a gap, or something twice");
        if upstream == UPSTREAM {
            assert_eq!(offset, 0);
            return;
        }
        let header = self.header.as_ref().expect("there was a first header");
        let (reader, bytes) = claim::payload(header, &self.content, offset);
        self.waiting = bytes.into();
        if let Some((_, former)) = &mut self.session {
            *former = reader;
        }
    }

    pub(super) fn header(&self) -> Option<Header> {
        self.header.clone().filter(|_| !self.is_over())
    }

    pub(super) fn next_upstream(&self) -> u64 {
        UPSTREAM.0 + 1 + self.ears.len() as u64
    }

    pub(super) fn listen(&mut self, upstream: UpstreamId, ear: LineReader) {
        self.ears.insert(upstream, ear);
    }

    /// What the node says to a later upstream.
    fn reply_later(&mut self, upstream: UpstreamId, mut bytes: &[u8]) {
        let ear = self.ears.get_mut(&upstream).expect("an upstream that is there");
        let mut results = Vec::new();
        while !bytes.is_empty() {
            let (used, said) = ear.push(bytes).expect("what a node says can be read");
            bytes = &bytes[used..];
            if let Some(FromNode::Line(Line::Result(sealed))) = said {
                results.push(sealed);
            }
        }
        let key = self.key.clone().expect("a result comes after the header");
        for sealed in results {
            self.report(sealed.open(&key).expect("only what is authentic is relayed"));
        }
    }

    fn reply(&mut self, upstream: UpstreamId, bytes: &[u8]) {
        if upstream != UPSTREAM {
            return self.reply_later(upstream, bytes);
        }
        self.said.extend(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (used, report) = match &mut self.ear {
                Ear::Wire1(reader) => reader.push(rest).expect("what a node says can be read"),
                Ear::Wire2(_, Some(reader)) => {
                    let (used, said) = reader.push(rest).expect("what a node says can be read");
                    let report = match said {
                        Some(FromNode::Line(Line::Result(sealed))) => sealed
                            .open(self.key.as_ref().expect("a result comes after the header"))
                            .map(Some)
                            .expect("only what is authentic is relayed"),
                        _ => None,
                    };
                    (used, report)
                }
                Ear::Wire2(_, None) => return,
            };
            rest = &rest[used..];
            if let Some(report) = report {
                self.report(report);
            }
        }
    }

    fn report(&mut self, report: Report) {
        if let Some(file) = report.id.as_deref().and_then(own_file) {
            assert_eq!(self.files[file] == File::Placed, report.code.is_success(), "{report:?}");
        }
        self.reports.add(report);
    }

    pub(super) fn opened(&mut self, now: Now, result: Result<Opened, FileFault>) {
        let Some(file) = self.files.iter().position(|&file| file == File::Opening) else { return };
        // What is opened after that is the driver's to remove.
        if self.done {
            return;
        }
        self.files[file] = if result.is_ok() { File::Open } else { File::Failed };
        self.handle(now, FileInput::Opened(file, result));
    }

    pub(super) fn written(&mut self, now: Now, blocks: u64) {
        let upto = (self.written + blocks * 4096).min(self.received as u64);
        self.written = upto;
        self.handle(now, FileInput::Written(upto));
    }

    pub(super) fn write_failed(&mut self, now: Now, file: usize, fault: FileFault) {
        if self.files[file] == File::Open {
            self.files[file] = File::Failed;
            self.handle(now, FileInput::WriteFailed(file, fault));
        }
    }

    pub(super) fn placed(&mut self, now: Now, result: Result<(), FileFault>) {
        let Some(file) = self.files.iter().position(|&file| file == File::Placing) else { return };
        self.files[file] = if result.is_ok() { File::Placed } else { File::Failed };
        self.handle(now, FileInput::Placed(file, result));
    }

    /// What is not wanted any more is removed, or cannot be.
    pub(super) fn removed(&mut self, now: Now, result: Result<(), FileFault>) {
        let Some(id) = self.removing.pop_front() else { return };
        if let Some(file) = own_file(&id) {
            self.files[file] = File::Removed;
        }
        self.handle(now, FileInput::Removed(id, result));
    }

    /// The disk does all that it was asked for.
    pub(super) fn serve_files(&mut self, now: Now) {
        for _ in 0..FILES {
            self.opened(now, Ok(Opened { read_back: ReadBack::Possible, resumed: 0 }));
        }
        while !self.removing.is_empty() {
            self.removed(now, Ok(()));
        }
        self.written(now, LENGTH as u64);
        for _ in 0..FILES {
            self.placed(now, Ok(()));
        }
    }

    pub(super) fn connect_child(&mut self, now: Now, which: u8) {
        if let Some((link, child)) = pick(&mut self.children, which)
            && !std::mem::replace(&mut child.connected, true)
        {
            self.handle(now, LinkInput::Connected(link, ([10, 0, 0, 2], 1).into()));
        }
    }

    pub(super) fn feed_child(&mut self, now: Now, which: u8) {
        let (received, ended) = (self.received as u64, self.ended);
        let Some((link, child)) = pick(&mut self.children, which).filter(|(_, child)| child.fed) else {
            return;
        };
        let place = child.place();
        self.handle(now, FeedInput::Sent(link, received));
        if ended {
            self.reports.served.extend(place);
            self.handle(now, FeedInput::SentEnd(link));
        }
    }

    pub(super) fn close_child(&mut self, now: Now, which: u8) {
        if let Some((link, _)) = pick(&mut self.children, which) {
            self.handle(now, LinkInput::Closed(link, "it is gone".into()));
        }
    }

    pub(super) fn child_speaks(&mut self, now: Now, which: u8, script: &mut Script<'_>) {
        if let Some((link, child)) = pick(&mut self.children, which).filter(|(_, child)| child.connected) {
            let said = child.speak(script);
            self.handle(now, LinkInput::Bytes(link, &said));
        }
    }

    /// It is over: what must be true of every run.
    pub(super) fn finish(&self) {
        assert!(self.is_over(), "it does not come to an end: {:?}", self.files);
        if self.refused {
            assert!(self.session.is_none() && self.files == [File::New; FILES]);
            return;
        }
        // Who was left without upstream may end without a word: what is known then is told to who asks again.
        let results = self.session.as_ref().and_then(|(session, _)| session.results());
        for file in 0..FILES {
            let id = format!("0/{file}");
            let known = |sealed: &SealedReport| {
                let report = self.key.as_ref().map(|key| sealed.open(key).expect("its own words"));
                report.is_some_and(|report| report.id.as_ref() == Some(&id))
            };
            let untold = results.as_ref().is_none_or(|results| results.iter().any(known));
            let found = self.reports.count(&id);
            assert!(found == 1 || found == 0 && untold, "one result for each request of its own");
        }
        assert!(self.children.is_empty(), "every link is closed");
        self.reports.check();
        let open = |file: &File| matches!(file, File::Open | File::Placing);
        assert!(!self.files.iter().any(open), "{:?}", self.files);
    }
}

/// Which of the node's own files a request means.
fn own_file(id: &str) -> Option<usize> {
    let file = id.strip_prefix("0/")?.parse().ok();
    file.filter(|&file| file < FILES)
}
