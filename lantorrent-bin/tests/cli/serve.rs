//! `lantorrent serve` itself.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use crate::common::{Finished, Lab, Node, content, names, signal, wait_until};

#[test]
fn it_stops_when_told() {
    let lab = Lab::new();
    for name in ["TERM", "INT"] {
        assert_eq!(lab.node("node").stop(name).code(), Some(0), "{name}");
    }
}

#[test]
fn an_event_loop_serves_as_threads_do() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let mut command = lab.command(["serve", "--event-loop", "--listen", "127.0.0.1:0", "--root"]);
    command.arg(&root);
    let mut node = Node::start(command, root);
    let other = lab.node("other");
    let source = lab.source(1_000_000);
    lab.send(&source, &[node.destination("a"), other.destination("a")], &[]).expect(0);
    assert!([&node, &other].iter().all(|node| std::fs::read(node.file("a")).unwrap() == content(1_000_000)));
    let threads = std::fs::read_dir(format!("/proc/{}/task", node.pid())).unwrap().count();
    assert!(threads < 24, "{threads} threads: the loop, those for files, and one for signals");
    assert!(node.stop("TERM").success());
    lab.run(["serve", "--event-loop", "--inetd", "--root", "/tmp"])
        .expect_usage(&["--inetd", "--event-loop"]);
}

#[test]
fn without_descriptors_left_an_event_loop_waits_until_there_are() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    let log = lab.home().join("log/lantorrent.log");
    std::fs::create_dir(&root).unwrap();
    lab.write_ini(&format!(
        "{}[log]\nfile = @LANTORRENT_HOME@/log/@PGM@.log\n[node]\nconnections = 1000\ngreetings = 1000\n",
        crate::common::INI
    ));
    let mut command = lab.command_at(
        "/bin/sh".as_ref(),
        ["-c", "ulimit -n 40; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_lantorrent"), "serve", "--event-loop"],
    );
    command.args(["--listen", "127.0.0.1:0", "--root"]).arg(&root);
    let mut node = Node::start(command, root);
    let strangers: Vec<_> = (0..60).map(|_| TcpStream::connect(node.address()).unwrap()).collect();
    let says = |words: &str| std::fs::read_to_string(&log).is_ok_and(|log| log.contains(words));
    wait_until("it says so", || says("cannot accept connections for now"));
    drop(strangers);
    wait_until("it goes on", || says("connections can be accepted again"));
    lab.send(&lab.source(1000), &[node.destination("a")], &[]).expect(0);
    assert_eq!(std::fs::read(node.file("a")).unwrap(), content(1000));
    assert!(node.stop("TERM").success());
}

#[test]
fn it_stops_with_its_parent() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let mut command = lab.command(["serve", "--until-eof", "--listen", "127.0.0.1:0", "--root"]);
    // Nothing on standard input is its end.
    command.arg(&root).stdin(Stdio::null());
    assert_eq!(Node::start(command, root).end().code(), Some(0));
}

#[test]
fn the_port_is_taken() {
    let lab = Lab::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = lab.run(["serve", "--root", "/tmp", "--listen", &address]);
    assert_ne!(finished.status, Some(0));
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.starts_with("lantorrent: ") && finished.stderr.contains(&address),
        "{finished:?}"
    );
    assert!(finished.stderr.contains(';'), "there is no advice in: {}", finished.stderr);
}

#[test]
fn what_the_configuration_says() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    let log = lab.home().join("log/lantorrent.log");
    std::fs::create_dir(&root).unwrap();
    lab.write_ini(&format!(
        "{}[log]\nfile = @LANTORRENT_HOME@/log/@PGM@.log\nlevel = debug\n\
         [node]\nlisten = 127.0.0.1:0\nroots = {}\nsync = no\nconnections = 3\n",
        crate::common::INI,
        root.display()
    ));
    let mut node = Node::start(lab.command(["serve"]), root);
    let source = lab.source(1000);
    lab.send(&source, &[node.destination("a")], &[]).expect(0);
    assert_eq!(std::fs::read(node.file("a")).unwrap(), content(1000));

    // What the command line says comes first.
    let other = lab.node("other");
    assert_eq!(lab.send(&source, &[other.destination("a")], &["--json"]).expect(0).codes(), [0]);
    let outside = format!("{}{}", other.address(), node.file("b").display());
    assert_eq!(lab.send(&source, &[outside], &["--json"]).expect(1).codes(), [513]);

    assert!(node.stop("TERM").success());
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!("listening on {}", node.address())), "{log}");
    assert!(log.contains(&format!("{}: whole", node.file("a").display())), "{log}");
    assert!(!log.contains(crate::common::PASSWORD) && !log.contains(crate::common::WIRE_1_PASSWORD));
}

#[test]
fn the_log_cannot_be_written() {
    let lab = Lab::new();
    lab.write_ini(&format!("{}[log]\nfile = /proc/nowhere/log\n", crate::common::INI));
    lab.run(["serve", "--root", "/tmp"]).expect_usage(&["/proc/nowhere/log", "[log]"]);
}

#[test]
fn one_connection_on_standard_input() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let destination = format!("{}{}/a", listener.local_addr().unwrap(), root.display());
    let mut command = lab.command(["serve", "--inetd", "--root"]);
    command.arg(&root);
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // As xinetd does it: the connection is all there is.
        let fd = || OwnedFd::from(stream.try_clone().unwrap());
        command.stdin(fd()).stdout(fd()).stderr(fd()).status().unwrap()
    });
    let source = lab.source(1_000_000);
    assert_eq!(lab.send(&source, &[destination], &["--json", "--no-check"]).expect(0).codes(), [0]);
    assert!(server.join().unwrap().success());
    assert_eq!(names(&root), ["a"]);
    assert!(std::fs::read(root.join("a")).unwrap() == content(1_000_000));
}

#[test]
fn one_connection_is_stopped_when_told() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = lab.command(["send", "--json", "--no-check", "-"]);
    sender.arg(format!("{}{}/a", listener.local_addr().unwrap(), root.display()));
    let mut sender =
        sender.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let stream = OwnedFd::from(listener.accept().unwrap().0);
    let mut server = lab.command(["serve", "--inetd", "--root"]);
    let mut server = server.arg(&root).stdin(stream).spawn().unwrap();
    let mut stdin = sender.stdin.take().unwrap();
    stdin.write_all(&content(1_000_000)).unwrap();
    wait_until("it has a part", || root.join("a.lantorrent").exists());

    signal("TERM", server.id());
    std::thread::sleep(Duration::from_millis(200));
    signal("TERM", server.id());
    assert!(server.wait().unwrap().success());
    assert!(names(&root).is_empty());
    drop(stdin);
    assert_ne!(Finished::of(sender).expect(1).codes(), [0]);
}

#[test]
fn errors_do_not_go_to_the_peer() {
    use std::io::Read;
    let lab = Lab::empty();
    lab.write_ini("[security]\npassword =\n");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let fd = || OwnedFd::from(stream.try_clone().unwrap());
    let mut command = lab.command(["serve", "--inetd", "--root", "/"]);
    command.stdin(fd()).stdout(fd()).stderr(fd());
    assert_eq!(command.status().unwrap().code(), Some(2));
    drop((command, stream));
    let mut said = String::new();
    peer.read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
}
