//! Ring buffer between the producer of the payload and its consumers: the disk and each child. Pure bookkeeping.
//!
//! Only the disk throttles what comes in, but for a little [patience](patience) with a child that nearly keeps pace:
//! serving it from a file costs more. A slower child falls behind the ring and is served from the backing file until it
//! has caught up. Without a backing file nothing leaves the ring before every child has it, or is closed. At the
//! source, whose file is all there, the fastest child throttles.

mod extensions;
mod patience;
#[cfg(test)]
mod tests;
mod window;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use extensions::Extensions;
use patience::Patience;
use window::{At, Window};
pub use work::{Backing, DiskOrder, DiskWork, Full, Item, LinkOrder, LinkWork, NoRoom};

use super::wake::{Epoch, Wake};
use crate::session::{Control, FeedOutput, FileOutput, LinkId};
use crate::wire::{Extension, Sum};

/// How long a producer waits for room before it says so.
const WAIT: Duration = Duration::from_millis(500);

/// Ring buffer between the producer of the payload and its consumers: the disk and each child.
#[derive(Debug)]
pub struct Ring<F> {
    window: Window,
    backing: Option<Backing<F>>,
    /// None where no disk takes part.
    disk: Option<DiskSide>,
    links: BTreeMap<LinkId, Link>,
    /// How far the child came that came farthest, whether or not it is still there.
    farthest: u64,
    patience: Patience,
    closed: bool,
    epoch: Epoch,
    /// For each file that goes on where another transfer stopped: how much it has, and its handle.
    resumed: Vec<(u64, F)>,
}

#[derive(Debug, Default)]
struct DiskSide {
    position: u64,
    orders: VecDeque<DiskOrder>,
    /// Whether it was told of the end of the payload.
    at_end: bool,
}

#[derive(Debug, Default)]
struct Link {
    orders: VecDeque<LinkOrder>,
    feeding: Feeding,
    reading: Reading,
    extensions: Extensions,
    /// It is sent the frame under way, and nothing behind that.
    parting: bool,
}

/// How a child stands to the payload. `Not` → `From` → `Ended` or `Stranded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Feeding {
    /// Where it is going to begin is not known yet.
    #[default]
    Not,
    /// It has everything before that.
    From(u64),
    /// It is being sent the end, or was.
    Ended(u64),
    /// What it needs next cannot be had, so nothing is kept for it.
    Stranded(u64),
}

/// What a child needs that is not in memory. `No` → `Asked` → `Came` → `No`.
#[derive(Debug, Default)]
enum Reading {
    #[default]
    No,
    /// The driver is reading it.
    Asked,
    /// The driver has read it, or could not.
    Came(Result<Item, String>),
}

impl Feeding {
    fn position(self) -> Option<u64> {
        match self {
            Self::Not => None,
            Self::From(position) | Self::Ended(position) | Self::Stranded(position) => Some(position),
        }
    }
}

impl Link {
    /// Whether what is under way has to be out at once.
    fn is_urgent(&self) -> bool {
        let ends = |order: &LinkOrder| matches!(order, LinkOrder::Control(Control::Abort(_)));
        self.parting || self.orders.iter().any(ends)
    }

    /// Whether it is being sent the payload, or has all of it.
    fn is_fed(&self) -> bool {
        !self.parting && matches!(self.feeding, Feeding::From(_) | Feeding::Ended(_))
    }

    /// Whether something of the payload can be sent to it now.
    fn has_payload(&self, window: &Window) -> bool {
        match (&self.reading, self.feeding) {
            (Reading::Came(_), _) => true,
            (Reading::No, Feeding::From(at)) => !matches!(window.at(at), At::NotYet),
            (Reading::Asked | Reading::No, _) => false,
        }
    }
}

/// Whether an item can be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// There is room.
    Free,
    /// There is if the oldest item goes, which every consumer has.
    ForTheOldest,
    /// There is if the oldest item goes, which a child will then have to be served from the file.
    AtTheCostOfAChild,
    /// There is none: the oldest item is nowhere else yet.
    None,
}

