//! Replays the committed corpora of this crate's fuzz targets.

#[path = "common/replay.rs"]
mod replay;

use lantorrent_swarm::fuzz;
use replay::Target;

const TARGETS: [Target; 8] = [
    ("bencode", fuzz::bencode),
    ("dht", fuzz::dht),
    ("lpd", fuzz::lpd),
    ("metainfo", fuzz::metainfo),
    ("peer_wire", fuzz::peer_wire),
    ("swarm", fuzz::swarm),
    ("tracker_reply", fuzz::tracker_reply),
    ("tracker_request", fuzz::tracker_request),
];

#[test]
fn every_input_of_every_target_passes() {
    replay::every_input(&TARGETS, "lantorrent_swarm");
}

#[test]
fn any_short_input_passes() {
    replay::any_short_input(&TARGETS);
}
