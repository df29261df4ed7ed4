//! Hosts whose names have several addresses, of which some are of no use: a firewall that swallows everything, a middlebox
//! that takes connections and says nothing, another service, a node of another group.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_core::session::{
    LinkId, LinkInput, LinkOutput, Now, Plan, PreflightInput, PreflightOutput, PreflightSession, Seed,
    SourceInput, SourceOutput, SourceSession, Timing,
};
use lantorrent_core::wire::{
    Code, Destination, HeaderReader, Keyring, Line, LineWriter, Nonce, Password, Report, Request, Verb, Wire,
};

use crate::random::Random;
use crate::scenario::{BLOCK, Scenario};
use crate::seeds::seeds;
use crate::world::disk::Kind;
use crate::world::fault::{Fault, Mishap, When};
use crate::world::host::Manner;

const SECOND: Duration = Duration::from_secs(1);

/// A chain in which every name has up to three such addresses before the right one.
fn decoyed(random: &mut Random, nodes: usize) -> Scenario {
    let mut scenario = Scenario::chain(Wire::Two, nodes, random.pick(&[1, BLOCK as usize, 30_000]));
    scenario.degree = random.within(1, 2) as u32;
    for host in 0..nodes {
        for _ in 0..random.within(1, 3) {
            // The last one is a node with another password, which refuses.
            let manner = if random.chance(25) { Manner::Node } else { random.pick_manner() };
            scenario.decoys.push((host, manner));
        }
    }
    scenario
}

#[test]
fn addresses_of_no_use_cost_nobody_the_file() {
    seeds(300, |seed| {
        let scenario = decoyed(&mut Random::new(seed), 5);
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [0; 5]);
        // Half a second for each link that is made, at most, and some more for the network.
        assert!(outcome.took < 6 * SECOND, "{:?}", outcome.took);
    });
}

#[test]
fn repair_goes_by_all_addresses_too() {
    seeds(200, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = decoyed(&mut random, 5);
        scenario.degree = 1;
        scenario.content = crate::scenario::content(60_000).into();
        let lost = random.within(0, 3);
        let bytes = random.within(1, 50_000) as u64;
        scenario.mishaps = vec![Mishap::new(When::Has(lost, bytes), Fault::Kill(lost))];
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        assert!([0, 505, 509, 525].contains(&codes.remove(lost)), "h{lost} was lost");
        assert_eq!(codes, [0; 4], "h{lost} was lost");
    });
}

#[test]
fn on_wire_1_the_first_that_takes_the_connection_is_the_node() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::One, 3, 30_000);
        for host in 0..3 {
            let manner = if random.chance(50) { Manner::Refuses } else { Manner::BlackHole };
            scenario.decoys.push((host, manner));
        }
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [0; 3]);
        assert!(outcome.took < 3 * SECOND, "{:?}", outcome.took);
    });
}

#[test]
fn where_no_address_answers_the_report_names_them() {
    seeds(40, |seed| {
        let mut scenario = Scenario::chain(Wire::Two, 2, 5000);
        scenario.manners[0] = Manner::Refuses;
        scenario.decoys = vec![(0, Manner::BlackHole), (0, Manner::Node)];
        scenario.kinds = vec![(1, "/f", Kind::Good)];
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [508, 0]);
        let message = &outcome.reports["0/0"].message;
        let told = message.find("Access denied").zip(message.find("no connection in time"));
        // What says most goes first.
        assert!(told.is_some_and(|(first, last)| first < last), "{message}");
        assert!(
            message.contains("10.0.0.5") && message.contains("10.0.0.1: connection refused"),
            "{message}"
        );
    });
}

fn keys() -> Keyring {
    Keyring::new(Password::new("a secret of many bytes").unwrap())
}

fn plan() -> Plan {
    let requests = vec![Request::new("/a".into(), "1".into())];
    let node = Destination::new("node".into(), 2893, requests);
    Plan::new(Wire::Two, vec![node], 4096)
}

