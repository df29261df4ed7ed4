//! Trackers, directly and through proxies.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use crate::common::{Lab, content, wait_until};
use crate::programs::{self, is_there};
use crate::site::{self, get, read};

/// Killed and reaped when dropped.
struct Seed(Child);

impl Drop for Seed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn seed(lab: &Lab, tracker: &str) -> Seed {
    let mut command: Command =
        lab.command(["seed", "--no-local", "--port", "0", "--dir", "here", "a.torrent"]);
    command.args(["--tracker", tracker, "--json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut seed = Seed(command.spawn().unwrap());
    let mut said = Vec::new();
    let mut stdout = seed.0.stdout.take().unwrap();
    wait_until("it serves", || {
        let mut bytes = [0; 4096];
        let count = stdout.read(&mut bytes).unwrap();
        assert!(count > 0, "it has ended: {}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&bytes[..count]);
        String::from_utf8_lossy(&said).contains("\"ready\"")
    });
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    seed
}

#[test]
fn opentracker_directly_and_through_both_proxies() {
    if !["opentracker", "squid", "tinyproxy"].into_iter().all(is_there) {
        return;
    }
    let lab = Lab::empty();
    let data = content(300_000);
    std::fs::create_dir(lab.path().join("here")).unwrap();
    std::fs::write(lab.path().join("here/a.img"), &data).unwrap();
    site::torrent(&lab, "here/a.img", "a.torrent");
    let shown = lab.run(["torrent", "show", "a.torrent", "--json"]).expect(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let tracker = programs::opentracker(&lab, shown["info_hash"].as_str().unwrap());
    let _seed = seed(&lab, &tracker.url("announce"));
    let (squid, tiny) = (programs::squid(&lab, ""), programs::tinyproxy(&lab, ""));
    for (folder, proxy) in [("direct", None), ("squid", Some(squid.proxy())), ("tiny", Some(tiny.proxy()))] {
        let environment: Vec<_> = proxy.iter().map(|proxy| ("http_proxy", &proxy[..])).collect();
        get(&lab, &["a.torrent", "-o", folder, "--tracker", &tracker.url("announce")], &environment)
            .expect(0);
        assert!(read(&lab, &format!("{folder}/a.img")) == data);
    }
}
