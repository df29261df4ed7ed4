//! Every deadline of a session, in one place.

use std::time::Duration;

use crate::wire::Wire;

/// How long each state may last. Whatever a peer does or leaves undone, a session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From a connection's first byte to the end of its header, and again to the end of the proof.
    pub greeting: Duration,
    /// To reach a child over the network: to look up its name, and to connect to one of its addresses.
    pub connect: Duration,
    /// For a child to answer the header, and again to answer the proof.
    pub handshake: Duration,
    /// For an accepted child to open its files, re-read what it goes on with, and be ready, however much it says it is
    /// alive.
    pub opening: Duration,
    /// How often a node says that it is alive, and how long a link may stand without a frame.
    pub alive: Duration,
    /// How often a node sums up its progress.
    pub progress: Duration,
    /// Silence, on wire 2, after which a neighbour counts as dead.
    pub dead_after: Duration,
    /// Silence, on wire 1, which has no sign of life, after which a neighbour counts as dead.
    pub dead_after_wire_1: Duration,
    /// For a child on wire 2 to take a frame, however much it says it is alive. A disk that stands still for so long is
    /// not coming back.
    pub stall: Duration,
    /// For a child to report, from the end of the payload or its latest result.
    pub finish: Duration,
    /// For children to report after they were told that the transfer is aborted.
    pub linger: Duration,
    /// How long a header that this side makes stays valid.
    pub validity: Duration,
    /// How soon the next candidate is asked too, while one has not answered.
    pub race: Duration,
    /// How long a candidate that has answered waits for an earlier one, counted from when that one was asked.
    pub grace: Duration,
    /// How often a child that was taken over by another upstream is claimed again.
    pub reclaim: Duration,
    /// How long a node without upstream waits to be taken up again.
    pub orphan: Duration,
    /// How long a transfer that began earlier waits for a later one of the same file to lose its upstream, before it is
    /// refused. Less than [`handshake`](Self::handshake).
    pub contest: Duration,
    /// How long a node can say again how a transfer ended, and knows what was cancelled.
    pub retain: Duration,
    /// How long a child must be slower than it should before it is bypassed.
    pub slow: Duration,
    /// For a node that has not reported to answer when it is asked directly, at the end.
    pub direct: Duration,
    /// For a node to answer a check or a cancel, each time that it is asked.
    pub check: Duration,
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

impl Default for Timing {
    fn default() -> Self {
        Self {
            greeting: Duration::from_secs(10),
            connect: Duration::from_secs(3),
            handshake: Duration::from_secs(5),
            opening: Duration::from_secs(600),
            alive: Duration::from_millis(500),
            progress: Duration::from_secs(1),
            dead_after: Duration::from_secs(3),
            dead_after_wire_1: Duration::from_secs(300),
            stall: Duration::from_secs(300),
            finish: Duration::from_secs(1800),
            linger: Duration::from_secs(5),
            validity: Duration::from_secs(300),
            race: Duration::from_millis(100),
            grace: Duration::from_millis(500),
            reclaim: Duration::from_secs(1),
            orphan: Duration::from_secs(60),
            contest: Duration::from_secs(2),
            retain: Duration::from_secs(600),
            slow: Duration::from_secs(5),
            direct: Duration::from_secs(1),
            check: Duration::from_secs(2),
        }
    }
}
