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
use super::super::socket::{Families, listen};
use super::acceptor::Acceptor;
use super::mailbox::{Mailbox, Message};
use super::pending::{Look, Pending};
use super::transfers::Transfers;
use super::world::{LISTENER, Owner, Ready, WAKER, Who, World};
use crate::runtime::Workers;

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
        let site = Arc::new(Site::open(config)?);
        let failed = |cause| Error::Listen { address, cause };
        let mut listener =
            TcpListener::from_std(listen(address, Families::Default, site.traffic.dscp).map_err(failed)?);
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
        let transfers = Transfers::new(site.admission());
        let world = World::new(site, registry, mailbox, disks);
        let mut this =
            Loop { world, transfers, acceptor: Acceptor::new(listener), stopping: false, failure: None };
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
    acceptor: Acceptor,
    stopping: bool,
    /// Why no connection is accepted any more.
    failure: Option<io::Error>,
}

impl Loop {
    fn is_over(&self) -> bool {
        self.stopping && self.transfers.is_empty() && self.world.pending.is_empty()
    }

    /// How long to wait for something to happen.
    fn patience(&self) -> Option<Duration> {
        if self.acceptor.has_work() || !self.world.ready.is_empty() {
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
        if let Err(error) = self.acceptor.accept(&mut self.world) {
            self.failure = Some(error);
            // No connection comes any more, so none is waited for.
            self.stop(Duration::ZERO);
        }
        // What gets ready meanwhile has to wait for what happens first.
        for _ in 0..self.world.ready.len() {
            match self.world.ready.pop_front() {
                Some(Ready::Session(number)) => self.transfers.turn(number, &mut self.world),
                Some(Ready::Pending(token)) => {
                    self.look_at(token, |pending, site, scratch| pending.look(&site.gate, scratch));
                }
                None => {}
            }
        }
        let now = Instant::now();
        for who in self.world.timers.due(now) {
            match who {
                Who::Session(number) => self.transfers.on_time(number, &mut self.world),
                Who::Pending(token) => self.look_at(token, |pending, _, _| pending.on_time(now)),
                Who::Acceptor => self.acceptor.unpause(),
                Who::Cleaning => self.clean(now),
            }
        }
    }

    fn happened(&mut self, event: &Event) {
        let token = event.token();
        match token {
            WAKER => {}
            LISTENER => self.acceptor.wake(),
            _ => match self.world.owner(token) {
                Some(Owner::Pending) => self.world.ready.push_back(Ready::Pending(token)),
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
            Message::Looked(token, found) => self.look_at(token, |pending, _, _| pending.looked(found)),
            Message::Answer(token, words) => self.look_at(token, |pending, site, scratch| {
                pending.answer(&words);
                pending.look(&site.gate, scratch)
            }),
        }
    }

    fn look_at(&mut self, token: Token, how: impl FnOnce(&mut Pending, &Site, &mut [u8]) -> Look) {
        if let Look::Proven(proven) = self.world.look_at(token, how)
            && let Some(pending) = self.world.remove_pending(token)
        {
            self.world.slots.prove(token.0 as u64);
            self.transfers.attend_to(pending.into_arrival(*proven), &mut self.world);
        }
    }

    /// Accepts no connection any more, and stops what runs.
    fn stop(&mut self, grace: Duration) {
        self.stopping = true;
        self.acceptor.close();
        self.world.dismiss_pending();
        self.transfers.stop(grace, &mut self.world);
    }

    /// Has a worker remove old partial files, and does so again later.
    fn clean(&mut self, now: Instant) {
        self.world.timers.set(Who::Cleaning, Some(now + self.world.site.cleaning()));
        let site = Arc::clone(&self.world.site);
        self.world.disks.spawn(move || site.clean());
    }
}
