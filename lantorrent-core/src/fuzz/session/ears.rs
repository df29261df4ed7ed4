//! What the node says to its upstreams, as they understand it.

use std::collections::BTreeMap;

use super::{UPSTREAM, keys};
use crate::session::UpstreamId;
use crate::wire::{
    FromNode, HeaderReader, Line, LineReader, Report, ReportReader, ResultKey, SealedReport, Wire,
};

/// Reads what the node says towards the source.
enum Ear {
    Wire1(ReportReader),
    Wire2(HeaderReader, Option<LineReader>),
}

pub(super) struct Ears {
    source: Ear,
    /// Of later upstreams.
    others: BTreeMap<UpstreamId, LineReader>,
    /// The transfer's, once the node has its header.
    pub(super) key: Option<ResultKey>,
}

impl Ears {
    pub(super) fn new(wire: Wire) -> Self {
        let source = match wire {
            Wire::One => Ear::Wire1(ReportReader::default()),
            Wire::Two => Ear::Wire2(HeaderReader::default(), None),
        };
        Self { source, others: BTreeMap::new(), key: None }
    }

    /// The source says that to the node.
    pub(super) fn overhear(&mut self, bytes: &[u8]) {
        if let Ear::Wire2(header, ear @ None) = &mut self.source
            && let Ok((_, Some(signed))) = header.push(bytes)
            && let Ok(header) = signed.verify(&keys())
        {
            *ear = header.envelope.map(|envelope| LineReader::new(keys(), envelope.nonce));
        }
    }

    /// Another upstream listens. Returns its name.
    pub(super) fn add(&mut self, ear: LineReader) -> UpstreamId {
        let id = UpstreamId(UPSTREAM.0 + 1 + self.others.len() as u64);
        self.others.insert(id, ear);
        id
    }

    /// The node says that. Returns the reports in it.
    pub(super) fn hear(&mut self, upstream: UpstreamId, mut bytes: &[u8]) -> Vec<Report> {
        let mut reports = Vec::new();
        while !bytes.is_empty() {
            let (used, report) = match (self.others.get_mut(&upstream), &mut self.source) {
                (Some(ear), _) | (None, Ear::Wire2(_, Some(ear))) => {
                    let (used, said) = ear.push(bytes).expect("what a node says can be read");
                    let sealed = match said {
                        Some(FromNode::Line(Line::Result(sealed))) => Some(sealed),
                        _ => None,
                    };
                    (used, sealed.map(|sealed| open(self.key.as_ref(), &sealed)))
                }
                (None, Ear::Wire1(reader)) => reader.push(bytes).expect("what a node says can be read"),
                (None, Ear::Wire2(_, None)) => break,
            };
            bytes = &bytes[used..];
            reports.extend(report);
        }
        reports
    }

    pub(super) fn open(&self, sealed: &SealedReport) -> Report {
        open(self.key.as_ref(), sealed)
    }
}

fn open(key: Option<&ResultKey>, sealed: &SealedReport) -> Report {
    let key = key.expect("a result comes after the header");
    sealed.open(key).expect("only what is authentic is relayed")
}
