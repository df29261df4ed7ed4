//! Text that may mean something else than what it says: it is refused by its place, and no secret is in what is said.

use std::io::Write;
use std::process::Stdio;

use crate::common::{Finished, INI, Lab, names};

const SECRET: &str = "s3cret-s3cret-s3cret-s3cret";

#[test]
fn a_list_of_nodes_means_what_it_says() {
    let lab = Lab::new();
    let (source, node) = (lab.source(1000), lab.node("node"));
    let list = lab.path().join("list");
    let at = |name: &str| node.destination(name);
    let send = |text: String| {
        std::fs::write(&list, text).unwrap();
        lab.send(&source, &[], &["--nodes", list.to_str().unwrap(), "--quiet"])
    };
    for (line, part) in [
        (at("a.img # spare"), "comment"),
        (at("a.img\t# spare"), "comment"),
        (format!("# nodes\u{feff}\n\u{feff}{}", at("a.img")), "U+FEFF"),
        (at("a\u{0}b"), "U+0000"),
        (at("a\rb"), "U+000D"),
        (at("a.img\u{200b}"), "cannot be seen"),
        (format!("root@{}", at("a.img")), "no name and no address"),
    ] {
        let line = if line.contains('\n') { line } else { format!("# nodes\n{line}") };
        send(line.clone()).expect_usage(&["line 2 of ", list.to_str().unwrap(), part]);
        assert_eq!(names(node.root()), [""; 0], "{line:?}");
    }
    send(format!("\u{feff}{}\r\n\r\n  # two\r\n{} \u{a0}\r\n", at("one"), at("two#2"))).expect(0);
    assert_eq!(names(node.root()), ["one", "two#2"]);
    // A file can be called so.
    lab.send(&source, &[at("three # 3")], &["--quiet"]).expect(0);
    assert_eq!(names(node.root()), ["one", "three # 3", "two#2"]);
    for odd in ["four ", "four\r", "four\u{a0}", "fo\nur"] {
        lab.send(&source, &[at(odd)], &["--quiet"]).expect(2);
    }
    assert_eq!(names(node.root()).len(), 3);
}

/// All that a program has said, whichever way it ended.
fn said(lab: &Lab, finished: &Finished) -> String {
    let log = std::fs::read_to_string(lab.path().join("log")).unwrap_or_default();
    format!("{}{}{log}", finished.stdout, finished.stderr)
}

#[test]
fn a_slip_in_the_configuration_tells_no_secret() {
    let lab = Lab::empty();
    let source = lab.source(10);
    let log = lab.path().join("log");
    let commands: [&[&str]; 7] = [
        &["serve", "--listen", "127.0.0.1:0", "--root", "/nonexistent"],
        &["send", source.to_str().unwrap(), "127.0.0.1:1/a", "--no-check"],
        &["check", "127.0.0.1:1/a"],
        &["agent", "--listen", "127.0.0.1:x"],
        &["status", "--agent", "http://127.0.0.1:1"],
        &["limit", "--agent", "/nonexistent/agent.sock"],
        &["request", source.to_str().unwrap(), "h/a", "--no-wait", "--agent", "http://127.0.0.1:1"],
    ];
    for security in [
        format!("[security\npassword = {SECRET}\n"),
        format!("[security password = {SECRET}\n"),
        format!("[security] password = {SECRET}\n"),
        format!("[{SECRET}\n"),
        format!("[{SECRET}]\n"),
        format!("[security]\npassword {SECRET}\n"),
        format!("[security]\npassword\n{SECRET}\n"),
        format!("[security]\npassword\n{SECRET}=\n"),
        format!("[security]\npassword =\n{SECRET}==\n"),
        format!("[security]\n{SECRET} = password\n"),
        format!("[security]\npassword = {SECRET} # of the group\n"),
        format!("[security]\npassword = {SECRET}\nPassword = {SECRET}\n"),
        format!("[security]\npassword = {SECRET}\n[agent]\ntoken = {SECRET} {SECRET}\n"),
        format!("[security]\npassword = {SECRET}\n[agent]\nurl = http://me:{SECRET}@host\n"),
        format!("[security]\npassword = {SECRET}\u{0}\n"),
        format!("password = {SECRET}\n"),
    ] {
        lab.write_ini(&format!("{security}[log]\nfile = {}\nlevel = debug\n", log.display()));
        for command in commands {
            let finished = lab.run(command);
            let said = said(&lab, &finished);
            assert!(!said.contains("s3cret"), "{security:?} {command:?}: {said}");
            assert_ne!(finished.status, Some(0), "{security:?} {command:?}: {said}");
        }
        let request = lab.path().join("ltrequest");
        let _ = std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lantorrent"), &request);
        let finished = crate::common::finish(lab.command_at(&request, ["-n", "/s", "/d", "r", "h"]));
        assert!(!said(&lab, &finished).contains("s3cret"), "{security:?}: {finished:?}");
    }
}

#[test]
fn a_secret_on_the_command_line_is_not_repeated() {
    let lab = Lab::new();
    for args in [
        vec![format!("--password={SECRET}")],
        vec!["agent".into(), format!("--token={SECRET}")],
        vec!["status".into(), format!("--TOKEN={SECRET}")],
        vec!["status".into(), "--agent".into(), format!("http://me:{SECRET}@host")],
        vec!["status".into(), "--agent".into(), format!("https://host/?token={SECRET}")],
    ] {
        let finished = lab.run(&args).expect(2);
        assert!(!said(&lab, &finished).contains("s3cret"), "{args:?}: {finished:?}");
    }
}

#[test]
fn a_mark_and_other_line_ends_are_no_part_of_the_configuration() {
    let lab = Lab::new();
    let (source, node) = (lab.source(1000), lab.node("node"));
    lab.write_ini(&format!("\u{feff}{INI}").replace('\n', "\r\n"));
    let mut child = lab.command(["send", source.to_str().unwrap(), "--nodes", "-"]);
    let mut child =
        child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let list = format!("\u{feff}{}\r\n", node.destination("a"));
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let finished = Finished::of(child).expect(0);
    assert!(!finished.stderr.contains("warning"), "{}", finished.stderr);
    assert_eq!(names(node.root()), ["a"]);
}
