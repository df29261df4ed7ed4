//! Why nothing comes of a handshake, in terms of the addresses that were tried.

use core::net::SocketAddr;

use super::Stage;
use crate::wire::Code;

/// Addresses that are named where none has answered.
const NAMED: usize = 4;

/// Why nothing comes of an address, or of all.
#[derive(Debug, Clone)]
pub(in crate::session) struct Loss {
    /// How far it came.
    pub(in crate::session) stage: Stage,
    pub(in crate::session) code: Code,
    pub(in crate::session) why: String,
    /// Whether damage on the way may be the cause, so that it is worth asking again.
    pub(in crate::session) mishap: bool,
}

/// How much a loss says about the node.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    NotReached,
    Silent,
    Spoke,
}

impl Loss {
    pub(in crate::session) fn new(code: Code, why: &str) -> Self {
        Self { stage: Stage::Connecting, code, why: why.to_owned(), mishap: true }
    }

    /// It would be the same again.
    pub(in crate::session) fn certain(code: Code, why: &str) -> Self {
        Self { mishap: false, ..Self::new(code, why) }
    }

    fn telling(&self) -> Telling {
        match self.code {
            _ if self.stage == Stage::Connecting => Telling::NotReached,
            Code::TIMED_OUT | Code::CONNECTION_LOST => Telling::Silent,
            _ => Telling::Spoke,
        }
    }
}

/// The addresses that were of no use; the lookup of the name has none.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<(Option<SocketAddr>, Loss)>);

impl Losses {
    pub(super) fn add(&mut self, address: Option<SocketAddr>, stage: Stage, loss: Loss) {
        self.0.push((address, Loss { stage, ..loss }));
    }

    /// What says most about the node; where it has several addresses, with what became of each.
    pub(super) fn verdict(&mut self) -> Loss {
        // The sort is stable: of two that say as much the first goes first.
        self.0.sort_by_key(|(_, loss)| std::cmp::Reverse(loss.telling()));
        let Some((_, first)) = self.0.first() else {
            return Loss::new(Code::CANNOT_CONNECT, "no answer");
        };
        let mut verdict = first.clone();
        if self.0.len() > 1 {
            let mut told: Vec<String> = self.0.iter().take(NAMED).map(told).collect();
            if let more @ 1.. = self.0.len().saturating_sub(NAMED) {
                told.push(format!("and {more} more addresses"));
            }
            verdict.why = told.join("; ");
        }
        verdict
    }
}

fn told((address, loss): &(Option<SocketAddr>, Loss)) -> String {
    let why = &loss.why;
    address.map_or_else(|| why.clone(), |address| format!("{}: {why}", address.ip()))
}
