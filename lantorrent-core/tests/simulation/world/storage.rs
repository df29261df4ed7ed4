//! A session's work on the disk of its host: one thing after the other, orders before payload.

use std::collections::VecDeque;
use std::time::Duration;

use lantorrent_core::session::{FileFault, FileInput, Opened};
use lantorrent_core::wire::{Digest, Request};

use super::disk::{Disk, Kind, Version};
use super::feed::Next;
use super::machine::Happening;
use super::net::{ActorId, Event, Net};
use super::ring::{Backing, Item, Ring};

/// How long, all in all, to wait for files that are in use: a session that was superseded takes a moment to let go.
const PATIENCE: u64 = 500_000;
const RETRY: Duration = Duration::from_millis(10);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Open(usize),
    Begin(u64),
    Place(usize, u64),
    Discard(usize),
    Keep(usize),
    Remove(Request),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Open,
    /// It has its name, and can still be read.
    Placed,
}

#[derive(Debug)]
pub(crate) struct Storage {
    names: Vec<String>,
    ids: Vec<String>,
    version: Option<Version>,
    states: Vec<State>,
    /// What was in the last file that could be read, where it is written no more. Whoever has it open can go on reading.
    former: Vec<u8>,
    orders: VecDeque<Order>,
    /// How far the payload is written; none before it has begun.
    pub(crate) written: Option<u64>,
    block_size: u64,
    began: u64,
    told_end: bool,
    busy: bool,
}

impl Storage {
    pub(crate) fn new(requests: &[Request], version: Option<Version>, block_size: u32, now: u64) -> Self {
        Self {
            names: requests.iter().map(|request| request.filename.clone()).collect(),
            ids: requests.iter().map(|request| request.id.clone()).collect(),
            version,
            states: vec![State::Closed; requests.len()],
            former: Vec::new(),
            orders: VecDeque::new(),
            written: None,
            block_size: block_size.into(),
            began: now,
            told_end: false,
            busy: false,
        }
    }

    pub(crate) fn order(&mut self, order: Order) {
        self.orders.push_back(order);
    }

    fn readable<'a>(&'a self, disk: &'a Disk) -> impl Iterator<Item = &'a String> {
        let files = self.states.iter().zip(&self.names);
        files
            .filter(|(state, name)| **state != State::Closed && disk.kind(name) != Kind::NotReadable)
            .map(|(_, name)| name)
    }

    /// Whether a child that comes late can be served from one of the files.
    pub(crate) fn backing(&self, disk: &Disk) -> Backing {
        if self.readable(disk).next().is_some() { Backing::Written } else { Backing::Nothing }
    }

    /// What a child is sent that has fallen behind the ring.
    pub(crate) fn read(&self, disk: &Disk, ring: &Ring, offset: u64) -> Next {
        if disk.stalled {
            return Next::Wait;
        }
        let block = |name: &String| disk.read(name, offset, self.block_size);
        let Some((data, digest)) = self.readable(disk).find_map(block).or_else(|| self.read_former(offset))
        else {
            return Next::Gone;
        };
        let known = ring.digests.get((offset / self.block_size) as usize).copied();
        assert!(known.is_none() || digest.is_none() || digest == known, "the journal is wrong");
        let zero =
            known.is_some() && data.len() as u64 == self.block_size && data.iter().all(|&byte| byte == 0);
        Next::Item(Item {
            offset,
            span: data.len() as u64,
            digest: known.filter(|_| !zero),
            data: Some(data).filter(|_| !zero),
        })
    }

    fn read_former(&self, offset: u64) -> Option<(Vec<u8>, Option<Digest>)> {
        let end = (offset + self.block_size).min(self.former.len() as u64);
        (offset < end).then(|| (self.former[offset as usize..end as usize].to_vec(), None))
    }

