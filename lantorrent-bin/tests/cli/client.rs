//! `lantorrent request`, `status` and `cancel`, as an agent and their users see them. The agent is made up.

use std::net::TcpListener;
use std::process::{Child, Stdio};

use serde_json::json as value;

use crate::common::fake_agent::{FakeAgent, Reply, done, json, problem, request};
use crate::common::{Finished, INI, Lab, finish, signal, wait_until};

fn waiting(id: &str) -> serde_json::Value {
    request(id, &value!({}))
}

fn failed(id: &str) -> serde_json::Value {
    let attempt = value!({
        "transfer": null, "started": "2026-11-22T03:04:05.678Z", "ended": "2026-11-22T03:04:06.678Z",
        "code": 505, "reason": "no route\u{1b}[2J",
    });
    let outcome = value!({ "code": 505, "reason": "no route\u{1b}[2J" });
    request(id, &value!({ "state": "failed", "outcome": outcome, "attempts": [attempt.clone(), attempt] }))
}

/// `request` of /srv/s for 10.0.0.7/srv/d with the id `r`, and what else there is to say.
fn ask(lab: &Lab, agent: &FakeAgent, more: &[&str]) -> Finished {
    let url = agent.url();
    let mut args = vec!["request", "/srv/s", "10.0.0.7/srv/d", "--id", "r", "--agent", &url];
    args.extend(more);
    lab.run(args)
}

fn spawn(lab: &Lab, args: &[&str]) -> Child {
    lab.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn from_a_machine_that_has_nothing_but_the_program() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![
        json(201, waiting("r")),
        json(200, waiting("r")),
        json(200, done("r")),
        Reply::Http(204, "", String::new()),
    ]);
    let finished = ask(&lab, &agent, &[]).expect(0);
    assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("done\n", ""));
    let heard = agent.finish();
    let lines: Vec<&str> = heard.iter().map(|question| question.line.as_str()).collect();
    let [show, ack] = ["GET /v1/requests/r?wait=60", "POST /v1/requests/r/ack"];
    assert_eq!(lines, ["POST /v1/requests", show, show, ack]);
    let body: serde_json::Value = serde_json::from_str(&heard[0].body).unwrap();
    let whole = value!({
        "source": "/srv/s", "destination": "/srv/d", "host": "10.0.0.7", "port": 2893, "id": "r",
    });
    assert_eq!(body, whole);
    assert_eq!(heard[0].authorization, None);
}

#[test]
fn by_the_socket_that_is_there() {
    let lab = Lab::new();
    let agent = FakeAgent::socket(
        &lab.home().join("agent.sock"),
        vec![json(200, done("r")), Reply::Http(204, "", String::new())],
    );
    let finished = lab.run(["request", "/srv/s", "/srv/d", "--id=r", "--json"]).expect(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap(), done("r"));
    let heard = agent.finish();
    // Where it is to be sent is for the agent to find out.
    let body: serde_json::Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!(body, value!({ "source": "/srv/s", "destination": "/srv/d", "id": "r" }));
    assert_eq!(heard[1].line, "POST /v1/requests/r/ack");
}

#[test]
fn what_failed_says_why_and_harms_no_terminal() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![json(200, failed("r")), Reply::Http(204, "", String::new())]);
    let finished = ask(&lab, &agent, &[]).expect(1);
    let line = "failed: 505 cannot connect to next: no route\\u{1b}[2J, after 2 attempts\n";
    assert_eq!(finished.stdout, line);
    assert_eq!(agent.lines().len(), 2);

    let agent = FakeAgent::tcp(vec![json(200, failed("r")), Reply::Http(204, "", String::new())]);
    let finished = ask(&lab, &agent, &["--json"]).expect(1);
    assert!(!finished.stdout.contains('\x1b'), "{}", finished.stdout);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap(), failed("r"));
    agent.finish();
}

#[test]
fn handed_in_and_left() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![json(201, waiting("r"))]);
    assert_eq!(ask(&lab, &agent, &["--no-wait"]).expect(0).stdout, "r\n");
    assert_eq!(agent.lines(), ["POST /v1/requests"]);

    // An id of its own, so that asking again is safe.
    let agent = FakeAgent::tcp(vec![json(201, waiting("r"))]);
    let finished = lab.run(["request", "/a", "/b", "--no-wait", "--agent", &agent.url()]).expect(0);
    let id = finished.stdout.trim_end();
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert!(agent.finish()[0].body.contains(id));
}