impl<F: Clone> Ring<F> {
    /// A ring of at most `capacity` items that is filled from the network and drained by a disk.
    pub fn for_node(capacity: usize) -> Self {
        Self::new(capacity, None, Some(DiskSide::default()))
    }

    /// A ring that is filled from a file which children can be served from.
    pub fn for_source(capacity: usize, file: F) -> Self {
        Self::new(capacity, Some(Backing::Whole(file)), None)
    }

    fn new(capacity: usize, backing: Option<Backing<F>>, disk: Option<DiskSide>) -> Self {
        Self {
            window: Window::new(capacity),
            backing,
            disk,
            links: BTreeMap::new(),
            farthest: 0,
            patience: Patience::new(),
            closed: false,
            epoch: Epoch::default(),
            resumed: Vec::new(),
        }
    }

    /// Changes so far.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Counts a change that those may have waited for.
    fn wakes(&mut self, wake: Wake) -> Wake {
        self.epoch.0 += u64::from(!wake.is_none());
        if wake.producer {
            self.patience.wake();
        }
        wake
    }

    fn wake_producer(&mut self) -> Wake {
        // Without a full window no producer waits.
        let wake = Wake::producer_if(self.window.is_full());
        self.wakes(wake)
    }

    fn wake_everyone(&mut self) -> Wake {
        let links = self.links.keys().copied().collect();
        self.wakes(Wake { producer: true, disk: true, links })
    }

    // The producer's side.

    /// Everything before `from` is there already, in the files. Said once, before anything is pushed.
    pub fn begin(&mut self, from: u64) -> Wake {
        self.window.begin(from);
        if let Some(disk) = &mut self.disk {
            disk.position = from;
            disk.orders.push_back(DiskOrder::Begin(from));
        }
        // A child may be fed before that, from what the files have.
        let links = self.links.keys().copied().collect();
        self.wakes(Wake { producer: false, disk: true, links })
    }

    /// Appends what comes next, if there is room. The caller keeps the order.
    ///
    /// # Errors
    /// There is no room: the item comes back. Or the ring is closed.
    pub fn push(&mut self, now: Instant, item: Item) -> (Result<(), Full>, Wake) {
        if self.closed {
            return (Err(Full::Closed), Wake::NONE);
        }
        if let Err(wait) = self.make_room(now) {
            let waiting = NoRoom { item, epoch: self.epoch, until: now + wait };
            return (Err(Full::NoRoom(waiting)), Wake::NONE);
        }
        let wake = self.wake_consumers();
        self.window.push(item);
        (Ok(()), self.wakes(wake))
    }

    /// The payload has ended.
    pub fn finish(&mut self, size: u64, sum: Sum) -> Wake {
        let wake = self.wake_consumers();
        self.window.finish(size, sum);
        self.wakes(wake)
    }

    /// The consumers that have everything, and wait for more.
    fn wake_consumers(&self) -> Wake {
        let head = self.window.head();
        let waits = |link: &Link| matches!(link.feeding, Feeding::From(position) if position >= head);
        let links = self.links.iter().filter(|(_, link)| waits(link)).map(|(id, _)| *id).collect();
        let disk = self.disk.as_ref().is_some_and(|disk| disk.position >= head);
        Wake { producer: false, disk, links }
    }

    /// Whether an item can be appended at no cost to any child.
    pub fn has_room(&self) -> bool {
        matches!(self.room(), Room::Free | Room::ForTheOldest)
    }

    /// Drops the oldest items that no consumer needs any more. Returns whether nothing is left.
    pub fn trim(&mut self) -> (bool, Wake) {
        let was_full = self.window.is_full();
        while self.window.oldest().is_some_and(|range| self.fate(range) == Room::ForTheOldest) {
            self.window.drop_oldest();
        }
        let wake = Wake::producer_if(was_full && !self.window.is_full());
        (self.window.is_empty(), self.wakes(wake))
    }

    /// Makes room for an item. Where there is none yet, says how long to wait, at most, before trying again.
    fn make_room(&mut self, now: Instant) -> Result<(), Duration> {
        self.patience.settle(now);
        loop {
            match self.room() {
                Room::Free => return Ok(()),
                Room::ForTheOldest => self.window.drop_oldest(),
                Room::None => return Err(WAIT),
                Room::AtTheCostOfAChild => match self.patience.wait(now) {
                    Some(wait) => return Err(wait.min(WAIT)),
                    None => self.window.drop_oldest(),
                },
            }
        }
    }