/// What both sessions have that ask a node, in the words of the one that does nothing else.
trait Asks {
    fn say(&mut self, now: Now, input: PreflightInput<'_>) -> Vec<PreflightOutput>;
    fn deadline(&self) -> Option<Instant>;
}

impl Asks for SourceSession {
    fn say(&mut self, now: Now, input: PreflightInput<'_>) -> Vec<PreflightOutput> {
        match input {
            PreflightInput::Tick => self.handle(now, SourceInput::Tick),
            PreflightInput::Stop => self.handle(now, SourceInput::Stop),
            PreflightInput::Link(input) => self.handle(now, input),
        }
        let outputs = std::iter::from_fn(|| self.poll()).map(|output| match output {
            SourceOutput::Link(output) => output.into(),
            SourceOutput::Report(report) => PreflightOutput::Report(report),
            other => panic!("{other:?} before the node is let in"),
        });
        outputs.collect()
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }
}

impl Asks for PreflightSession {
    fn say(&mut self, now: Now, input: PreflightInput<'_>) -> Vec<PreflightOutput> {
        self.handle(now, input);
        std::iter::from_fn(|| self.poll()).collect()
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }
}

/// A session that looks up the name of its only node, as either.
fn both(now: Now) -> [Box<dyn Asks>; 2] {
    let (timing, seed) = (Timing::default(), || Seed([1; 32]));
    let source = SourceSession::new(now, plan(), keys(), timing.clone(), seed());
    let preflight = PreflightSession::new(now, plan(), Verb::Check, keys(), timing, seed());
    [Box::new(source), Box::new(preflight)]
}

fn start() -> Now {
    Now { instant: Instant::now(), unix: 1_700_000_000 }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 2893))
}

fn connects(outputs: &[PreflightOutput]) -> Vec<(LinkId, SocketAddr)> {
    let connects = |output: &PreflightOutput| match output {
        PreflightOutput::Link(LinkOutput::Connect { link, to }) => Some((*link, *to)),
        _ => None,
    };
    outputs.iter().filter_map(connects).collect()
}

/// The addresses are found; returns the link to the first.
fn found(session: &mut dyn Asks, now: Now, addresses: &[SocketAddr]) -> LinkId {
    let outputs = session.say(now, PreflightInput::Tick);
    let lookup = outputs.iter().find_map(|output| match output {
        PreflightOutput::Link(LinkOutput::LookUp { link, host, port }) if host == "node" && *port == 2893 => {
            Some(*link)
        }
        _ => None,
    });
    let lookup = lookup.expect("a name is looked up");
    let outputs = session.say(now, LinkInput::Found(lookup, addresses.to_vec()).into());
    let [(link, to)] = connects(&outputs)[..] else { panic!("one is tried at once: {outputs:?}") };
    assert_eq!(to, addresses[0]);
    link
}

/// The next address is tried, at that time and not before.
fn tries(session: &mut dyn Asks, at: Now, to: SocketAddr) -> LinkId {
    assert_eq!(session.deadline(), Some(at.instant));
    let outputs = session.say(at, PreflightInput::Tick);
    let [(link, tried)] = connects(&outputs)[..] else { panic!("{to} is tried: {outputs:?}") };
    assert_eq!(tried, to);
    link
}

/// The connection stands. Returns the nonce of the header that is sent, and to whom that is.
fn greeted(session: &mut dyn Asks, now: Now, link: LinkId, to: SocketAddr) -> (Nonce, SocketAddr) {
    let outputs = session.say(now, LinkInput::Connected(link, to).into());
    let header = outputs.iter().find_map(|output| match output {
        PreflightOutput::Link(LinkOutput::Send(on, bytes)) if *on == link => Some(bytes),
        _ => None,
    });
    let (_, signed) = HeaderReader::default().push(header.expect("a header")).unwrap();
    let envelope = signed.unwrap().verify(&keys()).unwrap().envelope.unwrap();
    (envelope.nonce, envelope.to)
}

fn challenge(nonce: Nonce) -> Vec<u8> {
    let challenge = Nonce([2; 16]);
    let key = keys().line_key(&nonce, &challenge).unwrap();
    LineWriter::new(key).encode(&Line::Challenge { challenge })
}