#[test]
fn an_answer_that_nobody_took_is_not_acknowledged() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![json(201, waiting("r")), json(200, done("r"))]);
    let mut child = spawn(&lab, &["request", "/srv/s", "/srv/d", "--id", "r", "--agent", &agent.url()]);
    drop(child.stdout.take());
    Finished::of(child).expect(0);
    assert_eq!(agent.lines().len(), 2);
}

#[test]
fn nobody_is_there() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![]);
    let url = agent.url();
    agent.finish();
    let mut children = Vec::new();
    for place in [url.as_str(), "./none.sock"] {
        for args in [&["request", "/a", "/b", "--id", "r"][..], &["status"], &["cancel", "r"]] {
            let all: Vec<&str> = args.iter().chain(&["--agent", place]).copied().collect();
            children.push((args[0], place, spawn(&lab, &all)));
        }
    }
    for (command, place, child) in children {
        let finished = Finished::of(child).expect(1);
        assert_eq!(finished.stdout, "");
        for part in [place, "lantorrent agent", "--agent"] {
            assert!(finished.stderr.contains(part), "`{part}` is missing in {}", finished.stderr);
        }
        assert_eq!(command == "request", finished.stderr.contains("--id r"), "{}", finished.stderr);
    }
}

#[test]
fn the_agent_is_restarted_in_the_middle() {
    let lab = Lab::empty();
    // It breaks off in the middle of an answer, too.
    let broken = Reply::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
    let agent = FakeAgent::tcp(vec![json(201, waiting("r")), broken]);
    let child = spawn(&lab, &["request", "/srv/s", "/srv/d", "--id", "r", "--agent", &agent.url()]);
    let address = agent.address();
    assert_eq!(agent.lines().len(), 2);
    // Long enough for it to be missed more than once.
    std::thread::sleep(std::time::Duration::from_millis(2500));
    let agent = FakeAgent::at(address, vec![json(200, done("r")), Reply::Http(204, "", String::new())]);
    let finished = Finished::of(child).expect(0);
    assert_eq!(finished.stdout, "done\n");
    assert_eq!(finished.stderr.matches("waiting for it").count(), 1, "{}", finished.stderr);
    assert_eq!(agent.lines(), ["GET /v1/requests/r?wait=60", "POST /v1/requests/r/ack"]);
}

#[test]
fn a_busy_agent_is_asked_again() {
    let lab = Lab::empty();
    let busy = || {
        Reply::Http(503, "Retry-After: 1\r\n", value!({"title":"","status":503,"detail":"full"}).to_string())
    };
    let script = vec![busy(), busy(), busy(), busy(), json(201, done("r")), json(204, "")];
    let agent = FakeAgent::tcp(script);
    let finished = ask(&lab, &agent, &[]).expect(0);
    assert_eq!(finished.stderr.matches("full").count(), 1, "{}", finished.stderr);
    assert_eq!(agent.lines().len(), 6);

    let agent = FakeAgent::tcp(vec![busy(), busy(), busy()]);
    let finished = lab.run(["status", "--agent", &agent.url()]).expect(1);
    assert!(finished.stderr.contains("full"), "{}", finished.stderr);
    agent.finish();
}

