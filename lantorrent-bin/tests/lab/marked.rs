//! Packets are marked as they are asked to be, on hosts that let nothing else pass.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::folder::Folder;
use crate::harness::network::Lab;
use crate::harness::node::Node;
use crate::harness::program::Program;
use crate::harness::sender::{Ended, Sender};
use crate::harness::turn::Turn;
use crate::harness::{SCALE, Scale};

/// The one that is asked for, and the type of service that it makes. (Routing rules of older kernels know few.)
const DSCP: &str = "2";
const TYPE_OF_SERVICE: u8 = 2 << 2;
const SMALL: Scale = Scale { nodes: 2, size: 1 << 20, ..SCALE };
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a file along a chain of hosts that take nothing but what is marked.
fn send(lab: &Lab, folder: &Folder, options: &[&str], nodes_mark: bool) -> Ended {
    let source = folder.path().join("source");
    fs::write(&source, vec![7; SMALL.size as usize]).expect("the source");
    let more = if nodes_mark { format!("[node]\ndscp = {DSCP}\n") } else { String::new() };
    let nodes = (1..=SMALL.nodes).map(|host| {
        let name = format!("node-{host}");
        let root = folder.path().join(&name);
        fs::create_dir_all(&root).expect("a folder for a node");
        Node::start_as(lab, host, &root, Program::new(folder.path(), &name, &more), None)
    });
    let nodes: Vec<Node> = nodes.collect();
    let program = Program::new(folder.path(), "sender", "");
    Sender::start(lab, &program, options, &source, &nodes).finish(Instant::now() + LIMIT)
}

#[test]
fn all_packets_are_marked() {
    let _turn = Turn::take();
    let Some(lab) = Lab::new(SMALL.nodes + 1, SMALL.rate) else { return };
    let Some(folder) = Folder::new(SMALL) else { return };
    let succeeds = |options: &[&str], nodes_mark| {
        let ended = send(&lab, &folder, options, nodes_mark);
        println!("{options:?}, nodes mark: {nodes_mark}\n{}", ended.output);
        ended.status.expect("it ends in time").success()
    };
    (0..=SMALL.nodes).for_each(|host| lab.take_only(host, TYPE_OF_SERVICE));
    assert!(succeeds(&["--dscp", DSCP], true));
    // As a node marks what it says, nobody hears of one that does not; and nobody hears a sender that does not.
    assert!(!succeeds(&["--dscp", DSCP], false));
    assert!(!succeeds(&[], true));
}
