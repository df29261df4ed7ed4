//! What a node says to a proven header that needs no session.

use super::incoming::Proven;
use super::io::FileFault;
use crate::wire::{Code, Destination, Keyring, Line, Report, Request, SealedReport};

/// The end of a finished transfer, for who asks again: the bytes to write before closing.
pub fn retell(proven: Proven, results: &[SealedReport]) -> Vec<u8> {
    let Some(mut lines) = proven.lines else { return Vec::new() };
    let mut said = lines.encode(&Line::Accepted);
    for sealed in results {
        said.extend(lines.encode(&Line::Result(sealed.clone())));
    }
    said
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
    retell(proven, &reports)
}

/// A node's own word on one of its requests.
pub(super) fn about(node: &Destination, request: &Request, code: Code, message: &str) -> Report {
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
