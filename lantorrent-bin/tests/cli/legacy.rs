//! The program under the names of version 0.2.

use std::ffi::OsStr;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json as value;

use crate::common::fake_agent::{FakeAgent, Reply, done, json, problem, request};
use crate::common::{Finished, INI, Lab, content, finish, wait_until};

/// The program by one of its other names.
fn called(lab: &Lab, name: &str) -> Command {
    let link = lab.path().join(name);
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_lantorrent"), &link).unwrap();
    }
    let mut command = Command::new(link);
    command.env("LANTORRENT_HOME", lab.home()).current_dir(lab.path()).stdin(Stdio::null());
    command.env_remove("SSH_CLIENT");
    command
}

fn ltclient(lab: &Lab, args: &[&str], stdin: &str) -> Finished {
    let mut command = called(lab, "ltclient");
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    Finished::of(child)
}

/// What version 0.2 was given and what it printed, with nodes and paths of today.
fn recording(lab: &Lab) -> (Vec<crate::common::Node>, String, String) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/nimbus-0.2.json"));
    let vectors: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    let nodes = lab.nodes(2);
    let of_today = |key: &str| {
        let mut text = vectors["from_client"][0][key].as_str().unwrap().to_owned();
        for (node, port, path) in [(&nodes[0], 28931, "/srv/lt/a"), (&nodes[1], 28932, "/srv/lt/b")] {
            let (before, file) = (format!("127.0.0.1:{port}"), node.file("x"));
            assert!(text.contains(&before) && text.contains(path));
            text = text.replace(&before, &node.address().to_string()).replace(path, file.to_str().unwrap());
        }
        text
    };
    let (stdin, stdout) = (of_today("stdin"), of_today("stdout"));
    (nodes, stdin, stdout)
}

#[test]
fn ltclient_prints_what_it_printed() {
    for args in [&["source"][..], &["--wire", "1", "source"]] {
        let lab = Lab::new();
        lab.source(300_000);
        let (nodes, stdin, stdout) = recording(&lab);
        let finished = ltclient(&lab, args, &stdin).expect(0);
        assert_eq!((finished.stdout, finished.stderr.as_str()), (stdout, ""));
        for node in nodes {
            assert!(std::fs::read(node.file("x")).unwrap() == content(300_000));
        }
    }
}

#[test]
fn ltclient_names_who_did_not_get_it() {
    let lab = Lab::new();
    lab.source(10);
    let node = lab.node("node");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stdin = format!("{nobody}/a\n{}\n{}/etc/x\n", node.destination("a"), node.address());
    let finished = ltclient(&lab, &["source"], &stdin).expect(0);
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(
        lines[..3],
        [
            format!("{nobody} /a"),
            format!("{} {}", node.address(), node.file("a").display()),
            format!("{} /etc/x", node.address()),
        ]
    );
    assert!(lines[3].starts_with(&format!("ERROR: {nobody}/a 505 ")), "{}", lines[3]);
    assert!(lines[4].starts_with(&format!("ERROR: {}/etc/x 513 ", node.address())), "{}", lines[4]);
    assert_eq!(lines[5..], ["Succesfully sent to 1"]);
}

#[test]
fn ltclient_without_nodes_and_without_sense() {
    let lab = Lab::new();
    lab.source(10);
    assert_eq!(ltclient(&lab, &["source"], "").expect(0).stdout, "Succesfully sent to 0\n");
    ltclient(&lab, &["source"], "nonsense\n").expect_usage(&["line 1 of standard input", "nonsense"]);
    ltclient(&lab, &[], "").expect_usage(&["file", "ltclient --help"]);
    ltclient(&lab, &["nowhere"], "h:1/a\n").expect_usage(&["nowhere"]);
    lab.write_ini("[security]\npassword = nimbus\n");
    ltclient(&lab, &["source"], "").expect_usage(&["nimbus"]);
    assert_eq!(
        ltclient(&lab, &["--weak-password", "source"], "").expect(0).stdout,
        "Succesfully sent to 0\n"
    );
    assert!(ltclient(&lab, &["-h"], "").expect(0).stdout.starts_with("Usage: ltclient"));
}

/// Starts `ltserver` for one connection, as xinetd does.
fn ltserver(lab: &Lab, connection: TcpStream) -> Child {
    let connection = OwnedFd::from(connection);
    let mut command = called(lab, "ltserver");
    command.stdout(connection.try_clone().unwrap()).stdin(connection).stderr(Stdio::null());
    command.spawn().unwrap()
}

