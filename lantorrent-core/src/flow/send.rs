//! Sends a child what it is to have: words of the session, the payload from the ring or a file, and frames in between.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::outgoing::{Meaning, Outgoing};
use super::ring::{Backing, LinkOrder, LinkWork, Ring};
use super::wake::{Epoch, Shared};
use super::{TELL, Tell};
use crate::rate::{Limit, RateLimiter};
use crate::session::{Control, FeedInput, LinkId};
use crate::wire::{Frame, PayloadWriter, Wire};

/// How long a node waits for its own file before another node serves the child. A disk that writes much is slow to read.
const FILE_PATIENCE: Duration = Duration::from_secs(2);

/// What came of a step.
#[must_use]
#[derive(Debug)]
pub enum SendStep<F> {
    /// So many bytes went out, or a frame was begun: step again.
    Moved(u64),
    /// The connection takes nothing now.
    WouldBlock,
    /// The rate limit has a turn for it then, unless something becomes urgent before.
    Until(Instant),
    /// There is nothing to send, as of that epoch.
    Idle(Epoch),
    /// Read at most `len` bytes of the file from `offset` on, as one item, and say [`Ring::has_read`]. Meanwhile step again:
    /// the child is told that this side lives.
    NeedsFile {
        /// Which file.
        backing: Backing<F>,
        /// Where the item begins.
        offset: u64,
        /// What it has at most.
        len: u64,
    },
    /// What was asked for by [`NeedsFile`](Self::NeedsFile) is still missing.
    AwaitsFile {
        /// As of when.
        epoch: Epoch,
        /// When to step again although nothing has changed.
        until: Option<Instant>,
    },
    /// Shut the sending half down: the child is to know that nothing more comes.
    Finish,
    /// The link is closed, or its last frame is out.
    Over,
    /// The connection failed: nothing can be sent any more.
    Failed(io::Error),
}

/// The sending half of one child's connection.
#[derive(Debug)]
pub struct Sender {
    link: LinkId,
    writer: PayloadWriter,
    limiter: RateLimiter,
    /// For frames that may be dropped.
    budget: Budget,
    /// The frame under way.
    frame: Option<Outgoing>,
    /// When the file is given up from which the next item is being read.
    gives_up: Option<Instant>,
    /// When the session heard last how far the child is.
    told: Instant,
    /// When the session heard last that the limit holds it back.
    excused: Option<Instant>,
}

impl Sender {
    /// For that link of the ring, whose bytes are made by `writer` and count towards `limit`.
    pub fn new(now: Instant, link: LinkId, writer: PayloadWriter, limit: Limit) -> Self {
        let (limiter, budget) = (RateLimiter::new(limit), Budget::new(now));
        Self { link, writer, limiter, budget, frame: None, gives_up: None, told: now, excused: None }
    }

