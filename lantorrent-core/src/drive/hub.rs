//! Where the threads of one transfer meet: the ring, and a mailbox for the disk and each child, behind one lock.

use std::collections::{HashMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::orders::{ChildOrder, DiskOrder, Work};
use super::patience::Patience;
use super::ring::{Backing, Item, Next, Ring, Room};
use super::signal::Signal;
use crate::session::{Control, LinkId};
use crate::store::Digests;
use crate::wire::Sum;

#[derive(Debug, Default)]
struct Mailbox {
    orders: VecDeque<ChildOrder>,
    socket: Option<TcpStream>,
    /// Its end was sent, or it cannot be sent any further. Orders are still carried out.
    payload_over: bool,
    /// It is sent nothing behind what is under way.
    parting: bool,
}

#[derive(Debug)]
struct State {
    ring: Ring,
    disk: VecDeque<DiskOrder>,
    disk_at_end: bool,
    children: HashMap<LinkId, Mailbox>,
    closed: bool,
    patience: Patience,
    /// Since when somebody waits for room that a child stands in the way of.
    waits_for_child: Option<Instant>,
    /// For each file that goes on where another transfer stopped: how much it has, and what each block is.
    resumed: Vec<(u64, Arc<Digests>)>,
}

#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    /// Who brings the payload waits for room.
    room: Signal,
    disk: Signal,
    children: Signal,
    parting: Signal,
    /// Whoever reads from upstream shall stop. Beside the state, because it is asked for with every read; changed only
    /// under its lock, so that nobody who is about to wait misses it.
    halted: AtomicBool,
}

/// How long to wait for room before saying so.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);

/// Why the ring does not take what it is brought.
#[derive(Debug)]
pub(super) enum Refused {
    /// The transfer is over: there is no use in bringing more.
    Closed,
    /// Who brings it shall stop. The item goes to who comes next.
    Halted(Item),
}

/// Why an item was not taken by who does not wait.
#[cfg(feature = "event")]
#[derive(Debug)]
pub(super) struct NoRoom {
    pub(super) item: Item,
    /// When to try again if nothing changes before.
    pub(super) wait: Duration,
}

impl State {
    fn disk_work(&mut self) -> Option<Work<DiskOrder>> {
        if let Some(order) = self.disk.pop_front() {
            return Some(Work::Order(order));
        }
        if self.closed || self.disk_at_end {
            return None;
        }
        match self.ring.next_for_disk() {
            Next::Wait => None,
            next => {
                self.disk_at_end = matches!(next, Next::End { .. });
                Some(Work::Payload(next))
            }
        }
    }

    fn child_work(&mut self, link: LinkId) -> Option<Work<ChildOrder>> {
        let Some(mailbox) = self.children.get_mut(&link).filter(|mailbox| !mailbox.parting) else {
            return Some(Work::Over);
        };
        if let Some(order) = mailbox.orders.pop_front() {
            return Some(Work::Order(order));
        }
        if mailbox.payload_over {
            return None;
        }
        match self.ring.next_for_child(link) {
            Next::Wait => None,
            next => {
                mailbox.payload_over = matches!(next, Next::End { .. });
                Some(Work::Payload(next))
            }
        }
    }

    /// Makes room for an item. Where there is none yet, says how long to wait, at most, before trying again.
    fn make_room(&mut self) -> Result<(), Duration> {
        if let Some(since) = self.waits_for_child.take() {
            self.patience.spend(since.elapsed());
        }
        loop {
            match self.ring.room() {
                Room::Free => return Ok(()),
                Room::ForTheOldest => self.ring.drop_oldest(),
                Room::None => return Err(PATIENCE),
                Room::AtTheCostOfAChild => {
                    let wait = self.patience.left().min(PATIENCE);
                    if !wait.is_zero() {
                        self.waits_for_child = Some(Instant::now());
                        return Err(wait);
                    }
                    self.ring.drop_oldest();
                }
            }
        }
    }
}

