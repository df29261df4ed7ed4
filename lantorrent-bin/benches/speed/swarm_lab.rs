//! A swarm on hosts of their own, with links of a rate: everybody comes at the same moment, to one seed with a tracker beside
//! it. Against one plain copy over the same links, which is how long it takes to get the file into one host.

use std::fs;
use std::time::{Duration, Instant};

use super::harness::folder::Folder;
use super::harness::network::{Lab, address};
use super::harness::stage::make_source;
use super::harness::turn::Turn;
use super::harness::{Scale, direct_copy};
use super::swarm::{Peer, is_same, lantorrent, make_torrent};
use super::table::{Row, Section, median};

const SCALE: Scale = Scale { nodes: 32, rate: "100mbit", size: 64 << 20 };
const TRACKER: u16 = 6969;

/// How long it took until the last had everything, and what the seed's host sent for that, in bytes.
type Cost = (Duration, u64);

/// None after saying that it is skipped, where network namespaces cannot be made.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub(crate) fn measure(runs: usize) -> Option<Section> {
    let (mut direct, mut costs) = (Vec::new(), Vec::new());
    // In turns, so that a busy moment of this machine does not strike one of them alone.
    for _ in 0..runs {
        direct.push(direct_copy(SCALE)?);
        costs.push(fetch()?);
    }
    let Scale { nodes, rate, size } = SCALE;
    let row = |name: String, wall: Duration, remark: String| {
        let rate = Some(size as f64 / wall.as_secs_f64());
        Row { name, wall: Some(wall), rate, remark, ..Row::default() }
    };
    let sent = median(costs.iter().map(|(_, sent)| *sent)) as f64 / size as f64;
    let wall = median(costs.iter().map(|(wall, _)| *wall));
    let remark = format!("the seed's host sends {sent:.2} × the file");
    let mut section = Section::new(format!("swarm in the lab, {} MiB, {rate} on every link", size >> 20));
    section.rows = vec![
        row("one direct copy".into(), median(direct), String::new()),
        row(format!("the last of {nodes} nodes has everything"), wall, remark),
    ];
    Some(section)
}

fn fetch() -> Option<Cost> {
    let _turn = Turn::take();
    let lab = Lab::new(SCALE.nodes + 1, SCALE.rate)?;
    let folder = Folder::new(SCALE)?;
    let source = make_source(folder.path(), SCALE.size);
    let torrent = folder.path().join("torrent");
    let address = format!("{}:{TRACKER}", address(0));
    make_torrent(&source, &torrent, &["--tracker", &format!("http://{address}/announce")]);
    let mut command = lantorrent();
    command.args(["tracker", "--listen", &address]);
    let mut tracker = Peer::start(command, |command| lab.spawn(0, command));
    tracker.until("listening");
    let mut command = lantorrent();
    command.args(["seed", "--json", "--dir"]).arg(folder.path()).arg(&torrent);
    let mut seed = Peer::start(command, |command| lab.spawn(0, command));
    seed.until("ready");
    let node = |host: usize| folder.path().join(format!("node-{host}"));
    (1..=SCALE.nodes).for_each(|host| fs::create_dir(node(host)).expect("a folder for a node"));
    let (before, started) = (sent(&lab), Instant::now());
    let start = |host: usize| {
        let mut command = lantorrent();
        command.env("LANTORRENT_HOME", node(host)).args(["get", "--json", "--seed", "-o"]);
        command.arg(node(host)).arg(&torrent);
        Peer::start(command, |command| lab.spawn(host, command))
    };
    let mut nodes: Vec<Peer> = (1..=SCALE.nodes).map(start).collect();
    for peer in &mut nodes {
        peer.until("whole");
    }
    let cost = (started.elapsed(), sent(&lab) - before);
    drop(nodes);
    for host in 1..=SCALE.nodes {
        assert!(is_same(&source, &node(host).join("source")), "node {host} has another file");
    }
    Some(cost)
}

/// The bytes that the seed's host has sent so far.
fn sent(lab: &Lab) -> u64 {
    let text =
        lab.inside(0, || fs::read_to_string("/proc/thread-self/net/dev")).expect("the host's counters");
    let counters = text.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
    let sent = counters.and_then(|counters| counters.split_whitespace().nth(8)?.parse().ok());
    sent.expect("a counter for its link")
}
