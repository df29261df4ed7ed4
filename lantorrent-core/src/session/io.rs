//! What goes into a session and what comes out of it.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "a driver has to tell and to do all of it: what is new here must not compile unseen"
)]

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use super::ask::{Answer, Ask};
use super::incoming::Proven;
use crate::wire::{Abort, Code, PayloadError, Progress, Report, Request, Sum};

/// The time, as the driver sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// Seconds since the Unix epoch, for the validity of headers.
    pub unix: u64,
}

impl std::ops::Add<Duration> for Now {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self { instant: self.instant + time, unix: self.unix + time.as_secs() }
    }
}

/// Names a connection to a child. A session gives out each number once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u32);

/// Names a connection from upstream. The driver gives out each number once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub u64);

/// Whether what was written to a file can be read again, for a child that comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// A file or a disk.
    Possible,
    /// /dev/null, for one.
    Impossible,
}

/// A file that takes the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opened {
    /// Whether a child that comes late can be served from it.
    pub read_back: ReadBack,
    /// How much of the file is there already, verified: bytes from its start, whole blocks unless it is all of it.
    pub resumed: u64,
}

impl Opened {
    /// With so many bytes from its start there already, verified.
    pub fn new(read_back: ReadBack, resumed: u64) -> Self {
        Self { read_back, resumed }
    }
}

/// What went wrong with a file, as its result will say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileFault {
    /// The kind.
    pub code: Code,
    /// The cause, in words.
    pub message: String,
}

impl FileFault {
    /// Of that kind, with its cause in words.
    pub fn new(code: Code, message: String) -> Self {
        Self { code, message }
    }
}

/// What becomes of a connection to a node, or of the lookup that leads to one. Of every session.
#[derive(Debug)]
pub enum LinkInput<'a> {
    /// A name that was to be looked up has these addresses, as the resolver has sorted them.
    Found(LinkId, Vec<SocketAddr>),
    /// A node is connected; this is its address.
    Connected(LinkId, SocketAddr),
    /// A node sent bytes.
    Bytes(LinkId, &'a [u8]),
    /// A name could not be looked up, a node not be reached, or its connection has ended; the text says why.
    Closed(LinkId, String),
}

impl LinkInput<'_> {
    pub(super) fn link(&self) -> LinkId {
        match *self {
            Self::Found(link, _)
            | Self::Connected(link, _)
            | Self::Bytes(link, _)
            | Self::Closed(link, _) => link,
        }
    }
}

/// How the payload goes to a child. Of a node and of a source.
#[derive(Debug)]
pub enum FeedInput {
    /// A child was sent the payload up to this offset. Said for an IDLE too: it shows that the child takes something.
    Sent(LinkId, u64),
    /// A child is sent less than it could take, because there is a limit; but it is sent something now and then.
    HeldBack(LinkId),
    /// A child was sent the end of the payload.
    SentEnd(LinkId),
    /// What a child is to be sent next is neither in memory, nor can it be read back as it was written.
    Unservable(LinkId),
}

/// What becomes of a node's files. They are named by the place of their request in the header.
#[derive(Debug)]
pub enum FileInput {
    /// A file is open, or is not.
    Opened(usize, Result<Opened, FileFault>),
    /// All open files hold the payload up to this offset.
    Written(u64),
    /// A file cannot be written any more; it has not been touched since.
    WriteFailed(usize, FileFault),
    /// What there was of the file of the request with that id is removed, or cannot be.
    Removed(String, Result<(), FileFault>),
    /// A file is whole, durable as configured, and has its name; or it has not.
    Placed(usize, Result<(), FileFault>),
    /// The file of the request with that id had its name, and its path does not lead to it any more. To be said before
    /// [`Claimed`](NodeInput::Claimed), which has a success told again.
    Displaced(String, FileFault),
}

