//! Files and web seeds.

use std::fs;
use std::path::Path;

use crate::common::{Lab, names};
use crate::programs::{self, Server, is_there};
use crate::site::{self, FILES, get, read};

fn check(program: &str, start: impl Fn(&Lab, &Path) -> Server) {
    if !is_there(program) {
        return;
    }
    let (lab, site) = site::lab();
    let server = start(&lab, &site);
    for (path, url) in FILES {
        get(&lab, &[&server.url(url), "-o", "there"], &[]).expect(0);
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        assert!(read(&lab, &format!("there/{name}")) == read(&lab, &format!("site/{path}")), "{path}");
    }
    let said = get(&lab, &[&server.url("nowhere")], &[]).expect(1);
    assert!(said.stderr.contains("the server answers 404"), "{said:?}");
    web_seed_of_a_folder(&lab, &server);
    web_seed_of_a_file(&lab, &server);
    cut_short(&lab, &server);
}

/// The site itself as a torrent, by its folder's URL.
fn web_seed_of_a_folder(lab: &Lab, server: &Server) {
    site::torrent(lab, "site", "site.torrent");
    // A web seed has the torrent's folder in it.
    std::os::unix::fs::symlink(".", lab.path().join("site/site")).unwrap();
    let said = get(lab, &["site.torrent", "-o", "folder", "--web-seed", &server.url("")], &[]).expect(0);
    assert!(!said.stderr.contains("left out"), "{said:?}");
    for (path, _) in FILES {
        assert!(read(lab, &format!("folder/site/{path}")) == read(lab, &format!("site/{path}")), "{path}");
    }
}

/// With a blank in the torrent's own `url-list`.
fn web_seed_of_a_file(lab: &Lab, server: &Server) {
    let url = server.url("My Images/tool 1.0.img");
    let file = "site/My Images/tool 1.0.img";
    lab.run(["torrent", "create", file, "-o", "file.torrent", "--piece-size", "16K", "--web-seed", &url])
        .expect(0);
    let shown = lab.run(["torrent", "show", "file.torrent"]).expect(0);
    assert!(shown.stdout.contains(&url), "{shown:?}");
    get(lab, &["file.torrent", "-o", "file"], &[]).expect(0);
    assert!(read(lab, "file/tool 1.0.img") == read(lab, file));
}

/// What is there of a file is gone on with.
fn cut_short(lab: &Lab, server: &Server) {
    let bytes = crate::common::content(3 << 20);
    fs::write(lab.path().join("site/large.img"), &bytes).unwrap();
    let mut command = lab.command(["get", &server.url("large.img"), "-o", "cut", "--download", "1M"]);
    let mut child =
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let partial = lab.path().join("cut/large.img.lantorrent");
    let has_some = || fs::metadata(&partial).is_ok_and(|partial| partial.len() > 0);
    crate::common::wait_until("some of it is there", || has_some() || child.try_wait().unwrap().is_some());
    crate::common::kill("TERM", child.id());
    child.wait().unwrap();
    get(lab, &[&server.url("large.img"), "-o", "cut"], &[]).expect(0);
    assert!(read(lab, "cut/large.img") == bytes);
    assert_eq!(names(&lab.path().join("cut")), ["large.img"]);
}

#[test]
fn nginx() {
    check("nginx", programs::nginx);
}

#[test]
fn apache() {
    check("apache2", programs::apache);
}

#[test]
fn lighttpd() {
    check("lighttpd", programs::lighttpd);
}

#[test]
fn python() {
    check("python3", programs::python);
}
