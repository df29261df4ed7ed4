//! An environment in which something is missing, or is odd.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{INI, Lab, Node, content, finish, names};

/// Without any variable but these.
fn bare(mut command: Command, variables: &[(&str, &str)]) -> Command {
    command.env_clear().envs(variables.iter().copied());
    command
}

fn node(lab: &Lab) -> Command {
    lab.command(["serve", "--listen", "127.0.0.1:0", "--root", lab.path().join("root").to_str().unwrap()])
}

fn lab() -> Lab {
    let lab = Lab::new();
    fs::create_dir(lab.path().join("root")).unwrap();
    lab
}

#[test]
fn a_configuration_that_is_named_is_enough() {
    let lab = lab();
    let ini = lab.path().join("lt.ini");
    fs::copy(lab.ini(), &ini).unwrap();
    for variables in [
        &[][..],
        &[("HOME", "")],
        &[("HOME", "relative")],
        &[("HOME", "/nonexistent"), ("LANTORRENT_HOME", "")],
    ] {
        let mut command = node(&lab);
        command.arg("--config").arg(&ini);
        let mut node = Node::start(bare(command, variables), lab.path().join("root"));
        let mut send = lab.command(["send", "--config"]);
        send.arg(&ini).arg(lab.source(1000)).arg(node.destination("a"));
        finish(bare(send, variables)).expect(0);
        assert_eq!(fs::read(node.file("a")).unwrap(), content(1000));
        assert!(node.stop("TERM").success());
    }
}

/// A home of its own for the user that the test runs as, in a mount of its own. Takes root.
fn at_home(lab: &Lab, command: &Command, variables: &[(&str, &str)]) -> Option<Command> {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = rustix::process::getuid().as_raw().to_string();
    let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let home =
        fields.filter(|fields| fields.get(2) == Some(&&*user)).map(|fields| fields[5].to_owned()).next()?;
    crate::common::system::run("unshare", &["-m", "true"])?;
    let folder = lab.path().join("at-home");
    fs::create_dir_all(folder.join(".lantorrent/etc")).unwrap();
    fs::copy(lab.ini(), folder.join(".lantorrent/etc/lt.ini")).unwrap();
    let mut unshare = Command::new("unshare");
    let script = format!("mount --bind '{}' '{home}' && exec \"$@\"", folder.display());
    unshare.args(["-m", "--propagation", "private", "sh", "-c", &script, "sh"]);
    unshare.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    unshare.current_dir("/");
    Some(bare(unshare, &[&[("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")], variables].concat()))
}

#[test]
fn without_a_home_in_the_environment_it_is_that_of_the_user() {
    let lab = lab();
    for variables in [&[][..], &[("HOME", "")], &[("HOME", "relative")], &[("LANTORRENT_HOME", "")]] {
        let Some(command) = at_home(&lab, &node(&lab), variables) else { return };
        let mut node = Node::start(command, lab.path().join("root"));
        assert!(node.stop("TERM").success());
    }
}

#[test]
fn commands_of_all_kinds_live_without_an_environment() {
    let lab = lab();
    let node = lab.node("node");
    let ini = lab.ini();
    fs::create_dir_all(lab.path().join("links")).unwrap();
    let agent = "http://127.0.0.1:1";
    let target = node.destination("a");
    let source = lab.source(1000);
    let cases: &[(&[&str], i32, &str)] = &[
        (&["--help"], 0, "lantorrent"),
        (&["--version"], 0, "lantorrent"),
        (&["init", "--config", "new.ini", "--root", "/srv"], 0, "new.ini"),
        (&["check", "--config", ini.to_str().unwrap(), &target], 0, "1 of 1"),
        (&["send", "--config", ini.to_str().unwrap(), source.to_str().unwrap(), &target], 0, "1 of 1"),
        (&["links", "links"], 0, "ltserver"),
        (&["torrent", "create", "source"], 0, "source.torrent"),
        (&["torrent", "show", "source.torrent"], 0, "source"),
        (&["torrent", "verify", "source.torrent"], 0, "whole"),
        (&["get", "source.torrent", "--port", "0", "--no-local"], 0, "source"),
        (&["status", "--agent", agent], 1, "cannot reach the agent"),
        (&["limit", "--agent", agent], 1, "cannot reach the agent"),
        (&["cancel", "--agent", agent, "x"], 1, "cannot reach the agent"),
        (&["request", "--agent", agent, "/a", "h/b"], 1, "cannot reach the agent"),
    ];
    for (args, status, part) in cases {
        let finished = finish(bare(lab.command(*args), &[])).expect(*status);
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains(part), "{args:?}: {said}");
    }
    assert!(names(&lab.path().join("links")).contains(&"ltdaemon".into()));
}

#[test]
fn what_is_odd_is_not_taken_for_a_folder() {
    let lab = lab();
    let node = lab.node("node");
    // Temporary files, and nothing in the folder that the command was called in.
    let before = names(lab.path());
    let ini = lab.ini();
    let ini = ini.to_str().unwrap();
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = bare(lab.command(args), variables);
        command.stdin(fs::File::open("/dev/null").unwrap());
        finish(command)
    };
    let target = node.destination("a");
    for variables in
        [&[("TMPDIR", "")][..], &[("TERM", ""), ("LANG", "xx_YY.broken"), ("USER", ""), ("PATH", "")]]
    {
        run(&["send", "--config", ini, "-", &target], variables).expect(0);
        run(&["demo", "--nodes", "1", "--size", "100K"], variables).expect(0);
    }
    let gone = [("TMPDIR", "/nonexistent/folder")];
    for args in [&["send", "--config", ini, "-", &target][..], &["demo", "--nodes", "1", "--size", "100K"]] {
        let finished = run(args, &gone);
        assert_ne!(finished.status, Some(0));
        assert!(finished.stderr.contains("/nonexistent/folder"), "{finished:?}");
    }
    assert_eq!(names(lab.path()), before);
}

#[test]
fn a_placeholder_without_a_home_is_named() {
    let lab = lab();
    lab.write_ini(&format!("{INI}[node]\nroots = @LANTORRENT_HOME@/files\n"));
    // No user has that number, so that nothing says where its home is.
    let mut command = Command::new("setpriv");
    let program = env!("CARGO_BIN_EXE_lantorrent");
    command.args(["--reuid", "54321", "--regid", "54321", "--clear-groups", program, "serve", "--config"]);
    command.arg(lab.ini()).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    let folder = lab.path().to_str().unwrap();
    if crate::common::system::run("chown", &["-R", "54321:54321", folder]).is_none() {
        return;
    }
    let is_reachable = Path::new(program).ancestors().skip(1).all(|folder| {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 1 != 0)
    });
    if !is_reachable {
        return println!("skipped: the program is in a folder that only its owner may enter");
    }
    finish(command).expect_usage(&["[node] roots", "@LANTORRENT_HOME@"]);
}