/// Something that happened to a [`NodeSession`](super::NodeSession).
#[derive(Debug)]
pub enum NodeInput<'a> {
    /// The deadline has come.
    Tick,
    /// The owner wants the session to end: on its own within the time given, or else by an abort.
    Stop(Duration),
    /// A newer transfer of the same source wants the files. They are let go, with what can be resumed.
    Superseded,
    /// A header of this transfer was proven that is meant for this place in it.
    Claimed(UpstreamId, Box<Proven>),
    /// These of its requests were cancelled before the session began. Said before anything else; they are not even
    /// opened.
    Unwanted(Vec<String>),
    /// A header was proven that cancels requests of this transfer. The connection is an upstream's as far as words go;
    /// nothing is read from it.
    Cancelled(UpstreamId, Box<Proven>),
    /// A header was proven that asks how requests of this transfer have ended. The connection is as one that cancels.
    Queried(UpstreamId, Box<Proven>),
    /// Another process of this node asks for the files. It is told by [`NodeOutput::Answer`].
    Asked(Ask),
    /// The payload is received and verified up to this offset.
    Received(u64),
    /// Something came from upstream that is no payload, or nothing is being read because the ring is full.
    Heard,
    /// The payload has ended, and sums up to what the end says. No file is placed before
    /// [`EndVerified`](Self::EndVerified).
    End {
        /// Bytes of the file.
        size: u64,
        /// What it sums up to.
        sum: Sum,
    },
    /// Behind [`End`](Self::End): whether it is the end that the source has signed. On wire 1, which has no signature, it is.
    EndVerified(Result<(), PayloadError>),
    /// Upstream has given the transfer up.
    Aborted(Abort),
    /// Nothing is read from upstream any more. The reader says this once, as the last thing.
    Halted {
        /// Where the next upstream has to go on, exactly.
        offset: u64,
        /// What was wrong with the payload, or that it ended too early; None if the session asked for it.
        cause: Option<PayloadError>,
    },
    /// Of a connection to a node behind.
    Link(LinkInput<'a>),
    /// Of the payload to a child.
    Feed(FeedInput),
    /// Of its files.
    File(FileInput),
}

/// Something that happened to a [`SourceSession`](super::SourceSession).
#[derive(Debug)]
pub enum SourceInput<'a> {
    /// The deadline has come.
    Tick,
    /// The owner wants the session to end, by an abort.
    Stop,
    /// The owner wants the session to end at once, and every node to keep what a later transfer can go on with.
    Suspend,
    /// This request is not wanted any more.
    Cancel(String),
    /// The payload is read up to here.
    Received(u64),
    /// The payload is read to its end.
    End {
        /// Bytes of the file.
        size: u64,
        /// What it sums up to.
        sum: Sum,
    },
    /// The payload cannot be read any further.
    Aborted(Abort),
    /// Of a connection to a node.
    Link(LinkInput<'a>),
    /// Of the payload to a child.
    Feed(FeedInput),
}

/// Something that happened to a [`PreflightSession`](super::PreflightSession).
#[derive(Debug)]
pub enum PreflightInput<'a> {
    /// The deadline has come.
    Tick,
    /// The owner wants the session to end.
    Stop,
    /// Of a connection to a node.
    Link(LinkInput<'a>),
}

/// A frame that a session sends between those of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Nothing to send yet. It may be left out where the payload flows.
    Idle,
    /// The transfer is over without the file. Nothing follows it.
    Abort(Abort),
}

/// What to do about a connection to a node. Of every session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOutput {
    /// Look up the addresses of a host, and say [`LinkInput::Found`], or [`LinkInput::Closed`] if that fails. No other
    /// lookup may have to wait for this one.
    LookUp {
        /// Names the lookup from now on.
        link: LinkId,
        /// A name, or an IPv6 address of a single link, maybe with a zone behind a `%`.
        host: String,
        /// TCP port of the addresses.
        port: u16,
    },
    /// Connect to a node, for as long as it takes.
    Connect {
        /// Names the connection from now on.
        link: LinkId,
        /// Address, with the zone that it has on this host.
        to: SocketAddr,
    },
    /// Write to a node, ahead of any payload.
    Send(LinkId, Vec<u8>),
    /// Close the connection at once, or forget the lookup. Nothing is heard of the link after this.
    Close(LinkId),
}

/// What to do about the payload to a child. Of a node and of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedOutput {
    /// Send a child the payload from this offset on, to its end.
    Feed(LinkId, u64),
    /// Send a child a frame as soon as the frame under way is out.
    Control(LinkId, Control),
    /// Wire 1: shut the sending half of the connection down behind what was sent. The child is still heard.
    Finish(LinkId),
}

