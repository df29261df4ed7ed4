//! Files from servers whose answers are odd, and right all the same, or wrong.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;

use lantorrent_core::Limit;
use lantorrent_swarm::drive::{Page, Web, WebError};
use lantorrent_swarm::files::Durability;
use lantorrent_swarm::metainfo::Draft;

use crate::http_server::{How, HttpServer, Reply};
use crate::support::{add_torrent, address, content, expect_whole, session, torrent};

/// What a URL leads to, by its name.
fn fetch(url: &str) -> Result<(String, Vec<u8>), WebError> {
    let folder = tempfile::tempdir().unwrap();
    let file = match Web::new(None, Limit::default()).unwrap().open(&url.parse().unwrap())? {
        Page::File(file) => file,
        Page::Torrent(torrent) => return Ok(("torrent".into(), torrent.encode())),
    };
    let name = file.name().expect("a name").to_owned();
    file.save(folder.path(), &name, Durability::NoSync, &|_, _| ControlFlow::Continue(()))?;
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [&name[..]], "nothing else is left");
    Ok((name.clone(), fs::read(folder.path().join(&name)).unwrap()))
}

fn body(url: &str) -> Vec<u8> {
    fetch(url).unwrap_or_else(|error| panic!("{url}: {error}")).1
}

fn refusal(url: &str) -> String {
    fetch(url).map(|(_, bytes)| bytes.len()).expect_err(url).to_string()
}

#[test]
fn heads_as_servers_write_them() {
    for head in [
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 More\r\nLink: </b>\r\n\r\n\
         HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200\r\ncONTENT-lENGTH:5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Folded: a\r\n\tb\r\n c\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: \u{fc}\u{df}\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: aws-chunked\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: ,None\r\nContent-Encoding: UTF-8\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/5\r\nContent-Length: 5\r\n\r\n",
    ] {
        let server = HttpServer::start(move |_| Reply::raw([head.as_bytes(), b"bytes"].concat()));
        assert_eq!(body(&server.url("f")), b"bytes", "{head:?}");
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n2;x=y\r\nby\r\n03\r\ntes\r\n0\r\nT: x\r\n\r\n";
    let server = HttpServer::start(move |_| Reply::raw(chunked));
    assert_eq!(body(&server.url("f")), b"bytes");
}

#[test]
fn answers_that_nothing_can_be_made_of() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(300_000));
    let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000);
    for (answer, word) in [
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "gzip, chunked"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", "chunked"),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", "packed (gzip)"),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: aws-chunked,gzip\r\nContent-Length: 1\r\n\r\nx",
            "packed (gzip)",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", "answers 204"),
        (
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-0/2\r\nContent-Length: 1\r\n\r\nx",
            "another part",
        ),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "answers 302"),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", "answers 304"),
        ("SSH-2.0-x\r\n", "no HTTP"),
        ("", "disconnected"),
        (&long, "header"),
        (&endless, "interim"),
    ] {
        let answer = answer.to_owned();
        let server = HttpServer::start(move |_| Reply::raw(answer.clone()));
        let said = refusal(&server.url("f"));
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn bodies_that_are_cut_are_no_files() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nbytes"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbytes\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nbytes",
    ] {
        let server = HttpServer::start(move |request| {
            if request.number == 0 { Reply::raw(answer) } else { Reply::all(b"other bytes") }
        });
        assert_eq!(body(&server.url("f")), b"other bytes", "nothing of the first answer");
    }
}

#[test]
fn redirects_as_servers_write_them() {
    let other = HttpServer::start(|_| Reply::all(b"there"));
    let place = other.url("").replace("http:", "");
    for (location, path) in [
        ("/My Images/größe 1.img", "/My%20Images/gr%C3%B6%C3%9Fe%201.img"),
        ("plain?x", "/a/plain?x"),
        ("?x=y z", "/a/b?x=y%20z"),
        ("../c", "/c"),
        ("/x#y", "/x"),
        (" /x ", "/x"),
    ] {
        for status in [300, 301, 302, 303, 307, 308] {
            let server = HttpServer::start(move |request| match request.number {
                0 => Reply::status(status, &format!("Location: {location}\r\n")),
                _ => Reply::all(request.path.as_bytes()),
            });
            assert_eq!(body(&server.url("a/b")), path.as_bytes(), "{status} {location}");
        }
    }
    let location = format!("Location: {place}x\r\n");
    let server = HttpServer::start(move |_| Reply::status(302, &location));
    assert_eq!(body(&server.url("f")), b"there");
    let latin = b"HTTP/1.1 302 Found\r\nLocation: /gr\xf6\xdfe\r\nContent-Length: 0\r\n\r\n";
    let server = HttpServer::start(move |request| match request.number {
        0 => Reply::raw(&latin[..]),
        _ => Reply::all(request.path.as_bytes()),
    });
    assert_eq!(body(&server.url("f")), b"/gr%F6%DFe");
}

