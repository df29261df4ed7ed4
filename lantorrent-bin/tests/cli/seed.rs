//! `lantorrent seed`.

use std::fs;
use std::os::unix::fs::FileExt;

use crate::common::{Lab, names};
use crate::swarms::{ALONE, Running, make, read};

#[test]
fn it_serves_what_is_there_and_names_what_is_not() {
    let lab = Lab::empty();
    for name in ["good", "gone", "wrong", "begun"] {
        make(&lab, "here", name, 300_000);
    }
    let here = lab.path().join("here");
    fs::remove_file(here.join("gone")).unwrap();
    fs::write(here.join("wrong"), vec![0; 300_000]).unwrap();
    fs::rename(here.join("begun"), here.join("begun.lantorrent")).unwrap();
    let torrents = ["good.torrent", "gone.torrent", "wrong.torrent", "begun.torrent"];
    let mut command = lab.command(["seed", "--dir", "here"]);
    command.args(ALONE).args(torrents);
    let mut seed = Running::start(command);
    let address = seed.address();
    let ready = seed.expect("ready");
    assert_eq!((&ready["serving"], &ready["failed"]), (&1.into(), &3.into()));
    let get = ["get", "good.torrent", "-o", "there", "--peer", &address];
    lab.run(get.iter().chain(&ALONE)).expect(0);
    let said = seed.stop("TERM").expect(1);
    assert!(said.stdout.ends_with("\"event\":\"stopped\",\"uploaded\":300000}\n"), "{said:?}");
    assert_eq!(names(&here), ["begun.lantorrent", "good", "wrong"], "nothing was made");
    assert_eq!(fs::read(here.join("wrong")).unwrap(), vec![0; 300_000]);
}

#[test]
fn with_nothing_to_serve_it_ends() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 100_000);
    let said = lab.run(["seed", "a.img.torrent"].iter().chain(&ALONE)).expect(1);
    assert!(said.stderr.contains("a.img.torrent: ") && said.stderr.contains("not there"), "{said:?}");
    assert!(said.stderr.ends_with("lantorrent: none of the torrents can be served\n"), "{said:?}");
    assert!(said.stdout.starts_with("listening on port "), "{said:?}");
}

#[test]
fn many_start_at_once_the_second_time() {
    const MANY: usize = 200;
    let lab = Lab::empty();
    let torrents: Vec<String> = (0..MANY).map(|number| format!("{number}.torrent")).collect();
    fs::create_dir(lab.path().join("here")).unwrap();
    for (number, torrent) in torrents.iter().enumerate() {
        let data = number.to_le_bytes().repeat(10_000);
        fs::write(lab.path().join(format!("here/{number}")), data).unwrap();
        lab.run(["torrent", "create", &format!("here/{number}"), "-o", torrent]).expect(0);
    }
    let torrents: Vec<&str> = torrents.iter().map(String::as_str).collect();
    for _ in 0..2 {
        let (seed, _) = Running::seed(&lab, "here", &torrents);
        seed.stop("TERM").expect(0);
    }
    let records = names(&lab.home().join("state/whole"));
    assert_eq!(records.len(), MANY);
}

#[test]
fn what_is_recorded_is_hashed_again_when_that_is_asked_for() {
    let lab = Lab::empty();
    let data = make(&lab, "here", "a.img", 300_000);
    let serve = || Running::seed(&lab, "here", &["a.img.torrent"]);
    serve().0.stop("TERM").expect(0);
    let file = fs::File::options().write(true).open(lab.path().join("here/a.img")).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"?", 100_000).unwrap();
    file.set_modified(modified).unwrap();
    let (_believed, address) = serve();
    let check = ["seed", "a.img.torrent", "--dir", "here", "--check"];
    let said = lab.run(check.iter().chain(&ALONE)).expect(1);
    assert!(said.stderr.contains("not whole"), "{said:?}");

    // It can be mended by who may change it.
    fs::create_dir(lab.path().join("good")).unwrap();
    fs::write(lab.path().join("good/a.img"), &data).unwrap();
    let (_good, good) = Running::seed(&lab, "good", &["a.img.torrent"]);
    let get = ["get", "a.img.torrent", "-o", "here", "--peer", &good, "--peer", &address, "--check"];
    lab.run(get.iter().chain(&ALONE)).expect(0);
    assert!(read(&lab, "here/a.img") == data);
}

#[test]
fn wrong_arguments_are_named() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 1000);
    let cases: &[(&[&str], &str)] = &[
        (&["seed"], "nothing to serve"),
        (&["seed", "nowhere"], "nowhere"),
        (&["seed", "here/a.img"], "this is no torrent"),
        (&["seed", "-"], "not a file"),
        (&["seed", "a.img.torrent", "--dir", "nowhere"], "--dir"),
        (&["seed", "a.img.torrent", "--port", "x"], "6881-6999"),
        (&["seed", "a.img.torrent", "--upload", "1"], "1024"),
        (&["seed", "a.img.torrent", "--fly"], "lantorrent seed --help"),
    ];
    for (args, part) in cases {
        let finished = lab.run(*args);
        println!("{args:?}: {}", finished.stderr);
        finished.expect_usage(&[part]);
    }
}

#[test]
fn a_folder_that_is_replaced_is_looked_at_anew() {
    let lab = Lab::empty();
    let data = make(&lab, "here", "a.img", 300_000);
    let (mut seed, _) = Running::seed(&lab, "here", &["a.img.torrent"]);
    let (here, away) = (lab.path().join("here"), lab.path().join("away"));
    fs::rename(&here, &away).unwrap();
    fs::create_dir(&here).unwrap();
    fs::write(here.join("a.img"), vec![0; 300_000]).unwrap();
    assert!(seed.expect("warning")["message"].as_str().unwrap().contains("another folder"));
    assert!(seed.expect("failed")["message"].as_str().unwrap().contains("not whole"));
    // It lives on, for what may come back.
    fs::rename(&here, lab.path().join("wrong")).unwrap();
    fs::rename(&away, &here).unwrap();
    seed.expect("serving");
    assert!(read(&lab, "here/a.img") == data);
    seed.stop("TERM").expect(0);
}