    /// The journal of the first file that has as much as that.
    pub(crate) fn journal<'a>(&self, disk: &'a Disk, from: u64) -> Option<&'a [Digest]> {
        let open = self.states.iter().zip(&self.names).filter(|(state, _)| **state == State::Open);
        let mut partials = open.filter_map(|(_, name)| disk.partials.get(name));
        partials.find(|partial| partial.data.len() as u64 >= from).map(|partial| &partial.digests[..])
    }

    /// Goes on with the next piece of work, if there is one.
    pub(crate) fn kick(&mut self, net: &mut Net, id: ActorId, disk: &Disk, ring: &Ring) {
        let payload = self
            .written
            .is_some_and(|written| ring.at(written).is_some() || ring.end.is_some() && !self.told_end);
        if self.busy || !payload && self.orders.is_empty() {
            return;
        }
        self.busy = true;
        let most = 100 + if self.orders.is_empty() { disk.micros_per_block } else { 0 };
        net.within(most, Event::Disk(id));
    }

    /// Does one thing.
    pub(crate) fn work(
        &mut self,
        net: &mut Net,
        id: ActorId,
        disk: &mut Disk,
        ring: &Ring,
        told: &mut VecDeque<Happening>,
    ) {
        self.busy = false;
        let mut tell = |input: FileInput| told.push_back(input.into());
        match self.orders.pop_front() {
            Some(Order::Open(file)) => self.open(net, id, disk, file, &mut tell),
            Some(Order::Begin(from)) => self.begin(disk, from),
            Some(Order::Place(file, size)) => {
                assert_eq!(self.written, Some(size), "everything is written before it is placed");
                let result = disk.place(&self.names[file], size);
                self.states[file] = if result.is_ok() { State::Placed } else { State::Closed };
                tell(FileInput::Placed(file, result));
            }
            Some(Order::Discard(file)) => self.close(disk, file, Disk::discard),
            Some(Order::Keep(file)) => self.close(disk, file, Disk::keep),
            Some(Order::Remove(request)) => self.remove(net, id, disk, request, &mut tell),
            None => self.write(net, disk, ring, &mut tell),
        }
    }

    fn open(
        &mut self,
        net: &mut Net,
        id: ActorId,
        disk: &mut Disk,
        file: usize,
        tell: &mut impl FnMut(FileInput),
    ) {
        let name = &self.names[file];
        // What this session itself holds will not become free.
        let ours = self.names[..file].contains(name);
        if disk.is_locked(name) && !ours && net.micros() < self.began + PATIENCE {
            self.orders.push_front(Order::Open(file));
            self.busy = true;
            return net.after(RETRY, Event::Disk(id));
        }
        let result: Result<_, FileFault> = disk.open(name, self.version.as_ref());
        if result.is_ok() {
            self.states[file] = State::Open;
        }
        tell(FileInput::Opened(file, result.map(|(read_back, resumed)| Opened { read_back, resumed })));
    }

    fn remove(
        &mut self,
        net: &mut Net,
        id: ActorId,
        disk: &mut Disk,
        request: Request,
        tell: &mut impl FnMut(FileInput),
    ) {
        self.discard(disk, &request);
        if disk.is_locked(&request.filename) && net.micros() < self.began + PATIENCE {
            self.orders.push_front(Order::Remove(request));
            self.busy = true;
            return net.after(RETRY, Event::Disk(id));
        }
        let result = disk.remove(&request.filename, self.version.as_ref());
        tell(FileInput::Removed(request.id, result));
    }

    /// What this session itself writes for a request.
    fn discard(&mut self, disk: &mut Disk, request: &Request) {
        if let Some(file) = self.ids.iter().position(|id| *id == request.id) {
            self.close(disk, file, Disk::discard);
        }
    }

    fn begin(&mut self, disk: &mut Disk, from: u64) {
        for (state, name) in self.states.iter().zip(&self.names) {
            if *state == State::Open {
                disk.begin(name, from, from.div_ceil(self.block_size) as usize);
            }
        }
        self.written = Some(from);
    }

    fn write(&mut self, net: &mut Net, disk: &mut Disk, ring: &Ring, tell: &mut impl FnMut(FileInput)) {
        let Some(written) = self.written else { return };
        let Some(item) = ring.at(written) else {
            if let Some((size, _)) = ring.end {
                self.told_end = true;
                tell(FileInput::Written(size));
            }
            return;
        };
        let bytes = item.bytes();
        let blocks = |position: u64| position.div_ceil(self.block_size) as usize;
        let digests = ring.digests.get(blocks(item.offset)..blocks(item.end())).unwrap_or_default();
        for file in 0..self.names.len() {
            if self.states[file] != State::Open {
                continue;
            }
            let result = disk.write(&mut net.random, &self.names[file], item.offset, &bytes, digests);
            if let Err(fault) = result {
                self.close(disk, file, Disk::discard);
                tell(FileInput::WriteFailed(file, fault));
            }
        }
        self.written = Some(item.end());
        if net.random.chance(30) {
            tell(FileInput::Written(item.end()));
        }
    }

    fn close(&mut self, disk: &mut Disk, file: usize, how: fn(&mut Disk, &str)) {
        // One that could not be written is gone already.
        if self.states[file] == State::Open {
            let name = &self.names[file];
            if disk.kind(name) != Kind::NotReadable
                && let Some(partial) = disk.partials.get(name)
            {
                self.former.clone_from(&partial.data);
            }
            self.states[file] = State::Closed;
            how(disk, name);
        }
    }

    /// The session is over: what is open by now has no name, and gets none from it.
    pub(crate) fn leave(&mut self, disk: &mut Disk) {
        for order in std::mem::take(&mut self.orders) {
            match order {
                Order::Discard(file) => self.close(disk, file, Disk::discard),
                Order::Begin(from) => self.begin(disk, from),
                Order::Remove(request) => {
                    self.discard(disk, &request);
                    // Nobody is there any more to be told.
                    let _ = disk.remove(&request.filename, self.version.as_ref());
                }
                Order::Keep(_) | Order::Open(_) | Order::Place(..) => {}
            }
        }
        for file in 0..self.names.len() {
            self.close(disk, file, Disk::keep);
        }
    }
}
