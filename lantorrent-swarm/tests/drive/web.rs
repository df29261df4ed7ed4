//! Web seeds (BEP 19): pieces from servers that do as they should, and from others.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lantorrent_core::Limit;
use lantorrent_swarm::drive::{Alert, Session};
use lantorrent_swarm::metainfo::{Draft, Metainfo};
use tempfile::TempDir;

use crate::http_server::{How, HttpServer, Reply, Request};
use crate::support::{add_torrent, content, expect_whole, session, settings, torrent};

const PIECE: u32 = 32 << 10;
const LENGTH: usize = 1_000_000;

/// A file, its torrent, and where it is to be fetched to.
struct Case {
    data: Vec<u8>,
    metainfo: Metainfo,
    there: TempDir,
}

fn case() -> Case {
    let here = tempfile::tempdir().unwrap();
    let data = content(LENGTH);
    fs::write(here.path().join("a.img"), &data).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    Case { data, metainfo, there: tempfile::tempdir().unwrap() }
}

impl Case {
    fn honest(&self) -> HttpServer {
        let data = self.data.clone();
        HttpServer::start(move |request| request.part(&data))
    }

    fn server(&self, answer: impl Fn(&Request, &[u8]) -> Reply + Send + Sync + 'static) -> HttpServer {
        let data = self.data.clone();
        HttpServer::start(move |request| answer(request, &data))
    }

    /// Fetches it from these web seeds. Returns the warnings.
    fn fetch(&self, servers: &[&HttpServer]) -> Vec<String> {
        let web_seeds = servers.iter().map(|server| server.url("a.img")).collect();
        let mut session = session();
        let _ = session.add(add_torrent(&self.metainfo, self.there.path()).web_seeds(web_seeds));
        let warnings = warnings_until_whole(&mut session);
        assert!(fs::read(self.there.path().join("a.img")).unwrap() == self.data);
        warnings
    }
}

fn warnings_until_whole(session: &mut Session) -> Vec<String> {
    let mut warnings = Vec::new();
    loop {
        match session.next_alert(Duration::from_secs(60)) {
            Some(Alert::Warning(_, warning)) => warnings.push(warning.to_string()),
            Some(Alert::Finished(_)) => return warnings,
            other => panic!("{other:?}, {warnings:?}, {:#?}", session.statuses()),
        }
    }
}

fn asked_bytes(server: &HttpServer) -> usize {
    server
        .heard()
        .iter()
        .map(|request| request.range.map_or(0, |(first, last)| last.unwrap() + 1 - first))
        .sum()
}

#[test]
fn a_file_in_parts_each_asked_for_once() {
    let case = case();
    let server = case.honest();
    assert_eq!(case.fetch(&[&server]), [""; 0]);
    assert_eq!(asked_bytes(&server), LENGTH);
}

#[test]
fn a_folder_with_odd_names() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = ["a b/c%41", "ä+ö", "e?x#y", "empty", "z/q/1"];
    for (name, length) in names.iter().zip([100_000, 3, 70_001, 0, 200_000]) {
        let path = here.path().join("odd & name").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content(length)).unwrap();
    }
    let metainfo = torrent(&here.path().join("odd & name"), PIECE, &Draft::default());
    let root = here.path().to_owned();
    let server = HttpServer::start(move |request| {
        let path = unescape(request.path.strip_prefix("/base/").expect(&request.path));
        request.part(&fs::read(root.join(path)).unwrap())
    });
    let mut session = session();
    let _ = session.add(add_torrent(&metainfo, there.path()).web_seeds(vec![server.url("base/")]));
    assert_eq!(warnings_until_whole(&mut session), [""; 0]);
    for name in names {
        let read = |folder: &Path| fs::read(folder.join("odd & name").join(name)).unwrap();
        assert!(read(here.path()) == read(there.path()), "{name}");
    }
}

fn unescape(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&behind[..2]).unwrap(), 16).unwrap());
            rest = &behind[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn redirects_and_bodies_in_chunks() {
    let case = case();
    let chunked = case.server(|request, data| request.part(data).how(How::Chunked));
    let target = chunked.url("elsewhere");
    let server = HttpServer::start(move |_| Reply::status(302, &format!("Location: {target}\r\n")));
    assert_eq!(case.fetch(&[&server]), [""; 0]);
    assert!(chunked.heard().iter().all(|request| request.path == "/elsewhere"));
}

#[test]
fn servers_that_cannot_help_are_left_alone() {
    for (reply, word) in [(Reply::status(404, ""), "404"), (Reply::all(b"<html>"), "6 bytes")] {
        let case = case();
        let (useless, honest) = (HttpServer::start(move |_| reply.clone()), case.honest());
        let warnings = case.fetch(&[&useless, &honest]);
        let asked = useless.heard().len();
        assert!(asked <= 2, "{asked}");
        assert_eq!(warnings.len(), asked, "{warnings:?}");
        assert!(warnings.iter().all(|why| why.contains(word)), "{warnings:?}");
    }
}

#[test]
fn failures_are_tried_again_later() {
    let case = case();
    let server = case.server(|request, data| match request.number {
        0 => Reply::status(503, "Retry-After: 1\r\n"),
        1 => request.part(data).how(How::Cut(40_000)),
        _ => request.part(data),
    });
    let warnings = case.fetch(&[&server]);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("503"), "{warnings:?}");
}

