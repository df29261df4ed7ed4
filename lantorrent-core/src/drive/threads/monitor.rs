//! Where the threads of one transfer meet: the ring behind a lock, and those that wait for a change of it.

use std::sync::PoisonError;
use std::time::Instant;

use super::super::backing::BackingFile;
use super::signal::Signal;
use super::waiting::atomic::{AtomicBool, Ordering};
use super::waiting::{Mutex, MutexGuard};
use crate::flow::{Epoch, Ring, Shared, Wake};

/// The machines that a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Producer,
    Disk,
    Link,
}

#[derive(Debug)]
pub(super) struct Monitor {
    ring: Mutex<Ring<BackingFile>>,
    producer: Signal,
    disk: Signal,
    links: Signal,
    /// The thread that reads from upstream is to stop. Beside the ring, because it is asked for with every read; no thread
    /// that is about to wait misses it, as the ring counts it as a change.
    halted: AtomicBool,
}

impl Monitor {
    pub(super) fn new(ring: Ring<BackingFile>) -> Self {
        Self {
            ring: Mutex::new(ring),
            producer: Signal::default(),
            disk: Signal::default(),
            links: Signal::default(),
            halted: AtomicBool::new(false),
        }
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, Ring<BackingFile>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, role: Role) -> &Signal {
        match role {
            Role::Producer => &self.producer,
            Role::Disk => &self.disk,
            Role::Link => &self.links,
        }
    }

    /// Changes so far. To be asked before a look at what may have to be waited for.
    pub(super) fn epoch(&self) -> Epoch {
        self.lock().epoch()
    }

    /// Waits for a change behind that epoch, at most until that time.
    pub(super) fn wait(&self, role: Role, epoch: Epoch, until: Option<Instant>) {
        let mut ring = self.lock();
        while ring.epoch() == epoch {
            let Some(until) = until else {
                ring = self.signal(role).wait(ring);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            ring = self.signal(role).wait_for(ring, left);
        }
    }

    /// Makes the thread that reads from upstream stop, also if it waits for room.
    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::Release);
        self.change(Ring::interrupt);
    }

    /// Another thread is about to read.
    pub(super) fn go_on(&self) {
        self.halted.store(false, Ordering::Release);
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }
}

