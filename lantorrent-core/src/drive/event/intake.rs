//! Reads the payload of a session from one upstream after the other, each of which goes on exactly where the last one
//! stopped.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSliceMut, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::TELL;
use super::super::baton::{Baton, take_baton};
use super::super::block::{Block, Buffer, Pool};
use super::super::hub::{Hub, NoRoom, PATIENCE};
use super::super::limit::Limit;
use super::super::pace::Pace;
use super::super::ring::Item;
use super::stock::Stock;
use super::upstreams::Upstream;
use crate::session::{NodeInput, UpstreamId};
use crate::wire::{Frame, Header, Keyring, PayloadError, PayloadReader, RootHasher};

/// What the session is to hear.
pub(super) type Told = VecDeque<NodeInput<'static>>;

#[derive(Debug)]
pub(super) struct Intake {
    header: Header,
    keys: Keyring,
    hub: Arc<Hub>,
    pool: Arc<Pool>,
    limit: Limit,
    baton: Option<Baton>,
    reading: Reading,
}

#[derive(Debug)]
enum Reading {
    Nobody,
    /// What is there already before this offset is still being summed up.
    Preparing(UpstreamId, u64),
    From(UpstreamId, Box<Reader>),
}

#[derive(Debug)]
struct Reader {
    payload: PayloadReader,
    /// Verified, but there is no room for it yet.
    pending: Option<Item>,
    /// None while nothing is in it.
    block: Option<Buffer>,
    /// Whether nothing came yet behind the last frame.
    fresh: bool,
    /// When to look for room again.
    retry_at: Option<Instant>,
    pace: Pace,
    /// When its turn comes, if it has to wait for that.
    held_until: Option<Instant>,
    told: Instant,
    /// When the session heard last that nobody reads, so that silence is nobody's fault.
    excused: Instant,
    begun: bool,
}

/// So many bytes, and the frame that they completed.
type Came = (usize, Option<Frame>);

/// Why reading stops.
enum Stop {
    Bad(PayloadError),
    Lost,
}

impl From<PayloadError> for Stop {
    fn from(error: PayloadError) -> Self {
        Self::Bad(error)
    }
}

/// What is needed before an upstream can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Needed {
    Nothing,
    /// The sum of all that is there before this offset, for [`Intake::begin`].
    SumBefore(u64),
}

impl Intake {
    pub(super) fn new(header: Header, keys: Keyring, hub: Arc<Hub>, pool: Arc<Pool>, limit: Limit) -> Self {
        Self { header, keys, hub, pool, limit, baton: None, reading: Reading::Nobody }
    }

    /// Who is read, or is about to be.
    pub(super) fn upstream(&self) -> Option<UpstreamId> {
        match self.reading {
            Reading::Nobody => None,
            Reading::Preparing(id, _) | Reading::From(id, _) => Some(id),
        }
    }

    /// The payload comes from that one now, from the offset `from` on.
    pub(super) fn accept(&mut self, id: UpstreamId, from: u64, told: &mut Told) -> Needed {
        self.reading = Reading::Preparing(id, from);
        match take_baton(&mut self.baton, from) {
            Ok(None) if from > 0 => return Needed::SumBefore(from),
            Ok(None) => self.begin(from, Some(RootHasher::new(self.header.block_size)), told),
            Ok(Some(Baton { root, pending, .. })) => self.go_on(id, from, root, pending, told),
            Err(offset) => self.cannot(offset, told),
        }
        Needed::Nothing
    }

    /// What is there already is summed up, or cannot be.
    pub(super) fn begin(&mut self, from: u64, root: Option<RootHasher>, told: &mut Told) {
        match self.reading {
            Reading::Preparing(id, at) if at == from => match root {
                Some(root) => self.go_on(id, from, root, None, told),
                None => self.cannot(from, told),
            },
            // It was halted meanwhile.
            _ => {}
        }
    }

    fn go_on(&mut self, id: UpstreamId, from: u64, root: RootHasher, pending: Option<Item>, told: &mut Told) {
        // The greeting lets nobody in whose wire has no password.
        let Some(payload) = PayloadReader::resume(&self.header, &self.keys, root, from) else {
            return self.cannot(from, told);
        };
        let reader = Reader {
            payload,
            pending,
            block: None,
            fresh: true,
            retry_at: None,
            pace: Pace::new(self.limit.clone()),
            held_until: None,
            told: Instant::now(),
            excused: Instant::now(),
            begun: from > 0,
        };
        self.reading = Reading::From(id, Box::new(reader));
    }

