//! What the agent keeps open, and what the system lets it have.

use std::fs;
use std::process::Command;

use super::fixture::{Agent, REPOSITORY, configure, database, expect_content, lab, source, wish};
use crate::common::{can_signal, signal, wait_until};

#[test]
fn a_queue_that_is_moved_or_removed_is_missed_at_once() {
    let lab = lab("");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"content");
    let agent = Agent::start(&lab);
    agent.submit(&wish("before", &file, &node, "a"));
    agent.expect_done("before");
    assert_eq!(agent.get("/healthz").0, 200);

    let (queue, away) = (database(&lab), lab.path().join("away"));
    fs::rename(&queue, &away).unwrap();
    let (status, health) = agent.get("/healthz");
    assert_eq!(status, 503, "nobody has asked for anything since: {health}");
    let said = health.to_string();
    assert!(said.contains(queue.to_str().unwrap()) && said.contains(away.to_str().unwrap()), "{said}");
    assert_eq!(agent.post("/v1/requests", &wish("meanwhile", &file, &node, "b")).0, 503);
    fs::rename(&away, &queue).unwrap();
    wait_until("it goes on", || agent.post("/v1/requests", &wish("after", &file, &node, "c")).0 < 300);
    agent.expect_done("after");

    // Another file in its place is not this queue, and is not touched.
    fs::rename(&queue, &away).unwrap();
    fs::write(&queue, "something else").unwrap();
    assert_eq!(agent.get("/healthz").0, 503);
    assert_eq!(agent.post("/v1/requests", &wish("refused", &file, &node, "d")).0, 503);
    assert_eq!(fs::read(&queue).unwrap(), b"something else");
    fs::rename(&away, &queue).unwrap();
    wait_until("it goes on", || agent.get("/healthz").0 == 200);

    // What was removed can be had from what is open, as it says.
    fs::remove_file(&queue).unwrap();
    let (_, health) = agent.get("/healthz");
    let open = health.to_string();
    let open = open.split("or copy ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    fs::copy(open, &queue).unwrap();
    assert!(agent.stop("TERM").success());
    let agent = Agent::start(&lab);
    for (id, known) in [("before", 200), ("after", 200), ("meanwhile", 404), ("refused", 404)] {
        assert_eq!(agent.get(&format!("/v1/requests/{id}")).0, known, "{id}");
    }
}

#[test]
fn a_repository_that_comes_later_or_is_replaced_is_the_one_that_is_there() {
    let lab = lab("");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"first");
    let agent = Agent::start(&lab);
    agent.submit(&wish("first", &file, &node, "a"));
    agent.expect_done("first");
    let folder = lab.path().join(REPOSITORY);
    fs::rename(&folder, lab.path().join("away")).unwrap();
    let (status, problem) = agent.post("/v1/requests", &wish("gone", &file, &node, "b"));
    assert_eq!(status, 422, "{problem}");
    fs::create_dir(&folder).unwrap();
    fs::write(&file, b"second").unwrap();
    agent.submit(&wish("second", &file, &node, "b"));
    agent.expect_done("second");
    expect_content(&node.file("b"), b"second");
}

/// As with a full disk: what was taken in is kept, and new requests are refused.
#[test]
fn a_queue_that_may_not_grow_refuses_requests_and_forgets_none() {
    let lab = lab("wait = 1000");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"content");
    let agent = lab.command(["agent"]);
    let mut command = Command::new("bash");
    // 2 MiB.
    command.args(["-c", "ulimit -f 2048 && exec \"$@\"", "bash"]).arg(agent.get_program());
    command.args(agent.get_args()).envs(agent.get_envs().map(|(name, value)| (name, value.unwrap())));
    command.current_dir(lab.path());
    let agent = Agent::from_command(command);
    let mut taken = 0;
    let refused = loop {
        let name = "long".repeat(40);
        let wish = |number| wish(&format!("{taken}-{number}"), &file, &node, &format!("{name}{number}"));
        let list: Vec<_> = (0..500).map(wish).collect();
        match agent.post("/v1/requests", &list.into()) {
            (201, _) => taken += 1,
            refused => break refused,
        }
        assert!(taken < 100, "it grows for ever");
    };
    assert_eq!(refused.0, 507, "{}", refused.1);
    assert!(taken > 0 && refused.1["detail"].as_str().unwrap().contains("too large"), "{}", refused.1);
    assert_eq!(agent.get("/healthz").0, 503);
    agent.kill();
    let agent = Agent::start(&lab);
    assert_eq!(agent.get("/v1/requests/0-0").0, 200);
    assert_eq!(agent.get(&format!("/v1/requests/{}-499", taken - 1)).0, 200);
    assert_eq!(agent.get(&format!("/v1/requests/{taken}-0")).0, 404);
}

#[test]
fn the_log_of_an_agent_is_opened_again_and_its_level_changed_at_a_hangup() {
    if !can_signal("HUP") {
        return;
    }
    let (log, more) = ("lt.log", "sends = 3");
    let lab = lab(more);
    let log = lab.path().join(log);
    let with_log = |level: &str, more: &str| {
        configure(&lab, more);
        let ini = fs::read_to_string(lab.ini()).unwrap();
        lab.write_ini(&format!("{ini}[log]\nfile = {}\nlevel = {level}\n", log.display()));
    };
    with_log("error", more);
    let agent = Agent::start(&lab);
    assert_eq!(fs::read_to_string(&log).unwrap(), "");
    fs::rename(&log, lab.path().join("lt.log.1")).unwrap();
    with_log("info", "listen = 127.0.0.1:1\nsends = 2");
    signal("HUP", agent.pid());
    let says = |words: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(words));
    wait_until("it says so in the new log", || says("was read again") && says("[agent] listen changed"));
    with_log("info", "sends = none");
    signal("HUP", agent.pid());
    wait_until("what is wrong is named", || says("everything stays as it was") && says("[agent] sends"));
    for idle in ["USR1", "USR2", "XFSZ"] {
        signal(idle, agent.pid());
    }
    assert_eq!(agent.get("/healthz").0, 200);
    assert!(agent.stop("XCPU").success());
}
