//! What a session of a node works with.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::super::config::Traffic;
use super::super::files::{NodeFiles, Storage};
use super::super::names::Zones;
use super::children::{Children, Outgoing};
use super::control::{Hands, ToNode};
use super::doorbell::{Arrival, Doorbell, Knock};
use super::listeners::Askers;
use super::monitor::{Monitor, Role};
use super::receiver::Receiving;
use super::upstreams::Upstreams;
use crate::flow::{Disk, DiskOrder, DiskStep, Pool, Receiver, Ring, Shared as _, ring_capacity};
use crate::session::{FileInput, NodeInput, NodeOutput, NodeSession, Proven, Standing, UpstreamId};
use crate::wire::{Header, Keyring, PayloadError, PayloadWriter};

/// How soon to try again to say what upstream has not taken yet.
const RETRY: Duration = Duration::from_millis(20);

pub(super) struct NodeHands {
    monitor: Arc<Monitor>,
    upstreams: Upstreams,
    children: Children<NodeInput<'static>>,
    disk: JoinHandle<()>,
    receiving: Arc<Receiving>,
    /// Whether the payload has begun.
    begun: bool,
    doorbell: Arc<Doorbell>,
    askers: Askers,
    /// What nobody else can tell the session. Never sent to it: it would wait for itself.
    untold: VecDeque<NodeInput<'static>>,
}

impl NodeHands {
    /// Starts what every session has. None where the header's wire has no password, which the greeting would not have
    /// let pass.
    pub(super) fn new(
        header: &Header,
        keys: &Keyring,
        storage: Storage,
        traffic: Traffic,
        doorbell: Arc<Doorbell>,
        happenings: &ToNode,
    ) -> std::io::Result<Option<Self>> {
        let Some(writer) = PayloadWriter::new(header, keys) else { return Ok(None) };
        // The list behind this node may be long, and is the session's.
        let header = Header { destinations: Vec::new(), ..header.clone() };
        let capacity = ring_capacity(header.block_size);
        let monitor = Arc::new(Monitor::new(Ring::for_node(capacity)));
        let pool = Pool::new(header.block_size, capacity);
        let patience = storage.patience;
        let files = NodeFiles::new(storage, header.clone());
        let disk = Disk::new(Instant::now(), header.clone(), files, patience);
        let (waiting, tell) = (Arc::clone(&monitor), happenings.clone());
        let disk = thread::Builder::new().name("disk".into()).spawn(move || work(disk, &waiting, &tell))?;
        let children = Children::new(
            Arc::clone(&monitor),
            Arc::clone(&pool),
            writer,
            happenings.clone(),
            Outgoing {
                resolver: traffic.resolver,
                zones: Zones::Foreign,
                dscp: traffic.dscp,
                limit: traffic.send_limit,
            },
        );
        let receiving = Arc::new(Receiving {
            monitor: Arc::clone(&monitor),
            block_size: header.block_size,
            happenings: happenings.clone(),
            limit: traffic.receive_limit.clone(),
            receiver: Mutex::new(Receiver::new(header, keys.clone(), pool, traffic.receive_limit)),
        });
        Ok(Some(Self {
            monitor,
            upstreams: Upstreams::default(),
            children,
            disk,
            receiving,
            begun: false,
            doorbell,
            askers: Askers::default(),
            untold: VecDeque::new(),
        }))
    }

    /// Takes in a connection from upstream.
    pub(super) fn add(&mut self, arrival: Arrival) -> (UpstreamId, Box<Proven>) {
        self.upstreams.add(arrival)
    }

    fn accept(&mut self, id: UpstreamId, from: u64) {
        if !std::mem::replace(&mut self.begun, true) {
            self.monitor.change(|ring| ring.begin(from));
        }
        self.monitor.go_on();
        let receiving = Arc::clone(&self.receiving);
        let begun = self.upstreams.read(id).is_some_and(|reading| {
            let receive = move || receiving.run(reading, from);
            match thread::Builder::new().name("receive".into()).spawn(receive) {
                Ok(_) => true,
                Err(error) => {
                    log::error!("no thread to receive with: {error}");
                    false
                }
            }
        });
        if !begun {
            // Nobody reads, so nobody else says that nothing is read.
            let cause = Some(PayloadError::Truncated { offset: from });
            self.untold.push_back(NodeInput::Halted { offset: from, cause });
        }
    }

    fn reset(&mut self, id: UpstreamId) {
        if self.upstreams.is_read(id) {
            self.monitor.halt();
        }
        self.upstreams.reset(id);
    }

    fn order_disk(&self, order: DiskOrder) {
        self.monitor.change(|ring| ring.order_disk(order));
    }

    /// Ends every thread. Files that have no name by now are let go. Returns who waits for them.
    pub(super) fn finish(self) -> Askers {
        self.children.end();
        if self.disk.join().is_err() {
            log::error!("the thread for the disk panicked");
        }
        self.askers
    }
}

/// Does what there is for the disk, until it is told to leave.
fn work(mut disk: Disk<NodeFiles>, monitor: &Monitor, happenings: &ToNode) {
    // A send fails only when the session is over, and then nothing wants to know.
    let tell = &mut |input: FileInput| drop(happenings.send(NodeInput::File(input).into()));
    loop {
        match disk.step(Instant::now(), monitor, tell) {
            DiskStep::Moved => {}
            DiskStep::Idle(epoch) => monitor.wait(Role::Disk, epoch, None),
            DiskStep::Until(at) => thread::sleep(at.saturating_duration_since(Instant::now())),
            DiskStep::Over => return,
        }
    }
}

impl Hands<NodeSession> for NodeHands {
    fn carry_out(&mut self, output: NodeOutput) {
        match output {
            NodeOutput::File(output) => self.order_disk(DiskOrder::File(output)),
            NodeOutput::Accept(id, from) => self.accept(id, from),
            NodeOutput::Halt => self.monitor.halt(),
            NodeOutput::Reply(id, bytes) => self.upstreams.say(id, &bytes),
            NodeOutput::CloseUpstream(id) => self.upstreams.close(id),
            NodeOutput::DropUpstream(id) => self.reset(id),
            NodeOutput::Link(output) => self.children.carry_out(output),
            NodeOutput::Feed(output) => self.monitor.change(|ring| ring.obey(output)),
            NodeOutput::Answer(answer) => self.askers.answer(answer),
            // It is dealt with before it comes here.
            NodeOutput::Done => {}
        }
    }

    fn attend(&mut self, standing: Standing) -> Option<Duration> {
        self.doorbell.set_standing(standing);
        self.upstreams.flush().then_some(RETRY)
    }

    fn urgent(&mut self) -> Option<NodeInput<'static>> {
        if let Some(input) = self.untold.pop_front() {
            return Some(input);
        }
        Some(match self.doorbell.answer()? {
            Knock::Stop(grace) => NodeInput::Stop(grace),
            Knock::Superseded => NodeInput::Superseded,
            Knock::Displaced(id, fault) => FileInput::Displaced(id, fault).into(),
            Knock::Ask(ask, stream) => {
                self.askers.add(stream);
                NodeInput::Asked(ask)
            }
            Knock::Join(join, arrival) => {
                let (id, proven) = self.add(arrival);
                join.input(id, proven)
            }
        })
    }
}
