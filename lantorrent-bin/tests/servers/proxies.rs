//! squid and tinyproxy.

use std::net::TcpListener;

use crate::common::Lab;
use crate::programs::{self, Server, is_there};
use crate::recorder::Recorder;
use crate::site::{self, get, read};

/// Files and web seeds go through it; what it refuses is told of it, and not of the server.
fn check(program: &str, start: impl Fn(&Lab, &str) -> Server) {
    if !is_there(program) || !is_there("python3") {
        return;
    }
    let (lab, site) = site::lab();
    let (web, proxy) = (programs::python(&lab, &site), start(&lab, ""));
    let environment = [("http_proxy", &proxy.proxy()[..]), ("https_proxy", &proxy.proxy()[..])];
    let file = "My Images/tool 1.0.img";
    get(&lab, &[&web.url(file), "-o", "a"], &environment).expect(0);
    assert!(read(&lab, "a/tool 1.0.img") == read(&lab, &format!("site/{file}")));
    let direct = [environment[0], ("no_proxy", "127.0.0.0/8")];
    get(&lab, &[&web.url(file), "-o", "b"], &direct).expect(0);

    site::torrent(&lab, &format!("site/{file}"), "file.torrent");
    get(&lab, &["file.torrent", "-o", "c", "--web-seed", &web.url(file)], &environment).expect(0);
    assert!(read(&lab, "c/tool 1.0.img") == read(&lab, &format!("site/{file}")));

    // Nothing listens there.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = get(&lab, &[&format!("http://{closed}/f")], &environment).expect(1);
    assert!(said.stderr.contains(&format!("the proxy {}", proxy.proxy())), "{said:?}");
    let gone = format!("http://{closed}");
    let said = get(&lab, &[&web.url(file)], &[("http_proxy", &gone)]).expect(1);
    assert!(
        said.stderr.contains(&format!("the proxy {gone}")) && said.stderr.contains("refused"),
        "{said:?}"
    );
}

#[test]
fn squid() {
    check("squid", programs::squid);
}

#[test]
fn tinyproxy() {
    check("tinyproxy", programs::tinyproxy);
}

#[test]
fn squid_opens_tunnels_to_few_ports() {
    if !is_there("squid") {
        return;
    }
    let lab = Lab::empty();
    let proxy = programs::squid(&lab, "");
    let said = get(&lab, &["https://127.0.0.1:8443/f"], &[("https_proxy", &proxy.proxy())]).expect(1);
    let expected = format!("the proxy {} allows no connection to 127.0.0.1, port 8443 (403)", proxy.proxy());
    assert!(said.stderr.contains(&expected), "{said:?}");
    // Nor does it forward to ports of other services.
    let said = get(&lab, &["http://127.0.0.1:25/f"], &[("http_proxy", &proxy.proxy())]).expect(1);
    let expected = format!("the proxy {} answers 403 (ERR_ACCESS_DENIED", proxy.proxy());
    assert!(said.stderr.contains(&expected), "{said:?}");
}

#[test]
fn tinyproxy_with_a_password() {
    if !is_there("tinyproxy") {
        return;
    }
    let lab = Lab::empty();
    let proxy = programs::tinyproxy(&lab, "BasicAuth user s3cret");
    let server = Recorder::start("127.0.0.1:0").unwrap();
    let url = format!("http://{}/f", server.address);
    let with = |user: &str| format!("http://{user}127.0.0.1:{}", proxy.port);
    for user in ["", "user:wrong@"] {
        let said = get(&lab, &[&url], &[("http_proxy", &with(user))]).expect(1);
        assert!(said.stderr.contains(&format!("the proxy {}", proxy.proxy())), "{said:?}");
        assert!(!said.stderr.contains("wrong"), "{said:?}");
        let said = get(&lab, &[&url.replace("http:", "https:")], &[("https_proxy", &with(user))]).expect(1);
        assert!(said.stderr.contains(&format!("the proxy {}", proxy.proxy())), "{said:?}");
    }
    assert_eq!(server.take(), [""; 0]);
    get(&lab, &[&url], &[("http_proxy", &with("user:s3cret@"))]).expect(0);
    let heard = server.take().concat().to_ascii_lowercase();
    assert!(heard.contains("via:") && !heard.contains("authorization"), "{heard}");
}
