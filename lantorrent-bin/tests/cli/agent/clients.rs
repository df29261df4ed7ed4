//! The commands that ask, and the names of version 0.2, with a real agent.

use std::process::Stdio;

use serde_json::Value;

use super::fixture::{Agent, expect_content, lab, source};
use crate::common::{Finished, Lab, content, finish, names, signal, wait_until};

/// A lab whose clients find the agent by its socket.
fn home() -> (Lab, String) {
    let lab = lab("");
    let source = source(&lab, "a.img", &content(400_000));
    (lab, source)
}

#[test]
fn request_status_cancel() {
    let (lab, source) = home();
    let node = lab.node("node");
    let _agent = Agent::start(&lab);
    let finished = lab.run(["request", &source, &node.destination("a"), "--id", "first"]).expect(0);
    assert!(finished.stdout.starts_with("done"), "{}", finished.stdout);
    expect_content(&node.file("a"), &content(400_000));
    // It was shown, and is forgotten.
    lab.run(["status", "first"]).expect(1);

    let handed_in =
        lab.run(["request", &source, &node.destination("b"), "--id", "second", "--no-wait", "--json"]);
    let handed_in: Value = serde_json::from_str(&handed_in.expect(0).stdout).unwrap();
    assert_eq!(handed_in["id"], "second");
    wait_until("it is done", || lab.run(["status", "second"]).expect(0).stdout.contains("done"));
    assert!(lab.run(["status"]).expect(0).stdout.contains("second"));
    // Too late.
    lab.run(["cancel", "second"]).expect(1);
    expect_content(&node.file("b"), &content(400_000));

    let outside = lab.run(["request", "/etc/passwd", &node.destination("c")]).expect(1);
    assert!(outside.stderr.contains("repository"), "{}", outside.stderr);
    assert_eq!(names(node.root()), ["a", "b"]);
}

#[test]
fn a_request_outlives_its_agent() {
    let (lab, _) = home();
    let source = source(&lab, "big.img", &content(96 << 20));
    let node = lab.node("node");
    let agent = Agent::start(&lab);
    let mut command = lab.command(["request", &source, &node.destination("a"), "--id", "x"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the file arrives", || !names(node.root()).is_empty());
    agent.kill();
    let _agent = Agent::start(&lab);
    let finished = Finished::of(child).expect(0);
    assert!(finished.stdout.starts_with("done"), "{}{}", finished.stdout, finished.stderr);
    expect_content(&node.file("a"), &content(96 << 20));
}

#[test]
fn who_gives_up_waiting_is_told_how_to_go_on() {
    let lab = lab("wait = 1000");
    let source = source(&lab, "a.img", b"content");
    let node = lab.node("node");
    let agent = Agent::start(&lab);
    let mut command = lab.command(["request", &source, &node.destination("a"), "--id", "patient"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is there", || agent.get("/v1/requests/patient").0 == 200);
    signal("INT", child.id());
    let finished = Finished::of(child).expect(1);
    assert!(finished.stderr.contains("--id patient"), "{}", finished.stderr);
    assert!(finished.stderr.contains("cancel patient"), "{}", finished.stderr);
    let cancelled = lab.run(["cancel", "patient"]).expect(0);
    assert!(cancelled.stdout.contains("cancelled"), "{}", cancelled.stdout);
}

/// As scripts that were written for version 0.2 ask.
#[test]
fn the_names_of_version_0_2() {
    let (lab, source) = home();
    let node = lab.node("node");
    let links = lab.path().join("bin");
    std::fs::create_dir(&links).unwrap();
    lab.run(["links", links.to_str().unwrap()]).expect(0);
    let daemon = Agent::from_command(lab.command_at(&links.join("ltdaemon"), [] as [&str; 0]));
    let request = |args: &[&str]| finish(lab.command_at(&links.join("ltrequest"), args)).expect(0).stdout;
    let (copy, host) = (node.file("a"), node.address().to_string());
    assert_eq!(request(&[&source, copy.to_str().unwrap(), "rid-1", &host]), "0,True,Success\n");
    expect_content(&copy, &content(400_000));
    let other = node.file("b");
    let handed_in = request(&["-n", &source, other.to_str().unwrap(), "rid-2", &host]);
    assert!(handed_in.starts_with("0,False,") || handed_in == "0,True,Success\n", "{handed_in}");
    if handed_in.starts_with("0,False,") {
        assert_eq!(request(&["-a", "rid-2"]), "0,True,Success\n");
    }
    let missing = request(&["/nowhere/a.img", other.to_str().unwrap(), "rid-3", &host]);
    assert!(missing.starts_with("1,True,"), "{missing}");
    assert_eq!(daemon.get("/v1/requests/rid-1").0, 404, "it was told, and is forgotten");
}

/// From handing in to forgetting, each line about a request names it.
#[test]
fn its_log_tells_the_story_of_a_request() {
    let (lab, source) = home();
    let mut node = lab.node("node");
    node.stop("KILL");
    let log = lab.path().join("agent.log");
    let ini = std::fs::read_to_string(lab.ini()).unwrap();
    lab.write_ini(&format!("{ini}\n[log]\nfile = {}\nlevel = info\n", log.display()));
    let _agent = Agent::start(&lab);
    lab.run(["request", &source, &node.destination("a"), "--id", "story-7"]).expect(1);
    let told = std::fs::read_to_string(&log).unwrap();
    let story: Vec<&str> = told.lines().filter(|line| line.contains("story-7")).collect();
    for part in [source.as_str(), "attempt", "505", "failed", "acknowledged"] {
        assert!(story.iter().any(|line| line.contains(part)), "`{part}` is missing in\n{}", story.join("\n"));
    }
}