#[test]
fn ltserver_takes_the_connection_that_xinetd_gives_it() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    std::fs::create_dir(&root).unwrap();
    lab.write_ini(&format!("{INI}[node]\nroots = {}\n", root.display()));
    lab.source(300_000);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stdin = format!("{}{}/a\n", listener.local_addr().unwrap(), root.display());
    let over = AtomicBool::new(false);
    let servers = std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let finished = ltclient(&lab, &["source"], &stdin);
            over.store(true, Ordering::Release);
            drop(TcpStream::connect(listener.local_addr().unwrap()));
            finished
        });
        let mut servers = Vec::new();
        loop {
            let connection = listener.accept().unwrap().0;
            if over.load(Ordering::Acquire) {
                break;
            }
            servers.push(ltserver(&lab, connection));
        }
        let finished = sending.join().unwrap().expect(0);
        assert!(finished.stdout.ends_with("\nSuccesfully sent to 1\n"), "{}", finished.stdout);
        servers
    });
    assert!(std::fs::read(root.join("a")).unwrap() == content(300_000));
    for mut child in servers {
        wait_until("ltserver has ended", || child.try_wait().unwrap().is_some());
    }
}

fn waiting(id: &str) -> serde_json::Value {
    request(id, &value!({}))
}

fn ended(id: &str, state: &str, code: u16, reason: &str) -> serde_json::Value {
    request(id, &value!({ "state": state, "outcome": { "code": code, "reason": reason } }))
}

fn acknowledged() -> Reply {
    Reply::Http(204, "", String::new())
}

/// Runs `ltrequest` with an agent that gives these answers, and returns what it printed and what it asked.
fn ltrequest(args: &[&str], script: Vec<Reply>) -> (String, Vec<String>) {
    let lab = Lab::empty();
    let agent = FakeAgent::socket(&lab.home().join("agent.sock"), script);
    let finished = finish_ltrequest(called(&lab, "lt-request"), args);
    (finished, agent.lines())
}

fn finish_ltrequest(mut command: Command, args: &[&str]) -> String {
    command.args(args);
    // ssh would take any other status for a failure of its own.
    let finished = finish(command).expect(0);
    assert_eq!(finished.stderr, "");
    finished.stdout
}

#[test]
fn ltrequest_waits_for_the_file() {
    let (line, asked) = ltrequest(
        &["/s", "/d", "r", "h:1"],
        vec![json(201, waiting("r")), json(200, done("r")), acknowledged()],
    );
    assert_eq!(line, "0,True,Success\n");
    assert_eq!(asked, ["POST /v1/requests", "GET /v1/requests/r?wait=60", "POST /v1/requests/r/ack"]);

    let (line, asked) = ltrequest(
        &["/s", "/d", "r", "h"],
        vec![json(201, ended("r", "failed", 503, "disk, full\nof it")), acknowledged()],
    );
    assert_eq!(line, "1,True,503 cannot open output: disk; full\\u{a}of it\n");
    assert_eq!(asked.len(), 2);
}

#[test]
fn ltrequest_looks_in_now_and_then() {
    let (line, asked) = ltrequest(&["-n", "/s", "/d", "r", "h"], vec![json(201, waiting("r"))]);
    assert_eq!((line.as_str(), asked.len()), ("0,False,None\n", 1));

    let attempt = value!({
        "transfer": null, "started": "2026-11-22T03:04:05.678Z", "ended": "2026-11-22T03:04:06.678Z",
        "code": 505, "reason": "no route",
    });
    let tried = request("r", &value!({ "attempts": [attempt] }));
    let (line, asked) = ltrequest(&["--nonblock", "--reattach", "r"], vec![json(200, tried)]);
    assert_eq!(line, "0,False,505 cannot connect to next: no route\n");
    assert_eq!(asked, ["GET /v1/requests/r"]);

    let (line, asked) = ltrequest(&["-na", "r"], vec![json(200, done("r")), acknowledged()]);
    assert_eq!((line.as_str(), asked.len()), ("0,True,Success\n", 2));

    let script = vec![json(200, waiting("r")), json(200, waiting("r")), json(200, done("r")), acknowledged()];
    let (line, asked) = ltrequest(&["-a", "r"], script);
    assert_eq!((line.as_str(), asked.len()), ("0,True,Success\n", 4));
}