    fn cannot(&mut self, offset: u64, told: &mut Told) {
        self.reading = Reading::Nobody;
        let cause = Some(PayloadError::Malformed { offset, what: "the payload cannot go on there" });
        told.push_back(NodeInput::Halted { offset, cause });
    }

    /// Stops, if somebody is read.
    pub(super) fn halt(&mut self, told: &mut Told) {
        match std::mem::replace(&mut self.reading, Reading::Nobody) {
            Reading::Nobody => {}
            Reading::Preparing(_, offset) => told.push_back(NodeInput::Halted { offset, cause: None }),
            Reading::From(_, reader) => self.leave(*reader, None, told),
        }
    }

    /// Nobody is read any more, and nothing is kept.
    pub(super) fn end(&mut self) {
        self.reading = Reading::Nobody;
        self.baton = None;
    }

    fn leave(&mut self, reader: Reader, cause: Option<PayloadError>, told: &mut Told) {
        let Reader { payload, pending, .. } = reader;
        let offset = payload.offset();
        if let Some(root) = payload.into_root() {
            self.baton = Some(Baton { root, offset, pending });
        }
        told.push_back(NodeInput::Halted { offset, cause });
    }

    /// Reads once from who is read, and hands on what came. Returns how many bytes that were; None if there is nothing to
    /// read, or no room for it.
    pub(super) fn step(&mut self, from: &mut Upstream, stock: &Stock, told: &mut Told) -> Option<usize> {
        let Reading::From(_, reader) = &mut self.reading else { return None };
        let stop = match reader.step(from, &self.hub, &self.pool, stock, told) {
            Ok(moved) => return moved,
            Err(stop) => stop,
        };
        let Reading::From(_, reader) = std::mem::replace(&mut self.reading, Reading::Nobody) else {
            return None;
        };
        let cause = match stop {
            Stop::Bad(error) => error,
            // What came last may have been wrong, which nobody has asked for yet.
            Stop::Lost => {
                let offset = reader.payload.offset();
                reader.payload.finish().err().unwrap_or(PayloadError::Truncated { offset })
            }
        };
        self.leave(*reader, Some(cause), told);
        None
    }

    /// When to look at it again although nothing has changed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.reading {
            Reading::From(_, reader) => reader.retry_at.into_iter().chain(reader.held_until).min(),
            Reading::Nobody | Reading::Preparing(..) => None,
        }
    }
}

impl Reader {
    fn step(
        &mut self,
        from: &mut Upstream,
        hub: &Hub,
        pool: &Arc<Pool>,
        stock: &Stock,
        told: &mut Told,
    ) -> Result<Option<usize>, Stop> {
        if let Some(item) = self.pending.take() {
            return Ok(self.push(item, hub, told).then_some(0));
        }
        if !from.may_have_more() {
            return Ok(None);
        }
        if self.block.is_none() && stock.is_short() && !hub.trim() {
            self.wait(PATIENCE, told);
            return Ok(None);
        }
        self.retry_at = None;
        let came =
            if from.first.is_empty() { self.read(from, pool, told) } else { self.take_first(from, pool) };
        let Some((count, frame)) = came? else {
            // A block that nothing is in yet is for others.
            self.block = self.block.take().filter(|_| !self.fresh);
            return Ok(None);
        };
        self.fresh = frame.is_some();
        self.tell_offset(told);
        if let Some(frame) = frame {
            self.take(frame, hub, told);
            self.payload.check()?;
        }
        Ok(Some(count))
    }

    /// Takes what came behind the greeting. Returns how much that is, and the frame that it completed.
    fn take_first(&mut self, from: &mut Upstream, pool: &Arc<Pool>) -> Result<Option<Came>, Stop> {
        let block = self.block.get_or_insert_with(|| pool.take());
        let (used, frame) = self.payload.push(&from.first, block)?;
        from.first.drain(..used);
        Ok(Some((used, frame)))
    }

