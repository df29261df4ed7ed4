//! `lantorrent get`.

use std::fs;
use std::net::TcpListener;

use crate::common::{Finished, Lab, content, names, wait_until};
use crate::http_server::{How, HttpServer, Reply};
use crate::swarms::{ALONE, Running, make, read};

fn get(lab: &Lab, args: &[&str]) -> Finished {
    lab.run(["get"].iter().chain(args).chain(&ALONE))
}

#[test]
fn a_torrent_from_a_peer_by_its_file_its_link_and_its_url() {
    let lab = Lab::empty();
    let data = make(&lab, "here", "a.img", 3_000_000);
    let (seed, address) = Running::seed(&lab, "here", &["a.img.torrent"]);
    let said = get(&lab, &["a.img.torrent", "-o", "new/folder", "--peer", &address]).expect(0);
    assert!(said.stdout.starts_with("new/folder/a.img: 3.0 MB, "), "{said:?}");
    assert!(read(&lab, "new/folder/a.img") == data);
    assert_eq!(names(&lab.path().join("new/folder")), ["a.img"]);
    let again = get(&lab, &["a.img.torrent", "-o", "new/folder"]).expect(0);
    assert!(again.stdout.ends_with("was there already\n"), "{again:?}");

    let shown = lab.run(["torrent", "show", "a.img.torrent", "--json"]).expect(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let magnet = shown["magnet"].as_str().unwrap();
    get(&lab, &[magnet, "-o", "b", "--peer", &address]).expect(0);
    get(&lab, &[&format!("{magnet}&x.pe={address}"), "-o", "c"]).expect(0);
    assert!(read(&lab, "b/a.img") == data && read(&lab, "c/a.img") == data);

    // By its content, whatever its name.
    let torrent = read(&lab, "a.img.torrent");
    let server = HttpServer::start(move |_| Reply::all(&torrent).how(How::Chunked));
    let url = server.url("latest?x=y");
    let redirect = HttpServer::start(move |_| Reply::status(301, &format!("Location: {url}\r\n")));
    get(&lab, &[&redirect.url("file.bin"), "-o", "d", "--peer", &address]).expect(0);
    assert!(read(&lab, "d/a.img") == data);
    seed.stop("TERM").expect(0);
}

#[test]
fn a_torrent_that_is_stopped_and_gone_on_with() {
    let lab = Lab::empty();
    let data = make(&lab, "here", "a.img", 4_000_000);
    let (_seed, address) = Running::seed(&lab, "here", &["a.img.torrent"]);
    for (name, limit) in [("INT", "500K"), ("TERM", "500K")] {
        let mut command = lab.command(["get", "a.img.torrent", "--peer", &address, "--download", limit]);
        command.args(ALONE).args(["-o", "there"]);
        let mut running = Running::start(command);
        while running.expect("progress")["have"].as_u64().unwrap() == 0 {}
        let said = running.stop(name).expect(1);
        assert!(said.stdout.contains(r#""event":"stopped""#), "{said:?}");
        assert!(lab.path().join("there/a.img.lantorrent").exists());
    }
    let said = get(&lab, &["a.img.torrent", "-o", "there", "--peer", &address, "--json"]).expect(0);
    let whole = said.stdout.lines().find(|line| line.contains(r#""whole""#)).unwrap();
    let whole: serde_json::Value = serde_json::from_str(whole).unwrap();
    assert!(whole["downloaded"].as_u64().unwrap() < 4_000_000, "{whole}");
    assert!(read(&lab, "there/a.img") == data);
}

#[test]
fn it_serves_for_as_long_as_it_is_asked_to() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 2_000_000);
    let (_seed, address) = Running::seed(&lab, "here", &["a.img.torrent"]);
    let mut first = lab.command(["get", "a.img.torrent", "-o", "a", "--seed-ratio", "1", "--peer", &address]);
    let mut first = Running::start({
        first.args(ALONE);
        first
    });
    let address = first.address();
    first.expect("seeding");
    get(&lab, &["a.img.torrent", "-o", "b", "--peer", &address]).expect(0);
    let said = first.end().expect(0);
    assert!(said.stdout.contains(r#""uploaded":2000000"#), "{said:?}");

    let said = get(&lab, &["a.img.torrent", "-o", "b", "--seed-for", "1s", "--seed-ratio", "3"]).expect(0);
    assert!(said.stderr.contains("for 1.00 s, or until 3 times its size"), "{said:?}");
    let mut command = lab.command(["get", "a.img.torrent", "-o", "b", "--seed"]);
    command.args(ALONE);
    let mut forever = Running::start(command);
    forever.expect("seeding");
    forever.stop("INT").expect(0);
}

#[test]
fn a_torrent_from_the_web_alone() {
    let lab = Lab::empty();
    let data = make(&lab, "here", "a.img", 1_000_000);
    let copy = data.clone();
    let server = HttpServer::start(move |request| request.part(&copy));
    get(&lab, &["a.img.torrent", "-o", "there", "--web-seed", &server.url("a.img")]).expect(0);
    assert!(read(&lab, "there/a.img") == data);
}

/// A server of one file, whose first answer stops after so many bytes.
fn stalling(data: &[u8], after: usize, tag: &'static str) -> HttpServer {
    let data = data.to_vec();
    HttpServer::start(move |request| {
        let reply = request.part(&data).with(tag);
        if request.number == 0 { reply.how(How::Stalled(after)) } else { reply }
    })
}

#[test]
fn a_file_from_the_web_is_gone_on_with_after_a_kill() {
    const LENGTH: usize = 48 << 20;
    let lab = Lab::empty();
    let data = content(LENGTH);
    let server = stalling(&data, 40 << 20, "ETag: \"1\"");
    let url = server.url("some%20file.iso?x");
    let mut command = lab.command(["get", &url, "-o", "there"]);
    let running = Running::start({
        command.args(ALONE);
        command
    });
    let journal = lab.path().join("there/some file.iso.lantorrent-journal");
    // What is durable is in the journal, 32 bytes for each 256 KiB.
    wait_until("much of it is durable", || fs::metadata(&journal).is_ok_and(|found| found.len() > 2500));
    running.kill();
    let said = get(&lab, &[&url, "-o", "there"]).expect(0);
    assert!(said.stdout.starts_with("there/some file.iso: 50.3 MB in "), "{said:?}");
    assert!(read(&lab, "there/some file.iso") == data);
    assert_eq!(names(&lab.path().join("there")), ["some file.iso"]);
    let last = server.heard().pop().unwrap();
    assert!(last.range.is_some_and(|(first, _)| first >= 16 << 20), "{last:?}");
    assert_eq!(last.if_range.as_deref(), Some("\"1\""));
    get(&lab, &[&url, "-o", "there"]).expect_usage(&["is there already"]);
}

#[test]
fn a_file_that_has_changed_is_fetched_anew() {
    let lab = Lab::empty();
    let (old, new) = (content(900_000), vec![5; 900_000]);
    let server = stalling(&old, 800_000, "ETag: \"old\"");
    let mut running = Running::start(lab.command(["get", &server.url("f")]));
    while running.expect("progress")["have"].as_u64().unwrap() == 0 {}
    running.stop("TERM").expect(1);
    assert_eq!(names(lab.path()), ["f.lantorrent", "f.lantorrent-journal"]);
    let copy = new.clone();
    let other = HttpServer::start(move |request| request.part(&copy).with("ETag: \"new\""));
    get(&lab, &[&other.url("f")]).expect(0);
    assert!(read(&lab, "f") == new);
    assert_eq!(names(lab.path()), ["f"]);
}

#[test]
fn a_file_from_the_web_over_connections_that_break() {
    let lab = Lab::empty();
    let data = content(2_000_000);
    // The second server knows no ranges: all comes again, and is passed over.
    for ranges in [true, false] {
        let copy = data.clone();
        let server = HttpServer::start(move |request| {
            let reply = if ranges { request.part(&copy) } else { Reply::all(&copy) };
            let reply = reply.with("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT");
            match request.number {
                0 => reply.how(How::Cut(1_000_000)),
                1 => Reply::status(503, ""),
                _ => reply,
            }
        });
        let said = get(&lab, &[&server.url("f"), "-v"]).expect(0);
        assert!(said.stderr.contains("503"), "{said:?}");
        assert!(read(&lab, "f") == data);
        assert_eq!(server.heard().len(), 3);
        fs::remove_file(lab.path().join("f")).unwrap();
    }
}

#[test]
fn what_cannot_be_had_is_said() {
    let lab = Lab::empty();
    let server = HttpServer::start(|_| Reply::status(404, ""));
    let said = get(&lab, &[&server.url("f")]).expect(1);
    assert!(said.stderr.contains("the server answers 404"), "{said:?}");
    let busy = HttpServer::start(|_| Reply::status(429, "Retry-After: 7\r\n"));
    let said = get(&lab, &[&busy.url("f")]).expect(1);
    assert!(said.stderr.contains("the server answers 429; try again in 7.00 s"), "{said:?}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = get(&lab, &[&format!("http://{closed}/f")]).expect(1);
    assert!(said.stderr.contains("refused") && said.stderr.contains("; "), "{said:?}");
    assert_eq!(names(lab.path()), [""; 0]);
    let page = HttpServer::start(|_| Reply::all(b"<html>"));
    get(&lab, &[&page.url("")]).expect_usage(&["no name for a file"]);
    let packing = HttpServer::start(|_| Reply::all(b"x").with("Content-Encoding: gzip"));
    let said = get(&lab, &[&packing.url("f")]).expect(1);
    assert!(said.stderr.contains("packed (gzip)"), "{said:?}");
    assert_eq!(names(lab.path()), [""; 0]);

    make(&lab, "here", "a.img", 100_000);
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = lab.run(["get", "a.img.torrent", "--no-local", "--port", &port]).expect(1);
    assert!(said.stderr.contains(&port) && said.stderr.contains("--port"), "{said:?}");
}

#[test]
fn what_has_its_name_and_is_something_else_stays() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 100_000);
    fs::write(lab.path().join("a.img"), "mine").unwrap();
    let said = get(&lab, &["a.img.torrent"]).expect(1);
    assert!(said.stderr.contains("a.img\" is something else than this torrent; move it away"), "{said:?}");
    assert!(read(&lab, "a.img") == b"mine");
}

#[test]
fn that_nobody_is_asked_is_said() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 100_000);
    let hash = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
    for what in ["a.img.torrent", &format!("magnet:?xt=urn:btih:{hash}")] {
        let mut command = lab.command(["get", what, "-o", "there"]);
        command.args(ALONE);
        let mut running = Running::start(command);
        let warning = running.expect("warning");
        assert!(warning["message"].as_str().unwrap().contains("give --tracker"), "{warning}");
        running.stop("INT").expect(1);
    }
}

#[test]
fn a_web_seed_that_has_something_else_is_named() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 100_000);
    let data = vec![7; 100_000];
    let other = HttpServer::start(move |request| request.part(&data));
    let url = other.url("a.img");
    let mut command = lab.command(["get", "a.img.torrent", "-o", "there", "--web-seed", &url]);
    command.args(ALONE);
    let mut running = Running::start(command);
    let warning = running.expect("warning");
    assert!(warning["message"].as_str().unwrap().starts_with(&url), "{warning}");
    running.stop("INT").expect(1);
}