#[test]
fn redirects_that_lead_nowhere() {
    for (location, word) in [
        ("f", "in a circle"),
        ("ftp://user:secret@a/b", "ftp://a/b"),
        ("magnet:?xt=urn:btih:1", "magnet:?xt"),
        ("http://", "cannot be followed"),
        ("udp://a:1/", "only http"),
    ] {
        let server = HttpServer::start(move |_| Reply::status(302, &format!("Location: {location}\r\n")));
        let said = refusal(&server.url("f"));
        assert!(said.contains(word) && !said.contains("secret"), "{location}: {said}");
    }
    let server =
        HttpServer::start(move |request| Reply::status(302, &format!("Location: /{}\r\n", request.number)));
    assert!(refusal(&server.url("f")).contains("more than 10 times"));
    assert_eq!(server.heard().len(), 11);
}

#[test]
fn credentials_are_for_their_own_server() {
    let basic = "Basic dXNlcjpwQHNz";
    let with = |url: &str| url.replace("http://", "http://user:p%40ss@");
    let server = HttpServer::start(|request| match &request.path[..] {
        "/a" => Reply::status(302, "Location: /b\r\n"),
        _ => Reply::all(b"x"),
    });
    body(&with(&server.url("a")));
    let heard: Vec<_> = server.heard().into_iter().map(|request| request.authorization).collect();
    assert_eq!(heard, [Some(basic.into()), Some(basic.into())]);
    let target = format!("Location: {}\r\n", server.url("c"));
    let other = HttpServer::start(move |_| Reply::status(301, &target));
    body(&with(&other.url("a")));
    assert_eq!(other.heard()[0].authorization.as_deref(), Some(basic));
    assert_eq!(server.heard()[2].authorization, None);
    let refusing = HttpServer::start(|_| Reply::status(401, ""));
    let (said, url) = (refusal(&with(&refusing.url("a"))), refusing.url("a"));
    assert_eq!(said, format!("{url}: the server answers 401"));
}

#[test]
fn what_a_file_is_called() {
    let server = HttpServer::start(|request| {
        let name = ["tool 1.0.iso", "../../tool.iso", ".bashrc"][request.number];
        Reply::all(b"x").with(&format!("Content-Disposition: attachment; filename=\"{name}\""))
    });
    for name in ["tool 1.0.iso", "tool.iso", "download"] {
        assert_eq!(fetch(&server.url("download?id=5")).unwrap().0, name);
    }
    let place = server.url("there/name.iso");
    let named = HttpServer::start(|_| Reply::all(b"x"));
    let redirect = HttpServer::start(move |_| {
        Reply::status(302, &format!("Location: {}\r\n", place.replace(&server.url(""), &named.url(""))))
    });
    assert_eq!(fetch(&redirect.url("latest")).unwrap().0, "latest", "as it was asked for");
    assert_eq!(fetch(&redirect.url("")).unwrap().0, "name.iso", "where that has no name");
}

/// Sends files of which the first answer is cut, under that tag.
fn mirror(data: &[u8], tag: &'static str, gone: bool) -> HttpServer {
    let data = data.to_vec();
    HttpServer::start(move |request| match request.number {
        0 => request.part(&data).with(tag).how(How::Cut(600_000)),
        _ if gone => Reply::status(404, ""),
        _ => request.part(&data).with(tag),
    })
}

#[test]
fn mirrors_are_not_mixed() {
    let (old, new) = (content(1_000_000), vec![5; 1_000_000]);
    for gone in [false, true] {
        let (first, second) = (mirror(&old, "ETag: \"a\"", gone), mirror(&new, "ETag: \"b\"", false));
        let places = [first.url("f"), second.url("f")];
        let redirect = HttpServer::start(move |request| {
            Reply::status(302, &format!("Location: {}\r\n", places[request.number.min(1)]))
        });
        let expected = if gone { &new } else { &old };
        assert!(body(&redirect.url("f")) == *expected, "{gone}");
        let again = first.heard()[1].clone();
        assert_eq!(again.if_range.as_deref(), Some("\"a\""), "where it has begun");
    }
}

#[test]
fn what_has_no_version_is_not_mixed() {
    let (old, new) = (content(1_000_000), vec![5; 1_000_000]);
    let server = HttpServer::start(move |request| match request.number {
        0 => Reply::all(&old).how(How::Cut(600_000)),
        _ => request.part(&new),
    });
    assert!(body(&server.url("f")) == vec![5; 1_000_000]);
    assert!(server.heard()[1].range.is_none());
}

