//! One transfer of the node: its session, and all that the session has to do with.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Token;
use mio::event::Event;

use super::super::backing::BackingReader;
use super::super::clock::now;
use super::super::files::NodeFiles;
use super::super::names::Zones;
use super::super::random;
use super::super::resume::root_before;
use super::super::socket::keep_queue_short;
use super::child::{Child, Heard};
use super::files::Files;
use super::mailbox::{Message, News};
use super::payload::{Payload, Told};
use super::pending::{Arrival, Pending};
use super::ring::SessionRing;
use super::upstreams::{self, Upstream};
use super::world::{Owner, World};
use crate::flow::admission::{Join, Task};
use crate::flow::{Disk, DiskOrder, LinkOrder, Needed, Receiver, Ring, Shared as _, Wake, ring_capacity};
use crate::runtime::workers::Then;
use crate::session::{
    FileInput, LinkId, LinkInput, LinkOutput, NodeInput, NodeOutput, NodeSession, Seed, Standing, UpstreamId,
};
use crate::wire::{Header, PayloadWriter, SealedReport, TransferId};

/// Bytes of the file that a session moves before others have a turn.
const TURN: u64 = 128 << 10;

pub(super) struct Transfer {
    pub(super) number: u64,
    /// If it takes part in one.
    pub(super) id: Option<TransferId>,
    session: NodeSession,
    files: Files,
    payload: Payload,
    writer: PayloadWriter,
    upstreams: HashMap<UpstreamId, Upstream>,
    children: BTreeMap<LinkId, Child>,
    /// Whether the payload has begun.
    begun: bool,
    /// What the session has not heard yet.
    told: Told,
    state: State,
    /// Sums that workers are making.
    sums: usize,
    /// Who came for the transfer when it was over already.
    pub(super) late: Vec<Arrival>,
    /// Whether it is on the list of those that have more to do.
    pub(super) queued: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// The session is over, and its files are being let go.
    Ending,
    /// They are.
    FilesLeft,
}

/// How a turn has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is nothing to do until something happens.
    Done,
    /// There is more to do.
    More,
    /// Nothing is left of it.
    Over,
}

impl Transfer {
    /// Begins a session. None where the header's wire has no password, which the greeting would not have let pass.
    pub(super) fn begin(
        arrival: Arrival,
        task: Task,
        patience: Duration,
        world: &mut World,
    ) -> io::Result<Option<Self>> {
        let number = arrival.token.0 as u64;
        let site = Arc::clone(&world.site);
        let header = &arrival.proven.header;
        let (id, keys) = (task.transfer(header), site.gate.keys.clone());
        let Some(writer) = PayloadWriter::new(header, &keys) else { return Ok(None) };
        // The list behind this node may be long, and is the session's.
        let header = Header { destinations: Vec::new(), ..header.clone() };
        let seed = Seed(random()?);

        let ring = Arc::new(SessionRing::new(Ring::for_node(ring_capacity(header.block_size))));
        let pool = world.stock.pool(header.block_size);
        let mailbox = Arc::clone(&world.mailbox);
        let account = site.account(&task, &header, arrival.socket.peer_addr()?);
        let files = NodeFiles::new(site.files(account, patience), header.clone());
        let disk = Disk::new(Instant::now(), header.clone(), files, patience);
        let files = Files::new(number, Arc::clone(&mailbox), Arc::clone(&ring), disk);
        let backings = BackingReader::new(Arc::clone(&pool), writer.wire());
        let receiver = Receiver::new(header, keys.clone(), pool, site.traffic.receive_limit.clone());
        let payload = Payload::new(number, ring, receiver, backings, mailbox);

        world.hand_over(arrival.token, Owner::Upstream(number));
        let (upstream, proven) = Upstream::new(arrival);
        let session = task.session(now(), upstream.id(), *proven, &site.gate, seed);
        Ok(Some(Self {
            number,
            id,
            session,
            files,
            payload,
            writer,
            upstreams: HashMap::from([(upstream.id(), upstream)]),
            children: BTreeMap::new(),
            begun: false,
            told: Told::new(),
            state: State::Running,
            sums: 0,
            late: Vec::new(),
            queued: false,
        }))
    }

