//! Replays the committed corpora of this crate's fuzz targets.

#[path = "common/replay.rs"]
mod replay;

use lantorrent_core::fuzz;
use replay::Target;

const TARGETS: [Target; 5] = [
    ("footer", fuzz::footer),
    ("frames", fuzz::frames),
    ("header", fuzz::header),
    ("lines", fuzz::lines),
    ("session", fuzz::session),
];

#[test]
fn every_input_of_every_target_passes() {
    replay::every_input(&TARGETS, "lantorrent_core");
}

#[test]
fn any_short_input_passes() {
    replay::any_short_input(&TARGETS);
}
