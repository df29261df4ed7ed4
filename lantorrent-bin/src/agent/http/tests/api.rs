//! The operations.

use lantorrent_core::wire::Code;
use serde_json::{Value, json};

use super::client::{get, post, put, with};
use super::house::House;

#[test]
fn a_request_is_handed_in_once() {
    let house = House::new();
    let mut client = house.tcp();
    let body = house.request("a");
    let answer = client.ask(post("/v1/requests", &body)).expect(201);
    assert_eq!(answer.header("Location"), Some("/v1/requests/a"));
    let request = answer.json();
    assert_eq!(request["state"], "waiting");
    assert_eq!(request["source"], house.path("file"));
    assert_eq!(request["attempts"], json!([]));

    assert_eq!(client.ask(post("/v1/requests", &body)).expect(200).json(), request);
    assert_eq!(client.ask(get("/v1/requests/a")).expect(200).json(), request);
    assert_eq!(client.ask(get("/v1/requests/%61")).expect(200).json(), request);
    let other = house.request_to("a", "10.77.0.8");
    client.ask(post("/v1/requests", &other)).expect(409);
}

#[test]
fn a_request_without_an_id_gets_one() {
    let house = House::new();
    let body = format!(r#"{{"source":"{}","destination":"/srv/a"}}"#, house.path("file"));
    let answer = house.tcp().ask(post("/v1/requests", &body)).expect(201);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("Location"), Some(format!("/v1/requests/{id}").as_str()));
    house.tcp().ask(get(&format!("/v1/requests/{id}"))).expect(200);
}

