//! Reads for one child what is not in memory, on a thread of its own: what the child is told meanwhile waits for no disk.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use super::super::backing::{BackingFile, BackingReader};
use super::monitor::Monitor;
use crate::flow::{Backing, Shared as _};
use crate::session::LinkId;

/// One item to read: at most `len` bytes from `offset` on.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) backing: Backing<BackingFile>,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// Dropping it waits for the read under way, which has the file open.
#[derive(Debug)]
pub(super) struct Reader {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// For that child.
    pub(super) fn start(
        link: LinkId,
        monitor: Arc<Monitor>,
        backings: Arc<BackingReader>,
    ) -> io::Result<Self> {
        let (orders, ordered) = mpsc::channel::<Order>();
        let read = move || {
            for Order { backing, offset, len } in ordered {
                let item = backings.item(backing.file(), offset, len);
                drop(backing);
                let item = item.map_err(|why| format!("at offset {offset}, {why}"));
                monitor.change(|ring| ring.has_read(link, item));
            }
        };
        let thread = thread::Builder::new().name("read back".into()).spawn(read)?;
        Ok(Self { orders: Some(orders), thread: Some(thread) })
    }

    /// Has the thread read an item into the ring.
    pub(super) fn read(&self, order: Order) {
        // The thread ends before this does only by a panic, which has been reported.
        let _ = self.orders.as_ref().map(|orders| orders.send(order));
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.orders = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            log::error!("a thread that reads for a child panicked");
        }
    }
}
