//! Files that are asked for, and cannot be had.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::fixture::{Agent, REPOSITORY, SLOW, expect_content, lab, long_source, source, wish};
use crate::common::{content, signal, wait_until};

#[track_caller]
fn refused(agent: &Agent, wish: &Value, status: u16, part: &str) {
    let (found, problem) = agent.post("/v1/requests", wish);
    assert_eq!(found, status, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(part), "`{part}` is missing in {problem}");
    assert_eq!(agent.get("/v1/requests").1["requests"], Value::Array(Vec::new()), "nothing is kept of it");
}

#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let lab = lab("");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"content");
    let secret = lab.path().join("secret");
    std::fs::write(&secret, "outside").unwrap();
    let repository = lab.path().join(REPOSITORY);
    std::os::unix::fs::symlink(&secret, repository.join("link")).unwrap();
    std::fs::create_dir(repository.join("folder")).unwrap();
    let agent = Agent::start(&lab);
    let asked = |source: &str| wish("x", source, &node, "a");
    let within = |name: &str| repository.join(name).to_str().unwrap().to_owned();
    refused(&agent, &asked(&within("missing")), 422, "missing");
    refused(&agent, &asked(secret.to_str().unwrap()), 403, "repository");
    refused(&agent, &asked(&within("../secret")), 400, "..");
    refused(&agent, &asked(&within("link")), 403, "link");
    refused(&agent, &asked(&within("folder")), 422, "folder");
    refused(&agent, &asked("a.img"), 400, "a.img");
    // One that is wrong in a list: none is taken.
    let list = Value::from(vec![wish("y", &file, &node, "b"), asked(&within("missing"))]);
    refused(&agent, &list, 422, "missing");
    assert_eq!(agent.post("/v1/requests", &list).1["index"], 1);
}

/// Root may read everything, so that the agent is somebody else.
#[test]
fn what_may_not_be_read_is_refused_at_once() {
    use std::os::unix::process::CommandExt;
    let lab = lab("");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"content");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
    let mut command = lab.command(["agent"]);
    if rustix::process::geteuid().is_root() {
        let script = format!("chown -R 65534:65534 {0} && chmod 755 {0}", lab.path().display());
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
        command.uid(65534).gid(65534);
    }
    let agent = Agent::from_command(command);
    refused(&agent, &wish("x", &file, &node, "a"), 422, "a.img");
}

#[test]
fn one_that_changes_while_it_waits_is_sent_as_it_is_then() {
    let lab = lab("wait = 3");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"as it was");
    let agent = Agent::start(&lab);
    agent.submit(&wish("x", &file, &node, "a"));
    std::fs::write(&file, "as it is").unwrap();
    let ended = agent.expect_done("x");
    assert_eq!(ended["attempts"].as_array().unwrap().len(), 1);
    expect_content(&node.file("a"), b"as it is");
}

#[test]
fn one_that_changes_while_it_is_sent_is_sent_again() {
    let lab = lab(&format!("attempts = 20\n{SLOW}"));
    let node = lab.node("node");
    let after = content(3 << 20);
    let file = long_source(&lab, "a.img");
    let agent = Agent::start(&lab);
    agent.submit(&wish("x", &file, &node, "a"));
    // Who is given up before anything was sent to him waits for another upstream, and has the file locked for a minute.
    let partial = node.file("a.lantorrent");
    wait_until("it is being sent", || std::fs::metadata(&partial).is_ok_and(|found| found.len() > 0));
    // The node holds the transfer up while the file is replaced by another one in the same place.
    signal("STOP", node.pid());
    std::fs::write(&file, &after).unwrap();
    signal("CONT", node.pid());
    let ended = agent.expect_done("x");
    let attempts = ended["attempts"].as_array().unwrap();
    assert!(attempts.len() > 1, "{ended:#}");
    assert_eq!(attempts[0]["code"], 529, "{ended:#}");
    expect_content(&node.file("a"), &after);
}

#[test]
fn no_repository() {
    let lab = lab("");
    let node = lab.node("node");
    let file = source(&lab, "a.img", b"content");
    lab.write_ini(&format!("{}[agent]\nlisten = 127.0.0.1:0\n", crate::common::INI));
    let agent = Agent::start(&lab);
    refused(&agent, &wish("x", &file, &node, "a"), 403, "repository");
}
