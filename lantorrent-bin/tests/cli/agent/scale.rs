//! Many requests, and a disk that has no room for more.

use serde_json::{Value, json};

use super::fixture::{Agent, configure_with, lab, source};
use crate::common::content;
use crate::common::system::SmallDisk;
use crate::common::wait_until;

#[test]
fn ten_thousand_requests_wait() {
    let lab = lab("wait = 1000\nbatch = 10000");
    let source = source(&lab, "a.img", &content(1000));
    let agent = Agent::start(&lab);
    let wishes: Vec<Value> = (0..9_999)
        .map(|number| {
            json!({"id": format!("r{number}"), "source": source, "host": format!("127.77.{}.{}", number / 250, number % 250),
                   "destination": format!("/srv/img/copy-{number}")})
        })
        .collect();
    for list in wishes.chunks(3_333) {
        assert_eq!(agent.submit(&list.to_vec().into()).as_array().unwrap().len(), list.len());
    }
    let (mut listed, mut path) = (0, "/v1/requests?limit=1000".to_owned());
    loop {
        let (_, page) = agent.get(&path);
        listed += page["requests"].as_array().unwrap().len();
        let Some(after) = page["next"].as_str() else { break };
        path = format!("/v1/requests?limit=1000&after={after}");
    }
    assert_eq!(listed, wishes.len());
    assert_eq!(agent.metric("lantorrent_requests{state=\"waiting\"}"), 9_999);
    // All of them are there again.
    let address = agent.address();
    agent.kill();
    let agent = Agent::start_at(&lab, &address);
    assert_eq!(agent.metric("lantorrent_requests{state=\"waiting\"}"), 9_999);
    assert_eq!(agent.get("/v1/requests/r7777").1["destination"], "/srv/img/copy-7777");
}

/// What was taken in stays, and what cannot be is said; with room again it goes on by itself.
#[test]
fn the_disk_of_the_queue_is_full() {
    let Some(disk) = SmallDisk::new(4 << 20) else { return };
    let lab = lab("");
    configure_with(&lab, "wait = 1000\nbatch = 10000", &disk.path().join("queue"));
    let source = source(&lab, "a.img", &content(1000));
    let agent = Agent::start(&lab);
    let wishes = |list: usize| -> Value {
        let wish = |number| {
            json!({"id": format!("r{list}-{number}"), "source": source, "host": "127.0.0.1", "port": 9,
                   "destination": format!("/srv/img/{}", "x".repeat(500))})
        };
        (0..100).map(wish).collect::<Vec<Value>>().into()
    };
    agent.submit(&wishes(0));
    let filler = disk.path().join("filler");
    // Fails when nothing is left.
    let _ = std::fs::write(&filler, vec![7; 8 << 20]);
    let full =
        (1..100).find(|&list| agent.post("/v1/requests", &wishes(list)).0 != 201).expect("it is small");
    let (status, problem) = agent.post("/v1/requests", &wishes(full));
    assert_eq!(status, 507, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("queue"), "{problem}");
    assert_eq!(agent.metric("lantorrent_requests{state=\"waiting\"}"), 100 * full as u64);
    assert_eq!(agent.get("/healthz").0, 503);

    std::fs::remove_file(&filler).unwrap();
    wait_until("it goes on", || agent.post("/v1/requests", &wishes(full)).0 == 201);
    assert_eq!(agent.get("/healthz").0, 200);
    let address = agent.address();
    agent.kill();
    let agent = Agent::start_at(&lab, &address);
    assert_eq!(agent.metric("lantorrent_requests{state=\"waiting\"}"), 100 * (full as u64 + 1));
    agent.kill();
}
