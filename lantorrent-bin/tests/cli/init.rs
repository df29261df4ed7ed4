//! `lantorrent init`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::Lab;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_configuration_works_and_is_private() {
    let lab = Lab::empty();
    let finished = lab.run(["init"]).expect(0);
    assert_eq!(finished.stderr, "");
    assert_eq!(mode(&lab.ini()), 0o600);
    assert_eq!(mode(lab.ini().parent().unwrap()), 0o700);
    let files = lab.home().join("files");
    assert!(files.is_dir());
    for part in
        [lab.ini().to_str().unwrap(), files.to_str().unwrap(), "scp", "lantorrent serve", "lantorrent send"]
    {
        assert!(finished.stdout.contains(part), "`{part}` is missing in\n{}", finished.stdout);
    }
    let ini = std::fs::read_to_string(lab.ini()).unwrap();
    let password = ini.lines().find_map(|line| line.strip_prefix("password = ")).unwrap();
    assert_eq!(password.len(), 64);
    assert!(!finished.stdout.contains(password));

    // A node runs with it as it is.
    let command = lab.command(["serve", "--listen", "127.0.0.1:0"]);
    let mut node = crate::common::Node::start(command, files);
    let source = lab.source(1000);
    lab.send(&source, &[node.destination("a")], &[]).expect(0);
    assert_eq!(std::fs::read(node.file("a")).unwrap(), crate::common::content(1000));
    assert!(node.stop("TERM").success());
}

#[test]
fn it_never_overwrites() {
    let lab = Lab::new();
    let before = std::fs::read(lab.ini()).unwrap();
    lab.run(["init"]).expect_usage(&["lt.ini", "is there already"]);
    assert_eq!(std::fs::read(lab.ini()).unwrap(), before);

    // Nor does it write through a link to somewhere else.
    let lab = Lab::empty();
    std::fs::create_dir_all(lab.home().join("etc")).unwrap();
    std::os::unix::fs::symlink(lab.path().join("elsewhere"), lab.ini()).unwrap();
    lab.run(["init"]).expect_usage(&["is there already"]);
    assert!(!lab.path().join("elsewhere").exists());
}

#[test]
fn roots_are_taken_over() {
    let lab = Lab::empty();
    let finished = lab.run(["init", "--root", "/srv/img", "--root=relative"]).expect(0);
    let ini = std::fs::read_to_string(lab.ini()).unwrap();
    let relative = lab.path().canonicalize().unwrap().join("relative");
    assert!(ini.contains(&format!("roots = /srv/img, {}\n", relative.display())), "{ini}");
    assert!(!lab.home().join("files").exists());
    assert!(finished.stdout.contains("does not exist on this machine"), "{}", finished.stdout);
}

#[test]
fn another_place() {
    let lab = Lab::empty();
    lab.run(["init", "--config", "other/lt.ini"]).expect(0);
    assert_eq!(mode(&lab.path().join("other/lt.ini")), 0o600);
    assert!(!lab.ini().exists());
    lab.run(["init", "--config", "/proc/nowhere/lt.ini"]).expect_usage(&["/proc/nowhere"]);
}

#[test]
fn every_password_is_another() {
    let (one, other) = (Lab::empty(), Lab::empty());
    one.run(["init"]).expect(0);
    other.run(["init"]).expect(0);
    assert_ne!(std::fs::read(one.ini()).unwrap(), std::fs::read(other.ini()).unwrap());
}
