//! What a session promises to its driver, who believes nothing.

use std::collections::BTreeMap;

use super::{ADDRESSES, BEHIND, FILES, LENGTH};
use crate::session::{
    Control, FeedOutput, FileInput, FileOutput, LinkId, LinkInput, LinkOutput, NodeInput, NodeOutput,
};
use crate::wire::Report;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    New,
    Opening,
    /// It had so much when it was opened.
    Open(u64),
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    LookUp,
    Connecting,
    Connected,
    /// It is sent the payload, or an abort in its stead.
    Fed,
}

/// `NotYet` → `Reading` ⇄ `Halted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    NotYet,
    Reading,
    /// Nothing is read any more, and the next upstream has to go on there.
    Halted(u64),
}

pub(super) struct Promises {
    files: [File; FILES],
    links: BTreeMap<LinkId, Link>,
    payload: Payload,
    written: u64,
    ended: bool,
    pub(super) done: bool,
}

impl Promises {
    pub(super) fn new() -> Self {
        Self {
            files: [File::New; FILES],
            links: BTreeMap::new(),
            payload: Payload::NotYet,
            written: 0,
            ended: false,
            done: false,
        }
    }

    /// The session is about to hear that.
    pub(super) fn heard(&mut self, input: &NodeInput<'_>) {
        match input {
            NodeInput::File(input) => self.heard_of_file(input),
            NodeInput::Link(LinkInput::Connected(link, _)) => {
                assert_eq!(self.links.insert(*link, Link::Connected), Some(Link::Connecting));
            }
            NodeInput::End { size, .. } => assert_eq!(*size, LENGTH as u64),
            NodeInput::EndVerified(Ok(())) => self.ended = true,
            NodeInput::Halted { offset, .. } => {
                assert_eq!(self.payload, Payload::Reading);
                self.payload = Payload::Halted(*offset);
            }
            _ => {}
        }
    }

    fn heard_of_file(&mut self, input: &FileInput) {
        match input {
            FileInput::Opened(file, Ok(opened)) => {
                self.turn(*file, &[File::Opening], File::Open(opened.resumed));
            }
            FileInput::Opened(file, Err(_)) => self.turn(*file, &[File::Opening], File::Failed),
            FileInput::WriteFailed(file, _) => {
                let file = &mut self.files[*file];
                let unwritten = matches!(file, File::New | File::Opening | File::Failed | File::Placed);
                assert!(!unwritten, "{file:?} is not written");
                // One that is being placed has its result still to come.
                if matches!(file, File::Open(_)) {
                    *file = File::Failed;
                }
            }
            FileInput::Placed(file, Ok(())) => self.turn(*file, &[File::Placing], File::Placed),
            FileInput::Placed(file, Err(_)) => self.turn(*file, &[File::Placing], File::Failed),
            FileInput::Removed(id, _) => {
                if let Some(file) = own_file(id) {
                    self.turn(file, &[File::Removing], File::Removed);
                }
            }
            FileInput::Written(upto) => self.written = *upto,
            FileInput::Displaced(..) => {}
        }
    }

    /// The session says that.
    pub(super) fn said(&mut self, output: &NodeOutput) {
        assert!(!self.done, "after Done came {output:?}");
        match output {
            NodeOutput::File(FileOutput::Open(file)) => self.turn(*file, &[File::New], File::Opening),
            NodeOutput::File(FileOutput::Place(file, size)) => {
                assert!(self.ended, "placed before its END is verified");
                assert_eq!((*size, self.written), (LENGTH as u64, LENGTH as u64));
                assert!(matches!(self.files[*file], File::Open(_)), "{:?} is placed", self.files[*file]);
                self.files[*file] = File::Placing;
            }
            NodeOutput::File(FileOutput::Discard(file)) => self.let_go(*file, File::Discarded),
            NodeOutput::File(FileOutput::Keep(file)) => self.let_go(*file, File::Kept),
            NodeOutput::File(FileOutput::Remove(request)) => {
                if let Some(file) = own_file(&request.id) {
                    match self.files[file] {
                        File::Opening => self.files[file] = File::Removing,
                        _ => self.let_go(file, File::Removing),
                    }
                }
            }
            NodeOutput::Accept(_, from) => self.accept(*from),
            NodeOutput::Link(output) => self.said_of_link(output),
            NodeOutput::Feed(output) => self.said_of_payload(output),
            NodeOutput::Done => {
                self.done = true;
                assert!(self.links.is_empty(), "every link is closed");
                let open = |file: &File| matches!(file, File::Open(_) | File::Placing);
                assert!(!self.files.iter().any(open), "{:?}", self.files);
            }
            _ => {}
        }
    }

    fn said_of_link(&mut self, output: &LinkOutput) {
        match output {
            LinkOutput::LookUp { link, .. } => assert_eq!(self.links.insert(*link, Link::LookUp), None),
            LinkOutput::Connect { link, .. } => {
                assert_eq!(self.links.insert(*link, Link::Connecting), None);
                let links = self.links.values().filter(|link| **link != Link::LookUp).count();
                assert!(links <= BEHIND * ADDRESSES.len(), "more links than there are addresses behind");
            }
            LinkOutput::Send(link, _) => assert_eq!(self.links[link], Link::Connected),
            LinkOutput::Close(link) => assert!(self.links.remove(link).is_some(), "closed twice"),
        }
    }

    fn said_of_payload(&mut self, output: &FeedOutput) {
        match output {
            FeedOutput::Feed(link, _) => {
                assert_eq!(self.links.insert(*link, Link::Fed), Some(Link::Connected), "fed twice");
            }
            // A child that is not ready yet hears of an abort too. Nothing but the end comes behind that.
            FeedOutput::Control(link, Control::Abort(_)) => {
                *self.links.get_mut(link).expect("a link that is open") = Link::Fed;
            }
            FeedOutput::Control(link, _) | FeedOutput::Finish(link) => {
                assert_eq!(self.links[link], Link::Fed);
            }
        }
    }

    fn accept(&mut self, from: u64) {
        let resumed = self.files.iter().filter_map(|file| match file {
            File::Open(resumed) => Some(*resumed),
            _ => None,
        });
        let next = match self.payload {
            Payload::NotYet => resumed.min().unwrap_or(0),
            Payload::Halted(offset) => offset,
            Payload::Reading => panic!("two are read at once"),
        };
        assert_eq!(from, next, "a gap, or something twice");
        self.payload = Payload::Reading;
    }

    /// A success is reported of what has its name, and of nothing else.
    pub(super) fn reported(&self, report: &Report) {
        if let Some(file) = report.id.as_deref().and_then(own_file) {
            assert_eq!(self.files[file] == File::Placed, report.code.is_success(), "{report:?}");
        }
    }

    /// Whether nothing was begun.
    pub(super) fn are_untouched(&self) -> bool {
        self.files == [File::New; FILES] && self.links.is_empty()
    }

    fn let_go(&mut self, file: usize, to: File) {
        let from = &mut self.files[file];
        assert!(matches!(from, File::Open(_) | File::Failed), "from {from:?} to {to:?}");
        *from = to;
    }

    fn turn(&mut self, file: usize, from: &[File], to: File) {
        assert!(from.contains(&self.files[file]), "from {:?} to {to:?}", self.files[file]);
        self.files[file] = to;
    }
}

/// Which of the node's own files a request means.
fn own_file(id: &str) -> Option<usize> {
    let file = id.strip_prefix("0/")?.parse().ok();
    file.filter(|&file| file < FILES)
}