#[test]
fn more_than_was_asked_for_is_not_taken() {
    let case = case();
    // All of it to the end, whatever was asked for.
    let server = case.server(|request, data| {
        let request = Request { range: request.range.map(|(first, _)| (first, None)), ..request.clone() };
        request.part(data).how(How::Chunked)
    });
    assert_eq!(case.fetch(&[&server]), [""; 0]);
}

#[test]
fn who_sends_wrong_data_is_asked_no_more() {
    let case = case();
    let asked = Arc::new(AtomicBool::new(false));
    let is_asked = Arc::clone(&asked);
    let liar = case.server(move |request, data| {
        is_asked.store(true, Ordering::SeqCst);
        let mut reply = request.part(data);
        reply.body.fill(7);
        reply
    });
    // Otherwise it may have sent everything before the other is asked.
    let honest = case.server(move |request, data| {
        while !asked.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        request.part(data)
    });
    let warnings = case.fetch(&[&liar, &honest]);
    let asked = liar.heard().len();
    assert!((1..=2).contains(&asked), "{asked}");
    assert!(
        warnings[0].starts_with(&liar.url("a.img")) && warnings[0].contains("is not this torrent"),
        "{warnings:?}"
    );
}

#[test]
fn who_packs_what_he_sends_is_asked_no_more() {
    let case = case();
    let packing = case.server(|request, data| request.part(data).with("Content-Encoding: gzip"));
    let warnings = case.fetch(&[&packing, &case.honest()]);
    assert!(warnings.len() == packing.heard().len() && warnings.len() <= 2, "{warnings:?}");
    assert!(warnings.iter().all(|why| why.contains("gzip")), "{warnings:?}");
    assert!(packing.heard().iter().all(|request| request.encoding.as_deref() == Some("identity")));
}

#[test]
fn the_limit_holds_for_them_too() {
    let case = case();
    let server = case.honest();
    let mut session = Session::start(settings().download(Limit::new(Some(500 << 10)))).unwrap();
    let start = Instant::now();
    let web_seeds = vec![server.url("a.img"), server.url("a.img")];
    let _ = session.add(add_torrent(&case.metainfo, case.there.path()).web_seeds(web_seeds));
    expect_whole(&mut session, case.metainfo.info.hash());
    // 1,000,000 bytes at 512,000 a second, less what a late taker may catch up.
    assert!(start.elapsed() >= Duration::from_millis(1800), "{:?}", start.elapsed());
}

#[test]
fn slow_and_silent_ones_do_not_hold_up_the_end() {
    let case = case();
    let silent = case.server(|request, data| request.part(data).how(How::Stalled(0)));
    let slow = case.server(|request, data| request.part(data).how(How::Slow(20)));
    let session = session();
    let web_seeds = vec![silent.url("a.img"), slow.url("a.img")];
    let _ = session.add(add_torrent(&case.metainfo, case.there.path()).web_seeds(web_seeds));
    let start = Instant::now();
    while silent.heard().is_empty() || slow.heard().is_empty() {
        assert!(start.elapsed() < Duration::from_secs(30), "nobody was asked");
        std::thread::sleep(Duration::from_millis(20));
    }
    let start = Instant::now();
    session.stop();
    // A silent server is waited for 15 s otherwise.
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

#[test]
fn servers_without_ranges_send_all_of_it_once() {
    let case = case();
    let server = case.server(|_, data| Reply::all(data));
    assert_eq!(case.fetch(&[&server]), [""; 0]);
    // The first question was for something in the middle, maybe, and its answer serves for all.
    let asked = server.heard().len();
    assert!(asked <= 3, "{asked}");
}

#[test]
fn parts_that_are_smaller_than_asked_for() {
    let case = case();
    let server = case.server(|request, data| {
        let range = request.range.map(|(first, last)| (first, last.map(|last| last.min(first + 30_000))));
        Request { range, ..request.clone() }.part(data)
    });
    assert_eq!(case.fetch(&[&server]), [""; 0]);
}

#[test]
fn answers_that_are_no_part_of_the_file() {
    for (reply, word) in [
        (Reply::status(206, ""), "another part"),
        (Reply::status(206, "Content-Range: bytes 3-1000001/1000002\r\n"), "part"),
        (Reply::status(206, "Content-Type: multipart/byteranges; boundary=x\r\n"), "another part"),
        (Reply::all(&[0; 10]), "a file of 10 bytes"),
        (Reply::status(302, "Location: ftp://a/b\r\n"), "ftp://a/b"),
    ] {
        let case = case();
        let (odd, honest) = (HttpServer::start(move |_| reply.clone()), case.honest());
        let warnings = case.fetch(&[&odd, &honest]);
        assert!(odd.heard().len() <= 2 && warnings.len() == odd.heard().len(), "{warnings:?}");
        assert!(warnings.iter().all(|why| why.contains(word)), "{warnings:?}");
    }
}

#[test]
fn what_is_left_out_is_told() {
    let case = case();
    let server = case.honest();
    let mut session = session();
    let web_seeds =
        vec!["ftp://user:secret@a/b".into(), server.url("a.img").replace("http://", "http://user:secret@")];
    let trackers = vec![vec!["wss://user:secret@b/".into()]];
    let _ =
        session.add(add_torrent(&case.metainfo, case.there.path()).web_seeds(web_seeds).trackers(trackers));
    let warnings = warnings_until_whole(&mut session);
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("wss://b/ is left out") && warnings[1].contains("ftp://a/b is left out"),
        "{warnings:?}"
    );
    assert!(
        server
            .heard()
            .iter()
            .all(|request| request.authorization.as_deref() == Some("Basic dXNlcjpzZWNyZXQ="))
    );
}