impl Hub {
    pub(super) fn new(ring: Ring) -> Self {
        let state = State {
            ring,
            disk: VecDeque::new(),
            disk_at_end: false,
            children: HashMap::new(),
            closed: false,
            patience: Patience::new(),
            waits_for_child: None,
            resumed: Vec::new(),
        };
        Self {
            state: Mutex::new(state),
            room: Signal::default(),
            disk: Signal::default(),
            children: Signal::default(),
            parting: Signal::default(),
            halted: AtomicBool::new(false),
        }
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change that may matter to anybody.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        [&self.room, &self.disk, &self.children, &self.parting].into_iter().for_each(Signal::ring);
        result
    }

    fn wait_for<T>(&self, signal: &Signal, mut ready: impl FnMut(&mut State) -> Option<T>) -> T {
        let mut state = self.lock();
        loop {
            if let Some(result) = ready(&mut state) {
                return result;
            }
            state = signal.wait(state);
        }
    }

    /// Appends to the ring, waiting for room; `waiting` is called now and then while that takes.
    pub(super) fn push(&self, item: Item, waiting: impl Fn()) -> Result<(), Refused> {
        let mut state = self.lock();
        while !state.closed && !self.is_halted() {
            let Err(wait) = state.make_room() else { break };
            let timed_out;
            (state, timed_out) = self.room.wait_for(state, wait);
            if timed_out {
                drop(state);
                waiting();
                state = self.lock();
            }
        }
        if state.closed {
            return Err(Refused::Closed);
        }
        if self.is_halted() {
            return Err(Refused::Halted(item));
        }
        state.ring.push(item);
        drop(state);
        self.disk.ring();
        self.children.ring();
        Ok(())
    }

    /// Appends to the ring, if there is room.
    #[cfg(feature = "event")]
    pub(super) fn try_push(&self, item: Item) -> Result<(), NoRoom> {
        let mut state = self.lock();
        match state.make_room() {
            Ok(()) => {
                state.ring.push(item);
                Ok(())
            }
            Err(wait) => Err(NoRoom { item, wait }),
        }
    }

    /// Drops from the ring what nobody needs any more. Returns whether nothing is left in it.
    #[cfg(feature = "event")]
    pub(super) fn trim(&self) -> bool {
        self.lock().ring.trim()
    }

    /// Makes who reads from upstream stop, also if it waits for room.
    pub(super) fn halt(&self) {
        self.change(|_| self.halted.store(true, Ordering::Release));
    }

    /// Somebody else is about to read.
    pub(super) fn go_on(&self) {
        self.change(|_| self.halted.store(false, Ordering::Release));
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    /// Everything before `from` is there already. Said once, before anything is pushed.
    pub(super) fn begin(&self, from: u64) {
        self.change(|state| {
            state.ring.begin(from);
            state.disk.push_back(DiskOrder::Begin(from));
        });
    }

    /// A file has that much of the payload already.
    pub(super) fn has_resumed(&self, bytes: u64, digests: Arc<Digests>) {
        self.change(|state| state.resumed.push((bytes, digests)));
    }

    /// What says of each block before `from` what it is, where a file has all of them.
    pub(super) fn digests_before(&self, from: u64) -> Option<Arc<Digests>> {
        let state = self.lock();
        let (_, digests) = state.resumed.iter().find(|(bytes, _)| *bytes >= from)?;
        Some(Arc::clone(digests))
    }

    pub(super) fn finish(&self, size: u64, sum: Sum) {
        self.change(|state| state.ring.finish(size, sum));
    }

    pub(super) fn set_backing(&self, backing: Backing) {
        self.change(|state| state.ring.set_backing(backing));
    }

    /// No file takes over for the one that children were served from.
    pub(super) fn keep_for_children(&self) {
        self.change(|state| state.ring.retire_backing());
    }

    /// How far the payload has been sent, to the child that has most of it.
    pub(super) fn farthest(&self) -> u64 {
        self.lock().ring.farthest()
    }

    /// Ends every wait and every connection to a child. The disk still gets its orders.
    pub(super) fn close(&self) {
        self.change(|state| {
            state.closed = true;
            // An open file is a locked one, and the next transfer may want it.
            state.ring.set_backing(Backing::Nothing);
            state.resumed.clear();
            state.children.drain().for_each(|(_, mailbox)| mailbox.hang_up());
        });
    }

    /// Whether the transfer is over.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn order_disk(&self, order: DiskOrder) {
        self.change(|state| state.disk.push_back(order));
    }