#[test]
fn of_a_list_all_are_taken_or_none() {
    let house = House::new();
    let mut client = house.tcp();
    let list = |ids: &[&str]| {
        let requests: Vec<String> = ids.iter().map(|id| house.request(id)).collect();
        post("/v1/requests", &format!("[{}]", requests.join(",")))
    };
    let refused = client.ask(list(&["a", "b", "c d"])).expect(400);
    assert_eq!(refused.json()["index"], 2);
    client.ask(get("/v1/requests/a")).expect(404);

    let answer = client.ask(list(&["b", "a"])).expect(201);
    assert_eq!(answer.header("Location"), None);
    let ids = |answer: &Value| -> Vec<String> {
        answer.as_array().unwrap().iter().map(|request| request["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&answer.json()), ["b", "a"]);
    assert_eq!(ids(&client.ask(list(&["a", "b"])).expect(200).json()), ["a", "b"]);
    client.ask(list(&["a", "c"])).expect(201);
    assert_eq!(client.ask(list(&[])).expect(200).json(), json!([]));
}

#[test]
fn what_cannot_be_had() {
    let house = House::new();
    let mut client = house.tcp();
    let mut ask = |source: &str| {
        let body = json!({ "source": source, "destination": "/srv/a" }).to_string();
        client.ask(post("/v1/requests", &body))
    };
    ask("/etc/passwd").expect(403).says("repository");
    ask("file").expect(400).says("absolute");
    ask(&house.path("none")).expect(422).says("none");
    ask(&house.path("folder")).expect(422).says("folder");
    let problem = ask("\u{0}").expect(400).json();
    assert_eq!(problem["title"], "Bad Request");
    assert!(problem.get("index").is_none(), "no list was posted: {problem}");
}

#[test]
fn requests_are_listed() {
    let house = House::new();
    let mut client = house.tcp();
    for number in 0..5 {
        let host = format!("10.77.0.{}", number % 2);
        client.ask(post("/v1/requests", &house.request_to(&format!("r{number}"), &host))).expect(201);
    }
    client.ask(with("DELETE", "/v1/requests/r1", "")).expect(200);
    let mut ids = |query: &str| {
        let page = client.ask(get(&format!("/v1/requests{query}"))).expect(200).json();
        let ids: Vec<String> = page["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|request| request["id"].as_str().unwrap().to_owned())
            .collect();
        (ids.join(" "), page["next"].as_str().map(str::to_owned))
    };
    let all = |ids: &str| (ids.to_owned(), None);
    assert_eq!(ids(""), all("r0 r1 r2 r3 r4"));
    assert_eq!(ids("?limit=5"), all("r0 r1 r2 r3 r4"));
    assert_eq!(ids("?limit=2"), ("r0 r1".into(), Some("r1".into())));
    assert_eq!(ids("?limit=2&after=r1"), ("r2 r3".into(), Some("r3".into())));
    assert_eq!(ids("?limit=2&after=r3"), all("r4"));
    assert_eq!(ids("?state=cancelled"), all("r1"));
    assert_eq!(ids("?host=10.77.0.0&state=waiting"), all("r0 r2 r4"));
    assert_eq!(ids(&format!("?source={}&after=r3", house.path("file"))), all("r4"));
    assert_eq!(ids("?source=/none"), all(""));
    for (query, status) in [
        ("?after=none", 404),
        ("?limit=0", 400),
        ("?limit=1001", 400),
        ("?state=don", 400),
        ("?sate=done", 400),
        ("?host=a&host=b", 400),
    ] {
        client.ask(get(&format!("/v1/requests{query}"))).expect(status);
    }
}

#[test]
fn a_request_is_waited_for() {
    let house = House::in_a_hurry();
    house.submit("a");
    let (_, reporter) = house.batch();
    let mut client = house.tcp();
    assert_eq!(client.ask(get("/v1/requests/a?wait=0")).expect(200).json()["state"], "sending");
    client.send(get("/v1/requests/a?wait=300"));
    reporter.began("5f1d");
    reporter.reported("a", Code::SUCCESS, "success");
    reporter.ended(None);
    let request = client.answer().expect(200).json();
    assert_eq!((&request["state"], &request["outcome"]["code"]), (&"done".into(), &0.into()));
    assert_eq!(request["attempts"][0]["transfer"], "5f1d");

    for (target, status) in [
        ("/v1/requests/b?wait=300", 404),
        ("/v1/requests/b", 404),
        ("/v1/requests/a?wait=301", 400),
        ("/v1/requests/a?wait=-1", 400),
        ("/v1/requests/a?await=1", 400),
    ] {
        client.ask(get(target)).expect(status);
    }
}

#[test]
fn a_request_is_taken_back() {
    let house = House::in_a_hurry();
    let mut client = house.tcp();
    house.submit("a");
    let (_, reporter) = house.batch();
    let delete = with("DELETE", "/v1/requests/a", "");
    assert_eq!(client.ask(&delete).expect(202).json()["state"], "sending");
    client.ask(with("POST", "/v1/requests/a/ack", "")).expect(409);
    client.send(get("/v1/requests/a?wait=300"));
    reporter.reported("a", Code::CANCELLED, "cancelled");
    reporter.ended(None);
    assert_eq!(client.answer().expect(200).json()["state"], "cancelled");
    assert_eq!(client.ask(&delete).expect(200).json()["outcome"]["code"], 524);
    client.ask(with("DELETE", "/v1/requests/b", "")).expect(404);
}

#[test]
fn a_request_is_acknowledged() {
    let house = House::new();
    house.submit("a");
    let mut client = house.tcp();
    let acknowledge = with("POST", "/v1/requests/a/ack", "");
    client.ask(&acknowledge).expect(409);
    client.ask(with("DELETE", "/v1/requests/a", "")).expect(200);
    client.ask(&acknowledge).expect(204);
    client.ask(&acknowledge).expect(404);
    client.ask(get("/v1/requests/a")).expect(404);
}

#[test]
fn figures() {
    let house = House::new();
    house.submit("a");
    let mut client = house.tcp();
    client.ask(get("/healthz")).expect(200);
    client.ask(get("/none")).expect(404);
    let answer = client.ask(get("/metrics")).expect(200);
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let page = String::from_utf8(answer.body).unwrap();
    for line in [
        "lantorrent_requests{state=\"waiting\"} 1",
        "lantorrent_requests_submitted_total 1",
        "lantorrent_http_requests_total{class=\"2xx\"} 1",
        "lantorrent_http_requests_total{class=\"4xx\"} 1",
        "lantorrent_transfers_running 0",
    ] {
        assert!(page.lines().any(|there| there == line), "{line} is missing in\n{page}");
    }
}

#[test]
fn health() {
    let house = House::new();
    let mut client = house.tcp();
    assert_eq!(client.ask(get("/healthz")).expect(200).json(), json!({ "status": "ok" }));
    house.submit("a");
    house.clerk.stop();
    for request in [get("/healthz"), post("/v1/requests", &house.request("b"))] {
        let refused = client.ask(request).expect(503).says("stopped");
        assert_eq!(refused.header("Retry-After"), Some("5"));
    }
    // There is no use in waiting for what does not happen any more.
    assert_eq!(client.ask(get("/v1/requests/a?wait=300")).expect(200).json()["state"], "waiting");
}

#[test]
fn transfers_and_the_description() {
    let house = House::new();
    let mut client = house.tcp();
    assert_eq!(client.ask(get("/v1/transfers")).expect(200).json(), json!({ "transfers": [] }));
    client.ask(get("/v1/transfers/5f1d")).expect(404);
    let description = client.ask(get("/v1/openapi.yaml")).expect(200);
    assert_eq!(description.header("Content-Type"), Some("application/yaml"));
    assert!(description.body.starts_with(b"openapi: 3."));
}

#[test]
fn the_limit_is_shown_and_changed() {
    let house = House::new();
    let mut client = house.tcp();
    assert_eq!(client.ask(get("/v1/limit")).expect(200).json(), json!({ "limit": null }));
    let answer = client.ask(put("/v1/limit", r#"{"limit": 1048576}"#)).expect(200);
    assert_eq!(answer.json(), json!({ "limit": 1_048_576 }));
    assert_eq!(house.limit.get(), Some(1 << 20), "who sends has the same");
    assert_eq!(client.ask(get("/v1/limit")).expect(200).json(), answer.json());
    let page = client.ask(get("/metrics")).expect(200).body;
    assert!(String::from_utf8(page).unwrap().contains("\nlantorrent_limit_bytes_per_second 1048576\n"));

    client.ask(put("/v1/limit", r#"{"limit": 1023}"#)).expect(400).says("from 1024");
    client.ask(put("/v1/limit", "{}")).expect(400).says("limit");
    assert_eq!(house.limit.get(), Some(1 << 20), "what is refused changes nothing");
    client.ask(put("/v1/limit", r#"{"limit": null}"#)).expect(200);
    assert_eq!(house.limit.get(), None);
}

#[test]
fn what_is_put_as_a_limit_is_short_json_and_from_no_page() {
    let house = House::new();
    let long = format!(r#"{{"limit": null{}}}"#, " ".repeat(1024));
    house.tcp().ask(put("/v1/limit", &long)).expect(413);
    let headers = "Content-Type: text/plain\r\nContent-Length: 0\r\n";
    house.tcp().ask(with("PUT", "/v1/limit", headers)).expect(415);
    house.tcp().ask(with("PUT", "/v1/limit", "Content-Type: application/json\r\n")).expect(411);
    house.tcp().ask(with("PUT", "/v1/limit", "Origin: http://example.com\r\n")).expect(403);
    let allowed = house.tcp().ask(with("OPTIONS", "/v1/limit", ""));
    assert_eq!(allowed.header("Allow"), Some("GET, PUT, HEAD, OPTIONS"));
}
