//! Answers to proven headers that need no session.

use std::collections::{BTreeMap, BTreeSet};

use crate::session::{Ask, FileFault, Proven, about, foreign};
use crate::wire::{Code, Header, Keyring, Line, LineWriter, Report, ResultKey, SealedReport};

/// The files that a transfer has placed, by the ids of their requests: whether the path of each still leads to it. Of those
/// that are missing it is not known.
pub type PlacedFiles = BTreeMap<String, Result<(), FileFault>>;

/// What this node seals with: the key that it shares with the source, or else the one that every node has.
fn seal_key(keys: &Keyring, header: &Header, node_key: Option<ResultKey>) -> Option<ResultKey> {
    node_key.or_else(|| keys.result_key(&header.envelope.as_ref()?.transfer))
}

/// The end of a finished transfer, for a sender that asks again: the bytes to write before closing.
pub(super) fn retell(proven: Proven, keys: &Keyring, results: &[SealedReport]) -> Vec<u8> {
    let accepted = proven.accepted();
    let Proven { header, lines, node_key, .. } = proven;
    let (Some(mut lines), Some(key)) = (lines, seal_key(keys, &header, node_key)) else { return Vec::new() };
    let mut said = lines.encode(&accepted);
    said.extend(encode_results(&mut lines, &header, &key, results));
    said
}

/// The answer to a `check`: for each request, in the order of the header, whether it could be written. The bytes to
/// write before closing. PROTOCOL.md, "Check".
pub fn answer_check(proven: Proven, keys: &Keyring, found: &[Result<(), FileFault>]) -> Vec<u8> {
    let accepted = proven.accepted();
    let Proven { header, lines, node_key, .. } = proven;
    let (Some(key), Some(mut lines)) = (seal_key(keys, &header, node_key), lines) else { return Vec::new() };
    let mut said = lines.encode(&accepted);
    for (request, found) in header.node.requests.iter().zip(found) {
        let report = match found {
            Ok(()) => about(&header.node, request, Code::SUCCESS, "it could be written"),
            Err(fault) => about(&header.node, request, fault.code, &fault.message),
        };
        said.extend(lines.encode(&Line::Result(SealedReport::seal(&report, &key))));
    }
    said
}

/// The results of a finished transfer, and those of the requests in `header` that it did not have.
fn encode_results(
    lines: &mut LineWriter,
    header: &Header,
    key: &ResultKey,
    results: &[SealedReport],
) -> Vec<u8> {
    let foreign = foreign_to_finished(header, key, results);
    let own = results.iter().map(|sealed| sealed.sealed_again(header.node.index, key));
    own.chain(foreign).flat_map(|sealed| lines.encode(&Line::Result(sealed))).collect()
}

/// The results of a finished transfer as they are true now: a success is a failure where the path does not lead to the file
/// any more.
pub(super) fn confirm(
    keys: &Keyring,
    header: &Header,
    mut results: Vec<SealedReport>,
    files: &PlacedFiles,
) -> Vec<SealedReport> {
    let Some(key) = seal_key(keys, header, None) else { return results };
    for sealed in &mut results {
        let Ok(report) = sealed.read() else { continue };
        if let Some(FileFault { code, message }) = displaced(header, &report, files) {
            log::warn!("a file that was whole is not there any more: {message}");
            *sealed = SealedReport::seal(&Report { code, message, root: None, ..report }, &key);
        }
    }
    results
}

/// Whether a transfer has ended here in that place of its list with content that its source has not signed, so that it may
/// begin anew for the source.
pub(super) fn is_spoiled(ask: &Ask, results: &[SealedReport]) -> bool {
    let reports = results.iter().filter_map(|sealed| sealed.read().ok());
    let own = reports.filter(|report| report.is_own() && report.index == Some(ask.index));
    let codes: BTreeSet<Code> = own.map(|report| report.code).collect();
    codes.contains(&Code::WRONG_CHECKSUM) && !codes.contains(&Code::SUCCESS)
}

/// What is wrong with the file of a node's own success.
fn displaced(header: &Header, report: &Report, files: &PlacedFiles) -> Option<FileFault> {
    if !(report.code.is_success() && report.is_own() && report.index == Some(header.node.index)) {
        return None;
    }
    // Of what this header does not name nothing can be found out here.
    let request = header.node.requests.iter().find(|request| Some(&request.id) == report.id.as_ref())?;
    match files.get(&request.id) {
        Some(found) => found.clone().err(),
        None => {
            let path = &request.filename;
            let message = format!("{path:?} was whole, and whether it is still there is not known");
            Some(FileFault { code: Code::CANNOT_WRITE, message })
        }
    }
}

fn foreign_to_finished(header: &Header, key: &ResultKey, results: &[SealedReport]) -> Vec<SealedReport> {
    let known: BTreeSet<String> =
        results.iter().filter_map(|sealed| sealed.read().ok()).filter_map(|report| report.id).collect();
    foreign(&header.node, key, |id| known.contains(id))
}

/// A sender that waits for the results of another process of the node, which has the whole file.
#[derive(Debug)]
pub struct Follower {
    header: Header,
    lines: LineWriter,
    node_key: Option<ResultKey>,
}

impl Follower {
    /// The follower, and the bytes to write at first. None on wire 1, which cannot wait.
    pub fn new(proven: Proven) -> Option<(Self, Vec<u8>)> {
        let accepted = proven.accepted();
        let mut lines = proven.lines?;
        let accepted = lines.encode(&accepted);
        Some((Self { header: proven.header, lines, node_key: proven.node_key }, accepted))
    }

    /// The header that the sender has proven.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// To be said every [`Timing::alive`](crate::session::Timing::alive).
    pub fn alive(&mut self) -> Vec<u8> {
        self.lines.encode(&Line::Alive)
    }

    /// The end: the bytes to write before closing.
    pub fn results(mut self, keys: &Keyring, results: Vec<SealedReport>, files: &PlacedFiles) -> Vec<u8> {
        let Some(key) = seal_key(keys, &self.header, self.node_key) else { return Vec::new() };
        let results = confirm(keys, &self.header, results, files);
        encode_results(&mut self.lines, &self.header, &key, &results)
    }
}
