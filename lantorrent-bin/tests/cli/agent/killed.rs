//! The agent is killed at random instants, over and over, while it is asked, sends and is asked again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fixture::{Agent, call, expect_content, http, lab, post, source, wish};
use crate::common::{Lab, Node, content};

const ROUNDS: usize = 200;
const CLIENTS: usize = 3;
/// What a client has on its way at the same time.
const OPEN: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn nothing_acknowledged_is_lost() {
    // As many attempts as it takes: nodes let go of what a killed agent had begun, sooner or later.
    let lab = lab("batch = 4\nwait = 0.05\nattempts = 100\nsends = 3\nretry = 0.1");
    let nodes = lab.nodes(3);
    let contents: Vec<Vec<u8>> = (1..=3).map(|number| content(number * 150_001)).collect();
    let sources: Vec<String> = contents
        .iter()
        .enumerate()
        .map(|(number, content)| source(&lab, &format!("{number}.img"), content))
        .collect();
    let first = Agent::start(&lab);
    let (address, url) = (first.address(), first.url().to_owned());
    let is_over = AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = Client { number, http: http(), url: &url, sources: &sources, nodes: &nodes };
                let is_over = &is_over;
                scope.spawn(move || client.run(is_over))
            })
            .collect();
        let last = kill_again_and_again(&lab, first, &address);
        is_over.store(true, Ordering::Release);
        let ended: Vec<Vec<(usize, usize, String)>> =
            clients.into_iter().map(|client| client.join().expect("a client comes to its end")).collect();
        // All is fetched and acknowledged: nothing is reported twice, and nothing is left.
        let (_, page) = last.get("/v1/requests");
        assert_eq!(page["requests"], Value::Array(Vec::new()));
        ended.concat()
    });
    assert!(ended.len() >= CLIENTS * OPEN, "only {} requests came to their end", ended.len());
    for (source, node, name) in ended {
        expect_content(&nodes[node].file(&name), &contents[source]);
    }
}

/// Returns the agent that is left alive.
fn kill_again_and_again(lab: &Lab, first: Agent, address: &str) -> Agent {
    let mut agent = first;
    let mut chance = 0x9e37_79b9_u64;
    for _ in 0..ROUNDS {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(chance >> 33 & 0xff));
        agent.kill();
        agent = Agent::start_at(lab, address);
    }
    agent
}

/// Hands in requests, waits for each, fetches its end and acknowledges that, however often it has to ask.
struct Client<'a> {
    number: usize,
    http: ureq::Agent,
    url: &'a str,
    sources: &'a [String],
    nodes: &'a [Node],
}

impl Client<'_> {
    fn run(self, is_over: &AtomicBool) -> Vec<(usize, usize, String)> {
        let mut ended = Vec::new();
        let mut next = 0;
        while !is_over.load(Ordering::Acquire) {
            let round: Vec<usize> = (next..next + OPEN).collect();
            next += OPEN;
            for &number in &round {
                Self::until(&[200, 201], || post(&self.http, self.url, "/v1/requests", &self.wish(number)));
            }
            for number in round {
                self.follow(&self.id(number));
                let (source, node) = self.choice(number);
                ended.push((source, node, self.id(number)));
            }
        }
        ended
    }

    fn id(&self, number: usize) -> String {
        format!("client-{}-{number}", self.number)
    }

    fn choice(&self, number: usize) -> (usize, usize) {
        (number % self.sources.len(), number / 2 % self.nodes.len())
    }

    fn wish(&self, number: usize) -> Value {
        let (source, node) = self.choice(number);
        wish(&self.id(number), &self.sources[source], &self.nodes[node], &self.id(number))
    }

    /// From acknowledged to acknowledged.
    fn follow(&self, id: &str) {
        let path = format!("{}/v1/requests/{id}", self.url);
        let start = Instant::now();
        let mut seen = BTreeSet::new();
        loop {
            let answer = Self::until(&[200], || call(self.http.get(format!("{path}?wait=2")).call()));
            let state = answer["state"].as_str().unwrap().to_owned();
            // What has ended stays so.
            assert!(!seen.contains("done") || state == "done", "{id} was done, and is {state}");
            seen.insert(state.clone());
            match state.as_str() {
                "done" if seen.contains("seen twice") => break,
                "done" => drop(seen.insert("seen twice".into())),
                "waiting" | "sending" => assert!(start.elapsed() < PATIENCE, "{answer:#}"),
                _ => panic!("{answer:#}"),
            }
        }
        // 404: it was acknowledged, and the answer got lost.
        Self::until(&[204, 404], || {
            post(&self.http, self.url, &format!("/v1/requests/{id}/ack"), &Value::Null)
        });
    }

    /// Asks until the agent lives long enough to answer, and that with one of `expected`.
    fn until(expected: &[u16], ask: impl Fn() -> Result<(u16, Value), ureq::Error>) -> Value {
        let start = Instant::now();
        loop {
            match ask() {
                Ok((status, answer)) if expected.contains(&status) => return answer,
                Ok((status, answer)) => panic!("{status}: {answer:#}"),
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
