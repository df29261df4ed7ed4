//! What goes into a session and what comes out of it.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::wire::{Abort, Code, PayloadError, Progress, Report, Sum};

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

/// Whether what was written to a file can be read again, for a child that comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// A file or a disk.
    Possible,
    /// /dev/null, for one.
    Impossible,
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
    /// Upstream has given the transfer up. At the source: it cannot be read any further.
    Aborted(Abort),
    /// What came is not what the protocol, or the source, says.
    BadPayload(PayloadError),
    /// The upstream's half of the connection has ended.
    UpstreamClosed,

    /// A child is connected; this is its address.
    Connected(LinkId, SocketAddr),
    /// A child sent bytes.
    Bytes(LinkId, &'a [u8]),
    /// A child was sent the payload up to this offset. Said for an IDLE too: it shows that the child takes something.
    Sent(LinkId, u64),
    /// A child was sent the end of the payload.
    SentEnd(LinkId),
    /// A child could not be reached, or its connection has ended; the text says why.
    Closed(LinkId, String),

    /// A file is open, or is not.
    Opened(usize, Result<ReadBack, FileFault>),
    /// All open files hold the payload up to this offset.
    Written(u64),
    /// A file cannot be written any more; it has not been touched since.
    WriteFailed(usize, FileFault),
    /// A file is whole, durable as configured, and has its name; or it has not.
    Placed(usize, Result<(), FileFault>),
}

/// A frame that a session sends between those of the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// Nothing to send yet. It may be left out where the payload flows.
    Idle,
    /// The transfer is over without the file. Nothing follows it.
    Abort(Abort),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Open the file of that request.
    Open(usize),
    /// Begin to read the payload from upstream, at this offset.
    Accept(u64),
    /// Write to upstream. Never wait for it: what cannot be written now is kept for later.
    Reply(Vec<u8>),
    /// Finish writing to upstream, and close.
    CloseUpstream,

    /// Connect to a child.
    Connect {
        /// Names the connection from now on.
        link: LinkId,
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// Write to a child, ahead of any payload.
    Send(LinkId, Vec<u8>),
    /// Send a child the payload from this offset on, to its end.
    Feed(LinkId, u64),
    /// Send a child a frame as soon as the frame under way is out.
    Control(LinkId, Control),
    /// Close the connection at once. Nothing is heard of the link after this.
    Close(LinkId),

    /// Give a file its name: it is whole, with this many bytes.
    Place(usize, u64),
    /// Remove what there is of a file.
    Discard(usize),

    /// Source: how far the nodes are.
    Progress(Progress),
    /// Source: what became of a request; exactly one for each.
    Report(Report),
    /// The session is over. Nothing comes after this. A file that is open now, or is being opened, was given up:
    /// what there is of it is the driver's to remove.
    Done,
}