    /// A sender has proven a header of this transfer.
    pub(super) fn join(&mut self, arrival: Arrival, join: Join, world: &mut World) {
        world.hand_over(arrival.token, Owner::Upstream(self.number));
        if self.state != State::Running {
            return self.late.push(arrival);
        }
        let (upstream, proven) = Upstream::new(arrival);
        let input = join.input(upstream.id(), proven);
        self.told
            .extend(join.displaced.into_iter().map(|(id, fault)| FileInput::Displaced(id, fault).into()));
        self.told.push_back(input);
        self.upstreams.insert(upstream.id(), upstream);
    }

    /// Tells the session, which is to have a turn soon.
    pub(super) fn tell(&mut self, input: impl Into<NodeInput<'static>>) {
        self.told.push_back(input.into());
    }

    /// What the workers say.
    pub(super) fn news(&mut self, news: News) {
        match news {
            News::Happened(input) => self.tell(input),
            News::Written => {}
            News::FilesLeft => self.state = State::FilesLeft,
            News::Summed(from, root) => {
                self.sums -= 1;
                self.payload.begin(from, root.map(|root| *root), &mut self.told);
            }
            News::ReadBack(link, item) => self.payload.has_read(link, item),
        }
    }

    /// The connection of an upstream may have something to read, or room for more.
    pub(super) fn wake_upstream(&mut self, token: Token, event: &Event) {
        if let Some(upstream) = self.upstreams.get_mut(&upstreams::id(token)) {
            upstream.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        }
    }

    /// The connection of a child may have something to read, or room for more, or stand now.
    pub(super) fn wake_child(&mut self, link: LinkId, event: &Event) {
        if let Some(child) = self.children.get_mut(&link) {
            child.wake(event);
        }
    }

