//! A file system that refuses all that can be missing at once, several processes on it, and one that hangs beside one
//! that works.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use fuser::Errno;

use crate::common::{content, finish, names, signal, wait_until};
use crate::odd::{Call, Odd, Oddity};
use crate::place::{BYTES, DRIVERS, Place, plain};
use crate::swarms::{ALONE, Running, make};

/// Enough to be stopped in the middle.
const LONG: usize = 12_000_003;

/// What all file systems of the kind refuse together.
fn poor() -> Oddity {
    let refuses = vec![
        (Call::Lock, Errno::ENOLCK),
        (Call::FsyncFolder, Errno::EINVAL),
        (Call::Fsync, Errno::EOPNOTSUPP),
        (Call::Extend, Errno::EPERM),
        (Call::Chmod, Errno::EPERM),
        (Call::Access, Errno::ENOSYS),
        (Call::Statfs, Errno::ENOSYS),
        (Call::Fallocate, Errno::EOPNOTSUPP),
        (Call::Lseek, Errno::EINVAL),
        (Call::Utimes, Errno::EPERM),
        (Call::Link, Errno::EPERM),
    ];
    Oddity { refuses, renumbers: true, ..Oddity::default() }
}

fn slow_get(place: &Place, torrent: &str, peer: &str) -> Running {
    let mut command = place.lab.command(["get", torrent, "--peer", peer, "--download", "4M"]);
    command.args(ALONE).arg("-o").arg(place.root.join("got"));
    Running::start(command)
}

fn wait_for_partial(folder: &Path, name: &str) {
    let partial = folder.join(format!("{name}.lantorrent"));
    wait_until("it has begun", || fs::metadata(&partial).is_ok_and(|found| found.len() > 2_000_000));
}

#[test]
fn what_was_killed_is_gone_on_with() {
    let Some(odd) = Odd::mount(poor()) else { return };
    let place = Place::new(odd.path());
    let bytes = make(&place.lab, "here", "big", LONG);
    let (_seed, address) = Running::seed(&place.lab, "here", &["big.torrent"]);
    let get = slow_get(&place, "big.torrent", &address);
    wait_for_partial(&odd.path().join("got"), "big");
    get.kill();
    place.get("big.torrent", &address, plain).expect(0);
    assert!(fs::read(odd.path().join("got/big")).unwrap() == bytes);
    assert_eq!(names(&odd.path().join("got")), ["big"]);
    let source = place.lab.path().join("here/big");
    for driver in DRIVERS {
        let mut node = place.node(driver, plain);
        std::thread::scope(|scope| {
            let (lab, source, to) = (&place.lab, &source, [node.destination("n")]);
            let sending = scope.spawn(move || lab.send(source, &to, &["--limit", "4M"]));
            wait_for_partial(odd.path(), "n");
            node.stop("KILL");
            assert_ne!(sending.join().unwrap().status, Some(0));
        });
        assert!(!node.file("n").exists());
        let node = place.node(driver, plain);
        place.lab.send(&source, &[node.destination("n")], &[]).expect(0);
        assert!(fs::read(node.file("n")).unwrap() == bytes);
        assert_eq!(names(odd.path()), ["got", "n"]);
        fs::remove_file(node.file("n")).unwrap();
    }
    // Of each kind at most one for each process; and the nodes were four.
    let warnings = place.warnings();
    let of = |word: &str| -> Vec<&str> {
        let lines = warnings.iter().filter(|line| line.contains(word));
        lines.map(|line| line.split(['[', ']']).nth(1).unwrap()).collect()
    };
    assert_eq!(of("no locks").len(), 4, "{warnings:#?}");
    for word in ["no locks", "cannot sync files", "cannot sync folders"] {
        let processes = of(word);
        assert!(processes.len() >= 2, "{warnings:#?}");
        assert_eq!(processes.len(), processes.iter().collect::<BTreeSet<_>>().len(), "{warnings:#?}");
    }
}

#[test]
fn all_of_a_home_is_there() {
    let Some(odd) = Odd::mount(poor()) else { return };
    let (root, home) = (odd.path().join("root"), odd.path().join("home"));
    fs::create_dir(&root).unwrap();
    let place = Place::new(&root);
    let wrap = |mut command: Command| {
        command.env("LANTORRENT_HOME", &home).env("TMPDIR", odd.path());
        command
    };
    let run = |args: &[&str]| finish(wrap(place.lab.command(args))).expect(0);
    run(&["init", "--root", root.to_str().unwrap()]);
    assert!(home.join("etc/lt.ini").exists());
    let node = place.node(&[], wrap);
    let (source, bytes) = place.source();
    run(&["send", source.to_str().unwrap(), &node.destination("a")]);
    assert!(fs::read(node.file("a")).unwrap() == bytes);
    run(&["demo", "--nodes", "2", "--size", "1M"]);
    fs::write(odd.path().join("t"), content(BYTES)).unwrap();
    let at = |name: &str| odd.path().join(name).to_str().unwrap().to_owned();
    run(&["torrent", "create", &at("t"), "-o", &at("t.torrent")]);
    let mut command = place.lab.command(["seed", "--dir", odd.path().to_str().unwrap(), &at("t.torrent")]);
    command.args(ALONE);
    let mut seed = Running::start(wrap(command));
    let address = seed.address();
    place.get(&at("t.torrent"), &address, wrap).expect(0);
    assert!(fs::read(root.join("got/t")).unwrap() == content(BYTES));
    seed.stop("TERM").expect(0);
    assert_eq!(names(odd.path()), ["home", "root", "t", "t.torrent"]);
}

