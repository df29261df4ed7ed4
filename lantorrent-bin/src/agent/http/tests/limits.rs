//! What clients may take up, in number, in size and in time.

use std::time::Duration;

use super::super::Limits;
use super::client::{get, post, with};
use super::house::{House, wait_until};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn a_head_has_to_come() {
    let house = House::with(Limits { head: SHORT, ..Limits::default() });
    let mut client = house.tcp();
    client.send("GET /healthz HTTP/1.1\r\n");
    client.answer().expect(408);
    client.assert_closed();
}

/// A deadline is for the whole, not for the next byte.
#[test]
fn drops_do_not_keep_a_connection() {
    let house = House::with(Limits { head: SHORT, ..Limits::default() });
    let mut client = house.tcp();
    client.send("GET /healthz HTTP/1.1\r\nX: ");
    // Until the server has enough.
    while client.try_send(b"x").is_ok() && house.connections() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    wait_until("the client is gone", || house.connections() == 0);
}

#[test]
fn a_body_has_to_come() {
    let house = House::with(Limits { body: SHORT, ..Limits::default() });
    let mut client = house.tcp();
    client
        .send(with("POST", "/v1/requests", "Content-Type: application/json\r\nContent-Length: 9\r\n") + "{");
    client.answer().expect(408);
    client.assert_closed();
}

#[test]
fn who_is_idle_leaves() {
    let house = House::with(Limits { idle: SHORT, ..Limits::default() });
    let mut client = house.tcp();
    client.assert_closed();
    let mut client = house.tcp();
    client.ask(get("/healthz")).expect(200);
    client.assert_closed();
}

#[test]
fn an_answer_has_to_be_taken() {
    let house = House::with(Limits { answer: SHORT, ..Limits::default() });
    let mut client = house.unix();
    // Without a glance at the answers, which together are longer than any buffer.
    let request = get("/v1/openapi.yaml");
    while client.try_send(request.as_bytes()).is_ok() {}
    wait_until("the client is gone", || house.connections() == 0);
}

#[test]
fn heads_have_a_size() {
    let house = House::new();
    let long = |bytes: usize| with("GET", "/healthz", &format!("X: {}\r\n", "x".repeat(bytes)));
    house.tcp().ask(long(15 << 10)).expect(200);
    house.tcp().ask(long(16 << 10)).expect(431);
    house.tcp().ask(with("GET", "/healthz", &"X: x\r\n".repeat(64))).expect(431);
}

#[test]
fn bodies_have_a_size() {
    let house = House::new();
    let most = Limits::default().body_bytes;
    let blanks = " ".repeat(most);
    // What is as long as it may be is read.
    house.tcp().ask(post("/v1/requests", &blanks)).expect(400).says("EOF");
    // What is longer is not; who sends it all the same gets to read the answer.
    let mut client = house.tcp();
    let _ = client.try_send(post("/v1/requests", &(blanks + " ")).as_bytes());
    client.answer().expect(413);
    let length = "Content-Type: application/json\r\nContent-Length: 99999999999999999999999\r\n";
    house.tcp().ask(with("POST", "/v1/requests", length)).expect(413);
}

#[test]
fn bodies_have_a_size_together() {
    // Eight times three bytes.
    let house = House::with(Limits { body_bytes: 3, ..Limits::default() });
    let head = with("POST", "/v1/requests", "Content-Type: application/json\r\nContent-Length: 3\r\n");
    let expecting = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let mut others: Vec<_> = (0..8).map(|_| house.tcp()).collect();
    for client in &mut others {
        client.ask(&expecting).expect(100);
    }
    let refused = house.tcp().ask(&expecting).expect(503);
    assert_eq!(refused.header("Retry-After"), Some("1"));
    others[0].ask("[] ").expect(200);
    house.tcp().ask(&expecting).expect(100);
}

