//! The agent's life: one at a time, stopped in order, configured while it runs.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::fixture::{Agent, configure, database, expect_content, lab, source, wish};
use crate::common::{can_signal, content, signal, wait_until};

#[test]
fn only_one_has_the_queue() {
    let lab = lab("");
    let agent = Agent::start(&lab);
    let socket = lab.path().join("second.sock");
    let second = lab.run(["agent", "--socket", socket.to_str().unwrap()]).expect(1);
    assert!(second.stderr.contains(database(&lab).to_str().unwrap()), "{}", second.stderr);
    assert_eq!(agent.get("/healthz").0, 200);
}

#[test]
fn what_is_no_queue_is_left_alone() {
    let lab = lab("");
    let foreign = b"SQLite format 3\0 and more of it".repeat(1000);
    std::fs::write(database(&lab), &foreign).unwrap();
    let finished = lab.run(["agent"]).expect(1);
    assert!(finished.stderr.contains(database(&lab).to_str().unwrap()), "{}", finished.stderr);
    assert_eq!(std::fs::read(database(&lab)).unwrap(), foreign);
}

#[test]
fn stopped_in_the_middle_it_goes_on_where_it_was() {
    let lab = lab("");
    let nodes = lab.nodes(2);
    let content = content(384 << 20);
    let source = source(&lab, "a.img", &content);
    let agent = Agent::start(&lab);
    let wishes = [("r0", &nodes[0]), ("r1", &nodes[1])].map(|(id, node)| wish(id, &source, node, "a"));
    agent.submit(&wishes.to_vec().into());
    let partial = nodes[1].file("a.lantorrent");
    wait_until("a part has arrived", || {
        std::fs::metadata(&partial).is_ok_and(|partial| partial.len() > 40 << 20)
    });
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    let begun = inode(&partial);
    let stopping = Instant::now();
    assert_eq!(agent.stop("TERM").code(), Some(0));
    assert!(stopping.elapsed() < Duration::from_secs(5));

    let agent = Agent::start(&lab);
    for (id, node) in [("r0", &nodes[0]), ("r1", &nodes[1])] {
        let ended = agent.expect_done(id);
        assert_eq!(ended["attempts"].as_array().unwrap().len(), 1, "the one cut short does not count");
        expect_content(&node.file("a"), &content);
    }
    assert_eq!(inode(&nodes[1].file("a")), begun, "what had arrived was gone on with");
}

#[test]
fn its_configuration_is_read_again() {
    if !can_signal("HUP") {
        return;
    }
    let lab = lab("wait = 1000");
    let node = lab.node("node");
    let source = source(&lab, "a.img", b"content");
    let agent = Agent::start(&lab);
    agent.submit(&wish("x", &source, &node, "a"));
    assert_eq!(agent.get("/v1/requests/x").1["state"], "waiting");
    // What is wrong changes nothing.
    lab.write_ini("[agent]\nwait = soon\n");
    signal("HUP", agent.pid());
    configure(&lab, "wait = 0.1");
    signal("HUP", agent.pid());
    agent.expect_done("x");
}

#[test]
fn elsewhere_than_here_it_takes_a_token() {
    let lab = lab("listen = 0.0.0.0:0");
    lab.run(["agent"]).expect_usage(&["token", "0.0.0.0"]);
    configure(&lab, "listen = 0.0.0.0:0\ntoken = 0123456789abcdef");
    let agent = Agent::start(&lab);
    assert_eq!(agent.get("/v1/requests").0, 401);
    assert_eq!(agent.get("/healthz").0, 200);
}
