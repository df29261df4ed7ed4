//! Files that arrive.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::common::{Finished, Lab, Node, content, names};

const BYTES: usize = 3_000_001;

/// Every name is in the node's folder, whole, and nothing else is.
#[track_caller]
fn assert_holds(node: &Node, files: &[&str], expected: &[u8]) {
    assert_eq!(names(node.root()), files);
    for file in files {
        assert!(std::fs::read(node.file(file)).unwrap() == expected, "{file} differs");
    }
}

#[test]
fn down_a_chain_with_three_files_on_one_node() {
    let lab = Lab::new();
    let nodes = lab.nodes(4);
    let source = lab.source(BYTES);
    let mut destinations: Vec<String> = nodes.iter().map(|node| node.destination("a.img")).collect();
    destinations.extend([nodes[1].destination("b.img"), nodes[1].destination("c.img")]);

    let finished = lab.send(&source, &destinations, &[]).expect(0);
    for (number, node) in nodes.iter().enumerate() {
        let files: &[&str] = if number == 1 { &["a.img", "b.img", "c.img"] } else { &["a.img"] };
        assert_holds(node, files, &content(BYTES));
    }
    let lines: Vec<&str> = finished.stdout.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["request", "node", "file", "outcome"]);
    assert_eq!(lines.len(), 1 + 6 + 1, "{}", finished.stdout);
    let column = lines[0].find("outcome").unwrap();
    for (line, destination) in lines[1..7].iter().zip(&destinations) {
        let (node, file) = destination.split_once('/').unwrap();
        assert_eq!(&line[column..], "ok", "{line}");
        assert!(line.contains(&format!(" {node} ")) && line.contains(&format!(" /{file} ")), "{line}");
    }
    assert!(lines[7].starts_with("6 of 6 succeeded, 3.0 MB in "), "{}", lines[7]);
    assert!(lines[7].ends_with(" MB/s"), "{}", lines[7]);
}