fn sends(outputs: &[PreflightOutput], link: LinkId) -> bool {
    outputs
        .iter()
        .any(|output| matches!(output, PreflightOutput::Link(LinkOutput::Send(on, _)) if *on == link))
}

#[test]
fn the_first_challenge_wins_and_not_the_first_connection() {
    for mut session in both(start()) {
        let session = &mut *session;
        let now = start();
        let silent = found(session, now, &[address(1), address(2), address(3)]);
        let (first, to) = greeted(session, now, silent, address(1));
        assert_eq!(to, address(1));
        let soon = now + Duration::from_nanos(500_000_000 / 3);
        let node = tries(session, soon, address(2));
        let (second, to) = greeted(session, soon, node, address(2));
        assert_eq!(to, address(2), "each header is for its own address");
        assert_ne!(first, second, "and has a nonce of its own");
        let later = soon + Duration::from_nanos(500_000_000 / 3);
        let third = tries(session, later, address(3));
        let outputs = session.say(later, LinkInput::Bytes(node, &challenge(second)).into());
        let proof = outputs.iter().position(
            |output| matches!(output, PreflightOutput::Link(LinkOutput::Send(on, _)) if *on == node),
        );
        let proof = proof.expect("the proof goes to the node");
        for loser in [silent, third] {
            let closed =
                outputs.iter().position(|output| *output == PreflightOutput::Link(LinkOutput::Close(loser)));
            assert!(closed.is_some_and(|closed| closed < proof), "{outputs:?}");
            assert!(!sends(&outputs, loser), "{outputs:?}");
        }
        // What they still say is not heard.
        let outputs = session.say(later, LinkInput::Bytes(silent, &challenge(first)).into());
        assert_eq!(outputs, []);
    }
}

#[test]
fn a_refusal_does_not_end_the_race_and_the_next_address_is_tried_at_once() {
    for mut session in both(start()) {
        let session = &mut *session;
        let now = start();
        let other = found(session, now, &[address(1), address(2)]);
        greeted(session, now, other, address(1));
        let refusal = Report::refusal(Code::ACCESS_DENIED, "Access denied").encode() + "\n";
        let outputs = session.say(now, LinkInput::Bytes(other, refusal.as_bytes()).into());
        assert!(outputs.contains(&PreflightOutput::Link(LinkOutput::Close(other))));
        let [(node, to)] = connects(&outputs)[..] else { panic!("{outputs:?}") };
        assert_eq!(to, address(2));
        let (nonce, _) = greeted(session, now, node, address(2));
        let outputs = session.say(now, LinkInput::Bytes(node, &challenge(nonce)).into());
        assert!(sends(&outputs, node), "it gets the proof: {outputs:?}");
        assert!(!outputs.iter().any(|output| matches!(output, PreflightOutput::Report(_))), "{outputs:?}");
    }
}

#[test]
fn a_zone_stays_on_this_host() {
    for mut session in both(start()) {
        let to: SocketAddr = "[fe80::1%7]:2893".parse().unwrap();
        let link = found(&mut *session, start(), &[to]);
        let (_, said) = greeted(&mut *session, start(), link, to);
        assert_eq!(said, "[fe80::1]:2893".parse().unwrap());
    }
}

#[test]
fn a_name_server_that_is_silent_takes_no_more_time_than_there_is() {
    let now = start();
    let mut preflight =
        PreflightSession::new(now, plan(), Verb::Check, keys(), Timing::default(), Seed([1; 32]));
    let mut at = now;
    let report = loop {
        let outputs: Vec<PreflightOutput> = std::iter::from_fn(|| preflight.poll()).collect();
        let report = outputs.into_iter().find_map(|output| match output {
            PreflightOutput::Report(report) => Some(report),
            _ => None,
        });
        if let Some(report) = report {
            break report;
        }
        at.instant = preflight.deadline().expect("it ends with a report");
        preflight.handle(at, PreflightInput::Tick);
    };
    assert_eq!(report.code, Code::CANNOT_CONNECT);
    assert!(report.message.contains("name was not looked up in time"), "{report:?}");
    let took = at.instant - now.instant;
    assert_eq!(took, 2 * Timing::default().check, "it is asked twice");
}