#[test]
fn wrong_arguments_are_named() {
    let lab = Lab::empty();
    fs::write(lab.path().join("odd"), "<html>").unwrap();
    fs::write(lab.path().join("file"), "").unwrap();
    make(&lab, "here", "a.img", 1000);
    let cases: &[(&[&str], &str)] = &[
        (&["get"], "lantorrent get --help"),
        (&["get", "nowhere"], "nowhere"),
        (&["get", "odd"], "odd: this is no torrent"),
        (&["get", "-"], "not a file"),
        (&["get", "magnet:?dn=x"], "urn:btih:"),
        (&["get", "http://"], "not a URL that can be fetched"),
        (&["get", "ftp://me:secret@a/b"], "ftp://a/b is not a URL"),
        (&["get", "a.img.torrent", "-o", "file/x"], "-o"),
        (&["get", "a.img.torrent", "--seed", "--seed-for", "1h"], "--seed"),
        (&["get", "a.img.torrent", "--seed-for", "x"], "lantorrent get --help"),
        (&["get", "a.img.torrent", "--seed-ratio", "0"], "above 0"),
        (&["get", "a.img.torrent", "--port", "7-6"], "6881-6999"),
        (&["get", "a.img.torrent", "--peer", "10.0.0.7"], "10.0.0.7:6881"),
        (&["get", "a.img.torrent", "--dht-node", ":1"], "10.0.0.7:6881"),
        (&["get", "a.img.torrent", "--tracker", "10.0.0.7"], "udp://"),
        (&["get", "a.img.torrent", "--web-seed", "a"], "http://"),
        (&["get", "a.img.torrent", "--download", "fast"], "800Mbit"),
        (&["get", "a.img.torrent", "--connections", "0"], "1 to"),
        (
            &["get", "a.img.torrent", "--proxy", "ftp://me:secret@proxy:3128"],
            "\"ftp://proxy:3128\" is no proxy",
        ),
    ];
    for (args, part) in cases {
        let finished = lab.run(*args);
        println!("{args:?}: {}", finished.stderr);
        finished.expect_usage(&[part]);
    }
    assert!(lab.run(["get", "--help"]).expect(0).stdout.starts_with("Usage: lantorrent get"));
}

