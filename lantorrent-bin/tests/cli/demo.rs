//! `lantorrent demo`.

use std::process::Stdio;

use crate::common::{Finished, Lab, names, signal, wait_until};

#[test]
fn a_chain_of_three() {
    let lab = Lab::empty();
    let finished = lab.run(["demo", "--nodes", "3", "--size", "3M"]).expect(0);
    for step in ["generate", "start", "send", "compare 1", "compare 2", "compare 3"] {
        let found = finished.stdout.lines().any(|line| line.starts_with(step));
        assert!(found, "{step} is missing in\n{}", finished.stdout);
    }
    assert!(finished.stdout.contains("3 of 3 nodes report success"), "{}", finished.stdout);
    assert_eq!(finished.stdout.matches("is identical").count(), 3, "{}", finished.stdout);
    assert!(names(lab.path()).is_empty(), "{:?}", names(lab.path()));
}

#[test]
fn a_file_of_ones_own() {
    let lab = Lab::empty();
    let source = lab.source(1_234_567);
    let finished = lab.run(["demo", source.to_str().unwrap(), "--nodes=1"]).expect(0);
    assert!(!finished.stdout.contains("generate"));
    assert_eq!(finished.stdout.matches("is identical").count(), 1, "{}", finished.stdout);
    assert_eq!(names(lab.path()), ["source"]);
    assert_eq!(std::fs::read(source).unwrap(), crate::common::content(1_234_567));
}

#[test]
fn nothing_is_left_of_one_that_is_stopped() {
    let lab = Lab::empty();
    // More than is ever written.
    let mut command = lab.command(["demo", "--nodes", "2", "--size", "8G"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is under way", || {
        names(lab.path()).iter().any(|name| names(&lab.path().join(name)).contains(&"source".into()))
    });
    signal("INT", child.id());
    let finished = Finished::of(child).expect(1);
    assert!(finished.stderr.contains("interrupted"), "{}", finished.stderr);
    assert!(names(lab.path()).is_empty(), "{:?}", names(lab.path()));
}

#[test]
fn its_nodes_do_not_outlive_it() {
    let lab = Lab::empty();
    // Long enough on its way for the nodes to be seen.
    lab.source(256 << 20);
    let mut child = lab.command(["demo", "source", "--nodes", "2"]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Two nodes run, and know nothing of their parent but its end of their standard input.
    wait_until("its nodes run", || running(&lab, "node-2") == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("its nodes are gone", || running(&lab, "node-") == 0);
}

/// How many processes have been given a path with that name in the lab.
fn running(lab: &Lab, name: &str) -> usize {
    let folder = lab.path().to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(folder) && line.contains(name))
        .count()
}

#[test]
fn no_room_for_it() {
    let lab = Lab::empty();
    let mut command = lab.command(["demo"]);
    command.env("TMPDIR", lab.path().join("nonexistent"));
    let finished = crate::common::finish(command).expect(1);
    assert!(finished.stderr.contains("TMPDIR"), "{}", finished.stderr);
}
