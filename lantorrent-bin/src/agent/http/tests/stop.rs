//! How the server ends.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use super::super::Limits;
use super::client::{get, post, with};
use super::house::{House, wait_until};

/// Longer than a test may take: nothing here ends because time is over.
const LONG: Duration = Duration::from_secs(600);

#[test]
fn who_is_idle_is_sent_away() {
    let house = House::new();
    let (mut fresh, mut served) = (house.tcp(), house.unix());
    served.ask(get("/healthz")).expect(200);
    wait_until("both are there", || house.connections() == 2);
    let (address, socket) = (house.address, house.socket());
    assert!(socket.exists());
    house.server.stop(LONG);
    fresh.assert_closed();
    served.assert_closed();
    assert!(TcpStream::connect(address).is_err() && !socket.exists());
}

#[test]
fn who_waits_is_answered() {
    let house = House::with(Limits { connections: 2, ..Limits::default() });
    house.submit("a");
    let mut client = house.tcp();
    client.send(get("/v1/requests/a?wait=300"));
    wait_until("it is waiting", || house.is_full_of_polls());
    house.server.stop(LONG);
    let answer = client.answer().expect(200);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(answer.json()["state"], "waiting");
    client.assert_closed();
}

#[test]
fn who_has_begun_to_ask_may_end() {
    let house = House::new();
    let request = post("/v1/requests", &house.request("a"));
    let (first, rest) = request.split_at(request.len() - 5);
    let mut client = house.tcp();
    client.send(first);
    let guests = std::sync::Arc::clone(&house.server.service.guests);
    wait_until("it has begun", || guests.is_anybody_busy());
    let House { server, folder, clerk, .. } = house;
    let stopping = thread::spawn(move || server.stop(LONG));
    wait_until("the server stops", || guests.is_closing());
    client.ask(rest).expect(201);
    client.assert_closed();
    stopping.join().unwrap();
    assert!(clerk.find("a").is_some());
    drop(folder);
}

#[test]
fn who_does_not_end_is_cut_off() {
    let house = House::new();
    let mut client = house.tcp();
    client.send(with("POST", "/v1/requests", "Content-Type: application/json\r\nContent-Length: 9\r\n"));
    let guests = std::sync::Arc::clone(&house.server.service.guests);
    wait_until("it has begun", || guests.is_anybody_busy());
    house.server.stop(Duration::from_millis(50));
    assert_eq!(guests.count(), 0);
}