#[test]
fn tokens() {
    let page = || json(200, value!({ "requests": [], "next": null }));
    let heard = |agent: FakeAgent| agent.finish().remove(0).authorization;
    let lab = Lab::new();
    lab.write_ini(&format!("{INI}[agent]\ntoken = 0123456789abcdef\n"));
    let agent = FakeAgent::tcp(vec![page()]);
    lab.run(["status", "--agent", &agent.url()]).expect(0);
    assert_eq!(heard(agent).as_deref(), Some("Bearer 0123456789abcdef"));

    let agent = FakeAgent::tcp(vec![page()]);
    let mut command = lab.command(["-vv", "status", "--agent", &agent.url()]);
    command.env("LANTORRENT_TOKEN", "fedcba9876543210");
    assert!(!finish(command).expect(0).stderr.contains("fedcba9876543210"), "a token is nothing for logs");
    assert_eq!(heard(agent).as_deref(), Some("Bearer fedcba9876543210"));

    let socket = lab.path().join("x.sock");
    let agent = FakeAgent::socket(&socket, vec![page()]);
    lab.run(["status", "--agent", socket.to_str().unwrap()]).expect(0);
    assert_eq!(heard(agent), None, "the socket needs none");

    let mut command = lab.command(["status", "--agent", "http://127.0.0.1:1"]);
    command.env("LANTORRENT_TOKEN", "two words");
    finish(command).expect_usage(&["LANTORRENT_TOKEN"]);
}

#[test]
fn nobody_else_gets_the_token() {
    let lab = Lab::new();
    lab.write_ini(&format!("{INI}[agent]\ntoken = 0123456789abcdef\n"));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let elsewhere = format!("Location: http://{}/v1/requests\r\n", other.local_addr().unwrap());
    let agent = FakeAgent::tcp(vec![Reply::Http(307, Box::leak(elsewhere.into()), String::new())]);
    let finished = lab.run(["status", "--agent", &agent.url()]).expect(1);
    assert!(finished.stderr.contains("307"), "{}", finished.stderr);
    agent.finish();

    // Nor does a proxy that the environment names.
    let agent = FakeAgent::tcp(vec![json(200, value!({ "requests": [], "next": null }))]);
    let mut command = lab.command(["status", "--agent", &agent.url()]);
    let proxy = format!("http://{}", other.local_addr().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env(name, &proxy);
    }
    assert_eq!(finish(command).expect(0).stdout, "no requests\n");
    agent.finish();
    assert!(other.accept().is_err(), "somebody came");
}

#[test]
fn refusals() {
    let lab = Lab::empty();
    for (status, exit) in [(400, 2), (403, 1), (404, 1), (409, 1), (422, 1), (507, 1), (500, 1)] {
        let agent = FakeAgent::tcp(vec![problem(status, "because\u{1b}[2J; do this")]);
        let finished = ask(&lab, &agent, &[]).expect(exit);
        assert!(finished.stderr.contains("because\\u{1b}[2J; do this"), "{}", finished.stderr);
        agent.finish();
    }
    let agent = FakeAgent::tcp(vec![problem(401, "no token")]);
    let finished = ask(&lab, &agent, &[]).expect(1);
    assert!(finished.stderr.contains("LANTORRENT_TOKEN"), "{}", finished.stderr);
    agent.finish();
}

#[test]
fn answers_as_front_ends_send_them() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![Reply::Bytes(
        "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n\
         HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\ncontent-LENGTH: 27\r\n\r\n{\"requests\":[],\"next\":null}",
    )]);
    assert_eq!(lab.run(["status", "--agent", &agent.url()]).expect(0).stdout, "no requests\n");
    agent.finish();
}

#[test]
fn what_is_no_agent() {
    let lab = Lab::empty();
    for reply in [
        Reply::Http(404, "", "<html>".into()),
        Reply::Http(200, "Content-Encoding: gzip\r\n", "<html>".into()),
        Reply::Http(200, "", "<html>".into()),
        json(200, "{}"),
        Reply::Bytes("SSH-2.0-x\r\n\r\n"),
        Reply::Bytes("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
    ] {
        let agent = FakeAgent::tcp(vec![reply]);
        let finished = lab.run(["status", "x", "--agent", &agent.url()]).expect(1);
        assert!(finished.stderr.contains("is no agent"), "{}", finished.stderr);
        agent.finish();
    }
}

#[test]
fn wrong_arguments() {
    let lab = Lab::new();
    for (args, part) in [
        (&["request", "/a"][..], "dest"),
        (&["request", "a", "/b"], "`a`"),
        (&["request", "/a", "b"], "\"b\""),
        (&["request", "/a", "/b", "--agent", "https://repo:1"], "TLS"),
        (&["status", "--agent", "repo:1"], "http://HOST:PORT"),
        (&["cancel"], "id"),
        (&["--config", "/nonexistent", "status"], "/nonexistent"),
    ] {
        lab.run(args).expect_usage(&[part]);
    }
    lab.write_ini("[agent]\nurl = https://repo:1\n");
    lab.run(["status"]).expect_usage(&["[agent]", "TLS"]);
}

#[test]
fn who_leaves_is_told_how_to_come_back() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![json(201, waiting("r")), Reply::Hold]);
    let url = agent.url();
    let child = spawn(&lab, &["request", "/srv/s", "h/srv/d", "--id", "r", "--agent", &url]);
    wait_until("it waits", || agent.heard().len() == 2);
    signal("INT", child.id());
    let finished = Finished::of(child).expect(1);
    for part in [
        "request r goes on",
        &format!("`lantorrent request /srv/s h/srv/d --id r --agent {url}`"),
        &format!("`lantorrent cancel r --agent {url}`"),
    ] {
        assert!(finished.stderr.contains(part), "`{part}` is missing in {}", finished.stderr);
    }
    assert_eq!(finished.stdout, "");
    agent.finish();
}

