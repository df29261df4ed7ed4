//! The limit of an agent, while it sends.

use std::process::Stdio;

use super::fixture::{Agent, configure, expect_content, lab, source, wish};
use crate::common::{Finished, can_signal, content, names, signal, wait_until};

/// What takes hours at the smallest limit.
const SIZE: usize = 8 << 20;

#[test]
fn a_transfer_that_runs_is_let_go() {
    let lab = lab("limit = 1K");
    let node = lab.node("node");
    let (content, source) = (content(SIZE), source(&lab, "a.img", &content(SIZE)));
    let agent = Agent::start(&lab);
    agent.submit(&wish("x", &source, &node, "a"));
    wait_until("it is under way", || !names(node.root()).is_empty());
    assert_eq!(lab.run(["limit"]).expect(0).stdout, "1.0 kB/s\n");
    assert_eq!(lab.run(["limit", "none"]).expect(0).stdout, "none\n");
    agent.expect_done("x");
    expect_content(&node.file("a"), &content);
}

#[test]
fn what_was_set_lasts_until_the_configuration_is_read_again() {
    if !can_signal("HUP") {
        return;
    }
    let lab = lab("limit = 10M");
    let agent = Agent::start(&lab);
    assert_eq!(lab.run(["limit", "80Mbit"]).expect(0).stdout, "10.0 MB/s\n");
    let limit = || agent.get("/v1/limit").1["limit"].clone();
    assert_eq!(limit(), 10_000_000);
    assert_eq!(agent.metric("lantorrent_limit_bytes_per_second"), 10_000_000);
    configure(&lab, "limit = 1M");
    signal("HUP", agent.pid());
    wait_until("it is read again", || limit() == 1 << 20);
    lab.run(["limit", "1.5M"]).expect_usage(&["800Mbit"]);
    lab.run(["limit", "100"]).expect_usage(&["1024"]);
    assert_eq!(limit(), 1 << 20);
}

#[test]
fn a_sender_and_a_node_that_are_limited_can_be_stopped() {
    let lab = lab("");
    lab.write_ini(&format!("{}[node]\nlimit = 1K\ndscp = CS1\n", crate::common::INI));
    let source = lab.source(SIZE);
    let mut node = lab.node("node");
    let mut command = lab.command(["send", "--limit", "1K", "--dscp", "CS1"]);
    command.arg(&source).arg(node.destination("a"));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is under way", || !names(node.root()).is_empty());
    signal("TERM", child.id());
    Finished::of(child).expect(1);
    assert!(node.stop("TERM").success());
}
