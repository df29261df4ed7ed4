//! Sends a child what it is to have: words of the session, the payload from the ring or a file, and frames in between.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, Write};
use std::time::Instant;

use super::outgoing::{Meaning, Outgoing};
use super::ring::{Backing, Item, LinkOrder, LinkWork, Ring};
use super::wake::{Epoch, Shared, Wake};
use super::{TELL, Tell};
use crate::rate::{Limit, Pace};
use crate::session::{Control, FeedInput, LinkId};
use crate::wire::{Frame, PayloadWriter};

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
    /// Read at most `len` bytes of the file from `offset` on, as one item, and say [`Sender::take`].
    NeedsFile {
        /// Which file.
        backing: Backing<F>,
        /// Where the item begins.
        offset: u64,
        /// What it has at most.
        len: u64,
    },
    /// What was asked for by [`NeedsFile`](Self::NeedsFile) is still missing.
    AwaitsFile,
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
    pace: Pace,
    state: State,
    /// When the session heard last how far the child is.
    told: Instant,
    /// When the session heard last that the limit holds it back.
    excused: Option<Instant>,
}

/// `Idle` → `Writing` → `Idle`, by way of `AwaitsFile` where the item is not in memory.
#[derive(Debug)]
enum State {
    Idle,
    AwaitsFile,
    Writing(Outgoing),
}

impl Sender {
    /// For that link of the ring, whose bytes are made by `writer` and count towards `limit`.
    pub fn new(now: Instant, link: LinkId, writer: PayloadWriter, limit: Limit) -> Self {
        Self { link, writer, pace: Pace::new(limit), state: State::Idle, told: now, excused: None }
    }

    /// Sends one piece of what comes next, if the connection takes it.
    pub fn step<F: Clone>(
        &mut self,
        now: Instant,
        to: &mut impl Write,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> SendStep<F> {
        if let State::Idle = self.state
            && let Some(step) = self.begin(ring, tell)
        {
            return step;
        }
        self.write(now, to, ring, tell)
    }

    /// Whether a frame is under way.
    pub fn is_writing(&self) -> bool {
        matches!(self.state, State::Writing(_))
    }

    /// What was to be read from the file; or why it cannot be sent to a child.
    pub fn take<F: Clone>(
        &mut self,
        item: Result<Item, String>,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) {
        self.state = State::Idle;
        let framed = item.and_then(|item| {
            Outgoing::item(&self.writer, item).map_err(|error| format!("it cannot be sent: {error}"))
        });
        match framed {
            Ok(frame) => self.state = State::Writing(frame),
            Err(why) => {
                log::warn!("cannot serve link {}: {why}", self.link.0);
                self.strand(ring, tell);
            }
        }
    }

    fn strand<F: Clone>(&self, ring: &impl Shared<Ring<F>>, tell: &mut Tell<'_, FeedInput>) {
        ring.change(|ring| ring.strand(self.link));
        tell(FeedInput::Unservable(self.link));
    }

    /// Begins what comes next. None if that is a frame, which is to be written.
    fn begin<F: Clone>(
        &mut self,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> Option<SendStep<F>> {
        let link = self.link;
        let work = match ring.with(|ring| (ring.link_work(link), Wake::NONE)) {
            Ok(work) => work,
            Err(epoch) => return Some(SendStep::Idle(epoch)),
        };
        let framed = match work {
            LinkWork::Order(LinkOrder::Send(bytes)) => Ok(Outgoing::words(bytes)),
            LinkWork::Order(LinkOrder::Control(control)) => {
                let offset = ring.look(|ring| ring.position(link)).unwrap_or(0);
                let frame = match control {
                    Control::Idle => Frame::Idle { offset },
                    Control::Abort(abort) => Frame::Abort(abort),
                    Control::Bye => Frame::Bye,
                };
                Outgoing::frame(&self.writer, &frame, Meaning::Control(offset))
            }
            LinkWork::Order(LinkOrder::Finish) => return Some(SendStep::Finish),
            LinkWork::Item(item) => Outgoing::item(&self.writer, item),
            LinkWork::End { size, sum } => {
                Outgoing::frame(&self.writer, &Frame::End { size, sum }, Meaning::End)
            }
            LinkWork::File { backing, offset, len } => {
                self.state = State::AwaitsFile;
                return Some(SendStep::NeedsFile { backing, offset, len });
            }
            LinkWork::Gone => {
                log::info!("cannot serve link {}: its data is neither in memory nor in a file", link.0);
                self.strand(ring, tell);
                return Some(SendStep::Moved(0));
            }
            LinkWork::Over => return Some(SendStep::Over),
        };
        match framed {
            Ok(frame) => {
                self.state = State::Writing(frame);
                None
            }
            Err(error) => Some(SendStep::Failed(error)),
        }
    }

    fn write<F: Clone>(
        &mut self,
        now: Instant,
        to: &mut impl Write,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> SendStep<F> {
        let State::Writing(frame) = &mut self.state else { return SendStep::AwaitsFile };
        let left = frame.left();
        if left == 0 {
            return self.written(now, ring, tell);
        }
        let allowed = if frame.has_data() { self.pace.allowance(now, left) } else { Ok(left) };
        let allowed = match allowed {
            Ok(allowed) => allowed,
            // The frame is ended at once, so that the child understands what follows.
            Err(_) if ring.look(|ring| ring.is_urgent(self.link)) => left,
            Err(at) => {
                if self.excused.is_none_or(|excused| now.duration_since(excused) >= TELL) {
                    self.excused = Some(now);
                    tell(FeedInput::HeldBack(self.link));
                }
                return SendStep::Until(at);
            }
        };
        match frame.write(to, allowed) {
            Ok(count) => {
                self.pace.went(count);
                if count == left {
                    let _ = self.written(now, ring, tell);
                }
                SendStep::Moved(count as u64)
            }
            Err(error) => {
                self.pace.went(0);
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
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, FeedInput>,
    ) -> SendStep<F> {
        let link = self.link;
        if let State::Writing(frame) = std::mem::replace(&mut self.state, State::Idle) {
            match frame.meaning {
                Meaning::Words => {}
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
        SendStep::Moved(0)
    }
}