impl Shared<Ring<BackingFile>> for Monitor {
    fn with<R>(&self, change: impl FnOnce(&mut Ring<BackingFile>) -> (R, Wake)) -> R {
        let (result, wake) = change(&mut self.lock());
        let Wake { producer, disk, links } = wake;
        if producer {
            self.producer.notify();
        }
        if disk {
            self.disk.notify();
        }
        if !links.is_empty() {
            self.links.notify();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shuttle::sync::Arc;
    use shuttle::thread;

    use super::*;
    use crate::flow::{DiskOrder, DiskWork, Full, Item, LinkOrder, LinkWork};
    use crate::session::LinkId;
    use crate::wire::{SignedRoot, Sum};

    const SPAN: u64 = 4096;
    const LINK: LinkId = LinkId(1);

    /// Tries many orders in which the threads of `model` may go on. A wait is never over by its time there: where a thread
    /// is not woken, none can go on any more, which the checker reports.
    fn check(model: impl Fn() + Send + Sync + 'static) {
        let model = Arc::new(model);
        let random = Arc::clone(&model);
        shuttle::check_random(move || random(), 2000);
        shuttle::check_pct(move || model(), 2000, 3);
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    /// Brings so many items and the end, as the receiver does. Returns how many there was room for before it was halted.
    fn produce(monitor: &Monitor, items: u64) -> u64 {
        for place in 0..items {
            loop {
                let before = monitor.epoch();
                if monitor.is_halted() {
                    return place;
                }
                let item = Item::Hole { offset: place * SPAN, span: SPAN };
                match monitor.with(|ring| ring.push(Instant::now(), item)) {
                    Ok(()) => break,
                    Err(Full::NoRoom(waiting)) => {
                        assert!(waiting.epoch >= before);
                        // Not since the push: the thread may have been halted before that.
                        monitor.wait(Role::Producer, before, Some(later()));
                    }
                    Err(Full::Closed) => return place,
                }
            }
        }
        monitor.change(|ring| {
            ring.finish(items * SPAN, Sum::Root(SignedRoot { root: [0; 32], signature: [0; 64] }))
        });
        items
    }

    /// Writes until it is told to leave. Returns what it has.
    fn write(monitor: &Monitor) -> u64 {
        let mut has = 0;
        loop {
            match monitor.quietly(Ring::disk_work) {
                Ok(DiskWork::Order(DiskOrder::Leave)) => return has,
                Ok(DiskWork::Order(_) | DiskWork::End(_)) => {}
                Ok(DiskWork::Write(item)) => {
                    has = item.range().1;
                    monitor.change(|ring| ring.disk_has(has));
                }
                Err(epoch) => monitor.wait(Role::Disk, epoch, None),
            }
        }
    }

    /// Sends until the payload has ended or the link is closed. Returns what was sent.
    fn send(monitor: &Monitor) -> u64 {
        let mut has = 0;
        loop {
            match monitor.quietly(|ring| ring.link_work(LINK)) {
                Ok(LinkWork::Item(item)) => {
                    has = item.range().1;
                    monitor.change(|ring| ring.link_has(LINK, has));
                }
                Ok(LinkWork::Order(_) | LinkWork::Extension(_)) => {}
                Ok(LinkWork::End { .. } | LinkWork::Over) => return has,
                Ok(LinkWork::File { .. } | LinkWork::Gone(_) | LinkWork::AwaitsFile(_)) => {
                    panic!("nothing leaves before the child has it")
                }
                Err(epoch) => monitor.wait(Role::Link, epoch, None),
            }
        }
    }

    #[test]
    fn everything_gets_through_in_whatever_order_the_threads_go_on() {
        check(|| {
            let monitor = Arc::new(Monitor::new(Ring::for_node(1)));
            monitor.quietly(|ring| ring.add_link(LINK));
            let threads: [Arc<Monitor>; 3] = std::array::from_fn(|_| Arc::clone(&monitor));
            let [producing, writing, sending] = threads;
            let producing = thread::spawn(move || produce(&producing, 3));
            let writing = thread::spawn(move || write(&writing));
            let sending = thread::spawn(move || send(&sending));
            monitor.change(|ring| ring.order_link(LINK, LinkOrder::Send(Vec::new())));
            monitor.change(|ring| ring.feed(LINK, 0));
            assert_eq!(producing.join().unwrap(), 3);
            assert_eq!(sending.join().unwrap(), 3 * SPAN);
            monitor.change(|ring| ring.order_disk(DiskOrder::Leave));
            assert!(writing.join().unwrap() <= 3 * SPAN);
        });
    }

    #[test]
    fn a_thread_that_waits_for_room_is_halted_and_another_goes_on() {
        check(|| {
            let monitor = Arc::new(Monitor::new(Ring::for_node(1)));
            let producing = Arc::clone(&monitor);
            let producing = thread::spawn(move || produce(&producing, 2));
            monitor.halt();
            let pushed = producing.join().unwrap();
            assert!(pushed <= 1, "there is room for one");
            monitor.go_on();
            monitor.change(|ring| ring.disk_has(pushed * SPAN));
            let item = Item::Hole { offset: pushed * SPAN, span: SPAN };
            assert!(monitor.with(|ring| ring.push(Instant::now(), item)).is_ok());
        });
    }

    #[test]
    fn the_end_of_the_transfer_ends_every_wait() {
        check(|| {
            let monitor = Arc::new(Monitor::new(Ring::for_node(1)));
            monitor.quietly(|ring| ring.add_link(LINK));
            let threads: [Arc<Monitor>; 3] = std::array::from_fn(|_| Arc::clone(&monitor));
            let [producing, writing, sending] = threads;
            let producing = thread::spawn(move || produce(&producing, 3));
            let writing = thread::spawn(move || write(&writing));
            let sending = thread::spawn(move || send(&sending));
            monitor.change(Ring::close);
            monitor.change(|ring| ring.order_disk(DiskOrder::Leave));
            assert!(producing.join().unwrap() <= 2, "the child has nothing");
            writing.join().unwrap();
            sending.join().unwrap();
        });
    }
}
