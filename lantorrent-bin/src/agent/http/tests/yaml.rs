//! openapi.yaml says what the router and api.rs say. It is read by its indentation, which is that of one file.

use std::collections::BTreeSet;

use lantorrent_core::wire::{Code, NodeState};
use serde::Serialize;

use super::super::operations::OPENAPI;
use super::super::route::ROUTES;
use crate::agent::request::{Attempt, Record, State, Wanted};
use crate::api::{Limit, NewRequest, Node, Outcome, Page, Problem, Progress, Request, Transfer, Transfers};
use crate::time::Timestamp;

/// The lines below a line, which are indented more.
fn below<'a>(lines: &[&'a str], head: &str) -> Vec<&'a str> {
    let place = lines.iter().position(|line| *line == head).unwrap_or_else(|| panic!("{head} is missing"));
    let depth = indentation(head);
    lines[place + 1..]
        .iter()
        .copied()
        .take_while(|line| line.is_empty() || indentation(line) > depth)
        .collect()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The keys that stand at that depth.
fn keys<'a>(lines: &[&'a str], depth: usize) -> BTreeSet<&'a str> {
    let at_depth = lines.iter().filter(|line| indentation(line) == depth && !line.trim().is_empty());
    at_depth.filter_map(|line| Some(line.trim().split_once(':')?.0)).collect()
}

fn lines() -> Vec<&'static str> {
    OPENAPI.lines().collect()
}

#[test]
fn every_operation_is_described_and_no_other() {
    let paths = below(&lines(), "paths:");
    let mut described = BTreeSet::new();
    for path in keys(&paths, 2) {
        let methods = below(&paths, &format!("  {path}:"));
        let methods = keys(&methods, 4).into_iter().filter(|key| *key != "parameters");
        described.extend(methods.map(|method| (path, method.to_uppercase())));
    }
    let routed: BTreeSet<_> = ROUTES.iter().map(|(path, method, _)| (*path, (*method).to_owned())).collect();
    assert_eq!(described, routed);
}

#[test]
fn it_is_of_this_version() {
    assert!(lines().contains(&concat!("  version: ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn states_are_named() {
    let names = State::ALL.map(State::name).join(", ");
    assert!(OPENAPI.contains(&format!("enum: [{names}]")), "{names}");
    let states =
        [NodeState::Waiting, NodeState::Receiving, NodeState::Finishing, NodeState::Done, NodeState::Failed];
    let names = states.map(|state| serde_json::to_string(&state).unwrap().replace('"', "")).join(", ");
    assert!(OPENAPI.contains(&format!("enum: [{names}]")), "{names}");
}

/// What is written has the keys that the schema names, all of them and no other.
#[track_caller]
fn assert_described(schema: &str, value: &impl Serialize) {
    let schemas = below(&lines(), "  schemas:");
    let properties = below(&below(&schemas, &format!("    {schema}:")), "      properties:");
    let value = serde_json::to_value(value).unwrap();
    let written: BTreeSet<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys(&properties, 8), written, "{schema}");
}

#[test]
fn every_value_is_described() {
    let (source, destination, host, port) = ("/a".to_owned(), "/b".to_owned(), "h".to_owned(), 1);
    let time = Timestamp(0);
    let attempt =
        Attempt { transfer: None, started: time, ended: time, code: Code(0), reason: String::new() };
    assert_described("Attempt", &attempt);
    let record = Record {
        id: "a".into(),
        wanted: Wanted { source: source.clone(), destination: destination.clone(), host: host.clone(), port },
        state: State::Done,
        submitted: time,
        ended: Some(time),
        retry_at: None,
        cancelled_at: None,
        attempts: vec![attempt],
    };
    assert_described("Request", &Request::new(record, None));
    let (id, host) = (Some("a".to_owned()), Some(host));
    assert_described("NewRequest", &NewRequest { source, destination, host, port: Some(1), id });
    assert_described("Limit", &Limit { limit: None });
    assert_described("Progress", &Progress { transfer: String::new(), offset: 0, size: 0 });
    assert_described("Outcome", &Outcome { code: Code(0), reason: String::new() });
    assert_described("Page", &Page { requests: Vec::new(), next: None });
    assert_described("Transfers", &Transfers { transfers: Vec::new() });
    let problem = Problem { title: String::new(), status: 400, detail: String::new(), index: Some(0) };
    assert_described("Problem", &problem);
    let (state, host) = (NodeState::Done, String::new());
    assert_described("Node", &Node { host, port: 1, state, offset: 0, requests: Vec::new() });
    let transfer = Transfer {
        id: String::new(),
        source: String::new(),
        size: 0,
        started: time,
        ended: None,
        sent: 0,
        requests: 0,
        chain: Some(Vec::new()),
    };
    assert_described("Transfer", &transfer);
}
