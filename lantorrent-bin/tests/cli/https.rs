//! HTTPS, with a server whose certificate is signed by an authority of our own (`testdata/tls`).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::{Finished, Lab, content, finish};
use crate::http_server::{HttpServer, Reply, Request};
use crate::swarms::{ALONE, make, read};

const TRUSTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/tls/ca.pem");

fn secure(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> HttpServer {
    let certificate = CertificateDer::from(&include_bytes!("../../../testdata/tls/localhost.der")[..]);
    let key = PrivatePkcs8KeyDer::from(&include_bytes!("../../../testdata/tls/localhost.key.der")[..]);
    let config = ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    let config = Arc::new(config);
    HttpServer::wrapped(answer, move |stream: TcpStream| {
        StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream)
    })
}

fn get(lab: &Lab, url: &str, trusted: &str) -> Finished {
    let mut command = lab.command(["get", url]);
    command.env("SSL_CERT_FILE", trusted);
    finish(command)
}

#[test]
fn a_file_from_a_server_that_is_trusted() {
    let lab = Lab::empty();
    let data = content(1_000_000);
    let copy = data.clone();
    let server = secure(move |request| request.part(&copy));
    get(&lab, &format!("https://localhost:{}/f", server.port()), TRUSTED).expect(0);
    assert!(read(&lab, "f") == data);

    // From HTTP to HTTPS, too.
    let target = format!("Location: https://localhost:{}/x\r\n", server.port());
    let redirect = HttpServer::start(move |_| Reply::status(302, &target));
    get(&lab, &redirect.url("g"), TRUSTED).expect(0);
    assert!(read(&lab, "g") == data);
}

#[test]
fn nothing_goes_on_in_plain() {
    let lab = Lab::empty();
    let plain = HttpServer::start(|_| Reply::all(b"anybody's"));
    let target = format!("Location: {}\r\n", plain.url("x"));
    let server = secure(move |_| Reply::status(302, &target));
    let url = format!("https://me:s3cret@localhost:{}/f", server.port());
    let said = get(&lab, &url, TRUSTED).expect(1);
    assert!(said.stderr.contains(&plain.url("x")) && said.stderr.contains("from HTTPS"), "{said:?}");
    assert!(!said.stderr.contains("s3cret") && plain.heard().is_empty(), "{said:?}");
    assert_eq!(server.heard()[0].authorization.as_deref(), Some("Basic bWU6czNjcmV0"));

    // A torrent's files are verified.
    let data = make(&lab, "here", "a.img", 100_000);
    let copy = data.clone();
    let plain = HttpServer::start(move |request| request.part(&copy));
    let target = format!("Location: {}\r\n", plain.url("x"));
    let server = secure(move |_| Reply::status(302, &target));
    let url = format!("https://localhost:{}/a.img", server.port());
    let mut command = lab.command(["get", "a.img.torrent", "-o", "there", "--web-seed", &url]);
    command.args(ALONE).env("SSL_CERT_FILE", TRUSTED);
    finish(command).expect(0);
    assert!(read(&lab, "there/a.img") == data);
}

/// A proxy that opens a tunnel to any place, and tells of none but the first line.
fn tunnel() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let head: Vec<String> = BufReader::new(&client)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let place = head[0].split(' ').nth(1).unwrap().to_owned();
            tell.send(head.join("\n")).unwrap();
            let server = TcpStream::connect(place).unwrap();
            (&client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || io::copy(&mut up, &mut { server }));
            std::thread::spawn(move || io::copy(&mut down, &mut { client }));
        }
    });
    (address, told)
}

#[test]
fn through_a_tunnel() {
    let lab = Lab::empty();
    let server = secure(|_| Reply::all(b"secret"));
    let (proxy, told) = tunnel();
    let url = format!("https://localhost:{}/f", server.port());
    let mut command = lab.command(["-vv", "get", &url]);
    command.env("SSL_CERT_FILE", TRUSTED).env("https_proxy", format!("http://me:s3cret@{proxy}"));
    let said = finish(command).expect(0);
    assert!(said.stderr.contains("ureq::") && !said.stderr.contains("s3cret"), "{said:?}");
    assert!(!said.stderr.contains("ureq_proto::util"), "every byte is told: {said:?}");
    assert_eq!(read(&lab, "f"), b"secret");
    let head = told.recv().unwrap();
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\n", server.port())), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic bWU6czNjcmV0"), "{head}");
}

#[test]
fn who_is_not_trusted_is_not_asked() {
    let lab = Lab::empty();
    let server = secure(|_| Reply::all(b"secret"));
    let url = format!("https://localhost:{}/f", server.port());
    for (trusted, word) in [("/nonexistent", "SSL_CERT_FILE"), ("/dev/null", "no certificate")] {
        let said = get(&lab, &url, trusted).expect(1);
        assert!(said.stderr.contains(word), "{said:?}");
    }
    let other = "/etc/ssl/certs/ca-certificates.crt";
    if std::path::Path::new(other).exists() {
        let said = get(&lab, &url, other).expect(1);
        assert!(said.stderr.contains("certificate"), "{said:?}");
    }
    assert!(server.heard().is_empty());
}
