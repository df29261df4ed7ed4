//! Many requests, few multicasts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::fixture::{Agent, expect_content, lab, source, wish};
use crate::common::content;

const REQUESTS: usize = 200;
const BATCH: usize = 20;
const WAIT: Duration = Duration::from_secs(4);
const CLIENTS: usize = 8;

/// Always the same order, and none that anybody thought of.
fn shuffled<T>(mut list: Vec<T>) -> Vec<T> {
    let mut word = 0x2545_f491_4f6c_dd1d_u64;
    for last in (1..list.len()).rev() {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(last, (word >> 33) as usize % (last + 1));
    }
    list
}

#[test]
fn two_hundred_requests_for_three_files() {
    let lab = lab(&format!("batch = {BATCH}\nwait = {}", WAIT.as_secs()));
    let nodes = lab.nodes(8);
    let contents: Vec<Vec<u8>> = (1..=3).map(|number| content(number * 1_000_003)).collect();
    let sources: Vec<String> = contents
        .iter()
        .enumerate()
        .map(|(number, content)| source(&lab, &format!("{number}.img"), content))
        .collect();
    let agent = Agent::start(&lab);

    let requests = (0..REQUESTS).map(|number| {
        let node = &nodes[number / 3 % nodes.len()];
        (number, wish(&format!("r{number}"), &sources[number % 3], node, &format!("copy-{number}")))
    });
    let requests = shuffled(requests.collect());
    let started = Instant::now();
    std::thread::scope(|scope| {
        for part in requests.chunks(REQUESTS / CLIENTS) {
            let agent = &agent;
            scope.spawn(move || part.iter().for_each(|(_, wish)| drop(agent.submit(wish))));
        }
    });
    // Every time that nobody asked for so long, a batch may have begun before it was full.
    let pauses = (started.elapsed().as_secs() / WAIT.as_secs()) as usize;

    for (number, _) in &requests {
        let ended = agent.expect_done(&format!("r{number}"));
        assert_eq!(ended["attempts"].as_array().unwrap().len(), 1, "{ended}");
        let node = &nodes[number / 3 % nodes.len()];
        expect_content(&node.file(&format!("copy-{number}")), &contents[number % 3]);
    }
    let transfers = agent.transfers();
    assert!(transfers.iter().all(|transfer| !transfer["ended"].is_null()));
    let mut multicasts: BTreeMap<&str, usize> = BTreeMap::new();
    for transfer in &transfers {
        *multicasts.entry(transfer["source"].as_str().unwrap()).or_default() += 1;
        each_host_is_served_once(transfer);
    }
    for (number, source) in sources.iter().enumerate() {
        let requests = (0..REQUESTS).filter(|request| request % 3 == number).count();
        let most = requests.div_ceil(BATCH) + pauses;
        assert!(
            multicasts[source.as_str()] <= most,
            "{} of {most} for {source}",
            multicasts[source.as_str()]
        );
    }
    let served: usize =
        transfers.iter().map(|transfer| transfer["requests"].as_u64().unwrap() as usize).sum();
    assert_eq!(served, REQUESTS);
}

fn each_host_is_served_once(transfer: &Value) {
    let chain = transfer["chain"].as_array().unwrap();
    let hosts: BTreeSet<(String, u64)> = chain
        .iter()
        .map(|node| (node["host"].as_str().unwrap().to_owned(), node["port"].as_u64().unwrap()))
        .collect();
    assert_eq!(hosts.len(), chain.len(), "{transfer:#}");
    assert_eq!(transfer["sent"], transfer["size"], "the file went out once: {transfer:#}");
    assert!(chain.iter().all(|node| node["state"] == "done"), "{transfer:#}");
}

#[test]
fn the_same_again_is_the_same_request() {
    let lab = lab("");
    let nodes = lab.nodes(1);
    let content = content(100_000);
    let source = source(&lab, "a.img", &content);
    let agent = Agent::start(&lab);
    let first = wish("one", &source, &nodes[0], "a");
    assert_eq!(agent.post("/v1/requests", &first).0, 201);
    assert_eq!(agent.post("/v1/requests", &first).0, 200);
    let other = wish("one", &source, &nodes[0], "b");
    let (status, problem) = agent.post("/v1/requests", &other);
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("one"), "{problem}");
    agent.expect_done("one");
    assert_eq!(agent.post("/v1/requests", &first).0, 200);
    assert_eq!(agent.transfers().len(), 1);
    expect_content(&nodes[0].file("a"), &content);
    // Forgotten when it is acknowledged, and not before.
    assert_eq!(agent.post("/v1/requests/one/ack", &Value::Null).0, 204);
    assert_eq!(agent.get("/v1/requests/one").0, 404);
}

#[test]
fn two_requests_for_one_path_are_one_file() {
    let lab = lab("wait = 1");
    let nodes = lab.nodes(1);
    let content = content(100_000);
    let source = source(&lab, "a.img", &content);
    let agent = Agent::start(&lab);
    let wishes = ["one", "two"].map(|id| wish(id, &source, &nodes[0], "a"));
    agent.submit(&Value::from(wishes.to_vec()));
    agent.expect_done("one");
    agent.expect_done("two");
    assert_eq!(agent.transfers()[0]["chain"].as_array().unwrap().len(), 1);
    expect_content(&nodes[0].file("a"), &content);
}