#[test]
fn json() {
    let lab = Lab::new();
    let nodes = lab.nodes(2);
    let source = lab.source(BYTES);
    let destinations = [nodes[0].destination("a"), nodes[1].destination("b"), nodes[0].destination("c")];
    let finished = lab.send(&source, &destinations, &["--json"]).expect(0);
    let (reports, summary) = finished.json();
    assert_eq!(reports.len(), 3);
    let mut ids: Vec<&str> = Vec::new();
    for (report, (node, file)) in reports.iter().zip([(0, "a"), (1, "b"), (0, "c")]) {
        assert_eq!(report["code"], 0, "{report}");
        assert_eq!(report["host"], "127.0.0.1");
        assert_eq!(report["port"], nodes[node].address().port());
        assert_eq!(report["file"], nodes[node].file(file).to_str().unwrap());
        assert!(report["message"].is_string());
        ids.push(report["id"].as_str().unwrap());
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(summary["requests"], 3);
    assert_eq!(summary["succeeded"], 3);
    assert_eq!(summary["failed"], 0);
    assert_eq!(summary["bytes"], BYTES);
    assert!(summary["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn zeros_that_are_looked_for_take_no_room() {
    let lab = Lab::new();
    let nodes = lab.nodes(2);
    let source = lab.path().join("zeros");
    let mut bytes = vec![0; 4 << 20];
    bytes[1 << 20] = 1;
    std::fs::write(&source, &bytes).unwrap();
    let destinations: Vec<String> = nodes.iter().map(|node| node.destination("a.img")).collect();
    for (arguments, sparse) in [(&["--detect-zeros"][..], true), (&[], false)] {
        lab.send(&source, &destinations, arguments).expect(0);
        for node in &nodes {
            assert_holds(node, &["a.img"], &bytes);
            let room = std::fs::metadata(node.file("a.img")).unwrap().blocks() * 512;
            assert_eq!(room < 1 << 20, sparse, "{room} bytes of room");
        }
    }
}

#[test]
fn nodes_from_a_file_and_from_standard_input() {
    let lab = Lab::new();
    let nodes = lab.nodes(3);
    let source = lab.source(BYTES);
    let list =
        |name| format!("# nodes\n\n  {}\r\n#x\n{}", nodes[1].destination(name), nodes[2].destination(name));
    let file = lab.path().join("list");
    std::fs::write(&file, list("a")).unwrap();
    let first = [nodes[0].destination("a")];
    let finished = lab.send(&source, &first, &["--json", "--nodes", file.to_str().unwrap()]).expect(0);
    assert_eq!(finished.codes(), [0, 0, 0]);

    let mut command = lab.command(["send", "source", "--json", "--nodes=-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(list("b").as_bytes()).unwrap();
    assert_eq!(Finished::of(child).expect(0).codes(), [0, 0]);
    assert_holds(&nodes[0], &["a"], &content(BYTES));
    assert_holds(&nodes[1], &["a", "b"], &content(BYTES));
    assert_holds(&nodes[2], &["a", "b"], &content(BYTES));
}

#[test]
fn from_standard_input() {
    let lab = Lab::new();
    let nodes = lab.nodes(2);
    for (name, bytes) in [("stream", BYTES), ("empty", 0)] {
        let mut command = lab.command(["send", "--json", "-"]);
        command.args(nodes.iter().map(|node| node.destination(name)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&content(bytes)).unwrap());
        let finished = Finished::of(child).expect(0);
        writer.join().unwrap();
        assert_eq!(finished.codes(), [0, 0]);
        assert_eq!(finished.json().1["bytes"], bytes);
        for node in &nodes {
            assert!(std::fs::read(node.file(name)).unwrap() == content(bytes));
        }
    }
}

#[test]
fn an_empty_file() {
    let lab = Lab::new();
    let nodes = lab.nodes(2);
    let source = lab.source(0);
    let destinations: Vec<String> = nodes.iter().map(|node| node.destination("empty")).collect();
    for wire in ["1", "2"] {
        lab.send(&source, &destinations, &["--wire", wire]).expect(0);
        for node in &nodes {
            assert_holds(node, &["empty"], b"");
            std::fs::remove_file(node.file("empty")).unwrap();
        }
    }
}

#[test]
fn on_wire_1() {
    let lab = Lab::new();
    let nodes = lab.nodes(3);
    let source = lab.source(BYTES);
    let destinations: Vec<String> = nodes.iter().map(|node| node.destination("a")).collect();
    let finished = lab.send(&source, &destinations, &["--wire=1", "--json"]).expect(0);
    assert_eq!(finished.codes(), [0, 0, 0]);
    for report in finished.json().0 {
        assert_eq!(report["md5sum"].as_str().unwrap().len(), 32);
    }
    for node in &nodes {
        assert_holds(node, &["a"], &content(BYTES));
    }
}

#[test]
fn down_a_tree() {
    let lab = Lab::new();
    let nodes = lab.nodes(7);
    let source = lab.source(BYTES);
    for (wire, name) in [("1", "one"), ("2", "two")] {
        let destinations: Vec<String> = nodes.iter().map(|node| node.destination(name)).collect();
        let more = ["--degree", "2", "--json", "--wire", wire];
        assert_eq!(lab.send(&source, &destinations, &more).expect(0).codes(), [0; 7]);
    }
    for node in &nodes {
        assert_holds(node, &["one", "two"], &content(BYTES));
    }
}

#[test]
fn in_place_keeps_the_file_that_is_there() {
    let lab = Lab::new();
    let node = lab.node("node");
    let source = lab.source(BYTES);
    let inode = || std::fs::metadata(node.file("disk")).unwrap().ino();
    std::fs::write(node.file("disk"), b"old").unwrap();
    let before = inode();
    lab.send(&source, &[node.destination("disk")], &["--in-place"]).expect(0);
    assert_holds(&node, &["disk"], &content(BYTES));
    assert_eq!(inode(), before);

    lab.send(&source, &[node.destination("disk")], &[]).expect(0);
    assert_holds(&node, &["disk"], &content(BYTES));
    assert_ne!(inode(), before);
}

#[test]
fn quiet_says_nothing() {
    let lab = Lab::new();
    let node = lab.node("node");
    let source = lab.source(BYTES);
    let finished = lab.send(&source, &[node.destination("a")], &["--quiet"]).expect(0);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("", ""));
    // What is asked for on standard output still comes.
    let finished = lab.send(&source, &[node.destination("a")], &["--quiet", "--json"]).expect(0);
    assert_eq!((finished.codes(), finished.stderr.as_str()), (vec![0], ""));
}

#[test]
fn nobody_reads_the_table() {
    let lab = Lab::new();
    let node = lab.node("node");
    lab.source(BYTES);
    let mut command = lab.command(["send", "source"]);
    command.arg(node.destination("a")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    Finished::of(child).expect(0);
    assert_holds(&node, &["a"], &content(BYTES));
}
