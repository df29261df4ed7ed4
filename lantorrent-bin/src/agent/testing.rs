//! What several tests of the agent need.

#[path = "../../../lantorrent-core/tests/common/system.rs"]
#[allow(dead_code)] // The tests of the library have more kinds of small disks.
pub(crate) mod system;

use lantorrent_core::wire::Code;

use super::request::{Attempt, Record, State, Wanted};
use crate::time::Timestamp;

pub(crate) fn wanted(source: &str, host: &str) -> Wanted {
    Wanted { source: source.into(), destination: "/dst/a.img".into(), host: host.into(), port: 2893 }
}

/// A request that waits.
pub(crate) fn record(id: &str, wanted: Wanted) -> Record {
    Record {
        id: id.into(),
        wanted,
        state: State::Waiting,
        submitted: Timestamp(0),
        ended: None,
        retry_at: None,
        cancelled_at: None,
        attempts: Vec::new(),
    }
}

/// A request that has failed, and shows by everything in it which number it has.
pub(crate) fn numbered(number: u64) -> Record {
    let attempt = Attempt {
        transfer: Some(format!("{number:032x}")),
        started: Timestamp(number),
        ended: Timestamp(number + 1),
        code: Code::CANNOT_CONNECT,
        reason: "x".repeat((number % 977) as usize),
    };
    Record {
        state: State::Failed,
        submitted: Timestamp(number),
        ended: Some(Timestamp(number + 1)),
        attempts: vec![attempt; (number % 3) as usize],
        ..record(&format!("request-{number}"), wanted(&format!("/srv/{}", number % 7), "10.77.0.1"))
    }
}

/// Numbers that look random and are the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ (self.0 >> 33)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 20) % bound
    }
}
