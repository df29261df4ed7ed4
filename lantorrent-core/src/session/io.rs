//! What goes into a session and what comes out of it.

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
pub struct Opened {
    /// Whether a child that comes late can be served from it.
    pub read_back: ReadBack,
    /// How much of the file is there already, verified: bytes from its start, whole blocks unless it is all of it.
    pub resumed: u64,
}

/// What went wrong with a file, as its result will say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// The kind.
    pub code: Code,
    /// The cause, in words.
    pub message: String,
}

/// Something that happened. Files are named by the place of their request in the header.
#[derive(Debug)]
pub enum Input<'a> {
    /// The deadline has come.
    Tick,
    /// The owner wants the session to end: on its own within the time given, or else by an abort.
    Stop(Duration),
    /// Source: the owner wants the session to end at once, and every node to keep what a later transfer can go on with.
    Suspend,
    /// Node: a newer transfer of the same source wants the files. They are let go, with what can be resumed.
    Superseded,
    /// Node: somebody has proven a header of this transfer that is meant for this place in it.
    Claimed(UpstreamId, Box<Proven>),
    /// Node: these of its requests were cancelled before the session began. Said before anything else; they are not even
    /// opened.
    Unwanted(Vec<String>),
    /// Node: somebody has proven a header that cancels requests of this transfer. The connection is an upstream's as far
    /// as words go; nothing is read from it.
    Cancelled(UpstreamId, Box<Proven>),
    /// Source: this request is not wanted any more.
    Cancel(String),
    /// Node: another process of this node asks for the files. It is told by [`Output::Answer`].
    Asked(Ask),

    /// Node: the payload is received and verified up to this offset. Source: it is read up to here.
    Received(u64),
    /// Something came from upstream that is no payload, or nothing is being read because the ring is full.
    Heard,
    /// The payload is complete and sums up to what its source says.
    End {
        /// Bytes of the file.
        size: u64,
        /// What it sums up to.
        sum: Sum,
    },
    /// Node: the source knows every result. It comes after [`End`](Self::End).
    Bye,
    /// Upstream has given the transfer up. At the source: it cannot be read any further.
    Aborted(Abort),
    /// Node: nothing is read from upstream any more. Who reads says this once, as the last thing.
    Halted {
        /// Where the next upstream has to go on, exactly.
        offset: u64,
        /// What was wrong with the payload, or that it ended too early; None if the session asked for it.
        cause: Option<PayloadError>,
    },

    /// A name that was to be looked up has these addresses, as the resolver has sorted them.
    Found(LinkId, Vec<SocketAddr>),
    /// A child is connected; this is its address.
    Connected(LinkId, SocketAddr),
    /// A child sent bytes.
    Bytes(LinkId, &'a [u8]),
    /// A child was sent the payload up to this offset. Said for an IDLE too: it shows that the child takes something.
    Sent(LinkId, u64),
    /// A child is sent less than it could take, because there is a limit; but it is sent something now and then.
    HeldBack(LinkId),
    /// A child was sent the end of the payload.
    SentEnd(LinkId),
    /// A name could not be looked up, a child not be reached, or its connection has ended; the text says why.
    Closed(LinkId, String),

    /// What a child is to be sent next is neither in memory, nor can it be read back as it was written.
    Unservable(LinkId),

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
    /// [`Claimed`](Self::Claimed), which has a success told again.
    Displaced(String, FileFault),
}

/// A frame that a session sends between those of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Nothing to send yet. It may be left out where the payload flows.
    Idle,
    /// The transfer is over without the file. Nothing follows it.
    Abort(Abort),
    /// The source knows every result. Behind the end of the payload alone.
    Bye,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Open the file of that request.
    Open(usize),
    /// Begin to read the payload from that upstream, at this offset. The first of these also says where the files
    /// begin.
    Accept(UpstreamId, u64),
    /// Stop reading from upstream, and say [`Input::Halted`].
    Halt,
    /// Write to an upstream. Never wait for it: what cannot be written now is kept for later.
    Reply(UpstreamId, Vec<u8>),
    /// Finish writing to an upstream, and close.
    CloseUpstream(UpstreamId),
    /// Close the connection to an upstream at once.
    DropUpstream(UpstreamId),

    /// Look up the addresses of a host, and say [`Input::Found`], or [`Input::Closed`] if that fails. No other lookup may
    /// have to wait for this one.
    LookUp {
        /// Names the lookup from now on.
        link: LinkId,
        /// A name, or an IPv6 address of a single link, maybe with a zone behind a `%`.
        host: String,
        /// TCP port of the addresses.
        port: u16,
    },
    /// Connect to a child, for as long as it takes.
    Connect {
        /// Names the connection from now on.
        link: LinkId,
        /// Address, with the zone that it has on this host.
        to: SocketAddr,
    },
    /// Write to a child, ahead of any payload.
    Send(LinkId, Vec<u8>),
    /// Send a child the payload from this offset on, to its end.
    Feed(LinkId, u64),
    /// Send a child a frame as soon as the frame under way is out.
    Control(LinkId, Control),
    /// Wire 1: shut the sending half of the connection down behind what was sent. The child is still heard.
    Finish(LinkId),
    /// Close the connection at once, or forget the lookup. Nothing is heard of the link after this.
    Close(LinkId),
    /// Close the connection behind the frame under way, so that the child gets all that it was sent. Who takes no more is
    /// not waited for long. Nothing is heard of the link after this.
    Part(LinkId),

    /// Give a file its name: it is whole, with this many bytes.
    Place(usize, u64),
    /// Remove what there is of a file.
    Discard(usize),
    /// Remove what there is of the file of that request: what this session writes of it, and what earlier transfers of the
    /// same source have left beside it. Never a file that has its name. Say [`Input::Removed`].
    Remove(Request),
    /// Tell who asked for the files whether he gets them; if so, when this session is over and they are free.
    Answer(Answer),
    /// Let go of a file, but keep what a later transfer can go on with.
    Keep(usize),

    /// Source: how far the nodes are.
    Progress(Progress),
    /// Source: what became of a request; exactly one for each.
    Report(Report),
    /// Source: a node was bypassed. For people: what becomes of its requests is still to be reported.
    Bypassed(Report),
    /// The session is over. Nothing comes after this. A file that is open now, or is being opened, is let go as by
    /// [`Keep`](Self::Keep).
    Done,
}