    fn room(&self) -> Room {
        match self.window.oldest() {
            Some(range) if self.window.is_full() => self.fate(range),
            _ => Room::Free,
        }
    }

    /// What becomes of the oldest item where it is in the way.
    fn fate(&self, (start, end): (u64, u64)) -> Room {
        // A child that is behind already is served from the file, and not waited for.
        let needs = |link: &Link| matches!(link.feeding, Feeding::From(at) if (start..end).contains(&at));
        match self.is_dispensable(end) {
            false => Room::None,
            true if self.links.values().any(needs) => Room::AtTheCostOfAChild,
            true => Room::ForTheOldest,
        }
    }

    /// Whether every consumer that needs the ring for what ends there has passed it.
    fn is_dispensable(&self, end: u64) -> bool {
        let has = |link: &Link| link.feeding.position().is_some_and(|position| position >= end);
        // A child that is still to be fed may need all there is, and there is nowhere else to get it from.
        let is_kept_for = |link: &Link| match link.feeding {
            Feeding::Not => !link.parting,
            Feeding::From(position) => position < end,
            Feeding::Ended(_) | Feeding::Stranded(_) => false,
        };
        match self.backing {
            Some(Backing::Whole(_)) => self.links.values().any(has),
            _ if self.disk.as_ref().is_some_and(|disk| disk.position < end) => false,
            Some(Backing::Written(_)) => true,
            None | Some(Backing::Former(_)) => !self.links.values().any(is_kept_for),
        }
    }

    /// Has the producer look again, because of something outside of the ring.
    pub fn interrupt(&mut self) -> Wake {
        self.wakes(Wake::producer_if(true))
    }

    // The disk's side.

    /// Tells the disk to do something.
    pub fn order_disk(&mut self, order: DiskOrder) -> Wake {
        let Some(disk) = &mut self.disk else { return Wake::NONE };
        disk.orders.push_back(order);
        self.wakes(Wake::disk())
    }

    /// What the disk does next. Orders go first; behind the end of the payload, and when the ring is closed, only orders
    /// come.
    ///
    /// # Errors
    /// There is nothing to do, as of that epoch.
    pub fn disk_work(&mut self) -> Result<DiskWork, Epoch> {
        let Some(disk) = &mut self.disk else { return Err(self.epoch) };
        if let Some(order) = disk.orders.pop_front() {
            return Ok(DiskWork::Order(order));
        }
        if self.closed || disk.at_end {
            return Err(self.epoch);
        }
        match self.window.at(disk.position) {
            At::Item(item) => Ok(DiskWork::Write(item)),
            At::End { size, .. } => {
                disk.at_end = true;
                Ok(DiskWork::End(size))
            }
            // Nothing leaves the ring before the disk has it.
            At::Before { .. } | At::NotYet => Err(self.epoch),
        }
    }

    /// Whether there is something for the disk to do.
    pub fn has_disk_work(&self) -> bool {
        let Some(disk) = &self.disk else { return false };
        let payload = !self.closed && !disk.at_end;
        !disk.orders.is_empty() || payload && !matches!(self.window.at(disk.position), At::NotYet)
    }

    /// Whether the disk is to remove the file of that request, as soon as it comes to it.
    pub fn is_to_be_removed(&self, id: &str) -> bool {
        let removes = |order: &DiskOrder| matches!(order, DiskOrder::File(FileOutput::Remove(request)) if request.id == id);
        self.disk.as_ref().is_some_and(|disk| disk.orders.iter().any(removes))
    }

    /// The files have the payload up to there.
    pub fn disk_has(&mut self, upto: u64) -> Wake {
        if let Some(disk) = &mut self.disk {
            disk.position = upto;
        }
        self.wake_producer()
    }

    /// Whether there is a file from which children that fall behind are served.
    pub fn has_backing(&self) -> bool {
        self.backing.is_some()
    }