    /// Does what there is to do, but lets others have a turn.
    pub(super) fn turn(&mut self, world: &mut World) -> Turn {
        if self.session.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            self.tell(NodeInput::Tick);
        }
        self.settle(world);
        self.payload.look_for_room();
        let now = Instant::now();
        self.children.values_mut().for_each(|child| child.on_time(now));
        let mut turn = self.hear(world);
        for upstream in self.upstreams.values_mut() {
            if self.payload.upstream() != Some(upstream.id()) && upstream.drain(&mut world.scratch) {
                turn = Turn::More;
            }
        }
        let mut moved = 0;
        while self.state == State::Running {
            let step = self.step(world);
            let rests = step.is_none() && self.told.is_empty();
            self.settle(world);
            moved += step.unwrap_or(0);
            if rests || moved >= TURN {
                turn = if rests { turn } else { Turn::More };
                break;
            }
        }
        for upstream in self.upstreams.values_mut() {
            upstream.outbox.flush(&upstream.socket);
        }
        if world.stock.is_short() {
            self.payload.trim();
        }
        if self.wake(world) {
            turn = Turn::More;
        }
        // Workers that have its files open must have let go of them before a session is told that they are free.
        if self.state == State::FilesLeft && self.payload.reads == 0 && self.sums == 0 {
            Turn::Over
        } else {
            turn
        }
    }

    /// When it wants a turn although nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.state != State::Running {
            return None;
        }
        let children = self.children.values().filter_map(Child::deadline);
        [self.session.deadline(), self.payload.deadline()].into_iter().flatten().chain(children).min()
    }

    /// When the transfer is over: what to tell who asks again.
    pub(super) fn results(&self) -> Option<Vec<SealedReport>> {
        self.session.results()
    }

    pub(super) fn standing(&self) -> Standing {
        self.session.standing(now())
    }

    /// Has the session deal with all that has happened.
    fn settle(&mut self, world: &mut World) {
        while self.state == State::Running {
            while let Some(output) = self.session.poll() {
                if output == NodeOutput::Done {
                    return self.end(world);
                }
                self.carry_out(output, world);
            }
            let Some(input) = self.told.pop_front() else { return };
            self.session.handle(now(), input);
        }
    }

    fn link_after(&self, last: Option<LinkId>) -> Option<LinkId> {
        let next = |link: &LinkId| last.is_none_or(|last| *link > last);
        self.children.keys().copied().find(next)
    }

    /// Hears what children have to say, and who of them can be reached.
    fn hear(&mut self, world: &mut World) -> Turn {
        let (mut turn, mut last) = (Turn::Done, None);
        while let Some(link) = self.link_after(last) {
            last = Some(link);
            let Some(child) = self.children.get_mut(&link) else { continue };
            match child.get_connected() {
                Some(Ok(address)) => self.told.push_back(LinkInput::Connected(link, address).into()),
                Some(Err(error)) => self.told.push_back(LinkInput::Closed(link, error.to_string()).into()),
                None => {}
            }
            self.settle(world);
            let Some(child) = self.children.get_mut(&link) else { continue };
            match child.hear(&mut world.scratch) {
                Heard::Nothing => {}
                Heard::Bytes(count) => {
                    self.session.handle(now(), LinkInput::Bytes(link, &world.scratch[..count]));
                    turn = Turn::More;
                }
                Heard::End(why) => self.told.push_back(LinkInput::Closed(link, why).into()),
            }
            self.settle(world);
        }
        turn
    }

    /// Has the machines of the payload look again that the ring names. Returns whether one of them has its turn here.
    fn wake(&mut self, world: &World) -> bool {
        let Wake { producer, disk, links } = self.payload.ring.take_woken();
        let is_ours = self.state == State::Running && (producer || !links.is_empty());
        if disk {
            self.files.wake(&world.disks);
        }
        if producer {
            self.payload.look_for_room();
        }
        for link in links {
            if let Some(child) = self.children.get_mut(&link) {
                child.wake_sender();
            }
        }
        is_ours
    }

    /// Moves one piece to each child, and one from upstream. Returns how many bytes; None if nothing can be moved.
    fn step(&mut self, world: &mut World) -> Option<u64> {
        self.wake(world);
        let mut moved = None;
        for (link, child) in &mut self.children {
            if let Some(bytes) = self.payload.send(*link, child, &world.disks, &mut self.told) {
                *moved.get_or_insert(0) += bytes;
            }
        }
        let upstream = self.payload.upstream().and_then(|id| self.upstreams.get_mut(&id));
        if let Some(bytes) = upstream.and_then(|upstream| self.payload.receive(upstream, &mut self.told)) {
            *moved.get_or_insert(0) += bytes;
        }
        moved
    }

    fn carry_out(&mut self, output: NodeOutput, world: &mut World) {
        let ring = &*self.payload.ring;
        match output {
            NodeOutput::File(output) => ring.change(|ring| ring.order_disk(DiskOrder::File(output))),
            NodeOutput::Accept(id, from) => self.accept(id, from, world),
            NodeOutput::Halt => self.payload.halt(&mut self.told),
            NodeOutput::Reply(id, bytes) => {
                if let Some(upstream) = self.upstreams.get_mut(&id) {
                    upstream.say(&bytes);
                }
            }
            NodeOutput::CloseUpstream(id) => {
                if let Some(Upstream { token, socket, outbox, .. }) = self.take_upstream(id) {
                    world.add_pending(Pending::leaving_session(token, socket, outbox));
                }
            }
            NodeOutput::DropUpstream(id) => {
                if let Some(upstream) = self.take_upstream(id) {
                    upstreams::reset(&upstream.socket);
                    world.forget(upstream.token);
                }
            }
            NodeOutput::Link(LinkOutput::LookUp { link, host, port }) => {
                self.look_up(link, host, port, world);
            }
            NodeOutput::Link(LinkOutput::Connect { link, to }) => self.connect(link, to, world),
            NodeOutput::Link(LinkOutput::Send(link, bytes)) => {
                ring.change(|ring| ring.order_link(link, LinkOrder::Send(bytes)));
            }
            NodeOutput::Feed(output) => ring.change(|ring| ring.obey(output)),
            NodeOutput::Link(LinkOutput::Close(link)) => {
                ring.change(|ring| ring.remove_link(link));
                if let Some(child) = self.children.remove(&link) {
                    child.close(world);
                }
            }
            // The first is a node's that has a process for each connection; the other is dealt with before it comes here.
            NodeOutput::Answer(_) | NodeOutput::Done => {}
        }
    }

    fn accept(&mut self, id: UpstreamId, from: u64, world: &mut World) {
        if !std::mem::replace(&mut self.begun, true) {
            self.payload.ring.change(|ring| ring.begin(from));
        }
        if let Some(upstream) = self.upstreams.get_mut(&id) {
            upstream.accepted = true;
            if let Some(rate) = world.site.traffic.receive_limit.get() {
                keep_queue_short(&upstream.socket, rate);
            }
        }
        if self.payload.accept(id, from, &mut self.told) == Needed::Nothing {
            return;
        }
        let (number, ring) = (self.number, Arc::clone(&self.payload.ring));
        let (mailbox, block_size) = (Arc::clone(&world.mailbox), self.session.header().block_size);
        self.sums += 1;
        world.disks.put(Box::new(move || {
            let tell = |news| mailbox.send(Message::News(number, news));
            // While nobody reads, silence is nobody's fault.
            let root = root_before(&*ring, block_size, from, || tell(News::Happened(NodeInput::Heard)));
            tell(News::Summed(from, root.map(Box::new)));
            Then::Over
        }));
    }

    /// Takes out a connection from upstream, which is not read any more.
    fn take_upstream(&mut self, id: UpstreamId) -> Option<Upstream> {
        if self.payload.upstream() == Some(id) {
            self.payload.halt(&mut self.told);
        }
        self.upstreams.remove(&id)
    }

    /// Has a worker look up a name.
    fn look_up(&mut self, link: LinkId, host: String, port: u16, world: &mut World) {
        let (number, mailbox) = (self.number, Arc::clone(&world.mailbox));
        let resolver = world.site.traffic.resolver.clone();
        let begun = world.look_up(Box::new(move || {
            let input = match resolver.look_up(&host, port, Zones::Foreign) {
                Ok(addresses) => LinkInput::Found(link, addresses),
                Err(error) => LinkInput::Closed(link, error.to_string()),
            };
            mailbox.send(Message::News(number, News::Happened(input.into())));
            Then::Over
        }));
        if let Err(error) = begun {
            self.tell(LinkInput::Closed(link, error.to_string()));
        }
    }

    fn connect(&mut self, link: LinkId, to: SocketAddr, world: &mut World) {
        match Child::connect((self.number, link), self.writer.clone(), to, world) {
            Ok(child) => {
                self.payload.ring.quietly(|ring| ring.add_link(link));
                self.children.insert(link, child);
            }
            Err(error) => self.tell(LinkInput::Closed(link, error.to_string())),
        }
    }

    /// The session is over: everything is let go.
    fn end(&mut self, world: &mut World) {
        self.state = State::Ending;
        self.payload.end();
        self.told.clear();
        for (_, child) in std::mem::take(&mut self.children) {
            child.close(world);
        }
        // Those that the session has closed are on their way out by themselves.
        for (_, upstream) in self.upstreams.drain() {
            world.forget(upstream.token);
        }
        self.payload.ring.change(Ring::close);
        self.payload.ring.change(|ring| ring.order_disk(DiskOrder::Leave));
    }
}
