//! `lantorrent links`.

use std::path::Path;

use crate::common::{Lab, names};

const ALL: [&str; 8] = [
    "lt-daemon",
    "lt-daemon.sh",
    "lt-request",
    "lt-request.sh",
    "ltclient",
    "ltdaemon",
    "ltrequest",
    "ltserver",
];

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lantorrent"))
}

#[test]
fn made_once_and_kept() {
    let lab = Lab::empty();
    let bin = lab.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    let finished = lab.run(["links", "bin"]).expect(0);
    assert_eq!(finished.stdout.lines().count(), ALL.len(), "{}", finished.stdout);
    assert_eq!(names(&bin), ALL);
    for name in ALL {
        assert_eq!(bin.join(name).canonicalize().unwrap(), program().canonicalize().unwrap());
    }
    std::fs::remove_file(bin.join("ltclient")).unwrap();
    let again = lab.run(["links", "bin"]).expect(0);
    assert!(again.stdout.trim_end().ends_with("/bin/ltclient") && again.stdout.lines().count() == 1);
    assert_eq!(lab.run(["links", "bin"]).expect(0).stdout, "");
}

#[test]
fn what_is_something_else_stays_and_nothing_is_made() {
    let lab = Lab::empty();
    for (name, make) in [
        ("file", (|path| std::fs::write(path, "mine").unwrap()) as fn(&Path)),
        ("link", |path| std::os::unix::fs::symlink("/bin/sh", path).unwrap()),
        ("dangling", |path| std::os::unix::fs::symlink("/nonexistent", path).unwrap()),
    ] {
        let bin = lab.path().join(name);
        std::fs::create_dir(&bin).unwrap();
        let taken = bin.join("ltserver");
        make(&taken);
        let before = (std::fs::symlink_metadata(&taken).unwrap().modified().unwrap(), taken.read_link().ok());
        lab.run(["links", name]).expect_usage(&["ltserver", "nothing was changed"]);
        assert_eq!(names(&bin), ["ltserver"]);
        let after = (std::fs::symlink_metadata(&taken).unwrap().modified().unwrap(), taken.read_link().ok());
        assert_eq!(before, after);
    }
    lab.run(["links", "nowhere"]).expect_usage(&["nowhere"]);
    lab.run(["links"]).expect_usage(&["dir"]);
}

#[test]
fn links_beside_the_program_move_with_it() {
    let lab = Lab::empty();
    let (bin, moved) = (lab.path().join("bin"), lab.path().join("moved"));
    std::fs::create_dir(&bin).unwrap();
    std::fs::copy(program(), bin.join("lantorrent")).unwrap();
    let mut command = std::process::Command::new(bin.join("lantorrent"));
    assert!(command.args(["links", bin.to_str().unwrap()]).output().unwrap().status.success());
    std::fs::rename(&bin, &moved).unwrap();
    let output = std::process::Command::new(moved.join("ltrequest")).arg("--version").output().unwrap();
    assert_eq!(output.stdout, concat!("ltrequest ", env!("CARGO_PKG_VERSION"), "\n").as_bytes());
}
