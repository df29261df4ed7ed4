//! Web servers, as one node sees them.

use std::collections::BTreeMap;
use std::ops::Range;

use lantorrent_swarm::Span;
use lantorrent_swarm::swarm::WebKey;

use crate::package::Package;
use crate::pipe::Tint;
use crate::world::{Happening, HostId, Net, Own};

/// What it does, for each node alike.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WebServer {
    /// Bytes in a second.
    pub(crate) rate: u64,
    /// Of a thousand blocks, so many are not sent, nor anything after them.
    pub(crate) fails: usize,
    pub(crate) lies: bool,
}

#[derive(Debug)]
pub(crate) struct Servers {
    all: Vec<WebServer>,
    /// What each is asked for, as a number of its own.
    tasks: BTreeMap<WebKey, u64>,
    count: u64,
    /// Bytes from all of them.
    pub(crate) sent: u64,
}

impl Servers {
    pub(crate) fn new(servers: Vec<WebServer>) -> Self {
        Self { all: servers, tasks: BTreeMap::new(), count: 0, sent: 0 }
    }

    pub(crate) fn lies(&self, web: WebKey) -> bool {
        self.all[web.0 as usize].lies
    }

    pub(crate) fn fetch(
        &mut self,
        net: &mut Net,
        host: HostId,
        package: &Package,
        web: WebKey,
        pieces: Range<u32>,
    ) {
        self.count += 1;
        let task = self.count;
        assert!(self.tasks.insert(web, task).is_none(), "one task at a time for each");
        let server = self.all[web.0 as usize];
        let mut time = 20_000;
        for piece in pieces {
            for block in 0..package.geometry.blocks(piece) {
                if net.random.below(1000) < server.fails {
                    return net.after(time, Happening::Own(host, Own::WebFails(task)));
                }
                let span = package.geometry.block(piece, block);
                time += u64::from(span.length) * 1_000_000 / server.rate;
                net.after(time, Happening::Own(host, Own::Web(task, span)));
            }
        }
        net.after(time, Happening::Own(host, Own::WebDone(task)));
    }

    pub(crate) fn stop(&mut self, web: WebKey) {
        self.tasks.remove(&web);
    }

    /// Which server that task is for, if it is still wanted.
    fn of(&self, task: u64) -> Option<WebKey> {
        self.tasks.iter().find(|(_, of_it)| **of_it == task).map(|(web, _)| *web)
    }

    /// A block of that task comes.
    pub(crate) fn comes(&mut self, task: u64, span: Span) -> Option<(WebKey, Tint)> {
        let web = self.of(task)?;
        self.sent += u64::from(span.length);
        Some((web, if self.all[web.0 as usize].lies { 77 } else { 0 }))
    }

    /// Nothing more of that task comes.
    pub(crate) fn ends(&mut self, task: u64) -> Option<WebKey> {
        let web = self.of(task)?;
        self.stop(web);
        Some(web)
    }
}
