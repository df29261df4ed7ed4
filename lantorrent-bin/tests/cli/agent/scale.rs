//! Many requests, and a disk that has no room for more.

use serde_json::{Value, json};

use super::fixture::{Agent, lab, source};
use crate::common::content;

#[test]
fn ten_thousand_requests_wait() {
    let lab = lab("wait = 1000\nbatch = 10000");
    let source = source(&lab, "a.img", &content(1000));
    let agent = Agent::start(&lab);
    let wishes: Vec<Value> = (0..9_999)
        .map(|number| {
            json!({"id": format!("r{number}"), "source": source, "host": format!("10.77.{}.{}", number / 250, number % 250),
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
    assert!(agent.metric("lantorrent_requests{state=\"waiting\"}") == 9_999.0);
    // All of them are there again.
    let address = agent.address();
    agent.kill();
    let agent = Agent::start_at(&lab, &address);
    assert!(agent.metric("lantorrent_requests{state=\"waiting\"}") == 9_999.0);
    assert_eq!(agent.get("/v1/requests/r7777").1["destination"], "/srv/img/copy-7777");
}
