//! `lantorrent torrent`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;

use crate::common::{Finished, Lab, content, finish, names};

/// A lab with a folder of files and the torrent of it.
fn lab() -> Lab {
    let lab = Lab::empty();
    let tool = lab.path().join("tool-1.0");
    fs::create_dir_all(tool.join("lib")).unwrap();
    fs::write(tool.join("lib/data"), content(300_000)).unwrap();
    fs::write(tool.join("run"), "#!/bin/sh\n").unwrap();
    fs::write(tool.join("empty"), "").unwrap();
    fs::set_permissions(tool.join("run"), PermissionsExt::from_mode(0o755)).unwrap();
    lab
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:?}"))
}

fn create(lab: &Lab, more: &[&str]) -> Finished {
    lab.run(["torrent", "create", "tool-1.0"].iter().chain(more)).expect(0)
}

#[test]
fn made_shown_and_verified() {
    let lab = lab();
    let made = create(&lab, &["--tracker", "http://10.0.0.1:6969/announce", "--comment", "a tool"]);
    assert!(
        made.stdout.starts_with("tool-1.0.torrent: 300.0 kB in 3 files, 19 pieces of 16384 bytes\n"),
        "{made:?}"
    );
    let shown = lab.run(["torrent", "show", "tool-1.0.torrent"]).expect(0).stdout;
    for line in [
        "name       tool-1.0",
        "trackers   http://10.0.0.1:6969/announce",
        "comment    a tool",
        "made by    LANTorrent",
        "        300000  tool-1.0/lib/data",
        "             0  tool-1.0/empty",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "`{line}` is missing in\n{shown}");
    }
    let magnet = shown.lines().find_map(|line| line.strip_prefix("magnet     ")).unwrap();
    assert!(made.stdout.ends_with(&format!("\n{magnet}\n")), "{made:?}");
    let verified = lab.run(["torrent", "verify", "tool-1.0.torrent"]).expect(0);
    assert_eq!(verified.stdout, "tool-1.0: whole, 19 of 19 pieces are right\n");
    let verified = lab.run(["torrent", "verify", "tool-1.0.torrent", "--dir", ".", "--json"]).expect(0);
    let verified = json(&verified);
    assert_eq!((&verified["whole"], &verified["good"]), (&true.into(), &19.into()));
    assert_eq!(names(lab.path()), ["tool-1.0", "tool-1.0.torrent"], "nothing else was made");
}

#[test]
fn all_that_can_be_asked_for() {
    let lab = lab();
    let more = "--tracker http://a/,udp://b:1 --tracker https://c/ --web-seed http://w/ --web-seed http://x/ \
                --piece-size 64K --private -o some.torrent --json";
    let made = json(&create(&lab, &more.split_whitespace().collect::<Vec<_>>()));
    let shown = json(&lab.run(["torrent", "show", "some.torrent", "--json"]).expect(0));
    for key in ["info_hash", "name", "bytes", "piece_length", "pieces", "magnet"] {
        assert_eq!(made[key], shown[key], "{key}");
    }
    assert_eq!((&made["torrent"], &made["files"]), (&"some.torrent".into(), &3.into()));
    assert_eq!(shown["trackers"], serde_json::json!([["http://a/", "udp://b:1"], ["https://c/"]]));
    assert_eq!(shown["web_seeds"], serde_json::json!(["http://w/", "http://x/"]));
    assert_eq!((&shown["private"], &shown["piece_length"]), (&true.into(), &65_536.into()));
    let run = &shown["files"][2];
    assert_eq!(run, &serde_json::json!({"path": "tool-1.0/run", "bytes": 10, "executable": true}));

    // Again it is the same, whenever that is.
    create(&lab, &more.replace("some", "again").split_whitespace().collect::<Vec<_>>());
    let read = |name| fs::read(lab.path().join(name)).unwrap();
    assert_eq!(read("some.torrent"), read("again.torrent"));
}

#[test]
fn what_is_wrong_is_named() {
    let lab = lab();
    create(&lab, &[]);
    let tool = lab.path().join("tool-1.0");
    let mut bytes = content(300_000);
    bytes[150_000] ^= 1;
    fs::write(tool.join("lib/data"), bytes).unwrap();
    fs::remove_file(tool.join("run")).unwrap();
    fs::write(tool.join("empty"), "no more").unwrap();
    let verified = lab.run(["torrent", "verify", "tool-1.0.torrent"]).expect(1);
    for line in [
        "tool-1.0/empty     7 bytes instead of 0",
        "tool-1.0/lib/data  2 of the 19 pieces that it is in are wrong",
        "tool-1.0/run       missing",
        "tool-1.0: NOT whole, 17 of 19 pieces are right",
    ] {
        assert!(
            verified.stdout.lines().any(|said| said == line),
            "`{line}` is missing in\n{}",
            verified.stdout
        );
    }
    let outcome = json(&lab.run(["torrent", "verify", "tool-1.0.torrent", "--json"]).expect(1));
    assert_eq!((&outcome["whole"], &outcome["good"]), (&false.into(), &17.into()));
    assert_eq!(outcome["files"].as_array().unwrap().len(), 3);
    let nowhere = lab.run(["torrent", "verify", "tool-1.0.torrent", "--dir", "tool-1.0/lib"]).expect(1);
    assert!(nowhere.stdout.ends_with("tool-1.0: NOT whole, 0 of 19 pieces are right\n"), "{nowhere:?}");
}