#[test]
fn a_torrent_and_a_chain_want_one_file() {
    let Some(odd) = Odd::mount(poor()) else { return };
    let place = Place::new(odd.path());
    let bytes = make(&place.lab, "here", "big", LONG);
    let (_seed, address) = Running::seed(&place.lab, "here", &["big.torrent"]);
    let get = slow_get(&place, "big.torrent", &address);
    wait_for_partial(&odd.path().join("got"), "big");
    let source = place.lab.path().join("here/big");
    for driver in DRIVERS {
        let node = place.node(driver, plain);
        let finished = place.lab.send(&source, &[node.destination("got/big")], &["--json"]).expect(1);
        assert_eq!(finished.codes(), [514], "{}", finished.stdout);
    }
    get.end().expect(0);
    assert!(fs::read(odd.path().join("got/big")).unwrap() == bytes);
    assert_eq!(names(&odd.path().join("got")), ["big"]);
}

/// A hung root costs those that want it, and no others; nor does it keep the node from being stopped once it has failed.
#[test]
fn another_root_while_one_hangs() {
    for driver in DRIVERS {
        for call in [Call::Fsync, Call::Rename, Call::Access] {
            let Some(odd) = Odd::mount(Oddity::default()) else { return };
            let place = Place::new(odd.path());
            let other = tempfile::tempdir().unwrap();
            let more = [driver, &["--root", other.path().to_str().unwrap()]].concat();
            let mut node = place.node(&more, plain);
            let (source, bytes) = place.source();
            odd.hang(call);
            std::thread::scope(|scope| {
                let (lab, from, to) = (&place.lab, &source, [node.destination("a")]);
                let hung = scope.spawn(move || lab.send(from, &to, &[]));
                wait_until("it hangs", || odd.is_held());
                let to = format!("{}{}", node.address(), other.path().join("b").display());
                place.lab.send(&source, &[to], &[]).expect(0);
                signal("TERM", node.pid());
                odd.release();
                assert!(node.end().success(), "{driver:?} {call:?}");
                let ended = hung.join().unwrap().status;
                assert_eq!(ended == Some(0), odd.path().join("a").exists(), "{driver:?} {call:?}");
            });
            assert!(fs::read(other.path().join("b")).unwrap() == bytes);
        }
    }
}

/// The program behind a file system ends, and every call is an error from then on.
#[test]
fn a_file_system_that_dies() {
    for driver in DRIVERS {
        let Some(odd) = Odd::mount(Oddity::default()) else { return };
        let place = Place::new(odd.path());
        let (healthy, mut node) = (place.lab.node("healthy"), place.node(driver, plain));
        let bytes = make(&place.lab, "here", "big", LONG);
        let source = place.lab.path().join("here/big");
        let (_seed, address) = Running::seed(&place.lab, "here", &["big.torrent"]);
        let get = slow_get(&place, "big.torrent", &address);
        std::thread::scope(|scope| {
            let (lab, source) = (&place.lab, &source);
            let to = [node.destination("n"), healthy.destination("n")];
            let sending = scope.spawn(move || lab.send(source, &to, &["--limit", "4M", "--json"]));
            wait_for_partial(odd.path(), "n");
            odd.die();
            let finished = sending.join().unwrap().expect(1);
            assert_eq!(finished.codes()[1], 0, "{}", finished.stdout);
            assert!([511, 514].contains(&finished.codes()[0]), "{}", finished.stdout);
            assert!(fs::read(healthy.file("n")).unwrap() == bytes);
        });
        assert_ne!(get.end().status, Some(0));
        let small = place.lab.path().join("t");
        fs::write(&small, "t").unwrap();
        place.lab.send(&small, &[node.destination("t")], &[]).expect(1);
        assert!(node.stop("TERM").success());
    }
}

/// What is said of a failure is no more than is so.
#[test]
fn a_folder_that_fails_before_anything_is_in_its_place() {
    for (call, told) in [(Call::FsyncFolder, "got\": Input/output"), (Call::Rename, "big.lantorrent-journal")]
    {
        let refuses = vec![(call, Errno::EIO)];
        let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        make(&place.lab, "here", "big", BYTES);
        let (_seed, address) = Running::seed(&place.lab, "here", &["big.torrent"]);
        let finished = place.get("big.torrent", &address, plain).expect(1);
        assert!(finished.stderr.contains(told), "{}", finished.stderr);
        for untrue in ["in its place", "could not be removed"] {
            assert!(!finished.stderr.contains(untrue), "{}", finished.stderr);
        }
        assert!(!odd.path().join("got/big").exists());
    }
}
