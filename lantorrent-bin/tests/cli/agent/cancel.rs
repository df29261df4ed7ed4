//! Requests that are taken back.

use serde_json::Value;

use super::fixture::{Agent, SLOW, expect_content, lab, long_source, source, wish, wish_for};
use crate::common::{Inetd, Lab, content, names, signal, wait_until};

#[test]
fn one_that_waits_is_never_sent() {
    let lab = lab("wait = 1");
    let nodes = lab.nodes(2);
    let content = content(200_000);
    let source = source(&lab, "a.img", &content);
    let agent = Agent::start(&lab);
    agent.submit(&wish("kept", &source, &nodes[0], "a"));
    agent.submit(&wish("dropped", &source, &nodes[1], "a"));
    let (status, answer) = agent.delete("/v1/requests/dropped");
    assert_eq!((status, answer["state"].as_str()), (200, Some("cancelled")));
    agent.expect_done("kept");
    assert_eq!(agent.ended("dropped")["outcome"]["code"], 524);
    assert!(names(nodes[1].root()).is_empty());
    assert_eq!(agent.transfers()[0]["chain"].as_array().unwrap().len(), 1);
}

#[test]
fn one_that_is_sent_is_cut_out_of_its_chain() {
    let lab = lab("wait = 0.5");
    let nodes = lab.nodes(3);
    let content = content(64 << 20);
    let source = source(&lab, "a.img", &content);
    let agent = Agent::start(&lab);
    let wishes: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(number, node)| wish(&format!("r{number}"), &source, node, "a"))
        .collect();
    agent.submit(&wishes.into());
    let middle = &nodes[1];
    wait_until("the file arrives", || names(middle.root()).contains(&"a.lantorrent".into()));
    // It is held up, so that the request does not end before it is taken back.
    signal("STOP", nodes[0].pid());
    let (status, answer) = agent.delete("/v1/requests/r1");
    assert!(status == 202 || status == 200, "{status} {answer}");
    signal("CONT", nodes[0].pid());
    let ended = agent.ended("r1");
    // It may have been quicker, and then the file stays.
    if ended["state"] == "cancelled" {
        wait_until("nothing is left", || names(middle.root()).is_empty());
    } else {
        assert_eq!(ended["state"], "done");
    }
    for (number, node) in [(0, &nodes[0]), (2, &nodes[2])] {
        agent.expect_done(&format!("r{number}"));
        expect_content(&node.file("a"), &content);
    }
}

#[test]
fn one_that_is_done_stays_as_it_is() {
    let lab = lab("");
    let node = lab.node("node");
    let source = source(&lab, "a.img", b"content");
    let agent = Agent::start(&lab);
    agent.submit(&wish("x", &source, &node, "a"));
    agent.expect_done("x");
    let (status, answer) = agent.delete("/v1/requests/x");
    assert_eq!((status, answer["state"].as_str()), (200, Some("done")));
    expect_content(&node.file("a"), b"content");
    assert_eq!(agent.delete("/v1/requests/unknown").0, 404);
}

/// What its first attempt left on the node goes too.
#[test]
fn one_that_waits_for_its_next_attempt() {
    let lab = lab(&format!("retry = 60\n{SLOW}"));
    let mut node = lab.node("node");
    let source = long_source(&lab, "a.img");
    let agent = Agent::start(&lab);
    agent.submit(&wish("x", &source, &node, "a"));
    wait_until("the file arrives", || names(node.root()).contains(&"a.lantorrent".into()));
    node.stop("KILL");
    let partial = names(node.root());
    wait_until("it has failed once", || {
        agent.get("/v1/requests/x").1["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty())
    });
    assert!(partial.contains(&"a.lantorrent".into()), "{partial:?}");
    let mut command = lab.command(["serve", "--listen", &node.address().to_string(), "--root"]);
    command.arg(node.root());
    let again = crate::common::Node::start(command, node.root().to_owned());
    assert_eq!(agent.delete("/v1/requests/x").1["state"], "cancelled");
    wait_until("nothing is left", || names(again.root()).is_empty());
}

/// What is posted to have `source` on a node with a process for each connection.
fn wish_of(id: &str, source: &str, node: &Inetd) -> Value {
    wish_for(id, source, node.address(), &node.file("a"))
}

fn inetd(lab: &Lab, count: usize) -> Vec<Inetd> {
    (1..=count).map(|number| Inetd::start(lab, &format!("node-{number}"))).collect()
}

#[test]
fn one_that_a_process_of_inetd_receives_is_cut_out_of_its_chain() {
    let lab = lab("wait = 0.5");
    let nodes = inetd(&lab, 3);
    let content = content(64 << 20);
    let source = source(&lab, "a.img", &content);
    let agent = Agent::start(&lab);
    let wishes = nodes.iter().enumerate().map(|(number, node)| wish_of(&format!("r{number}"), &source, node));
    agent.submit(&wishes.collect::<Vec<_>>().into());
    let middle = &nodes[1];
    wait_until("the file arrives", || names(middle.root()).contains(&"a.lantorrent".into()));
    let cancelled = lab.run(["cancel", "r1", "--agent", agent.url()]).expect(0);
    assert!(cancelled.stdout.contains("cancelled"), "{}", cancelled.stdout);
    assert_eq!(agent.ended("r1")["outcome"]["code"], 524);
    // Whatever there is of the others comes by a link of 16 MiB a second.
    assert!(names(nodes[2].root()).contains(&"a.lantorrent".into()), "it did not wait for the end");
    assert!(names(middle.root()).is_empty(), "{:?}", names(middle.root()));
    for (number, node) in [(0, &nodes[0]), (2, &nodes[2])] {
        agent.expect_done(&format!("r{number}"));
        expect_content(&node.file("a"), &content);
        wait_until("its processes have ended", || node.running() == 0);
    }
    wait_until("its processes have ended", || middle.running() == 0);
    assert!(names(middle.root()).is_empty());
}

#[test]
fn what_a_process_of_inetd_has_left_goes() {
    let lab = lab(&format!("retry = 60\n{SLOW}"));
    let node = &inetd(&lab, 1)[0];
    let source = long_source(&lab, "a.img");
    let agent = Agent::start(&lab);
    agent.submit(&wish_of("x", &source, node));
    wait_until("the file arrives", || names(node.root()).contains(&"a.lantorrent".into()));
    node.break_down();
    wait_until("it has failed once", || {
        agent.get("/v1/requests/x").1["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty())
    });
    assert!(names(node.root()).contains(&"a.lantorrent".into()), "{:?}", names(node.root()));
    node.mend();
    assert_eq!(agent.delete("/v1/requests/x").1["state"], "cancelled");
    wait_until("nothing is left", || names(node.root()).is_empty());
}
