//! HTTPS, with a server whose certificate is signed by an authority of our own (`testdata/tls`).

use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::{Finished, Lab, content, finish};
use crate::http_server::{HttpServer, Reply, Request};
use crate::swarms::read;

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