#[test]
fn all_requests_page_by_page() {
    let lab = Lab::empty();
    let pages = || {
        vec![
            json(200, value!({ "requests": [waiting("a"), failed("b")], "next": "b" })),
            json(200, value!({ "requests": [done("c")], "next": null })),
        ]
    };
    let agent = FakeAgent::tcp(pages());
    let finished = lab.run(["status", "--agent", &agent.url()]).expect(0);
    let rows: Vec<Vec<&str>> =
        finished.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["request", "state", "source", "destination", "standing", "age"]);
    assert_eq!(rows[1][..4], ["a", "waiting", "/srv/s", "10.0.0.7:2893/srv/d"]);
    assert_eq!((rows[2][0], rows[2][4], rows[4][0]), ("b", "505", "c"));
    assert_eq!(agent.lines(), ["GET /v1/requests?limit=1000", "GET /v1/requests?limit=1000&after=b"]);

    let agent = FakeAgent::tcp(pages());
    let finished = lab.run(["status", "--json", "--agent", &agent.url()]).expect(0);
    let (_, last) = finished.stdout.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(last).unwrap(), done("c"));
    agent.finish();

    // An agent that never comes to an end.
    let circle = || json(200, value!({ "requests": [waiting("a")], "next": "a" }));
    let agent = FakeAgent::tcp(vec![circle(), circle()]);
    lab.run(["status", "--agent", &agent.url()]).expect(1);
    agent.finish();
}

#[test]
fn one_request() {
    let lab = Lab::empty();
    let agent = FakeAgent::tcp(vec![json(200, failed("b"))]);
    let finished = lab.run(["status", "a/../b", "--agent", &agent.url()]).expect(0);
    assert!(finished.stdout.contains("2        2026-11-22T03:04:05.678Z  1.00 s  -"), "{}", finished.stdout);
    assert_eq!(agent.lines(), ["GET /v1/requests/a%2F..%2Fb"]);

    let agent = FakeAgent::tcp(vec![problem(404, "there is no request x; look at the list")]);
    let finished = lab.run(["status", "x", "--agent", &agent.url()]).expect(1);
    assert_eq!(finished.stderr, "lantorrent: there is no request x; look at the list\n");
    agent.finish();
}

#[test]
fn taking_back() {
    let lab = Lab::empty();
    let cancelled = value!({ "state": "cancelled", "outcome": { "code": 524, "reason": "cancelled" } });
    let agent = FakeAgent::tcp(vec![
        json(202, waiting("r")),
        json(200, waiting("r")),
        json(200, request("r", &cancelled)),
    ]);
    let finished = lab.run(["cancel", "r", "--agent", &agent.url()]).expect(0);
    assert_eq!(finished.stdout, "cancelled\n");
    let show = "GET /v1/requests/r?wait=60";
    assert_eq!(agent.lines(), ["DELETE /v1/requests/r", show, show]);

    let agent = FakeAgent::tcp(vec![json(200, done("r"))]);
    let finished = lab.run(["cancel", "r", "--json", "--agent", &agent.url()]).expect(1);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&finished.stdout).unwrap(), done("r"));
    agent.finish();
}