    /// Sends one piece of what comes next, if the connection takes it.
    pub fn step<F: Clone>(
        &mut self,
        now: Instant,
        to: &mut impl Write,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> SendStep<F> {
        let frame = match self.frame.take() {
            Some(frame) => frame,
            None => match self.begin(now, ring, tell) {
                Ok(frame) => frame,
                Err(step) => return step,
            },
        };
        self.write(now, frame, to, ring, tell)
    }

    /// Whether a frame is under way.
    pub fn is_writing(&self) -> bool {
        self.frame.is_some()
    }

    fn strand<F: Clone>(
        &self,
        why: &str,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> SendStep<F> {
        log::warn!("cannot serve link {}: {why}", self.link.0);
        ring.change(|ring| ring.strand(self.link));
        tell(FeedInput::Unservable(self.link));
        SendStep::Moved(0)
    }

    /// How long a read may take. On wire 1, and at the source, there is no other to serve the child.
    fn patience<F>(&self, backing: &Backing<F>) -> Option<Duration> {
        let replaceable = self.writer.wire() == Wire::Two && !matches!(backing, Backing::Whole(_));
        replaceable.then_some(FILE_PATIENCE)
    }

    /// Begins the frame that comes next.
    ///
    /// # Errors
    /// There is none now.
    fn begin<F: Clone>(
        &mut self,
        now: Instant,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> Result<Outgoing, SendStep<F>> {
        let link = self.link;
        let work = ring.quietly(|ring| ring.link_work(link)).map_err(SendStep::Idle)?;
        let framed = match work {
            LinkWork::Order(LinkOrder::Send(bytes)) => Ok(Outgoing::words(bytes)),
            LinkWork::Order(LinkOrder::Control(control)) => {
                let offset = ring.look(|ring| ring.position(link)).unwrap_or(0);
                let frame = match control {
                    Control::Idle => Frame::Idle { offset },
                    Control::Abort(abort) => Frame::Abort(abort),
                };
                Outgoing::frame(&self.writer, &frame, Meaning::Control(offset))
            }
            LinkWork::Order(LinkOrder::Finish) => return Err(SendStep::Finish),
            LinkWork::Item(item) => Outgoing::item(&self.writer, item),
            LinkWork::Extension(extension) => {
                if !self.budget.take(now, extension.size() as u64) {
                    log::debug!(
                        "dropped a frame of type {:#x} for link {}: too many",
                        extension.kind(),
                        link.0
                    );
                    return Err(SendStep::Moved(0));
                }
                Outgoing::frame(&self.writer, &Frame::Extension(extension), Meaning::Extension)
            }
            LinkWork::End { size, sum } => {
                Outgoing::frame(&self.writer, &Frame::End { size, sum }, Meaning::End)
            }
            LinkWork::File { backing, offset, len } => {
                self.gives_up = self.patience(&backing).map(|patience| now + patience);
                return Err(SendStep::NeedsFile { backing, offset, len });
            }
            LinkWork::AwaitsFile(_) if self.gives_up.is_some_and(|at| at <= now) => {
                let why = format!("the file has not answered for {} s", FILE_PATIENCE.as_secs());
                return Err(self.strand(&why, ring, tell));
            }
            LinkWork::AwaitsFile(epoch) => {
                return Err(SendStep::AwaitsFile { epoch, until: self.gives_up });
            }
            LinkWork::Gone(why) => return Err(self.strand(&why, ring, tell)),
            LinkWork::Over => return Err(SendStep::Over),
        };
        framed.map_err(SendStep::Failed)
    }

    fn write<F: Clone>(
        &mut self,
        now: Instant,
        mut frame: Outgoing,
        to: &mut impl Write,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> SendStep<F> {
        let left = frame.left();
        if left == 0 {
            self.written(now, frame.meaning, ring, tell);
            return SendStep::Moved(0);
        }
        let allowed = if frame.is_limited() { self.limiter.allowance(now, left) } else { Ok(left) };
        let allowed = match allowed {
            Ok(allowed) => allowed,
            // The frame is ended at once, so that the child understands what follows.
            Err(_) if ring.look(|ring| ring.is_urgent(self.link)) => left,
            Err(at) => {
                if self.excused.is_none_or(|excused| now.duration_since(excused) >= TELL) {
                    self.excused = Some(now);
                    tell(FeedInput::HeldBack(self.link));
                }
                self.frame = Some(frame);
                return SendStep::Until(at);
            }
        };
        match frame.write(to, allowed) {
            Ok(count) => {
                self.limiter.went(count);
                if count == left {
                    self.written(now, frame.meaning, ring, tell);
                } else {
                    self.frame = Some(frame);
                }
                SendStep::Moved(count as u64)
            }
            Err(error) => {
                self.limiter.went(0);
                self.frame = Some(frame);
                match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => SendStep::WouldBlock,
                    ErrorKind::Interrupted => SendStep::Moved(0),
                    _ => SendStep::Failed(error),
                }
            }
        }
    }

    /// A frame is out.
    fn written<F: Clone>(
        &mut self,
        now: Instant,
        meaning: Meaning,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) {
        let link = self.link;
        match meaning {
            Meaning::Words | Meaning::Extension => {}
            Meaning::Control(offset) => tell(FeedInput::Sent(link, offset)),
            Meaning::End => tell(FeedInput::SentEnd(link)),
            Meaning::Payload(upto) => {
                ring.change(|ring| ring.link_has(link, upto));
                if now.saturating_duration_since(self.told) >= TELL {
                    self.told = now;
                    tell(FeedInput::Sent(link, upto));
                }
            }
        }
    }
}