#[test]
fn success_is_where_the_path_leads() {
    let lab = Lab::empty();
    let data = make(&lab, "here", "a.img", 4_000_000);
    let (_seed, address) = Running::seed(&lab, "here", &["a.img.torrent"]);
    let mut command = lab.command(["get", "a.img.torrent", "--peer", &address, "--download", "2M"]);
    command.args(ALONE).args(["-o", "there"]);
    let mut running = Running::start(command);
    while running.expect("progress")["have"].as_u64().unwrap() == 0 {}
    let (there, away) = (lab.path().join("there"), lab.path().join("away"));
    fs::rename(&there, &away).unwrap();
    fs::create_dir(&there).unwrap();
    let said = running.end().expect(1);
    let failed = said.stdout.lines().find(|line| line.contains(r#""failed""#)).unwrap().to_owned();
    assert!(failed.contains("there/a.img") && failed.contains("away/a.img"), "both places: {failed}");
    assert!(!said.stdout.contains(r#""event":"whole""#), "{said:?}");
    assert_eq!(names(&there), [""; 0]);
    assert!(names(&away).contains(&"a.img.lantorrent".to_owned()), "{:?}", names(&away));
    // Back in its place it is gone on with.
    fs::remove_dir(&there).unwrap();
    fs::rename(&away, &there).unwrap();
    get(&lab, &["a.img.torrent", "-o", "there", "--peer", &address]).expect(0);
    assert!(read(&lab, "there/a.img") == data);
}