    /// Reads what there is, and what the limit allows. None if that is nothing.
    fn read(&mut self, from: &mut Upstream, pool: &Arc<Pool>, told: &mut Told) -> Result<Option<Came>, Stop> {
        let block = self.block.get_or_insert_with(|| pool.take());
        let [first, second] = self.payload.slots(block);
        let allowed = self.pace.allowance(Instant::now(), first.len() + second.len());
        self.held_until = allowed.err();
        let Ok(allowed) = allowed else {
            if self.excused.elapsed() >= TELL {
                self.excused = Instant::now();
                told.push_back(NodeInput::Heard);
            }
            return Ok(None);
        };
        let (of_first, of_second) = (first.len().min(allowed), allowed.saturating_sub(first.len()));
        let result = read(from, [&mut first[..of_first], &mut second[..of_second]]);
        self.pace.went(result.as_ref().ok().copied().flatten().unwrap_or(0));
        let Some(count) = result? else { return Ok(None) };
        Ok(Some((count, self.payload.filled(count, block)?)))
    }

    fn tell_offset(&mut self, told: &mut Told) {
        let offset = self.payload.offset();
        // The first at once, before it is written: from there on a file in place is not what it was.
        if self.told.elapsed() >= TELL || (!self.begun && offset > 0) {
            self.told = Instant::now();
            self.begun = offset > 0;
            told.push_back(NodeInput::Received(offset));
        }
    }

    /// Hands on what came.
    fn take(&mut self, frame: Frame, hub: &Hub, told: &mut Told) {
        match frame {
            Frame::Data { offset, len, digest } => {
                let Some(buffer) = self.block.take() else { return };
                self.push(Item::Data(Arc::new(Block { buffer, offset, len, digest })), hub, told);
            }
            Frame::Hole { offset, span } => {
                self.push(Item::Hole { offset, span }, hub, told);
            }
            Frame::End { size, sum } => {
                // The session hears of it before a child can report what it made of it.
                told.push_back(NodeInput::End { size, sum });
                hub.finish(size, sum);
            }
            Frame::Abort(abort) => told.push_back(NodeInput::Aborted(abort)),
            Frame::Bye => told.push_back(NodeInput::Bye),
            Frame::Idle { .. } => told.push_back(NodeInput::Heard),
        }
    }

    /// Returns whether there was room.
    fn push(&mut self, item: Item, hub: &Hub, told: &mut Told) -> bool {
        match hub.try_push(item) {
            Ok(()) => {
                self.retry_at = None;
                true
            }
            Err(NoRoom { item, wait }) => {
                self.pending = Some(item);
                self.wait(wait, told);
                false
            }
        }
    }

    /// There is no room yet. Nothing is read meanwhile, so silence is nobody's fault.
    fn wait(&mut self, time: Duration, told: &mut Told) {
        let now = Instant::now();
        let at = match self.retry_at {
            Some(earlier) if earlier > now => earlier.min(now + time),
            Some(_) => {
                told.push_back(NodeInput::Heard);
                now + time
            }
            None => now + time,
        };
        self.retry_at = Some(at);
    }
}

