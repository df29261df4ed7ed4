//! Things that go wrong, and their end. Hosts are named by their place in the world.

use std::time::Duration;

use super::route::{Cut, Hosts};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is gone: its kernel says so to whoever talks to it.
    Kill(usize),
    /// The host is gone, and nobody says anything.
    PowerCut(usize),
    /// The process stands still, and says nothing more. Its kernel goes on.
    Freeze(usize),
    /// Nothing gets from some hosts to others, in one direction or both.
    Silence { cut: Cut, both: bool },
    /// Connections of that host are reset by something on the way.
    Reset(usize),
    /// So many of the bits on their way to that host are damaged.
    Damage(usize, u32),
    /// The disk is full.
    Fill(usize),
    /// The disk fails.
    Break(usize),
    /// The disk does nothing.
    Stall(usize),
    /// A second source of the same file begins, although the first one is there.
    Again,
    /// The source is suspended; when that ends, it sends once more.
    Suspend,
    /// That file of that node is not wanted any more.
    Cancel(usize, usize),
    /// Its owner stops what runs there, and gives it that long.
    Stop(usize, Duration),
}

impl Fault {
    /// How often a connection suffers by it.
    pub(crate) fn insults(&self) -> u32 {
        match *self {
            Self::Damage(_, bits) => bits,
            Self::Reset(_) => 1,
            _ => 0,
        }
    }

    /// Whether it happens to that host.
    pub(crate) fn touches(&self, host: usize, source: usize) -> bool {
        match *self {
            Self::Kill(at)
            | Self::PowerCut(at)
            | Self::Freeze(at)
            | Self::Reset(at)
            | Self::Damage(at, _)
            | Self::Fill(at)
            | Self::Break(at)
            | Self::Stall(at)
            | Self::Cancel(at, _)
            | Self::Stop(at, _) => at == host,
            Self::Again => false,
            Self::Suspend => host == source,
            // Those are cut off that cannot talk to the source any more.
            Self::Silence { cut, .. } => {
                let from = cut.from.contains(source);
                let to = cut.to.contains(source);
                let (from_host, to_host) = (cut.from.contains(host), cut.to.contains(host));
                match (from, to) {
                    (true, _) => to_host && !from_host,
                    (false, true) => from_host && !to_host,
                    // Two are cut off from each other alone.
                    (false, false) => from_host || to_host,
                }
            }
        }
    }
}

/// When something begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    After(Duration),
    /// That host has so much of the payload.
    Has(usize, u64),
    /// The end of the payload has come to that host.
    Ended(usize),
}

/// Something that goes wrong, and for how long; for ever if that is not said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mishap {
    pub(crate) when: When,
    pub(crate) fault: Fault,
    pub(crate) ends: Option<Duration>,
}

impl Mishap {
    pub(crate) fn new(when: When, fault: Fault) -> Self {
        Self { when, fault, ends: None }
    }

    pub(crate) fn ends_after(self, time: Duration) -> Self {
        Self { ends: Some(time), ..self }
    }
}

/// What a host that is off is to all others, in both directions.
pub(crate) fn off(host: usize) -> [Cut; 2] {
    let it = Hosts::of([host]);
    let others = Hosts::ALL.but(it);
    [Cut { from: it, to: others }, Cut { from: others, to: it }]
}
