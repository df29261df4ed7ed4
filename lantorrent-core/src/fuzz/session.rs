//! The target for `session`: one node, whole, between a real source and children made up from the input.

mod child;
mod claim;
mod node;
mod reports;
mod source;

use std::time::{Duration, Instant};

use super::Script;
use crate::session::{FileFault, LinkId, NodeInput, Now, Opened, ReadBack, Timing};
use crate::wire::{Code, Keyring, Password, Wire};
use node::Node;
use source::Source;

const BLOCK: u32 = 4096;
const LENGTH: usize = 2 * BLOCK as usize + 100;
const FILES: usize = 2;
/// Nodes behind the one that is tested.
const BEHIND: usize = 3;

fn keys() -> Keyring {
    Keyring::new(Password::new("fuzz wire 2")).with_wire_1(Password::new("fuzz wire 1"))
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

/// A node's session under a script of what happens: bytes from a source, whole or damaged; files that open, fail and
/// are placed; children that connect, talk and leave; time; a stop. Whatever it is, the session must keep its word to
/// its driver (see `Node`), and end.
pub fn session(input: &[u8]) {
    let mut script = Script::new(input);
    let shape = script.byte();
    let wire = if shape & 1 == 0 { Wire::Two } else { Wire::One };
    let degree = u32::from(shape >> 1 & 3) + 1;
    let mut now = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let mut source = Source::new(now, wire, degree);
    let mut node = Node::new(now, wire, source.content());
    while !script.is_over() && !node.is_over() {
        step(&mut script, &mut now, &mut source, &mut node);
    }
    // What is left undone is done, and children fall silent: now it has to come to an end.
    for _ in 0..1000 {
        if node.is_over() {
            break;
        }
        exchange(now, &mut source, &mut node, usize::MAX);
        node.serve_files(now);
        if let Some(at) = node.deadline() {
            now = now + at.saturating_duration_since(now.instant);
            node.handle(now, NodeInput::Tick);
        }
        source.tick(now);
    }
    node.finish();
}

/// Moves what the source has said to the node, at most so many bytes of it, and all answers back.
fn exchange(now: Now, source: &mut Source, node: &mut Node, most: usize) {
    let bytes = source.take(most);
    node.receive(now, &bytes);
    source.hear(now, &node.take_said());
    if source.is_over() {
        node.receive(now, &source.take(usize::MAX));
        node.upstream_closed(now);
    }
}

fn step(script: &mut Script<'_>, now: &mut Now, source: &mut Source, node: &mut Node) {
    match script.byte() % 22 {
        0 | 1 => exchange(*now, source, node, usize::MAX),
        2 => exchange(*now, source, node, script.word().into()),
        3 => source.damage(script),
        4 => node.upstream_closed(*now),
        5 => {
            let read_back = if script.byte() & 1 == 0 { ReadBack::Possible } else { ReadBack::Impossible };
            node.opened(*now, Ok(Opened { read_back, resumed: 0 }));
        }
        6 => node.opened(*now, Err(fault(script.byte()))),
        7 => node.written(*now, script.word().into()),
        8 => node.write_failed(*now, usize::from(script.byte()) % FILES, fault(script.byte())),
        9 => node.placed(*now, Ok(())),
        10 => node.placed(*now, Err(fault(script.byte()))),
        11 => {
            *now = *now + Duration::from_millis(script.word().into());
            node.handle(*now, NodeInput::Tick);
            source.tick(*now);
        }
        12 => {
            if let Some(at) = node.deadline() {
                *now = *now + at.saturating_duration_since(now.instant);
                node.handle(*now, NodeInput::Tick);
            }
        }
        13 => node.handle(*now, NodeInput::Stop(Duration::from_millis(script.word().into()))),
        14 => source.stop(*now),
        15 => node.connect_child(*now, script.byte()),
        16 => node.feed_child(*now, script.byte()),
        19 => match script.byte() % 3 {
            0 => node.removed(*now, Ok(())),
            1 => node.removed(*now, Err(fault(script.byte()))),
            _ => node.cancelled(*now, script),
        },
        20 => node.claimed(*now, script),
        21 => node.handle(*now, NodeInput::Superseded),
        17 => {
            let which = script.byte();
            node.close_child(*now, which);
        }
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
