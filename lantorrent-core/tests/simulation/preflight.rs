//! Questions to many nodes, each over a connection of its own, by hand: a check, of which every byte is damaged once, and
//! one whose asker sleeps.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_core::flow::admission::answer_check;
use lantorrent_core::session::{
    Gate, HandshakeStep, Incoming, LinkId, LinkInput, LinkOutput, Now, Plan, PreflightInput, PreflightOutput,
    PreflightSession, Seed, Timing,
};
use lantorrent_core::wire::{Destination, Keyring, Nonce, Password, Report, Request, Verb, Wire};

fn keys() -> Keyring {
    Keyring::new(Password::new("a secret of many bytes").unwrap())
}

fn preflight(now: Now) -> PreflightSession {
    let requests = vec![Request::new("/a".into(), "1".into())];
    let node = Destination::new("10.0.0.1".into(), 2893, requests);
    let plan = Plan::new(Wire::Two, vec![node], 4096);
    PreflightSession::new(now, plan, Verb::Check, keys(), Timing::default(), Seed([1; 32]))
}

/// A byte that is damaged on the way, of all that goes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    Question(usize),
    Answer(usize),
}

/// A node that is being asked over one connection.
struct Node {
    link: LinkId,
    greeting: Option<Incoming>,
    damage: Damage,
    heard: usize,
    said: usize,
}

impl Node {
    fn new(now: Now, link: LinkId, to: SocketAddr, damage: Damage) -> Self {
        let gate = Gate::new(keys());
        let greeting = Incoming::new(now, gate, Some(to), Nonce([link.0 as u8; 16]));
        Self { link, greeting: Some(greeting), damage, heard: 0, said: 0 }
    }

    /// What it answers to those bytes, and whether it hangs up behind that.
    fn hear(&mut self, now: Now, mut bytes: Vec<u8>) -> (Vec<u8>, bool) {
        if let Damage::Question(at) = self.damage {
            flip(&mut bytes, self.heard, at);
        }
        self.heard += bytes.len();
        let (mut answer, mut over) = (Vec::new(), false);
        let mut rest = &bytes[..];
        while let Some(greeting) = self.greeting.as_mut().filter(|_| !rest.is_empty()) {
            let (used, greeted) = greeting.push(now, rest);
            rest = &rest[used..];
            match greeted {
                HandshakeStep::More => {}
                HandshakeStep::Reply(reply) => answer.extend(reply),
                HandshakeStep::Refused { reply, .. } => {
                    (answer, over) = (reply, true);
                    self.greeting = None;
                }
                HandshakeStep::Proven(proven) => {
                    answer.extend(answer_check(*proven, &keys(), &[Ok(())]));
                    over = true;
                    self.greeting = None;
                }
            }
        }
        if let Damage::Answer(at) = self.damage {
            flip(&mut answer, self.said, at);
        }
        self.said += answer.len();
        (answer, over)
    }
}

/// Damages the byte at that place of everything, where `bytes` begin at `from`.
fn flip(bytes: &mut [u8], from: usize, at: usize) {
    if let Some(byte) = at.checked_sub(from).and_then(|at| bytes.get_mut(at)) {
        *byte ^= 1;
    }
}

/// Asks a node on whose first connection something is damaged. Returns the report, how much was said on that connection in
/// each direction, and how many connections there were.
fn ask(damage: Damage) -> (Report, [usize; 2], u32) {
    let to = SocketAddr::from(([10, 0, 0, 1], 2893));
    let mut now = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let mut preflight = preflight(now);
    let (mut node, mut connections, mut first) = (None, 0, [0, 0]);
    loop {
        let Some(output) = preflight.poll() else {
            now.instant = preflight.deadline().expect("it ends with a report");
            preflight.handle(now, PreflightInput::Tick);
            continue;
        };
        match output {
            PreflightOutput::Link(LinkOutput::Connect { link, .. }) => {
                let damage = if connections == 0 { damage } else { Damage::None };
                connections += 1;
                node = Some(Node::new(now, link, to, damage));
                preflight.handle(now, LinkInput::Connected(link, to));
            }
            PreflightOutput::Link(LinkOutput::Send(link, bytes)) => {
                let node = node.as_mut().filter(|node| node.link == link).expect("a connection");
                let (answer, over) = node.hear(now, bytes);
                if connections == 1 {
                    first = [node.heard, node.said];
                }
                preflight.handle(now, LinkInput::Bytes(link, &answer));
                if over {
                    preflight.handle(now, LinkInput::Closed(link, "it closed the connection".into()));
                }
            }
            PreflightOutput::Report(report) => return (report, first, connections),
            _ => {}
        }
    }
}

#[test]
fn one_damaged_bit_of_a_check_leaves_nobody_out() {
    let (report, [question, answer], connections) = ask(Damage::None);
    assert!(report.code.is_success() && connections == 1, "{report:?}");
    let damages = (0..question).map(Damage::Question).chain((0..answer).map(Damage::Answer));
    for damage in damages {
        let (report, _, connections) = ask(damage);
        assert!(report.code.is_success(), "{damage:?}: {report:?}");
        assert!(connections <= 2, "{damage:?}: {connections} connections");
    }
}

#[test]
fn an_answer_that_came_while_the_asker_slept_counts() {
    let to = SocketAddr::from(([10, 0, 0, 1], 2893));
    let start = Now { instant: Instant::now(), unix: 1_700_000_000 };
    for sleep in [3, 10, 200] {
        let mut preflight = preflight(start);
        let Some(PreflightOutput::Link(LinkOutput::Connect { link, .. })) = preflight.poll() else {
            panic!("it asks")
        };
        preflight.handle(start, LinkInput::Connected(link, to));
        let Some(PreflightOutput::Link(LinkOutput::Send(_, header))) = preflight.poll() else {
            panic!("it sends a header")
        };
        let mut node = Node::new(start, link, to, Damage::None);
        let (challenge, _) = node.hear(start, header);
        // Its clock goes on, and the first thing that it finds is that it is late.
        let woken = start + Duration::from_secs(sleep);
        preflight.handle(woken, PreflightInput::Tick);
        preflight.handle(woken, LinkInput::Bytes(link, &challenge));
        let Some(PreflightOutput::Link(LinkOutput::Send(_, proof))) = preflight.poll() else {
            panic!("{sleep}: it gave up")
        };
        let (answer, _) = node.hear(start, proof);
        preflight.handle(woken, LinkInput::Bytes(link, &answer));
        let outputs: Vec<PreflightOutput> = std::iter::from_fn(|| preflight.poll()).collect();
        let good = |output: &PreflightOutput| matches!(output, PreflightOutput::Report(report) if report.code.is_success());
        assert!(outputs.iter().any(good), "{sleep}: {outputs:?}");
    }
}