#[test]
fn a_rest_that_cannot_be_had_by_itself_is_no_end() {
    let data = content(1_000_000);
    for range in ["", "Content-Range: bytes 0-9/1000000", "Content-Type: multipart/byteranges; boundary=x"] {
        let copy = data.clone();
        let server = HttpServer::start(move |request| match (request.number, request.range) {
            (0, _) => Reply::all(&copy).with("ETag: \"a\"").how(How::Cut(600_000)),
            (_, None) => Reply::all(&copy).with("ETag: \"a\""),
            (_, Some((from, _))) => {
                let reply = Reply { status: 206, ..Reply::all(&copy[from..]) }.with("ETag: \"a\"");
                if range.is_empty() { reply } else { reply.with(range) }
            }
        });
        assert!(body(&server.url("f")) == data, "{range}");
        assert!(server.heard()[1].range.is_some() && server.heard()[2].range.is_none(), "{range}");
    }
}

#[test]
fn lengths_that_become_known() {
    let data = content(1_000_000);
    let copy = data.clone();
    let server = HttpServer::start(move |request| match request.number {
        0 => Reply::raw(
            [
                b"HTTP/1.1 200 OK\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\nf4240\r\n",
                &copy[..600_000],
            ]
            .concat(),
        ),
        _ => request.part(&copy).with("ETag: \"a\""),
    });
    assert!(body(&server.url("f")) == data);
    assert!(server.heard()[1].range.is_some());
}

#[test]
fn what_is_packed_itself_is_taken_as_it_is() {
    let server = HttpServer::start(|_| Reply::all(b"\x1f\x8bbytes").with("Content-Encoding: x-gzip"));
    assert_eq!(fetch(&server.url("tool.tar.gz")).unwrap(), ("tool.tar.gz".into(), b"\x1f\x8bbytes".to_vec()));
}

/// Serves one connection after the other by what is done with each.
fn by_hand(serve: impl Fn(usize, &mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            serve(number, &mut { stream });
        }
    });
    address
}

fn await_request(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
}

#[test]
fn connections_that_end_between_two_questions() {
    let address = by_hand(|number, stream| {
        await_request(stream);
        if number == 0 {
            stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n").unwrap();
            // It is kept, and closed when it is used.
            await_request(stream);
        } else {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nbytes").unwrap();
        }
    });
    assert_eq!(body(&format!("http://{address}/a")), b"bytes");
}

/// The head of gzip.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff";

/// Without compression, as gzip and as deflate may hold it.
fn packed(plain: &[u8], head: &[u8], tail: &[u8]) -> Vec<u8> {
    let length = u16::try_from(plain.len()).unwrap();
    let block = [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), plain].concat();
    [head, &block, tail].concat()
}

/// The checksum at the end of gzip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let tail = [crc32(plain).to_le_bytes(), u32::try_from(plain.len()).unwrap().to_le_bytes()].concat();
    packed(plain, GZIP, &tail)
}

#[test]
fn trackers_answer_in_many_ways() {
    let (here, data) = (tempfile::tempdir().unwrap(), content(100_000));
    fs::write(here.path().join("a.img"), &data).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), 32 << 10, &Draft::default());
    let mut seeder = session();
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    let port = address(&seeder).port().to_be_bytes();
    let plain = [&b"d8:intervali1800e5:peers6:\x7f\0\0\x01"[..], &port, b"e"].concat();
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes();
    let answers = [
        [head("Content-Encoding: gzip\r\n"), gzip(&plain)].concat(),
        [head("Content-Encoding: x-gzip\r\nContent-Type: text/plain\r\n"), gzip(&plain)].concat(),
        [head(""), gzip(&plain)].concat(),
        [head("Content-Encoding: deflate\r\n"), packed(&plain, b"", b"")].concat(),
        [b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n".to_vec(), head(""), plain.clone()].concat(),
        [head(""), b"\r\n".to_vec(), plain.clone()].concat(),
        [b"HTTP/1.0 200 Ok\r\n\r\n".to_vec(), plain.clone()].concat(),
        "HTTP/1.1 302 Found\r\nLocation: /a b?ü\r\n\r\n".as_bytes().to_vec(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let plain = plain.clone();
        let server = HttpServer::start(move |request| {
            if request.path.starts_with("/a%20b?%C3%BC") {
                Reply::all(&plain)
            } else {
                Reply::raw(answer.clone())
            }
        });
        let (there, mut leecher) = (tempfile::tempdir().unwrap(), session());
        let trackers = vec![vec![server.url("announce")]];
        let _ = leecher.add(add_torrent(&metainfo, there.path()).trackers(trackers));
        expect_whole(&mut leecher, metainfo.info.hash());
        assert!(fs::read(there.path().join("a.img")).unwrap() == data, "{number}");
    }
}

#[test]
fn a_torrent_that_is_packed_on_its_way() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(100_000)).unwrap();
    let bytes = torrent(&here.path().join("a.img"), 32 << 10, &Draft::default()).encode();
    let copy = bytes.clone();
    let server = HttpServer::start(move |_| Reply::all(&gzip(&copy)).with("Content-Encoding: gzip"));
    assert_eq!(fetch(&server.url("a.torrent")).unwrap(), ("torrent".into(), bytes));
}
