//! Nodes under xinetd and socat, which start a process for each connection.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::common::{Finished, INI, Lab, content, names, wait_until};
use crate::programs::{self, Server, is_there};

const SIZE: usize = 24 << 20;
/// Half-way is half-way for some time.
const RATE: &str = "16M";

struct Node {
    server: Server,
    root: PathBuf,
}

impl Node {
    fn destination(&self) -> String {
        format!("127.0.0.1:{}{}", self.server.port, self.root.join("a").display())
    }

    fn has_half(&self) -> bool {
        fs::metadata(self.root.join("a.lantorrent")).is_ok_and(|partial| partial.len() > SIZE as u64 / 2)
    }

    #[track_caller]
    fn assert_whole(&self) {
        assert!(fs::read(self.root.join("a")).unwrap() == content(SIZE), "{}", self.root.display());
        assert_eq!(names(&self.root), ["a"]);
    }
}

/// Ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn send(lab: &Lab, nodes: &[Node]) -> Child {
    let mut command = lab.command(["send", "--json", "--limit", RATE]);
    command.arg(lab.path().join("source")).args(nodes.iter().map(Node::destination));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Three nodes that were asked whether they could have the file.
fn three(lab: &Lab, start: fn(&Lab, &str) -> Server) -> Vec<Node> {
    lab.source(SIZE);
    let start = |name: &str| {
        let home = lab.path().join(format!("{name}-home/etc"));
        fs::create_dir_all(&home).unwrap();
        fs::copy(lab.ini(), home.join("lt.ini")).unwrap();
        fs::create_dir(lab.path().join(name)).unwrap();
        Node { server: start(lab, name), root: lab.path().join(name) }
    };
    let nodes: Vec<Node> = ["one", "two", "three"].into_iter().map(start).collect();
    let destinations = nodes.iter().map(Node::destination);
    lab.run(std::iter::once("check".to_owned()).chain(destinations)).expect(0);
    nodes
}

/// A second sender of the same file goes on where the first one is.
fn two_senders(lab: &Lab, nodes: &[Node]) {
    let first = send(lab, nodes);
    wait_until("all have half of it", || nodes.iter().all(Node::has_half));
    let second = Finished::of(send(lab, nodes)).expect(0);
    assert_eq!(second.codes(), [0, 0, 0]);
    // It may have reached some before.
    let first = Finished::of(first).codes();
    assert!(first.iter().all(|code| [0, 523].contains(code)) && first.contains(&523), "{first:?}");
    for node in nodes {
        node.assert_whole();
        fs::remove_file(node.root.join("a")).unwrap();
    }
}

/// A sender that is killed leaves what the next one goes on with.
fn resume(lab: &Lab, nodes: &[Node]) {
    let first = Running(send(lab, nodes));
    wait_until("all have half of it", || nodes.iter().all(Node::has_half));
    drop(first);
    assert_eq!(Finished::of(send(lab, nodes)).expect(0).codes(), [0, 0, 0]);
    for node in nodes {
        node.assert_whole();
        fs::remove_file(node.root.join("a")).unwrap();
    }
}

/// The one in the middle is cancelled.
fn cancel(lab: &Lab, nodes: &[Node]) {
    let folder = lab.path().display();
    lab.write_ini(&format!(
        "{INI}[db]\nfile = {folder}/queue\n[agent]\nrepository = {folder}\nwait = 0.5\nlimit = {RATE}\nlisten = 127.0.0.1:0\n"
    ));
    let mut agent = lab.command(["agent"]);
    let mut agent = Running(agent.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(agent.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.split(' ').nth(2).expect("it listens").to_owned();
    let source = lab.path().join("source").display().to_string();
    let requests: Vec<Child> = nodes
        .iter()
        .enumerate()
        .map(|(number, node)| {
            let id = format!("r{number}");
            let destination = node.destination();
            let args = ["request", &source, &destination, "--id", &id, "--agent", &url];
            let mut command = lab.command(args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    wait_until("all have half of it", || nodes.iter().all(Node::has_half));
    // The command that waits for the request may hear of its end first, and have the agent forget it.
    let cancelled = lab.run(["cancel", "r1", "--agent", &url]);
    let forgotten = cancelled.stderr.contains("it was acknowledged");
    assert!(forgotten || cancelled.status == Some(0), "{}", cancelled.stderr);
    assert!(names(&nodes[1].root).is_empty(), "{:?}", names(&nodes[1].root));
    for (request, status) in requests.into_iter().zip([0, 1, 0]) {
        Finished::of(request).expect(status);
    }
    nodes[0].assert_whole();
    nodes[2].assert_whole();
    assert!(names(&nodes[1].root).is_empty(), "{:?}", names(&nodes[1].root));
}

fn serves_a_chain(program: &str, start: fn(&Lab, &str) -> Server) {
    if is_there(program) {
        let lab = Lab::new();
        let nodes = three(&lab, start);
        two_senders(&lab, &nodes);
        resume(&lab, &nodes);
        cancel(&lab, &nodes);
    }
}

#[test]
fn xinetd_serves_a_chain() {
    serves_a_chain("xinetd", programs::xinetd);
}

#[test]
fn socat_serves_a_chain() {
    serves_a_chain("socat", programs::socat);
}
