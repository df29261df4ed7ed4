//! Wrong arguments, help and version.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use crate::common::{Finished, Lab};

#[test]
fn wrong_arguments_are_named() {
    let lab = Lab::new();
    let cases: &[(&[&str], &str)] = &[
        (&[], "lantorrent --help"),
        (&["fly"], "fly"),
        (&["--bogus"], "--bogus"),
        (&["init", "extra"], "extra"),
        (&["init", "--root"], "--root"),
        (&["init", "--root", "/a,b"], "/a,b"),
        (&["serve", "extra"], "extra"),
        (&["serve", "--listen", "2893"], "address and port"),
        (&["serve", "--listen", "127.0.0.1:0"], "no folder"),
        (&["serve", "--listen", "127.0.0.1:0", "--root", "/nonexistent"], "/nonexistent"),
        (&["serve", "--inetd", "--root", "/"], "no TCP connection"),
        (&["send"], "file"),
        (&["send", "source"], "no destination"),
        (&["send", "source", "10.0.0.7"], "\"10.0.0.7\""),
        (&["send", "source", "10.0.0.7:99999/a"], "10.0.0.7:99999/a"),
        (&["send", "source", ":1/a"], ":1/a"),
        (&["send", "source", "h/a", "--wire", "3"], "1 and 2"),
        (&["send", "source", "h/a", "--degree", "0"], "1 to"),
        (&["send", "source", "h/a", "--degree", "-1"], "1 to"),
        (&["send", "source", "h/a", "--nodes", "/nonexistent"], "/nonexistent"),
        (&["send", "/nonexistent", "h/a"], "/nonexistent"),
        (&["send", "home", "h/a"], "home"),
        (&["send", "-", "--nodes", "-"], "standard input"),
        (&["send", "-", "h/a", "--wire", "1"], "wire 1"),
        (&["check"], "no destination"),
        (&["check", "h/a", "--size", "3Q"], "lantorrent check --help"),
        (&["send", "source", "h/a", "--min-rate", "0"], "5M"),
        (&["send", "source", "h/a", "--limit", "fast"], "800Mbit"),
        (&["send", "source", "h/a", "--limit", "10"], "1024"),
        (&["send", "source", "h/a", "--dscp", "AF99"], "AF21"),
        (&["demo", "--nodes", "0"], "1 to"),
        (&["demo", "--size", "1.5G"], "256M"),
        (&["demo", "/nonexistent"], "/nonexistent"),
        (&["demo", "source", "--size", "1M"], "--size"),
        (&["demo", "home"], "regular file"),
        (&["serve", "--config"], "--config"),
        (&["--config", "/nonexistent", "serve"], "/nonexistent"),
    ];
    lab.source(10);
    for (args, part) in cases {
        let finished = lab.run(*args);
        println!("{args:?}: {}", finished.stderr);
        finished.expect_usage(&[part]);
    }
}

#[test]
fn arguments_in_another_encoding_are_no_panic() {
    let lab = Lab::new();
    let odd = OsStr::from_bytes(b"/srv/\xff.img");
    lab.run([OsStr::new("send"), odd, OsStr::new("h/a")]).expect_usage(&["UTF-8"]);
}

#[test]
fn help_and_version() {
    let lab = Lab::empty();
    for args in
        [&["--help"][..], &["-h"], &["help"], &["send", "--help"], &["serve", "-h"], &["init", "--help"]]
    {
        let finished = lab.run(args).expect(0);
        assert!(finished.stdout.starts_with("Usage: lantorrent"), "{finished:?}");
        assert_eq!(finished.stderr, "");
    }
    for args in [&["--version"][..], &["send", "--version", "a"]] {
        let finished = lab.run(args).expect(0);
        assert_eq!(finished.stdout, concat!("lantorrent ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn nobody_reads_standard_output() {
    let lab = Lab::empty();
    let mut child = lab.command(["--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    Finished::of(child).expect(0);
}

#[test]
fn unknown_names_in_the_configuration_are_warned_of() {
    let lab = Lab::new();
    lab.write_ini(&format!("{}[nodes]\nroots = /\n[node]\nrots = /\n", crate::common::INI));
    let finished = lab.run(["send", "/nonexistent", "h/a"]).expect(2);
    assert!(
        finished.stderr.contains("warning") && finished.stderr.contains("[nodes]"),
        "{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("[node] rots"), "{}", finished.stderr);
}
