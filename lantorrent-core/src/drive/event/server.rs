//! The loop itself: what happens goes to whom it concerns, and everybody gets a turn.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use super::super::config::NodeConfig;
use super::super::error::Error;
use super::super::site::Site;
use super::super::socket::listen;
use super::acceptor::Door;
use super::mailbox::{Mailbox, Message};
use super::pending::{Look, Stranger};
use super::transfers::Transfers;
use super::world::{LISTENER, Owner, Ready, WAKER, Who, World};
use crate::runtime::Workers;
use crate::session::Gate;

/// Threads that touch files.
const DISKS: usize = 16;
/// Things that the poll says at once.
const EVENTS: usize = 1024;

/// A node on an event loop.
#[derive(Debug)]
pub(in super::super) struct Server {
    address: SocketAddr,
    listener: TcpListener,
    poll: Poll,
    mailbox: Arc<Mailbox>,
    site: Arc<Site>,
}

#[derive(Debug, Clone)]
pub(in super::super) struct Stopper(Arc<Mailbox>);

impl Stopper {
    pub(in super::super) fn stop(&self, grace: Duration) {
        self.0.send(Message::Stop(grace));
    }
}

impl Server {
    pub(in super::super) fn bind(address: SocketAddr, config: NodeConfig) -> Result<Self, Error> {
        let site = Arc::new(Site::open(config, Gate::VERBS)?);
        let failed = |cause| Error::Listen { address, cause };
        let mut listener = TcpListener::from_std(listen(address, site.traffic.dscp).map_err(failed)?);
        let address = listener.local_addr().map_err(failed)?;
        let mut prepare = || -> io::Result<_> {
            let poll = Poll::new()?;
            poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
            let waker = Waker::new(poll.registry(), WAKER)?;
            Ok((poll, Arc::new(Mailbox::new(move || waker.wake()))))
        };
        let (poll, mailbox) = prepare().map_err(Error::system("wait for connections"))?;
        Ok(Self { address, listener, poll, mailbox, site })
    }

    pub(in super::super) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(in super::super) fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.mailbox))
    }

    pub(in super::super) fn run(self) -> Result<(), Error> {
        let Self { listener, mut poll, mailbox, site, .. } = self;
        let start = || Ok((Workers::start("files", DISKS)?, poll.registry().try_clone()?));
        let (disks, registry) = start().map_err(Error::system("start a thread"))?;
        let transfers = Transfers::new(site.gate.timing.retain);
        let world = World::new(site, registry, mailbox, disks);
        let mut this = Loop { world, transfers, door: Door::new(listener), stopping: false, failure: None };
        this.world.timers.set(Who::Cleaning, Some(Instant::now()));
        let mut events = Events::with_capacity(EVENTS);
        while !this.is_over() {
            match poll.poll(&mut events, this.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(Error::system("wait for connections")(error));
                }
                _ => {}
            }
            this.turn(&events);
        }
        this.failure.map_or(Ok(()), |cause| Err(Error::system("accept connections")(cause)))
    }
}

struct Loop {
    world: World,
    transfers: Transfers,
    door: Door,
    stopping: bool,
    /// Why nobody comes any more.
    failure: Option<io::Error>,
}

impl Loop {
    fn is_over(&self) -> bool {
        self.stopping && self.transfers.is_empty() && self.world.strangers.is_empty()
    }

    /// How long to wait for something to happen.
    fn patience(&self) -> Option<Duration> {
        if self.door.has_work() || !self.world.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        self.world.timers.next().map(|at| at.saturating_duration_since(Instant::now()))
    }

    fn turn(&mut self, events: &Events) {
        for event in events {
            self.happened(event);
        }
        for message in self.world.mailbox.take() {
            self.heard(message);
        }
        if let Err(error) = self.door.open(&mut self.world) {
            self.failure = Some(error);
            // Nobody comes any more, so nobody is waited for.
            self.stop(Duration::ZERO);
        }
        // Who gets ready meanwhile has to wait for what happens first.
        for _ in 0..self.world.ready.len() {
            match self.world.ready.pop_front() {
                Some(Ready::Session(number)) => self.transfers.turn(number, &mut self.world),
                Some(Ready::Stranger(token)) => {
                    self.look_at(token, |stranger, site, scratch| stranger.look(&site.gate, scratch));
                }
                None => {}
            }
        }
        let now = Instant::now();
        for who in self.world.timers.due(now) {
            match who {
                Who::Session(number) => self.transfers.on_time(number, &mut self.world),
                Who::Stranger(token) => self.look_at(token, |stranger, _, _| stranger.on_time(now)),
                Who::Door => self.door.unpause(),
                Who::Cleaning => self.clean(now),
            }
        }
    }

    fn happened(&mut self, event: &Event) {
        let token = event.token();
        match token {
            WAKER => {}
            LISTENER => self.door.knock(),
            _ => match self.world.owner(token) {
                Some(Owner::Stranger) => self.world.ready.push_back(Ready::Stranger(token)),
                Some(Owner::Upstream(number)) => {
                    self.transfers
                        .wake(number, &mut self.world, |transfer, _| transfer.wake_upstream(token, event));
                }
                Some(Owner::Child(number, link)) => {
                    self.transfers
                        .wake(number, &mut self.world, |transfer, _| transfer.wake_child(link, event));
                }
                // It was closed after that.
                None => {}
            },
        }
    }

    fn heard(&mut self, message: Message) {
        match message {
            Message::Stop(grace) => self.stop(grace),
            Message::News(number, news) => self.transfers.news(number, news, &mut self.world),
            Message::Claims(arrival, displaced) => {
                self.transfers.claim(*arrival, displaced, &mut self.world);
            }
            Message::Contests(arrival, until) => {
                self.transfers.take_part(*arrival, until, &mut self.world);
            }
            Message::Recalled(recalled, patience) => {
                let (arrival, told) = *recalled;
                self.transfers.begin_cancel(arrival, told, patience, &mut self.world);
            }
            Message::Answer(token, words) => self.look_at(token, |stranger, site, scratch| {
                stranger.answer(&words);
                stranger.look(&site.gate, scratch)
            }),
        }
    }

    fn look_at(&mut self, token: Token, how: impl FnOnce(&mut Stranger, &Site, &mut [u8]) -> Look) {
        if let Look::Proven(proven, first) = self.world.look_at(token, how)
            && let Some(stranger) = self.world.remove_stranger(token)
        {
            self.transfers.attend_to(stranger.into_arrival(proven, first), &mut self.world);
        }
    }

    /// Lets nobody in any more, and stops who is here.
    fn stop(&mut self, grace: Duration) {
        self.stopping = true;
        self.door.close();
        self.world.dismiss_strangers();
        self.transfers.stop(grace, &mut self.world);
    }

    /// Has a worker remove old partial files, and does so again later.
    fn clean(&mut self, now: Instant) {
        self.world.timers.set(Who::Cleaning, Some(now + self.world.site.cleaning()));
        let site = Arc::clone(&self.world.site);
        self.world.disks.spawn(move || site.clean());
    }
}