/// Reads what there is. None if that is nothing.
fn read(from: &mut Upstream, slots: [&mut [u8]; 2]) -> Result<Option<usize>, Stop> {
    let mut slots = slots.map(IoSliceMut::new);
    match (&from.socket).read_vectored(&mut slots) {
        Ok(0) => Err(Stop::Lost),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(Some(0)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            from.readable = false;
            Ok(None)
        }
        Err(_) => Err(Stop::Lost),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use mio::Token;

    use super::super::super::outbox::Outbox;
    use super::super::super::ring::Ring;
    use super::super::upstreams::id;
    use super::*;
    use crate::wire::{Destination, Password};

    const BLOCK: u32 = 4096;

    /// An intake of wire 1 that reads from the first, what is written into the second.
    fn reading(hub: &Arc<Hub>, stock: &mut Stock, told: &mut Told) -> (Intake, Upstream, TcpStream) {
        let node = Destination {
            host: "h".into(),
            port: 1,
            index: 0,
            requests: Vec::new(),
            degree: None,
            block_size: None,
        };
        let length = Some(u64::from(BLOCK) * 100);
        let header =
            Header { node, length, block_size: BLOCK, degree: 1, destinations: Vec::new(), envelope: None };
        let keys = Keyring::new(Password::new("2")).with_wire_1(Password::new("1"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let upstream = Upstream {
            token: Token(7),
            socket: mio::net::TcpStream::from_std(socket),
            outbox: Outbox::default(),
            first: Vec::new(),
            readable: true,
            accepted: true,
        };
        let mut intake = Intake::new(header, keys, Arc::clone(hub), stock.pool(BLOCK), Limit::default());
        assert_eq!(intake.accept(id(upstream.token), 0, told), Needed::Nothing);
        (intake, upstream, sender)
    }

    fn is_heard(told: &mut Told) -> bool {
        told.drain(..).any(|input| matches!(input, NodeInput::Heard))
    }

    #[test]
    fn who_waits_for_a_block_asks_for_it_now_and_then_and_never_again_when_it_has_one() {
        let (hub, mut stock, mut told) =
            (Arc::new(Hub::new(Ring::for_node(4))), Stock::default(), Told::new());
        let (mut intake, mut upstream, mut sender) = reading(&hub, &mut stock, &mut told);
        sender.write_all(&[7; BLOCK as usize + 100]).unwrap();
        assert_eq!(intake.step(&mut upstream, &stock, &mut told), Some(BLOCK as usize));
        let pool = stock.pool(1 << 20);
        let others: Vec<_> = (0..8).map(|_| pool.take()).collect();
        assert_eq!(intake.step(&mut upstream, &stock, &mut told), None, "it has one in the ring");
        assert!(intake.deadline().is_some());
        drop(others);
        assert_eq!(intake.step(&mut upstream, &stock, &mut told), Some(100));
        assert_eq!(intake.step(&mut upstream, &stock, &mut told), None);
        assert!(!upstream.readable);
        assert_eq!(intake.deadline(), None, "only its socket can have something new");
    }

    #[test]
    fn a_session_without_a_block_gets_one_however_many_the_others_have() {
        let (hub, mut stock, mut told) =
            (Arc::new(Hub::new(Ring::for_node(4))), Stock::default(), Told::new());
        let (mut intake, mut upstream, mut sender) = reading(&hub, &mut stock, &mut told);
        let pool = stock.pool(1 << 20);
        let _others: Vec<_> = (0..8).map(|_| pool.take()).collect();
        for place in 1..=3_u64 {
            sender.write_all(&[7; BLOCK as usize]).unwrap();
            upstream.readable = true;
            assert_eq!(intake.step(&mut upstream, &stock, &mut told), Some(BLOCK as usize));
            // The disk takes it, and nobody else needs it.
            hub.disk_has(place * u64::from(BLOCK));
        }
    }

    #[test]
    fn while_there_is_no_room_silence_is_excused() {
        let (hub, mut stock, mut told) =
            (Arc::new(Hub::new(Ring::for_node(1))), Stock::default(), Told::new());
        let (mut intake, mut upstream, mut sender) = reading(&hub, &mut stock, &mut told);
        sender.write_all(&[7; 2 * BLOCK as usize]).unwrap();
        for _ in 0..2 {
            assert_eq!(intake.step(&mut upstream, &stock, &mut told), Some(BLOCK as usize));
        }
        let mut waits = 0;
        while !is_heard(&mut told) {
            assert_eq!(intake.step(&mut upstream, &stock, &mut told), None, "the disk has nothing yet");
            let wait = intake.deadline().unwrap().saturating_duration_since(Instant::now());
            assert!(wait <= PATIENCE, "{wait:?}");
            std::thread::sleep(wait);
            waits += 1;
        }
        assert!(waits <= 2, "it took {waits}");
        hub.disk_has(u64::from(BLOCK));
        assert_eq!(
            intake.step(&mut upstream, &stock, &mut told),
            Some(0),
            "what was pending goes into the ring"
        );
        assert_eq!(intake.deadline(), None);
        intake.halt(&mut told);
        let Some(NodeInput::Halted { offset, cause: None }) = told.pop_back() else { panic!("{told:?}") };
        assert_eq!(offset, 2 * u64::from(BLOCK));
    }
}