#[test]
fn ltrequest_cancels() {
    let cancelled = || ended("r", "cancelled", 524, "cancelled");
    let (line, asked) = ltrequest(
        &["--nonblock", "--cancel", "--reattach", "r"],
        vec![json(200, cancelled()), acknowledged()],
    );
    assert_eq!(line, "1,True,524 cancelled\n");
    assert_eq!(asked, ["DELETE /v1/requests/r", "POST /v1/requests/r/ack"]);

    let script = vec![json(202, waiting("r")), json(200, cancelled()), acknowledged()];
    assert_eq!(ltrequest(&["-c", "-a", "r"], script).0, "1,True,524 cancelled\n");
    let (line, asked) = ltrequest(&["-nca", "r"], vec![json(202, waiting("r"))]);
    assert_eq!((line.as_str(), asked.len()), ("0,False,None\n", 1));
    let (line, _) = ltrequest(&["-ca", "r"], vec![json(200, done("r")), acknowledged()]);
    assert_eq!(line, "0,True,Success\n", "it came too late");
}

#[test]
fn ltrequest_goes_wrong() {
    let refused = |status, detail| ltrequest(&["-na", "r"], vec![problem(status, detail)]).0;
    assert_eq!(refused(404, "there is no request r; look"), "1,True,there is no request r; look\n");
    assert!(refused(507, "disk full").starts_with("1,False,disk full"));
    let busy = || problem(503, "too many");
    let (line, asked) = ltrequest(&["-n", "/s", "/d", "r", "h"], vec![busy(), busy(), busy()]);
    assert_eq!((line.as_str(), asked.len()), ("1,False,too many; try again later\n", 3));

    for (args, part) in [
        (&["/s", "/d", "r"][..], "there are 3"),
        (&["/s", "/d", "r", ":1"], "SSH_CLIENT"),
        (&["-c"], "-a RID"),
        (&["-x"], "-x"),
    ] {
        let (line, _) = ltrequest(args, vec![]);
        assert!(line.starts_with("1,True,") && line.contains(part) && line.lines().count() == 1, "{line}");
    }

    let lab = Lab::empty();
    let mut command = called(&lab, "ltrequest");
    command.args(["/s", "/d"]).arg(OsStr::from_bytes(b"/\xff"));
    let line = finish_ltrequest(command, &["h"]);
    assert!(line.starts_with("1,True,the argument") && line.contains("UTF-8"), "{line}");

    lab.write_ini(&format!("{INI}[agent]\nurl = ./gone.sock\n"));
    let line = finish_ltrequest(called(&lab, "ltrequest"), &["-n", "-a", "r"]);
    assert!(line.starts_with("1,False,cannot reach the agent at ./gone.sock"), "{line}");
    lab.write_ini("no ini file");
    let line = finish_ltrequest(called(&lab, "ltrequest"), &["-n", "-a", "r"]);
    assert!(line.starts_with("1,False,"), "{line}");
}

#[test]
fn ltrequest_finds_out_who_asks() {
    let lab = Lab::empty();
    let script = vec![json(201, waiting("r"))];
    let agent = FakeAgent::socket(&lab.home().join("agent.sock"), script);
    let mut command = called(&lab, "lt-request.sh");
    command.env("SSH_CLIENT", "10.0.0.9 4711 22");
    finish_ltrequest(command, &["--nonblock", "a.img", "/d", "r", ":99"]);
    let body: serde_json::Value = serde_json::from_str(&agent.finish()[0].body).unwrap();
    let source = lab.path().canonicalize().unwrap().join("a.img");
    let whole = value!({ "source": source, "destination": "/d", "host": "10.0.0.9", "port": 99, "id": "r" });
    assert_eq!(body, whole);
}

/// As the scripts of Nimbus take the line apart: by awk, at the commas, out of a variable without quotes.
#[test]
fn ltrequest_says_what_scripts_can_read() {
    let lab = Lab::empty();
    let script = vec![json(200, ended("r", "failed", 503, "a, b * c")), acknowledged()];
    let agent = FakeAgent::socket(&lab.home().join("agent.sock"), script);
    let link = called(&lab, "ltrequest").get_program().to_owned();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r#"set -f
        out=`"$0" --nonblock --reattach r` || exit 9
        rc=`echo $out | awk -F , '{ print $1 }'`
        done=`echo $out | awk -F , '{ print $2 }'`
        message=`echo $out | awk -F , '{ print $3 }'`
        [ $rc -ne 0 ] && [ "X$done" = XTrue ] && echo "$message""#,
    ]);
    command.arg(link).env("LANTORRENT_HOME", lab.home());
    assert_eq!(finish(command).expect(0).stdout, "503 cannot open output: a; b * c\n");
    agent.finish();
}
