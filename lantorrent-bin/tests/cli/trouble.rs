//! What does not arrive, and that it is said exactly.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, ChildStdin, Stdio};

use crate::common::{Finished, Lab, Node, content, names, signal, wait_until};

const BYTES: usize = 2_000_003;

/// A `send -` that has sent half of its content to `nodes`, and waits for the rest.
struct Halfway {
    child: Child,
    stdin: ChildStdin,
}

impl Halfway {
    fn start(lab: &Lab, nodes: &[&Node]) -> Self {
        let mut command = lab.command(["send", "--json", "-"]);
        command.args(nodes.iter().map(|node| node.destination("a")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&content(BYTES / 2)).unwrap();
        stdin.flush().unwrap();
        for node in nodes {
            let partial = node.file("a.lantorrent");
            wait_until("the node has a part", || {
                std::fs::metadata(&partial).is_ok_and(|data| data.len() > 100_000)
            });
        }
        Self { child, stdin }
    }

    /// With the other half of its input.
    fn write_rest(self) -> Finished {
        let Self { child, mut stdin } = self;
        stdin.write_all(&content(BYTES)[BYTES / 2..]).unwrap();
        drop(stdin);
        Finished::of(child)
    }

    /// Without an end of its input.
    fn finish(self) -> Finished {
        let finished = Finished::of(self.child);
        drop(self.stdin);
        finished
    }
}

/// An address on which nobody listens.
fn nobody() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn one_node_is_dead() {
    let lab = Lab::new();
    let nodes = lab.nodes(3);
    let source = lab.source(BYTES);
    let dead = nobody();
    for (wire, name) in [("2", "two"), ("1", "one")] {
        let destinations = [
            nodes[0].destination(name),
            format!("{dead}/srv/{name}"),
            nodes[1].destination(name),
            nodes[2].destination(name),
        ];
        let finished = lab.send(&source, &destinations, &["--json", "--wire", wire]).expect(1);
        assert_eq!(finished.codes(), [0, 505, 0, 0], "{}", finished.stdout);
        let (reports, summary) = finished.json();
        assert_eq!(reports[1]["port"], dead.port());
        assert_eq!(reports[1]["file"], format!("/srv/{name}"));
        assert_eq!((&summary["succeeded"], &summary["failed"]), (&3.into(), &1.into()));
        for node in &nodes {
            assert!(std::fs::read(node.file(name)).unwrap() == content(BYTES));
        }
    }
}

#[test]
fn nobody_is_there() {
    let lab = Lab::new();
    let source = lab.source(BYTES);
    let destinations = [format!("{}/a", nobody()), format!("{}/b", nobody())];
    assert_eq!(lab.send(&source, &destinations, &["--json"]).expect(1).codes(), [505, 505]);

    let finished = lab.send(&source, &destinations, &[]).expect(1);
    assert!(finished.stdout.contains("0 of 2 succeeded"), "{}", finished.stdout);
    let finished = lab.send(&source, &destinations, &["--quiet"]).expect(1);
    assert_eq!(finished.stdout, "");
    let lines: Vec<&str> = finished.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{}", finished.stderr);
    for (line, destination) in lines.iter().zip(&destinations) {
        let (address, _) = destination.split_once('/').unwrap();
        assert!(line.starts_with("lantorrent: ") && line.contains(address) && line.contains("505"), "{line}");
    }
}

#[test]
fn a_name_that_means_nothing() {
    let lab = Lab::new();
    let node = lab.node("node");
    let source = lab.source(BYTES);
    let destinations = ["does-not-exist.invalid/a".to_owned(), node.destination("a")];
    let finished = lab.send(&source, &destinations, &["--json"]).expect(1);
    assert_ne!(finished.codes()[0], 0);
    assert_eq!(finished.codes()[1], 0);
}

#[test]
fn another_password() {
    let lab = Lab::new();
    let nodes = lab.nodes(2);
    let other = Lab::empty();
    other.write_ini("[security]\npassword = quite another password\n");
    let stranger = other.node("node");
    let source = lab.source(BYTES);
    let destinations = [nodes[0].destination("a"), stranger.destination("a"), nodes[1].destination("a")];
    let finished = lab.send(&source, &destinations, &["--json"]).expect(1);
    assert_eq!(finished.codes(), [0, 508, 0], "{}", finished.stdout);
    assert!(names(stranger.root()).is_empty());
    assert_eq!(lab.send(&source, &destinations[1..2], &["--json"]).expect(1).codes(), [508]);
}

#[test]
fn wire_1_is_off_without_a_password_for_it() {
    let lab = Lab::new();
    let node_lab = Lab::empty();
    node_lab.write_ini(&format!("[security]\npassword = {}\n", crate::common::PASSWORD));
    let node = node_lab.node("node");
    let source = lab.source(BYTES);
    let finished = lab.send(&source, &[node.destination("a")], &["--json", "--wire", "1"]).expect(1);
    assert_eq!(finished.codes(), [508]);
    assert!(names(node.root()).is_empty());
}

#[test]
fn what_a_peer_says_is_no_command_for_the_terminal() {
    const REPLY: &str = r#"{"code":503,"host":"h","port":1,"file":"/a","id":"0","message":"\u001b[2J\u009bgone\r\n","md5sum":""}"#;
    let lab = Lab::new();
    let source = lab.source(1000);
    // Results of wire 1 bear no proof of who made them: anybody on the way can be the one who says it.
    let liar = TcpListener::bind("127.0.0.1:0").unwrap();
    let destination = [format!("{}/a", liar.local_addr().unwrap())];
    std::thread::spawn(move || {
        for mut stream in liar.incoming().map(Result::unwrap) {
            let _ = stream.write_all(REPLY.as_bytes());
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    for more in [&["--wire=1"][..], &["--wire=1", "--quiet"], &["--wire=1", "--json"]] {
        let finished = lab.send(&source, &destination, more).expect(1);
        let said = [&finished.stdout, finished.stderr.as_str()].concat();
        assert!(said.contains("gone"), "{said}");
        assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
    }
}

#[test]
fn outside_the_roots() {
    let lab = Lab::new();
    let node = lab.node("root");
    let source = lab.source(BYTES);
    std::os::unix::fs::symlink(lab.path(), node.file("link")).unwrap();
    let outside = lab.path().join("outside");
    let destination = |path: &str| format!("{}{path}", node.address());
    let destinations = [
        destination(outside.to_str().unwrap()),
        destination(node.file("../outside").to_str().unwrap()),
        destination(node.file("link/outside").to_str().unwrap()),
        node.destination("no-folder/a"),
        node.destination("inside"),
    ];
    let finished = lab.send(&source, &destinations, &["--json"]).expect(1);
    assert_eq!(finished.codes(), [513, 513, 513, 503, 0], "{}", finished.stdout);
    assert!(!outside.exists());
    assert_eq!(names(node.root()), ["inside", "link"]);
    // Why, in a line that a person can read.
    let finished = lab.send(&source, &destinations[..1], &[]).expect(1);
    assert!(finished.stdout.contains("513") && finished.stdout.contains("allowed"), "{}", finished.stdout);
}

#[test]
fn the_sender_is_killed() {
    let lab = Lab::new();
    let nodes = lab.nodes(2);
    let halfway = Halfway::start(&lab, &[&nodes[0], &nodes[1]]);
    signal("KILL", halfway.child.id());
    assert_eq!(halfway.finish().status, None);
    for node in &nodes {
        wait_until("the node has cleaned up", || names(node.root()).is_empty());
    }
    // And the nodes are as good as new.
    let source = lab.source(BYTES);
    let destinations: Vec<String> = nodes.iter().map(|node| node.destination("a")).collect();
    lab.send(&source, &destinations, &[]).expect(0);
}

#[test]
fn the_sender_is_stopped() {
    for name in ["INT", "TERM"] {
        let lab = Lab::new();
        let nodes = lab.nodes(2);
        let halfway = Halfway::start(&lab, &[&nodes[0], &nodes[1]]);
        signal(name, halfway.child.id());
        let finished = halfway.finish().expect(1);
        let (reports, summary) = finished.json();
        assert_eq!((reports.len(), &summary["failed"]), (2, &2.into()), "{}", finished.stdout);
        for node in &nodes {
            wait_until("the node has cleaned up", || names(node.root()).is_empty());
        }
    }
}

#[test]
fn the_sender_is_stopped_while_nobody_answers() {
    let lab = Lab::new();
    lab.source(BYTES);
    // Connects whoever comes, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = lab.command(["send", "--json", "source"]);
    command.args(["a", "b"].map(|name| format!("{}/{name}", silent.local_addr().unwrap())));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    signal("INT", child.id());
    let codes = Finished::of(child).expect(1).codes();
    assert!(codes.len() == 2 && !codes.contains(&0), "{codes:?}");
}

#[test]
fn a_node_that_is_stopped_lets_a_transfer_end() {
    let lab = Lab::new();
    let mut nodes = lab.nodes(2);
    let halfway = Halfway::start(&lab, &[&nodes[0], &nodes[1]]);
    for node in &nodes {
        signal("TERM", node.pid());
    }
    let refused = lab.path().join("refused");
    std::fs::write(&refused, b"x").unwrap();
    wait_until("new transfers are refused", || {
        let send = ["send", "--quiet", "refused", &nodes[0].destination("late")].map(str::to_owned);
        lab.run(send).status == Some(1)
    });
    let finished = halfway.write_rest();
    assert_eq!(finished.expect(0).codes(), [0, 0]);
    for node in &mut nodes {
        assert_eq!(node.end().code(), Some(0));
        assert!(std::fs::read(node.file("a")).unwrap() == content(BYTES));
        assert!(!names(node.root()).contains(&"a.lantorrent".to_owned()));
    }
}

#[test]
fn a_node_is_stopped_in_the_middle() {
    let lab = Lab::new();
    let mut nodes = lab.nodes(2);
    let halfway = Halfway::start(&lab, &[&nodes[0], &nodes[1]]);
    // Told twice, it does not wait for the transfer.
    signal("TERM", nodes[1].pid());
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(nodes[1].stop("TERM").code(), Some(0));
    assert!(names(nodes[1].root()).is_empty());

    // The other one still gets the rest.
    let finished = halfway.write_rest().expect(1);
    let codes = finished.codes();
    assert_eq!(codes[0], 0, "{}", finished.stdout);
    assert_ne!(codes[1], 0, "{}", finished.stdout);
    assert!(std::fs::read(nodes[0].file("a")).unwrap() == content(BYTES));
    assert_eq!(nodes[0].stop("TERM").code(), Some(0));
}

#[test]
fn a_node_is_killed_in_the_middle() {
    let lab = Lab::new();
    let mut nodes = lab.nodes(3);
    let halfway = Halfway::start(&lab, &[&nodes[0], &nodes[1], &nodes[2]]);
    nodes[1].stop("KILL");
    let finished = halfway.write_rest().expect(1);
    let codes = finished.codes();
    assert_eq!(codes[0], 0, "{}", finished.stdout);
    assert!(codes[1] != 0, "{}", finished.stdout);
    assert!(std::fs::read(nodes[0].file("a")).unwrap() == content(BYTES));
    // Whatever became of those behind it: what is said to be there is there, and nothing else.
    let there = std::fs::read(nodes[2].file("a")).is_ok_and(|found| found == content(BYTES));
    assert_eq!(there, codes[2] == 0, "{}", finished.stdout);
    wait_until("no part is left", || names(nodes[2].root()).iter().all(|name| name == "a"));
}