/// What to do about a node's files. They are named by the place of their request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileOutput {
    /// Open a file.
    Open(usize),
    /// Give a file its name: it is whole, with this many bytes.
    Place(usize, u64),
    /// Remove what there is of a file.
    Discard(usize),
    /// Let go of a file, but keep what a later transfer can go on with.
    Keep(usize),
    /// Remove what there is of the file of that request: what this session writes of it, and what earlier transfers of the
    /// same source have left beside it. Never a file that has its name. Say [`FileInput::Removed`].
    Remove(Request),
}

/// Something for the driver of a [`NodeSession`](super::NodeSession) to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeOutput {
    /// Begin to read the payload from that upstream, at this offset. The first of these also says where the files
    /// begin.
    Accept(UpstreamId, u64),
    /// Stop reading from upstream, and say [`NodeInput::Halted`].
    Halt,
    /// Write to an upstream. Never wait for it: what cannot be written now is kept for later.
    Reply(UpstreamId, Vec<u8>),
    /// Finish writing to an upstream, and close.
    CloseUpstream(UpstreamId),
    /// Close the connection to an upstream at once.
    DropUpstream(UpstreamId),
    /// About a connection to a node behind.
    Link(LinkOutput),
    /// About the payload to a child.
    Feed(FeedOutput),
    /// About its files.
    File(FileOutput),
    /// Tell the process that asked for the files whether it gets them; if so, when this session is over and they are free.
    Answer(Answer),
    /// The session is over. Nothing comes after this. A file that is open now, or is being opened, is let go as by
    /// [`Keep`](FileOutput::Keep).
    Done,
}

/// Something for the driver of a [`SourceSession`](super::SourceSession) to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceOutput {
    /// About a connection to a node.
    Link(LinkOutput),
    /// About the payload to a child.
    Feed(FeedOutput),
    /// Close the connection behind the frame under way, so that the child gets all that it was sent. One that takes no
    /// more is not waited for long. Nothing is heard of the link after this.
    Part(LinkId),
    /// How far the nodes are.
    Progress(Progress),
    /// What became of a request; exactly one for each.
    Report(Report),
    /// A node was bypassed. For people: what becomes of its requests is still to be reported.
    Bypassed(Report),
    /// The session is over. Nothing comes after this.
    Done,
}

/// Something for the driver of a [`PreflightSession`](super::PreflightSession) to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreflightOutput {
    /// About a connection to a node.
    Link(LinkOutput),
    /// The answer to a request; exactly one for each.
    Report(Report),
    /// The session is over. Nothing comes after this.
    Done,
}

/// What several sessions share goes into each of them, and comes out of each.
macro_rules! shared {
    ($([$($life:lifetime)?] $part:ty => $whole:ty, $variant:ident;)*) => {$(
        impl$(<$life>)? From<$part> for $whole {
            fn from(part: $part) -> Self {
                Self::$variant(part)
            }
        }
    )*};
}

shared! {
    ['a] LinkInput<'a> => NodeInput<'a>, Link;
    ['a] LinkInput<'a> => SourceInput<'a>, Link;
    ['a] LinkInput<'a> => PreflightInput<'a>, Link;
    ['a] FeedInput => NodeInput<'a>, Feed;
    ['a] FeedInput => SourceInput<'a>, Feed;
    ['a] FileInput => NodeInput<'a>, File;
    [] LinkOutput => NodeOutput, Link;
    [] LinkOutput => SourceOutput, Link;
    [] LinkOutput => PreflightOutput, Link;
    [] FeedOutput => NodeOutput, Feed;
    [] FileOutput => NodeOutput, File;
    [] FeedOutput => SourceOutput, Feed;
}

/// The outputs of a session that connects to nodes.
pub(super) trait Asks: From<LinkOutput> {}
impl<O: From<LinkOutput>> Asks for O {}

/// The outputs of a session that has children.
pub(super) trait Feeds: Asks + From<FeedOutput> {}
impl<O: Asks + From<FeedOutput>> Feeds for O {}