    /// Children that fall behind are served from this file from now on, which the disk writes.
    pub fn set_backing(&mut self, file: F) -> Wake {
        self.backing = Some(Backing::Written(file));
        self.wake_producer()
    }

    /// The backing file is written no more, and no other takes over: what comes from now on stays until every child has it.
    pub fn retire_backing(&mut self) {
        if let Some(Backing::Written(file)) = &self.backing {
            self.backing = Some(Backing::Former(file.clone()));
        }
    }

    /// A file has that much of the payload already.
    pub fn has_resumed(&mut self, bytes: u64, file: F) {
        self.resumed.push((bytes, file));
    }

    /// A file that has all of the payload before `from` since before this transfer.
    pub fn resumed_file(&self, from: u64) -> Option<F> {
        self.resumed.iter().find(|(bytes, _)| *bytes >= from).map(|(_, file)| file.clone())
    }

    // The children's side.

    /// There is a child, which is fed nothing yet. Only where there is no backing file are items kept for it.
    pub fn add_link(&mut self, link: LinkId) {
        self.links.insert(link, Link::default());
    }

    /// Whether there is that child, and it is to be sent something still.
    pub fn has_link(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| !link.parting)
    }

    /// Tells a child's connection to do something.
    pub fn order_link(&mut self, link: LinkId, order: LinkOrder) -> Wake {
        let Some(state) = self.links.get_mut(&link) else { return Wake::NONE };
        if matches!(order, LinkOrder::Control(Control::Abort(_))) {
            state.extensions.end();
        }
        // One sign of life says as much as ten.
        let idle = |order: &LinkOrder| matches!(order, LinkOrder::Control(Control::Idle));
        if !(idle(&order) && state.orders.iter().any(idle)) {
            state.orders.push_back(order);
        }
        self.wakes(Wake::link(link))
    }

    /// Does what the session says about the payload to a child.
    pub fn obey(&mut self, output: FeedOutput) -> Wake {
        match output {
            FeedOutput::Feed(link, from) => self.feed(link, from),
            FeedOutput::Control(link, control) => self.order_link(link, LinkOrder::Control(control)),
            FeedOutput::Finish(link) => self.order_link(link, LinkOrder::Finish),
        }
    }

    /// A child gets the payload from that offset on.
    pub fn feed(&mut self, link: LinkId, from: u64) -> Wake {
        let Some(state) = self.links.get_mut(&link) else { return Wake::NONE };
        state.feeding = Feeding::From(from);
        // At the source it may be the one that throttles.
        let mut wake = self.wake_producer();
        wake.merge(Wake::link(link));
        self.wakes(wake)
    }

    /// A frame that is no part of the payload goes to every child that is being fed, as it is. It may be dropped.
    /// PROTOCOL.md, "Growth".
    pub fn extend(&mut self, extension: &Extension) -> Wake {
        let takes = |link: &mut Link| link.is_fed() && link.extensions.push(extension.clone());
        let links = self.links.iter_mut().filter_map(|(id, link)| takes(link).then_some(*id)).collect();
        self.wakes(Wake { links, ..Wake::NONE })
    }

    /// What is next for a child.
    ///
    /// # Errors
    /// Nothing, as of that epoch.
    pub fn link_work(&mut self, link: LinkId) -> Result<LinkWork<F>, Epoch> {
        let Some(state) = self.links.get_mut(&link).filter(|link| !link.parting) else {
            return Ok(LinkWork::Over);
        };
        if let Some(order) = state.orders.pop_front() {
            return Ok(LinkWork::Order(order));
        }
        if let Some(extension) = state.extensions.pop(state.has_payload(&self.window)) {
            return Ok(LinkWork::Extension(extension));
        }
        let Feeding::From(position) = state.feeding else { return Err(self.epoch) };
        match std::mem::take(&mut state.reading) {
            Reading::No => {}
            Reading::Asked => {
                state.reading = Reading::Asked;
                return Ok(LinkWork::AwaitsFile(self.epoch));
            }
            Reading::Came(Ok(item)) => return Ok(LinkWork::Item(item)),
            Reading::Came(Err(why)) => return Ok(LinkWork::Gone(why)),
        }
        match self.window.at(position) {
            At::Item(item) => Ok(LinkWork::Item(item)),
            At::Before { base } => Ok(match &self.backing {
                None => LinkWork::Gone("it is neither in memory nor in a file".to_owned()),
                Some(backing) => {
                    state.reading = Reading::Asked;
                    LinkWork::File { backing: backing.clone(), offset: position, len: base - position }
                }
            }),
            At::End { size, sum } => {
                state.feeding = Feeding::Ended(position);
                Ok(LinkWork::End { size, sum })
            }
            At::NotYet => Err(self.epoch),
        }
    }

    /// Whether there is something for a child.
    pub fn has_link_work(&self, link: LinkId) -> bool {
        let Some(state) = self.links.get(&link).filter(|link| !link.parting) else { return true };
        let payload = state.has_payload(&self.window);
        !state.orders.is_empty() || payload || state.extensions.is_next(payload)
    }

    /// The driver has read what [`LinkWork::File`] asked for, or could not.
    pub fn has_read(&mut self, link: LinkId, item: Result<Item, String>) -> Wake {
        let asked = |link: &&mut Link| matches!(link.reading, Reading::Asked);
        let Some(state) = self.links.get_mut(&link).filter(asked) else { return Wake::NONE };
        state.reading = Reading::Came(item);
        self.wakes(Wake::link(link))
    }

    /// Whether what is under way to a child has to be out at once.
    pub fn is_urgent(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(Link::is_urgent)
    }

    /// How far a child is, once it is fed.
    pub fn position(&self, link: LinkId) -> Option<u64> {
        self.links.get(&link).and_then(|link| link.feeding.position())
    }

    /// A child was sent the payload up to there.
    pub fn link_has(&mut self, link: LinkId, upto: u64) -> Wake {
        if let Some(Feeding::From(position)) = self.links.get_mut(&link).map(|link| &mut link.feeding) {
            *position = upto;
        }
        self.farthest = self.farthest.max(upto);
        self.wake_producer()
    }

    /// A child is sent no more of the payload: what comes next is not to be had.
    pub fn strand(&mut self, link: LinkId) -> Wake {
        if let Some(state) = self.links.get_mut(&link) {
            state.feeding = Feeding::Stranded(state.feeding.position().unwrap_or(0));
            state.reading = Reading::No;
            state.extensions.clear();
        }
        self.wake_producer()
    }

    /// A child is sent the frame under way, and nothing more.
    pub fn part(&mut self, link: LinkId) -> Wake {
        let Some(state) = self.links.get_mut(&link) else { return Wake::NONE };
        *state = Link { parting: true, ..Link::default() };
        let mut wake = self.wake_producer();
        wake.merge(Wake::link(link));
        self.wakes(wake)
    }

    /// Whether a child is still to get its last frame.
    pub fn is_parting(&self) -> bool {
        self.links.values().any(|link| link.parting)
    }

    /// The last frame to a child is out, if it was to be that. Returns whether it was.
    pub fn has_parted(&mut self, link: LinkId) -> (bool, Wake) {
        let parted = self.links.get(&link).is_some_and(|link| link.parting);
        if parted {
            self.links.remove(&link);
        }
        let wake = if parted { Wake::link(link) } else { Wake::NONE };
        (parted, self.wakes(wake))
    }

    /// There is no such child any more.
    pub fn remove_link(&mut self, link: LinkId) -> Wake {
        if self.links.remove(&link).is_none() {
            return Wake::NONE;
        }
        let mut wake = self.wake_producer();
        wake.merge(Wake::link(link));
        self.wakes(wake)
    }

    /// How far the payload was sent, to the child that has most of it.
    pub fn farthest(&self) -> u64 {
        self.farthest
    }

    // The transfer's end.

    /// The transfer is over: every child is gone, and the disk gets its orders alone.
    pub fn close(&mut self) -> Wake {
        let wake = self.wake_everyone();
        self.closed = true;
        // An open file is a locked one, and the next transfer may want it.
        self.backing = None;
        self.resumed.clear();
        self.links.clear();
        wake
    }

    /// Whether the transfer is over.
    pub fn is_closed(&self) -> bool {
        self.closed
    }
}
