//! A connection to a node from the header on: what the node says, and when it last did.

use std::time::{Duration, Instant};

use super::io::LinkId;
use super::timing::Timing;
use crate::wire::{
    Code, FromNode, Keyring, Line, LineError, LineReader, Nonce, Report, ReportReader, ResultKey, Wire, proof,
};

#[derive(Debug)]
enum Reader {
    Wire1(ReportReader),
    Wire2(LineReader),
}

/// What a node said.
#[derive(Debug)]
pub(super) enum Said {
    Line(Line),
    /// A result of wire 1, or on wire 2 the refusal of a header.
    Bare(Report),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: LinkId,
    reader: Reader,
    heard: Instant,
}

impl Connection {
    /// On which a header with that nonce was sent.
    pub(super) fn new(link: LinkId, wire: Wire, keys: &Keyring, nonce: Nonce, now: Instant) -> Self {
        let reader = match wire {
            Wire::One => Reader::Wire1(ReportReader::default()),
            Wire::Two => Reader::Wire2(LineReader::new(keys.clone(), nonce)),
        };
        Self { link, reader, heard: now }
    }

    pub(super) fn wire(&self) -> Wire {
        match self.reader {
            Reader::Wire1(_) => Wire::One,
            Reader::Wire2(_) => Wire::Two,
        }
    }

    /// Takes bytes from the node, and returns the next thing it said and how many bytes that took.
    pub(super) fn read(&mut self, input: &[u8], now: Instant) -> Result<(usize, Option<Said>), LineError> {
        self.heard = now;
        match &mut self.reader {
            Reader::Wire1(reader) => reader.push(input).map(|(used, report)| (used, report.map(Said::Bare))),
            Reader::Wire2(reader) => reader.push(input).map(|(used, said)| {
                let said = said.map(|said| match said {
                    FromNode::Line(line) => Said::Line(line),
                    FromNode::Refusal(report) => Said::Bare(report),
                });
                (used, said)
            }),
        }
    }

    /// The refusal that the connection has ended with, where wire 2 has no line end behind it.
    pub(super) fn refusal(&self) -> Option<Report> {
        match &self.reader {
            Reader::Wire1(_) => None,
            Reader::Wire2(reader) => reader.finish(),
        }
    }

    /// The answer to a challenge. None on wire 1, which has no such thing.
    pub(super) fn proof(&self, keys: &Keyring, challenge: &Nonce) -> Option<Vec<u8>> {
        match &self.reader {
            Reader::Wire1(_) => None,
            Reader::Wire2(reader) => proof::line(keys, &reader.nonce(), challenge),
        }
    }

    /// The key that both sides have from now on, where the source has made the connection. None on wire 1.
    pub(super) fn node_key(&self, keys: &Keyring, challenge: &Nonce) -> Option<ResultKey> {
        match &self.reader {
            Reader::Wire1(_) => None,
            Reader::Wire2(reader) => keys.node_key(&reader.nonce(), challenge),
        }
    }

    /// The silence of the node begins anew.
    pub(super) fn expect(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// When the node counts as dead if nothing is heard of it.
    pub(super) fn dead_at(&self, timing: &Timing) -> Instant {
        self.heard + timing.silence(self.wire())
    }

    /// How long nothing was heard from it.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// This side stood still for so long: what the node did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.heard += late;
    }
}

/// Code and text of a report that is about no request: the node does not take part.
pub(super) fn refused(report: &Report) -> (Code, String) {
    let code = if report.code.is_success() { Code::PROTOCOL } else { report.code };
    (code, format!("it says {:?}", report.message))
}
