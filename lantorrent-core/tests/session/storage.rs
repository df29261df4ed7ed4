//! A session's work on the disk of its host: one thing after the other, orders before payload.

use std::collections::VecDeque;
use std::time::Duration;

use lantorrent_core::session::Input;
use lantorrent_core::wire::Request;

use crate::disk::{Disk, Kind};
use crate::machine::Happening;
use crate::net::{ActorId, Event, Net};
use crate::plane::Plane;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    Open(usize),
    Place(usize, u64),
    Discard(usize),
}

#[derive(Debug)]
pub(crate) struct Storage {
    names: Vec<String>,
    open: Vec<bool>,
    orders: VecDeque<Order>,
    pub(crate) written: u64,
    told_end: bool,
    busy: bool,
}

impl Storage {
    pub(crate) fn new(requests: &[Request]) -> Self {
        Self {
            names: requests.iter().map(|request| request.filename.clone()).collect(),
            open: vec![false; requests.len()],
            orders: VecDeque::new(),
            written: 0,
            told_end: false,
            busy: false,
        }
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    /// Whether a child that comes late can be served from one of the files.
    pub(crate) fn readable(&self, disk: &Disk) -> bool {
        self.open.iter().zip(&self.names).any(|(&open, name)| open && disk.kind(name) != Kind::NotReadable)
    }

    /// Goes on with the next piece of work, if there is one.
    pub(crate) fn kick(&mut self, net: &mut Net, id: ActorId, disk: &Disk, plane: &Plane) {
        let payload = plane.at(self.written).is_some() || plane.end.is_some() && !self.told_end;
        if self.busy || !payload && self.orders.is_empty() {
            return;
        }
        self.busy = true;
        let most = 100 + if self.orders.is_empty() { disk.micros_per_block } else { 0 };
        let delay = net.random.below(most) as u64;
        net.after(Duration::from_micros(delay), Event::Disk(id));
    }

    /// Does one thing.
    pub(crate) fn work(
        &mut self,
        net: &mut Net,
        disk: &mut Disk,
        plane: &Plane,
        told: &mut VecDeque<Happening>,
    ) {
        self.busy = false;
        let mut tell = |input| told.push_back(Happening::Input(input));
        match self.orders.pop_front() {
            Some(Order::Open(file)) => {
                let result = disk.open(&self.names[file]);
                self.open[file] = result.is_ok();
                tell(Input::Opened(file, result));
            }
            Some(Order::Place(file, size)) => {
                assert_eq!(self.written, size, "everything is written before it is placed");
                self.open[file] = false;
                tell(Input::Placed(file, disk.place(&self.names[file], size)));
            }
            Some(Order::Discard(file)) => self.discard(disk, file),
            None => self.write(net, disk, plane, &mut tell),
        }
    }

    fn write(
        &mut self,
        net: &mut Net,
        disk: &mut Disk,
        plane: &Plane,
        tell: &mut impl FnMut(Input<'static>),
    ) {
        let Some(item) = plane.at(self.written) else {
            if let Some((size, _)) = plane.end {
                self.told_end = true;
                tell(Input::Written(size));
            }
            return;
        };
        for file in 0..self.names.len() {
            if !self.open[file] {
                continue;
            }
            if let Err(fault) = disk.write(&self.names[file], item.offset, plane.bytes(item)) {
                self.discard(disk, file);
                tell(Input::WriteFailed(file, fault));
            }
        }
        self.written = item.end();
        if net.random.chance(30) {
            tell(Input::Written(self.written));
        }
    }

    fn discard(&mut self, disk: &mut Disk, file: usize) {
        // One that could not be written is gone already.
        if std::mem::take(&mut self.open[file]) {
            disk.discard(&self.names[file]);
        }
    }

    /// The session is over: what is open by now has no name, and gets none.
    pub(crate) fn leave(&mut self, disk: &mut Disk) {
        for file in 0..self.names.len() {
            self.discard(disk, file);
        }
        self.orders.clear();
    }
}