    /// Whether the disk is to remove the file of that request, as soon as it comes to it.
    pub(super) fn is_to_be_removed(&self, id: &str) -> bool {
        let state = self.lock();
        state.disk.iter().any(|order| matches!(order, DiskOrder::Remove(request) if request.id == id))
    }

    /// What the disk does next. Orders go first; after the end of the payload only orders come.
    pub(super) fn disk_work(&self) -> Work<DiskOrder> {
        self.wait_for(&self.disk, State::disk_work)
    }

    /// The same, without waiting.
    #[cfg(feature = "event")]
    pub(super) fn try_disk_work(&self) -> Option<Work<DiskOrder>> {
        self.lock().disk_work()
    }

    /// Whether there is something for the disk to do.
    #[cfg(feature = "event")]
    pub(super) fn has_disk_work(&self) -> bool {
        let state = self.lock();
        let payload = !state.closed && !state.disk_at_end;
        !state.disk.is_empty() || payload && !matches!(state.ring.next_for_disk(), Next::Wait)
    }

    pub(super) fn disk_has(&self, upto: u64) {
        self.lock().ring.disk_has(upto);
        self.room.ring();
    }

    /// A child is to be connected to.
    pub(super) fn expect(&self, link: LinkId) {
        self.change(|state| state.children.insert(link, Mailbox::default()));
    }

    /// The child's connection is being made; from now on closing the link hangs up. False if it is closed already.
    pub(super) fn connects(&self, link: LinkId, socket: TcpStream) -> bool {
        self.change(|state| match state.children.get_mut(&link) {
            Some(mailbox) => {
                mailbox.socket = Some(socket);
                true
            }
            None => false,
        })
    }

    pub(super) fn order_child(&self, link: LinkId, order: ChildOrder) {
        self.change(|state| {
            let Some(mailbox) = state.children.get_mut(&link) else { return };
            // One sign of life says as much as ten.
            let idle = |order: &ChildOrder| matches!(order, ChildOrder::Control(Control::Idle));
            if !(idle(&order) && mailbox.orders.iter().any(idle)) {
                mailbox.orders.push_back(order);
            }
        });
    }

    pub(super) fn feed(&self, link: LinkId, from: u64) {
        self.change(|state| {
            if state.children.contains_key(&link) {
                state.ring.feed(link, from);
            }
        });
    }

    /// A child is sent no more of the payload: what comes next is not to be had.
    pub(super) fn strand(&self, link: LinkId) {
        self.change(|state| {
            state.ring.strand(link);
            if let Some(mailbox) = state.children.get_mut(&link) {
                mailbox.payload_over = true;
            }
        });
    }

    pub(super) fn close_child(&self, link: LinkId) {
        self.change(|state| {
            state.ring.forget(link);
            if let Some(mailbox) = state.children.remove(&link) {
                mailbox.hang_up();
            }
        });
    }

    /// A child is sent the frame under way, and nothing more.
    pub(super) fn part_from_child(&self, link: LinkId) {
        self.change(|state| {
            state.ring.forget(link);
            if let Some(mailbox) = state.children.get_mut(&link) {
                mailbox.parting = true;
            }
        });
    }

    /// The child's last frame is out, if it was to be that. Then its connection is closed by who has sent it.
    pub(super) fn has_parted(&self, link: LinkId) -> bool {
        self.change(|state| {
            let parting = state.children.get(&link).is_some_and(|mailbox| mailbox.parting);
            parting && state.children.remove(&link).is_some()
        })
    }

    /// Waits until every child that is to have its last frame has it, but only for so long.
    pub(super) fn wait_for_parting(&self, time: Duration) {
        self.pause(&self.parting, time, |state| state.children.values().any(|mailbox| mailbox.parting));
    }

    /// What a child's connection does next.
    pub(super) fn child_work(&self, link: LinkId) -> Work<ChildOrder> {
        self.wait_for(&self.children, |state| state.child_work(link))
    }

    /// The same, without waiting.
    #[cfg(feature = "event")]
    pub(super) fn try_child_work(&self, link: LinkId) -> Option<Work<ChildOrder>> {
        self.lock().child_work(link)
    }

