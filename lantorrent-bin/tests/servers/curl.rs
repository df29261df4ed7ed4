//! The environment as curl reads it: the same question to both.

use std::fs;
use std::process::Command;

use crate::programs::is_there;
use crate::recorder::Recorder;
use crate::site::get;

/// Whether the request named the whole URL, as to a proxy.
fn was_proxied(recorder: &Recorder) -> Option<bool> {
    let heard = recorder.take();
    heard.first().map(|head| head.starts_with("GET http://"))
}

#[test]
fn both_take_the_same_way() {
    if !is_there("curl") {
        return;
    }
    let v4 = Recorder::start("127.0.0.1:0").unwrap();
    let v6 = Recorder::start("[::1]:0");
    let lab = crate::common::Lab::empty();
    let proxy = format!("http://us%40er:pass@{}", v4.address);
    let (port, bare) = (v4.address.port(), v4.address.to_string());
    let mut cases: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    for (host, values) in [
        (
            "127.0.0.1",
            "*|127.0.0.1|127.0.0.0/8|127.0.0.1/32|10.0.0.0/8|x, 127.0.0.1|x 127.0.0.1|*,x|127.*|.0.0.1|x,,127.0.0.1",
        ),
        ("localhost", "localhost|.localhost|LOCALHOST|localhost.|host|calhost|127.0.0.1|*.localhost"),
    ] {
        cases.extend(
            values.split('|').map(|value| (host, vec![("http_proxy", &proxy[..]), ("no_proxy", value)])),
        );
    }
    cases.extend([
        ("127.0.0.1", vec![("http_proxy", &proxy[..]), ("no_proxy", &bare[..])]),
        ("127.0.0.1", vec![("http_proxy", &proxy), ("NO_PROXY", "127.0.0.1")]),
        ("127.0.0.1", vec![("http_proxy", &proxy), ("no_proxy", "x"), ("NO_PROXY", "127.0.0.1")]),
        ("127.0.0.1", vec![("http_proxy", &proxy), ("no_proxy", ""), ("NO_PROXY", "127.0.0.1")]),
        ("127.0.0.1", vec![("HTTP_PROXY", &proxy)]),
        ("127.0.0.1", vec![("https_proxy", &proxy)]),
        ("127.0.0.1", vec![("ALL_PROXY", &proxy)]),
        ("127.0.0.1", vec![("http_proxy", ""), ("all_proxy", &bare)]),
    ]);
    for (host, environment) in cases {
        let url = format!("http://{host}:{port}/f");
        let mut curl = Command::new("curl");
        curl.args(["-s", "-o", "/dev/null", "-m", "20", &url]).env_clear().env("PATH", "/usr/bin:/bin");
        assert!(curl.envs(environment.iter().copied()).status().unwrap().success());
        let expected = was_proxied(&v4);
        get(&lab, &[&url], &environment).expect(0);
        assert_eq!(was_proxied(&v4), expected, "{url} {environment:?}");
        fs::remove_file(lab.path().join("f")).unwrap();
    }
    if let Some(v6) = v6 {
        for (value, proxied) in [("::1", false), ("[::1]", false), ("::2", true)] {
            let url = format!("http://{}/f", v6.address);
            get(&lab, &[&url], &[("http_proxy", &proxy), ("no_proxy", value)]).expect(0);
            assert_eq!(
                (was_proxied(&v4).is_some(), was_proxied(&v6).is_none()),
                (proxied, proxied),
                "{value}"
            );
            fs::remove_file(lab.path().join("f")).unwrap();
        }
    }
}

#[test]
fn credentials_go_to_the_proxy_alone() {
    let proxy = Recorder::start("127.0.0.1:0").unwrap();
    let lab = crate::common::Lab::empty();
    let url = format!("http://us%40er:p%3Aass@{}", proxy.address);
    let said = get(&lab, &["http://me:secret@nowhere.invalid/f", "--proxy", &url], &[]).expect(0);
    assert!(!(said.stdout + &said.stderr).contains("secret"));
    let [head] = &proxy.take()[..] else { panic!("one request") };
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("get http://nowhere.invalid/f http/1.1\n"), "{head}");
    // us@er:p:ass, and me:secret.
    for line in [
        "proxy-authorization: basic dxnazxi6cdphc3m=",
        "authorization: basic bwu6c2vjcmv0",
        "host: nowhere.invalid",
    ] {
        assert!(head.lines().any(|other| other == line), "{line}: {head}");
    }
}
