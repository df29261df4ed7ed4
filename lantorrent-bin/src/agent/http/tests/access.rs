//! Who may ask, and for whom.

use super::client::{get, post, with};
use super::house::House;

const TOKEN: &str = "0123456789abcdef";

#[test]
fn the_network_needs_the_token() {
    let house = House::on_the_network(TOKEN);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let refused = house.tcp().ask(get("/v1/requests")).expect(401).says("Authorization");
    assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer realm=\"lantorrent\""));
    // Before anything else is said, such as what there is.
    house.tcp().ask(get("/none")).expect(401);
    house.tcp().ask(with("GET", "/metrics", &bearer("0123456789abcdeX"))).expect(401);
    house.tcp().ask(with("GET", "/v1/requests", &bearer(TOKEN))).expect(200);
    house.tcp().ask(get("/healthz")).expect(200);
    // The file of the socket says who may use it.
    house.unix().ask(get("/v1/requests")).expect(200);
}

#[test]
fn a_body_is_not_read_before_the_token() {
    let house = House::on_the_network(TOKEN);
    let headers = "Content-Type: application/json\r\nContent-Length: 8000000\r\n";
    let mut client = house.tcp();
    client.ask(with("POST", "/v1/requests", headers)).expect(401);
    client.assert_closed();
}

#[test]
fn the_token_can_be_changed() {
    let house = House::on_the_network(TOKEN);
    let new = "fedcba9876543210";
    house.server.set_token(Some(new.into())).unwrap();
    let ask =
        |token: &str| house.tcp().ask(with("GET", "/metrics", &format!("Authorization: Bearer {token}\r\n")));
    ask(TOKEN).expect(401);
    ask(new).expect(200);
    assert!(house.server.set_token(None).unwrap_err().to_string().contains("token"));
    ask(new).expect(200);
    House::new().server.set_token(None).unwrap();
}

#[test]
fn pages_in_a_browser_are_kept_out() {
    let house = House::new();
    let foreign = "GET /v1/requests HTTP/1.1\r\nHost: example.com:2894\r\n\r\n";
    house.tcp().ask(foreign).expect(421);
    house.unix().ask(foreign).expect(200);
    let page = "Origin: http://example.com\r\n";
    house.submit("a");
    house.tcp().ask(with("DELETE", "/v1/requests/a", page)).expect(403);
    house.tcp().ask(with("POST", "/v1/requests/a/ack", page)).expect(403);
    house
        .tcp()
        .ask(with("POST", "/v1/requests", "Content-Type: text/plain\r\nContent-Length: 2\r\n") + "{}")
        .expect(415);
    assert_eq!(house.tcp().ask(get("/v1/requests/a")).expect(200).json()["state"], "waiting");
}

#[test]
fn who_asks_for_a_file_gets_it() {
    let house = House::new();
    let body = format!(r#"{{"source":"{}","destination":"/srv/a"}}"#, house.path("file"));
    for mut client in [house.tcp(), house.unix()] {
        let request = client.ask(post("/v1/requests", &body)).expect(201).json();
        assert_eq!((&request["host"], &request["port"]), (&"127.0.0.1".into(), &2893.into()));
    }
}
