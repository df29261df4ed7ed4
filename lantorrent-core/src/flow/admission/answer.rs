//! What a node says to a proven header that needs no session.

use std::collections::BTreeSet;

use crate::session::{FileFault, Proven};
use crate::wire::{Code, Destination, Header, Keyring, Line, Report, Request, ResultKey, SealedReport};

/// The end of a finished transfer, for a sender that asks again: the bytes to write before closing.
pub fn retell(proven: Proven, keys: &Keyring, results: &[SealedReport]) -> Vec<u8> {
    let foreign = foreign_to_finished(&proven.header, keys, results);
    tell(proven, results.iter().chain(&foreign))
}

fn tell<'a>(proven: Proven, results: impl IntoIterator<Item = &'a SealedReport>) -> Vec<u8> {
    let Some(mut lines) = proven.lines else { return Vec::new() };
    let mut said = lines.encode(&Line::Accepted);
    for sealed in results {
        said.extend(lines.encode(&Line::Result(sealed.clone())));
    }
    said
}

/// The results of those requests in `header` that a finished transfer, whose `results` are known, did not have.
pub fn foreign_to_finished(header: &Header, keys: &Keyring, results: &[SealedReport]) -> Vec<SealedReport> {
    let key = header.envelope.as_ref().and_then(|envelope| keys.result_key(&envelope.transfer));
    let Some(key) = key else { return Vec::new() };
    let known: BTreeSet<String> =
        results.iter().filter_map(|sealed| sealed.open(&key).ok()).filter_map(|report| report.id).collect();
    foreign(&header.node, &key, |id| known.contains(id))
}

/// The results of those requests of `node` whose ids the transfer does not know: a second header of a transfer brings no
/// new ones, and each request gets a result.
pub(crate) fn foreign(
    node: &Destination,
    key: &ResultKey,
    is_known: impl Fn(&str) -> bool,
) -> Vec<SealedReport> {
    let foreign = node.requests.iter().filter(|request| !is_known(&request.id));
    let refused = |request| {
        let why = "the node takes part in this transfer without this request";
        SealedReport::seal(&about(node, request, Code::TAKING_PART, why), key)
    };
    foreign.map(refused).collect()
}

/// The answer to a `check`: for each request, in the order of the header, whether it could be written. The bytes to
/// write before closing. PROTOCOL.md, "Check".
pub fn answer_check(proven: Proven, keys: &Keyring, found: &[Result<(), FileFault>]) -> Vec<u8> {
    let header = &proven.header;
    let key = header.envelope.as_ref().and_then(|envelope| keys.result_key(&envelope.transfer));
    let Some(key) = key else { return Vec::new() };
    let reports = header.node.requests.iter().zip(found).map(|(request, found)| {
        let report = match found {
            Ok(()) => about(&header.node, request, Code::SUCCESS, "it could be written"),
            Err(fault) => about(&header.node, request, fault.code, &fault.message),
        };
        SealedReport::seal(&report, &key)
    });
    let reports: Vec<SealedReport> = reports.collect();
    tell(proven, &reports)
}

/// A node's own word on one of its requests.
pub(crate) fn about(node: &Destination, request: &Request, code: Code, message: &str) -> Report {
    Report {
        host: Some(node.host.clone()),
        port: Some(node.port),
        file: Some(request.filename.clone()),
        id: Some(request.id.clone()),
        index: Some(node.index),
        by: Some(node.index),
        ..Report::refusal(code, message)
    }
}
