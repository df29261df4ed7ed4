//! HTTP as such: order, pieces, connections that go on or end.

use super::super::chance::{Random, mutate};
use super::client::{Client, get, post, with};
use super::house::House;

#[test]
fn many_requests_at_once_are_answered_in_order() {
    let house = House::new();
    let mut client = house.tcp();
    let body = house.request("a");
    client.send(get("/healthz") + &post("/v1/requests", &body) + &get("/v1/requests/a") + &get("/none"));
    for status in [200, 201, 200, 404] {
        client.answer().expect(status);
    }
    // And it goes on.
    client.ask(get("/healthz")).expect(200);
}

#[test]
fn heads_alone() {
    let house = House::new();
    let mut client = house.tcp();
    let whole = client.ask(get("/v1/openapi.yaml")).expect(200);
    client.send(with("HEAD", "/v1/openapi.yaml", ""));
    let bare = client.bare_answer().expect(200);
    assert_eq!(bare.header("Content-Length"), Some(whole.body.len().to_string().as_str()));
    client.send(with("HEAD", "/none", ""));
    client.bare_answer().expect(404);
    client.ask(get("/healthz")).expect(200);
}

#[test]
fn connections_end_when_the_client_says_so() {
    let house = House::new();
    for request in [
        "GET /healthz HTTP/1.0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let mut client = house.tcp();
        let answer = client.ask(request).expect(200);
        assert_eq!(answer.header("Connection"), Some("close"));
        client.assert_closed();
    }
    let mut client = house.tcp();
    for _ in 0..2 {
        let answer = client.ask("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect(200);
        assert_eq!(answer.header("Connection"), Some("keep-alive"));
    }
}

#[test]
fn methods() {
    let house = House::new();
    let mut client = house.tcp();
    let options = client.ask(with("OPTIONS", "/v1/requests", "")).expect(204);
    assert_eq!(options.header("Allow"), Some("POST, GET, HEAD, OPTIONS"));
    let refused = client.ask(with("PUT", "/v1/requests", "")).expect(405);
    assert_eq!(refused.header("Allow"), Some("POST, GET, HEAD, OPTIONS"));
    client.ask(with("BREW", "/v1/transfers", "")).expect(405);
    client.ask(with("GET", "/v1/transfers", "Accept: text/html\r\n")).expect(406);
}

#[test]
fn a_body_is_asked_for_once_it_is_wanted() {
    let house = House::new();
    let mut client = house.tcp();
    let body = house.request("a");
    let head = |kind: &str| {
        let length = body.len();
        let headers = format!("Content-Type: {kind}\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n");
        with("POST", "/v1/requests", &headers)
    };
    client.ask(head("application/json")).expect(100);
    client.ask(&body).expect(201);
    // Who does not wait is not told.
    client.ask(head("application/json") + &body).expect(200);
    // What is refused is not read, and the connection cannot go on.
    client.ask(head("text/plain")).expect(415);
    client.assert_closed();
}

#[test]
fn a_body_that_nobody_wants_is_no_request() {
    let house = House::new();
    let mut client = house.tcp();
    let hidden = get("/v1/transfers");
    let length = format!("Content-Length: {}\r\n", hidden.len());
    client.ask(with("GET", "/healthz", &length) + &hidden).expect(200);
    client.assert_closed();
}

#[test]
fn what_is_no_http() {
    let house = House::new();
    for (bytes, status) in [
        ("\x16\x03\x01\x02\0\x01\0", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n", 411),
    ] {
        let mut client = house.tcp();
        client.ask(bytes).expect(status);
        if status != 411 || bytes.contains("chunked") {
            client.assert_closed();
        }
    }
    // Who stops in the middle is told.
    for part in [
        "GET /heal",
        "POST /v1/requests HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ] {
        let mut client = house.tcp();
        client.send(part);
        client.send_nothing_more();
        client.answer().expect(400).says("ends within");
        client.assert_closed();
    }
}

/// The same bytes get the same answers, in whatever pieces they come.
#[test]
fn pieces_do_not_matter() {
    let house = House::new();
    let body = house.request("a");
    house.tcp().ask(post("/v1/requests", &body)).expect(201);
    let script = get("/v1/requests/a")
        + &post("/v1/requests", &body)
        + &post("/v1/requests", "[")
        + &with("HEAD", "/none", "Content-Length: 0\r\n")
        + &with("POST", "/v1/requests", "Transfer-Encoding: chunked\r\n")
        + &get("/v1/requests");
    let answers = |pieces: &[&[u8]]| {
        let mut client = house.unix();
        for piece in pieces {
            client.send(piece);
        }
        let mut answers: Vec<_> = (0..3).map(|_| client.answer()).collect();
        answers.extend([client.bare_answer(), client.answer()]);
        client.assert_closed();
        answers
    };
    let at_once = answers(&[script.as_bytes()]);
    let statuses: Vec<u16> = at_once.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 400, 404, 411]);
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let mut rest = script.as_bytes();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(1 + random.below(90)));
            pieces.push(piece);
            rest = behind;
        }
        assert_eq!(answers(&pieces), at_once, "seed {seed}");
    }
}

/// Whatever comes, each answer is one of HTTP, and the server goes on.
#[test]
fn nothing_that_is_sent_breaks_it() {
    let house = House::new();
    let whole = post("/v1/requests", &house.request("a"))
        + &get("/v1/requests?limit=3&state=done")
        + &get("/metrics");
    for seed in 0..300 {
        let bytes = mutate(whole.as_bytes(), &mut Random::new(seed));
        let mut client = house.unix();
        // It may be refused before all of it is sent.
        let _ = client.try_send(&bytes);
        client.send_nothing_more();
        while let Some(answer) = client.next() {
            assert!((200..=507).contains(&answer.status), "seed {seed}: {answer:?}");
        }
    }
    Client::ask(&mut house.tcp(), get("/healthz")).expect(200);
}