    /// Waits for so long, unless the child is to be sent nothing more, or its end. Returns whether neither is so.
    pub(super) fn pause_child(&self, link: LinkId, time: Duration) -> bool {
        self.pause(&self.children, time, |state| {
            state.children.get(&link).is_some_and(|mailbox| !mailbox.is_urgent())
        })
    }

    /// Whether what is under way to a child has to be out at once.
    #[cfg(feature = "event")]
    pub(super) fn child_is_urgent(&self, link: LinkId) -> bool {
        self.lock().children.get(&link).is_some_and(Mailbox::is_urgent)
    }

    /// Waits for so long, unless who reads from upstream shall stop. Returns whether that is not so.
    pub(super) fn pause_reading(&self, time: Duration) -> bool {
        self.pause(&self.room, time, |state| !state.closed && !self.is_halted())
    }

    /// Waits for so long as nothing speaks against it. Returns whether nothing does in the end.
    fn pause(&self, signal: &Signal, time: Duration, goes_on: impl Fn(&State) -> bool) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while goes_on(&state) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            (state, _) = signal.wait_for(state, left);
        }
        false
    }

    pub(super) fn child_has(&self, link: LinkId, upto: u64) {
        self.lock().ring.child_has(link, upto);
        self.room.ring();
    }

    pub(super) fn child_position(&self, link: LinkId) -> Option<u64> {
        self.lock().ring.position(link)
    }
}

impl Mailbox {
    /// Whether what is under way has to be out at once.
    fn is_urgent(&self) -> bool {
        let ends = |order: &ChildOrder| matches!(order, ChildOrder::Control(Control::Abort(_)));
        self.parting || self.orders.iter().any(ends)
    }

    fn hang_up(self) {
        if let Some(socket) = self.socket {
            // Nothing that is still under way matters, and a peer that waits for room to write would otherwise learn
            // of the end only when it next probes for some.
            let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
            // It may be gone already; then there is nobody to hang up on.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::shelf::Shelf;
    use super::*;

    const HOLE: u64 = 1 << 20;

    fn fill(hub: &Hub, items: u64) {
        for place in 0..items {
            hub.push(Item::Hole { offset: place * HOLE, span: HOLE }, || ()).unwrap();
            hub.disk_has((place + 1) * HOLE);
        }
    }

    #[test]
    fn a_child_that_hangs_is_not_waited_for_for_ever() {
        let file = Arc::new(File::open("/dev/null").unwrap());
        let hub = Hub::new(Ring::for_node(2));
        hub.set_backing(Backing::Written(Shelf { file, digests: None }));
        hub.expect(LinkId(0));
        hub.feed(LinkId(0), 0);
        fill(&hub, 20);
        assert!(matches!(hub.child_work(LinkId(0)), Work::Payload(Next::File { offset: 0, .. })));
    }

    #[test]
    fn who_waits_for_room_can_be_halted_and_loses_nothing() {
        let hub = Arc::new(Hub::new(Ring::for_node(1)));
        let hole = |place| Item::Hole { offset: place * HOLE, span: HOLE };
        hub.push(hole(0), || ()).unwrap();
        let waiting = Arc::clone(&hub);
        let pushing = std::thread::spawn(move || waiting.push(hole(1), || ()));
        hub.halt();
        let result = pushing.join().unwrap();
        let Err(Refused::Halted(Item::Hole { offset, .. })) = result else { panic!("{result:?}") };
        assert_eq!(offset, HOLE);
        hub.go_on();
        hub.disk_has(HOLE);
        hub.push(hole(1), || ()).unwrap();
    }

    #[test]
    fn whoever_waits_is_woken_by_the_end() {
        let hub = Arc::new(Hub::new(Ring::for_node(2)));
        hub.expect(LinkId(0));
        let waiting = Arc::clone(&hub);
        let pushing = std::thread::spawn(move || {
            (0..3).all(|place| waiting.push(Item::Hole { offset: place * HOLE, span: HOLE }, || ()).is_ok())
        });
        let waiting = Arc::clone(&hub);
        let sending = std::thread::spawn(move || matches!(waiting.child_work(LinkId(0)), Work::Over));
        hub.close();
        assert!(!pushing.join().unwrap(), "there is room for two");
        assert!(sending.join().unwrap());
    }
}
