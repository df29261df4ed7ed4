//! Every deadline of a session, in one place.

use std::time::Duration;

use crate::wire::Wire;

macro_rules! timing {
    ($($(#[$doc:meta])* $name:ident = $millis:literal;)*) => {
        /// How long each state may last. Whatever a peer does or leaves undone, a session ends. [`default`](Self::default)
        /// suits a LAN; change the fields that you know better.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Timing {
            $($(#[$doc])* #[doc = concat!("\n\nDefault: ", stringify!($millis), " ms.")] pub $name: Duration,)*
        }

        impl Default for Timing {
            fn default() -> Self {
                Self { $($name: Duration::from_millis($millis),)* }
            }
        }
    };
}

timing! {
    /// From a connection's first byte to the end of its header, and again to the end of the proof.
    greeting = 10_000;
    /// To reach a child over the network: to look up its name, and to connect to one of its addresses.
    connect = 3_000;
    /// For a child to answer the header, and again to answer the proof.
    handshake = 5_000;
    /// For an accepted child to open its files, re-read what it goes on with, and be ready, however much it says it is
    /// alive.
    opening = 600_000;
    /// How often a node says that it is alive, and how long a link may stand without a frame.
    alive = 500;
    /// How often a node sums up its progress.
    progress = 1_000;
    /// Silence, on wire 2, after which a neighbour counts as dead.
    dead_after = 3_000;
    /// Silence, on wire 1, which has no sign of life, after which a neighbour counts as dead.
    dead_after_wire_1 = 300_000;
    /// For a child on wire 2 to take a frame, however much it says it is alive. A disk that stands still for so long is
    /// not coming back.
    stall = 300_000;
    /// For a child to report, from the end of the payload or its latest result.
    finish = 1_800_000;
    /// For children to report after they were told that the transfer is aborted.
    linger = 5_000;
    /// How long a header that this side makes stays valid.
    validity = 300_000;
    /// How soon the next candidate is asked too, while one has not answered.
    race = 100;
    /// How long a candidate that has answered waits for an earlier one, counted from when that one was asked.
    grace = 500;
    /// How often a child that was taken over by another upstream is claimed again.
    reclaim = 1_000;
    /// How long a node without upstream waits to be taken up again.
    orphan = 60_000;
    /// How long a transfer that began earlier waits for a later one of the same file to lose its upstream, before it is
    /// refused. Less than [`handshake`](Self::handshake).
    contest = 2_000;
    /// How long a node can say again how a transfer ended, and knows what was cancelled.
    retain = 600_000;
    /// How long a child must be slower than it should before it is bypassed.
    slow = 5_000;
    /// For a node that has not reported to answer when it is asked directly, at the end.
    direct = 1_000;
    /// For a node to answer a check or a cancel, each time that it is asked.
    check = 2_000;
}

impl Timing {
    /// After which a neighbour that says nothing counts as dead.
    pub(super) fn silence(&self, wire: Wire) -> Duration {
        match wire {
            Wire::One => self.dead_after_wire_1,
            Wire::Two => self.dead_after,
        }
    }
}

/// How late a session may be called and still believe in the silence of others; and the time in which it hears what they
/// said while it stood still for longer.
pub(super) const LATE: Duration = Duration::from_millis(500);
