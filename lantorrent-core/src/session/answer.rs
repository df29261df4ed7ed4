//! Results that a node makes without any work on files.

use crate::wire::{Code, Destination, Report, Request, ResultKey, SealedReport};

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
