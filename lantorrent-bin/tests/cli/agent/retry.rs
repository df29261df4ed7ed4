//! What fails is tried again.

use std::net::TcpListener;

use super::fixture::{Agent, expect_content, lab, source, wish};
use crate::common::{Node, content, wait_until};

#[test]
fn a_node_that_comes_later() {
    let lab = lab("attempts = 50");
    let content = content(300_000);
    let source = source(&lab, "a.img", &content);
    let root = lab.path().join("node");
    std::fs::create_dir(&root).unwrap();
    // A port where nobody listens yet.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let agent = Agent::start(&lab);
    let mut late = wish("late", &source, &lab.node("other"), "a");
    late["port"] = address.port().into();
    late["destination"] = root.join("a").to_str().unwrap().into();
    agent.submit(&late);
    wait_until("it has failed once", || {
        agent.get("/v1/requests/late").1["attempts"].as_array().is_some_and(|attempts| !attempts.is_empty())
    });
    let mut command = lab.command(["serve", "--listen", &address.to_string(), "--root"]);
    command.arg(&root);
    let node = Node::start(command, root);
    let ended = agent.expect_done("late");
    let attempts = ended["attempts"].as_array().unwrap();
    assert!(attempts.len() > 1);
    assert_eq!(attempts[0]["code"], 505, "{ended:#}");
    assert_eq!(attempts[attempts.len() - 1]["code"], 0);
    expect_content(&node.file("a"), &content);
}

#[test]
fn not_for_ever() {
    let lab = lab("attempts = 2");
    let source = source(&lab, "a.img", b"content");
    let agent = Agent::start(&lab);
    let mut node = lab.node("node");
    let wish = wish("gone", &source, &node, "a");
    node.stop("KILL");
    agent.submit(&wish);
    let ended = agent.ended("gone");
    assert_eq!(ended["state"], "failed");
    assert_eq!(ended["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(ended["outcome"]["code"], 505, "{ended:#}");
}

#[test]
fn one_that_fails_keeps_nobody_from_the_file() {
    let lab = lab("wait = 0.5\nattempts = 1");
    let content = content(300_000);
    let source = source(&lab, "a.img", &content);
    let nodes = lab.nodes(2);
    let agent = Agent::start(&lab);
    let good = wish("good", &source, &nodes[0], "a");
    let mut outside = wish("outside", &source, &nodes[1], "a");
    outside["destination"] = "/nowhere/a".into();
    let also_good = wish("also-good", &source, &nodes[1], "b");
    agent.submit(&vec![good, outside, also_good].into());
    agent.expect_done("good");
    agent.expect_done("also-good");
    assert_eq!(agent.ended("outside")["outcome"]["code"], 513);
    expect_content(&nodes[1].file("b"), &content);
}