#[test]
fn who_only_holds_the_line_makes_room() {
    let house = House::with(Limits { connections: 3, ..Limits::default() });
    let (mut silent, mut half, mut local) = (house.tcp(), house.tcp(), house.unix());
    wait_until("all are there", || house.connections() == 3);
    half.send("GET /healthz HTTP/1.1\r\n");
    local.ask(get("/healthz")).expect(200);
    // The oldest first, and the network before this machine.
    let mut next = house.tcp();
    next.ask(get("/healthz")).expect(200);
    silent.assert_closed();
    let mut last = house.tcp();
    last.ask(get("/healthz")).expect(200);
    half.assert_closed();
    local.ask(get("/healthz")).expect(200);
    drop((next, last));
}

#[test]
fn too_many_are_turned_away() {
    let house = House::with(Limits { connections: 2, ..Limits::default() });
    house.submit("a");
    let (mut waiting, mut posting) = (house.tcp(), house.unix());
    waiting.send(get("/v1/requests/a?wait=300"));
    wait_until("one is waiting", || house.is_full_of_polls());
    let head = "Content-Type: application/json\r\nContent-Length: 3\r\nExpect: 100-continue\r\n";
    posting.ask(with("POST", "/v1/requests", head)).expect(100);
    for mut client in [house.tcp(), house.unix()] {
        // It need not have asked.
        let refused = client.answer().expect(503);
        assert_eq!(refused.header("Retry-After"), Some("1"));
        client.assert_closed();
    }
    posting.ask("[] ").expect(200);
    let metrics = String::from_utf8(posting.ask(get("/metrics")).body).unwrap();
    assert!(metrics.contains("\nlantorrent_http_connections_turned_away_total 2\n"), "{metrics}");
    // The one that had its answer last may not be known to be idle yet.
    wait_until("there is room", || house.tcp().ask(get("/healthz")).status == 200);
}

#[test]
fn who_does_not_take_an_answer_makes_room() {
    let house = House::with(Limits { connections: 1, ..Limits::default() });
    let mut deaf = house.unix();
    // Together longer than any buffer of such a socket.
    deaf.send(get("/v1/openapi.yaml").repeat(40));
    // Turned away until the deaf one has had its time.
    wait_until("there is room", || {
        // No more at a time than are heard out.
        std::thread::sleep(Duration::from_millis(50));
        let mut client = house.tcp();
        client.try_send(get("/healthz").as_bytes()).is_ok()
            && client.next().is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn answers_have_a_size_together() {
    let house = House::with(Limits { answer_bytes: 0, ..Limits::default() });
    let body: Vec<String> =
        (0..200).map(|number| house.request_to(&number.to_string(), &"h".repeat(250))).collect();
    let body = format!("[{}]", body.join(","));
    // It is told what became of what it has handed in, and may look in parts.
    house.tcp().ask(post("/v1/requests", &body)).expect(201);
    let refused = house.tcp().ask(get("/v1/requests?limit=1000")).expect(503);
    assert_eq!(refused.header("Retry-After"), Some("1"));
    house.tcp().ask(get("/v1/requests?limit=10")).expect(200);
    house.tcp().ask(post("/v1/requests", &body)).expect(503);
}

#[test]
fn not_everybody_may_wait() {
    let house = House::with(Limits { connections: 4, ..Limits::default() });
    house.submit("a");
    let waiting = get("/v1/requests/a?wait=300");
    let mut patient: Vec<_> = (0..3).map(|_| house.tcp()).collect();
    for client in &mut patient {
        client.send(&waiting);
    }
    wait_until("three are waiting", || house.is_full_of_polls());
    let mut other = house.tcp();
    assert_eq!(other.ask(&waiting).expect(200).json()["state"], "waiting");
    other.ask(with("DELETE", "/v1/requests/a", "")).expect(200);
    for client in &mut patient {
        assert_eq!(client.answer().expect(200).json()["state"], "cancelled");
    }
}

#[test]
fn who_hangs_up_does_not_wait_any_more() {
    let house = House::with(Limits { connections: 2, ..Limits::default() });
    house.submit("a");
    let mut client = house.tcp();
    client.send(get("/v1/requests/a?wait=300"));
    wait_until("one is waiting", || house.is_full_of_polls());
    drop(client);
    wait_until("nobody is", || house.connections() == 0);
}
