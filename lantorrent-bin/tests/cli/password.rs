//! Which configurations are refused before anything is done.

use std::os::unix::fs::PermissionsExt;

use crate::common::Lab;

/// Every command that needs a password.
const COMMANDS: [&[&str]; 2] =
    [&["serve", "--listen", "127.0.0.1:0", "--root", "/tmp"], &["send", "source", "127.0.0.1:1/a"]];

#[track_caller]
fn refused(ini: &str, parts: &[&str]) {
    let lab = Lab::empty();
    lab.source(10);
    lab.write_ini(ini);
    for command in COMMANDS {
        lab.run(command).expect_usage(parts);
    }
}

#[test]
fn none() {
    refused("", &["no password", "lantorrent init", "lt.ini"]);
    refused("[security]\npassword =\n", &["no password"]);
    // Waiving strength does not make an empty one a password.
    let lab = Lab::empty();
    lab.write_ini("[security]\npassword =\n");
    lab.run(["serve", "--weak-password", "--root", "/tmp"]).expect_usage(&["no password"]);
}

#[test]
fn no_file() {
    let lab = Lab::empty();
    for command in COMMANDS {
        lab.run(command).expect_usage(&["lt.ini", "lantorrent init"]);
    }
}

#[test]
fn weak() {
    refused("[security]\npassword = nimbus\n", &["`nimbus`", "--weak-password"]);
    refused("[security]\npassword = fifteen letters\n", &["shorter than 16 bytes", "--weak-password"]);
    refused(
        "[security]\npassword = sixteen letters.\nwire_1_password = nimbus\n",
        &["wire_1_password", "`nimbus`", "--weak-password"],
    );
    refused(
        "[security]\npassword = sixteen letters.\nwire_1_password = sixteen letters.\n",
        &["wire_1_password", "wire 2"],
    );
}

#[test]
fn weak_but_wanted() {
    let lab = Lab::empty();
    lab.write_ini("[security]\npassword = nimbus\nwire_1_password = guess me\n");
    let root = lab.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let mut command = lab.command(["serve", "--weak-password", "--listen", "127.0.0.1:0", "--root"]);
    command.arg(&root);
    let node = crate::common::Node::start(command, root);
    let source = lab.source(1000);
    lab.send(&source, &[node.destination("a")], &["--weak-password"]).expect(0);
}

#[test]
fn readable_by_others() {
    let lab = Lab::new();
    lab.source(10);
    for mode in [0o640, 0o604, 0o620, 0o644] {
        std::fs::set_permissions(lab.ini(), PermissionsExt::from_mode(mode)).unwrap();
        for command in COMMANDS {
            lab.run(command).expect_usage(&["others", &format!("chmod 600 {}", lab.ini().display())]);
        }
    }
}

#[test]
fn wire_1_without_its_password() {
    let lab = Lab::new();
    lab.write_ini("[security]\npassword = sixteen letters.\n");
    let source = lab.source(10);
    lab.send(&source, &["h/a".into()], &["--wire", "1"]).expect_usage(&["wire_1_password", "lt.ini"]);
}
