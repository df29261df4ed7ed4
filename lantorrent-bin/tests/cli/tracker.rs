//! `lantorrent tracker`, asked as clients ask it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};

use crate::common::{Finished, LONG, Lab, signal};

/// A running tracker, killed and reaped when dropped.
struct Tracker(Option<Child>, SocketAddr);

impl Tracker {
    /// Waits until it says where it listens.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = child.stdout.take().unwrap();
        // No more than the line: the rest is for whoever waits for the end.
        while !line.ends_with('\n') {
            let mut byte = [0];
            stdout.read_exact(&mut byte).expect("a line");
            line.push(char::from(byte[0]));
        }
        child.stdout = Some(stdout);
        let line = line.trim();
        let address = match serde_json::from_str::<serde_json::Value>(line) {
            Ok(event) => event["address"].as_str().expect(line).parse(),
            Err(_) => line.strip_prefix("listening on ").expect(line).parse(),
        };
        Self(Some(child), address.expect(line))
    }

    fn get(&self, target: &str) -> String {
        get(self.1, target)
    }

    fn stop(mut self, name: &str) -> Finished {
        let child = self.0.take().unwrap();
        signal(name, child.id());
        Finished::of(child)
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The body of what is answered.
fn get(address: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    BufReader::new(stream).read_to_end(&mut answer).unwrap();
    let answer = answer.escape_ascii().to_string();
    answer.split_once("\\r\\n\\r\\n").expect(&answer).1.to_owned()
}

fn announce(number: usize, more: &str) -> String {
    format!(
        "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=-XX0000-{number:012}&port={}&compact=1{more}",
        number + 1
    )
}

#[test]
fn it_serves_http_and_udp_at_one_port_and_stops_when_told() {
    let lab = Lab::empty();
    for name in ["TERM", "INT"] {
        let tracker = Tracker::start(lab.command(["tracker", "--listen", "127.0.0.1:0", "--json"]));
        assert!(tracker.get(&announce(1, "&left=0")).contains("8:completei1e"));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.send_to(b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0abcd", tracker.1).unwrap();
        let mut answer = [0; 100];
        assert_eq!(socket.recv(&mut answer).unwrap(), 16);
        assert_eq!(&answer[..8], b"\0\0\0\0abcd");
        let finished = tracker.stop(name).expect(0);
        let end: serde_json::Value = serde_json::from_str(finished.stdout.trim()).unwrap();
        assert_eq!(end, serde_json::json!({ "event": "stopped", "peers": 1, "torrents": 1 }));
    }
}

#[test]
fn many_clients_at_the_same_time_and_some_that_say_nothing() {
    let lab = Lab::empty();
    let tracker = Tracker::start(lab.command(["tracker", "--listen", "127.0.0.1:0", "--interval", "5m"]));
    let silent: Vec<_> = (0..1000).filter_map(|_| TcpStream::connect(tracker.1).ok()).collect();
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let address = tracker.1;
            std::thread::spawn(move || {
                for number in 0..100 {
                    let answer = get(address, &announce(thread * 100 + number, "&left=1"));
                    assert!(answer.contains("8:intervali300e"), "{answer}");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(tracker.get("/scrape?info_hash=aaaaaaaaaaaaaaaaaaaa").contains("10:incompletei800e"));
    drop(silent);
    assert!(tracker.get(&announce(0, "&event=stopped")).contains("10:incompletei799e"));
    tracker.stop("TERM").expect(0);
}

#[test]
fn a_request_in_pieces_and_requests_that_are_none() {
    let lab = Lab::empty();
    let tracker = Tracker::start(lab.command(["tracker", "--listen", "[::1]:0"]));
    let mut stream = TcpStream::connect(tracker.1).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET / HTTP/1.1\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    assert_eq!(line, "HTTP/1.1 404 Not Found\r\n");
    for (request, status) in [("\x16\x03\x01\x02", "400"), ("POST / HTTP/1.1\r\n\r\n", "405")] {
        let mut stream = TcpStream::connect(tracker.1).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert_eq!(line.split(' ').nth(1), Some(status));
    }
    tracker.stop("TERM").expect(0);
}

#[test]
fn only_listed_torrents() {
    let lab = Lab::empty();
    let list = lab.path().join("list");
    std::fs::write(&list, format!("# ours\n\n{} package 1\n", "61".repeat(20))).unwrap();
    let arguments = ["tracker", "--listen", "127.0.0.1:0", "--whitelist", "list"];
    let tracker = Tracker::start(lab.command(arguments));
    assert!(tracker.get(&announce(1, "")).contains("8:complete"));
    let other = announce(1, "").replace("aaaa", "bbbb");
    assert!(tracker.get(&other).contains("14:failure reason"));
    drop(tracker);
    std::fs::write(&list, "0123\n").unwrap();
    lab.run(arguments).expect_usage(&["list, line 1", "40 hexadecimal"]);
    std::fs::remove_file(list).unwrap();
    lab.run(arguments).expect_usage(&["list"]);
}

#[test]
fn what_cannot_be() {
    let lab = Lab::empty();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = lab.run(["tracker", "--listen", &address]).expect(1);
    assert!(
        finished.stderr.contains(&address) && finished.stderr.contains("--listen"),
        "{}",
        finished.stderr
    );
    assert_eq!(finished.stdout, "");
    lab.run(["tracker", "--interval", "1"]).expect_usage(&["30s"]);
    lab.run(["tracker", "--listen", "6969"]).expect_usage(&["address and port"]);
}
