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
    /// What results may be sealed with: the transfer's key, and the node's own ones.
    keys: Vec<ResultKey>,
}

impl Ears {
    pub(super) fn new(wire: Wire) -> Self {
        let source = match wire {
            Wire::One => Ear::Wire1(ReportReader::default()),
            Wire::Two => Ear::Wire2(HeaderReader::default(), None),
        };
        Self { source, others: BTreeMap::new(), keys: Vec::new() }
    }

    /// The node has that key from now on.
    pub(super) fn learn(&mut self, key: Option<ResultKey>) {
        self.keys.extend(key);
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
                    (used, sealed.map(|sealed| open(&self.keys, &sealed)))
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
        open(&self.keys, sealed)
    }
}

fn open(keys: &[ResultKey], sealed: &SealedReport) -> Report {
    let report = sealed.read().expect("only reports are relayed");
    let verified = keys.iter().any(|key| sealed.open(key).is_ok());
    // What another node has sealed with a key of its own is passed on as it is.
    let relayed = sealed.key_id().is_some() && report.by != Some(0);
    assert!(verified || relayed, "only what is authentic, or cannot be verified, is relayed: {report:?}");
    report
}