#[test]
fn passwords_of_urls_that_are_taken_for_files_are_not_shown() {
    let lab = lab();
    for args in [
        ["torrent", "show", "http://u:hidden@h/a.torrent"],
        ["torrent", "verify", "https://u:hid@den@h/a.torrent"],
        ["torrent", "show", "u:hidden@h/a.torrent"],
    ] {
        let said = lab.run(args).expect(2).stderr;
        assert!(said.contains("h/a.torrent") && !said.contains("hid"), "{args:?}: {said}");
    }
}

#[test]
fn wrong_arguments_are_named() {
    let lab = lab();
    create(&lab, &[]);
    fs::write(lab.path().join("odd.torrent"), "<html>").unwrap();
    let evil = "d4:infod6:lengthi0e4:name5:../..12:piece lengthi16384e6:pieces0:ee";
    fs::write(lab.path().join("evil.torrent"), evil).unwrap();
    symlink("run", lab.path().join("tool-1.0/link")).unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["torrent"], "lantorrent torrent --help"),
        (&["torrent", "fly"], "fly"),
        (&["torrent", "create"], "path"),
        (&["torrent", "create", "nowhere"], "nowhere"),
        (&["torrent", "create", "tool-1.0"], "tool-1.0/link"),
        (&["torrent", "create", "tool-1.0/lib", "-o", "tool-1.0.torrent"], "is there already"),
        (&["torrent", "create", "tool-1.0/lib", "-o", "-"], "not a file"),
        (&["torrent", "create", "tool-1.0/lib", "--piece-size", "100K"], "power of two"),
        (&["torrent", "create", "tool-1.0/lib", "--piece-size", "1G"], "power of two"),
        (&["torrent", "create", "tool-1.0/lib", "--tracker", "10.0.0.1"], "http://"),
        (&["torrent", "create", "tool-1.0/lib", "--tracker", "http://a/,ftp://b/"], "udp://"),
        (&["torrent", "create", "tool-1.0/lib", "--web-seed", "udp://a:1/"], "http://"),
        (&["torrent", "show", "nowhere"], "nowhere"),
        (&["torrent", "show", "odd.torrent"], "odd.torrent: this is no torrent"),
        (&["torrent", "show", "evil.torrent"], "slash"),
        (&["torrent", "show", "-"], "not a file"),
        (&["torrent", "verify", "tool-1.0"], "tool-1.0"),
        (&["torrent", "verify", "tool-1.0.torrent", "--dir", "nowhere"], "nowhere"),
    ];
    for (args, part) in cases {
        let finished = lab.run(*args);
        println!("{args:?}: {}", finished.stderr);
        finished.expect_usage(&[part]);
    }
    for args in [&["torrent", "--help"][..], &["torrent", "create", "--help"], &["torrent", "verify", "-h"]] {
        assert!(lab.run(args).expect(0).stdout.starts_with("Usage: lantorrent torrent"));
    }
}

#[test]
fn text_from_anybody_does_no_harm() {
    let lab = Lab::empty();
    let torrent = "d7:comment6:\x1b[2Jhi4:infod6:lengthi0e4:name4:a\x1b[m12:piece lengthi16384e6:pieces0:ee";
    fs::write(lab.path().join("t"), torrent).unwrap();
    for args in [&["torrent", "show", "t"][..], &["torrent", "show", "t", "--json"]] {
        let shown = lab.run(args).expect(0);
        assert!(!shown.stdout.contains('\x1b') && shown.stdout.contains("[2Jhi"), "{shown:?}");
    }
    assert!(!lab.run(["torrent", "verify", "t"]).expect(1).stdout.contains('\x1b'));
}

#[test]
fn addresses_are_shown_without_credentials() {
    let lab = Lab::empty();
    fs::write(lab.path().join("a.img"), "bytes").unwrap();
    let mut create = lab.command(["torrent", "create", "a.img", "--tracker", "http://me:s3cret@t/announce"]);
    create.args(["--web-seed", "http://me:s3cret@w/My Images/", "--web-seed", "ftp://me:s3cret@w/"]);
    let created = finish(create).expect(0);
    let torrent = fs::read(lab.path().join("a.img.torrent")).unwrap();
    assert!(torrent.windows(9).any(|part| part == b"me:s3cret"), "it is in the torrent");
    let shown = lab.run(["torrent", "show", "a.img.torrent"]).expect(0);
    let json = lab.run(["torrent", "show", "a.img.torrent", "--json"]).expect(0);
    for said in [&created, &shown, &json] {
        assert!(!said.stdout.contains("s3cret") && said.stdout.contains("My"), "{said:?}");
    }
    assert!(shown.stdout.contains("web seed   http://w/My Images/\n"), "{shown:?}");
    assert!(shown.stdout.contains("left out   url-list ftp://w/: only http://"), "{shown:?}");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["web_seeds"], serde_json::json!(["http://w/My Images/"]));
    assert_eq!(json["left_out"].as_array().unwrap().len(), 1);
}
