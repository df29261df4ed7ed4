//! The target for `session`: one node, whole, between a real source and children made up from the input.

mod child;
mod claim;
mod ears;
mod files;
mod node;
mod outlet;
mod payload;
mod plane;
mod promises;
mod reports;
mod source;
mod upstreams;

use std::time::{Duration, Instant};

use super::Script;
use crate::rate::Limit;
use crate::session::{FileFault, LinkId, NodeInput, Now, Timing, UpstreamId};
use crate::wire::{Code, Keyring, Password, TransferKey, Wire};
use files::Luck;
use node::Node;
use source::Source;

const BLOCK: u32 = 4096;
const LENGTH: usize = 6 * BLOCK as usize + 100;
const FILES: usize = 2;
/// Nodes behind the one that is tested.
const BEHIND: usize = 3;
/// Of their hosts. Some have the first alone.
const ADDRESSES: [[u8; 4]; 2] = [[10, 0, 0, 2], [10, 0, 0, 3]];
/// The source's connection, by which the node is asked first.
const UPSTREAM: UpstreamId = UpstreamId(1);
/// Bytes a second, where there is a limit.
const RATE: u64 = 65536;

fn keys() -> Keyring {
    Keyring::new(Password::new("fuzz wire 2").unwrap())
        .with_wire_1(Password::new("fuzz wire 1").unwrap())
        .unwrap()
}

/// Of the source, which other upstreams serve the node for.
fn transfer_key() -> TransferKey {
    TransferKey::new(&[4; 32])
}

/// As by default, but with less time to go through.
fn timing() -> Timing {
    Timing {
        opening: Duration::from_secs(20),
        dead_after_wire_1: Duration::from_secs(20),
        finish: Duration::from_secs(20),
        ..Timing::default()
    }
}

fn fault(code: u8) -> FileFault {
    FileFault { code: Code(u16::from(code)), message: "made up".into() }
}

/// A node's session and data plane under a script of what happens: bytes from a source, whole or damaged; files that open,
/// fail and are placed; children that connect, talk, take what they are sent, and leave; time; a stop. Whatever it is, the
/// session must keep its word to its driver (see `Promises`), the data plane must bring the source's bytes and nothing else
/// to files and children and forget nothing that waits (see `Plane`), and all of it must end.
pub fn session(input: &[u8]) {
    let mut script = Script::new(input);
    let (shape, size) = (script.byte(), script.byte());
    let wire = if shape & 1 == 0 { Wire::Two } else { Wire::One };
    let degree = u32::from(shape >> 1 & 3) + 1;
    let children_take = shape & 0x80 == 0;
    let limit = Limit::new((shape & 0x40 != 0).then_some(RATE));
    let mut now = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let mut source = Source::new(now, wire, degree);
    let mut node = Node::new(now, wire, source.content(), usize::from(size % 8) + 1, limit);
    while !script.is_over() && !node.is_over() {
        step(&mut script, &mut now, &mut source, &mut node);
        node.settle(now);
    }
    // What is left undone is done, and children fall silent: now it has to come to an end.
    for _ in 0..4000 {
        if node.is_over() {
            break;
        }
        exchange(now, &mut source, &mut node, usize::MAX);
        node.catch_up(now, children_take);
        pass(&mut now, &mut source, &mut node);
        node.settle(now);
    }
    node.finish();
}

/// Moves what the source has said to the node, at most so many bytes of it, and all answers back.
fn exchange(now: Now, source: &mut Source, node: &mut Node, most: usize) {
    let bytes = source.take(most);
    node.receive(now, &bytes);
    node.settle(now);
    source.hear(now, &node.take_said());
    if source.is_over() {
        node.receive(now, &source.take(usize::MAX));
        node.source_closed(now);
    }
}

/// Time passes until the next deadline.
fn pass(now: &mut Now, source: &mut Source, node: &mut Node) {
    if let Some(at) = node.deadline() {
        *now = *now + at.saturating_duration_since(now.instant);
    }
    node.tick(*now);
    source.tick(*now);
}

fn step(script: &mut Script<'_>, now: &mut Now, source: &mut Source, node: &mut Node) {
    match script.byte() % 24 {
        0 | 1 => {
            node.halted();
            exchange(*now, source, node, usize::MAX);
        }
        2 => exchange(*now, source, node, script.word().into()),
        3 => source.damage(script),
        4 => node.upstream_closed(*now, script.byte() & 1 == 1),
        5 | 6 => node.disk(*now, 1, Luck::from_script(script)),
        7 => node.disk(*now, usize::from(script.byte()), Luck::Good),
        8 => node.halted(),
        9 => {
            *now = *now + Duration::from_millis(script.word().into());
            node.tick(*now);
            source.tick(*now);
        }
        10 => pass(now, source, node),
        11 => node.handle(*now, NodeInput::Stop(Duration::from_millis(script.word().into()))),
        12 => source.stop(*now),
        13 | 14 => node.connect_child(*now, script.byte()),
        15 => node.widen_child(script.byte(), script.word().into(), false),
        16 => node.widen_child(script.byte(), usize::MAX, false),
        17 => node.widen_child(script.byte(), 0, true),
        18 => match script.byte() {
            which if which & 1 == 0 => node.close_child(*now, which >> 1),
            which => node.break_child(which >> 1),
        },
        19 => node.cancelled(*now, script),
        20 => node.claimed(*now, script),
        21 => node.handle(*now, NodeInput::Superseded),
        _ => {
            let which = script.byte();
            node.child_speaks(*now, which, script);
        }
    }
}

/// Whichever of the links `which` means.
fn pick<T>(links: &mut std::collections::BTreeMap<LinkId, T>, which: u8) -> Option<(LinkId, &mut T)> {
    let count = links.len();
    links.iter_mut().nth(usize::from(which) % count.max(1)).map(|(link, child)| (*link, child))
}
