//! Limits of the system: what is too much fails by itself, and nothing else does.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{Finished, INI, Lab, Node, content, names, signal, wait_until};
use crate::swarms::{ALONE, Running, make};

/// `command` under a limit that a shell sets.
fn limited(limit: &str, command: &Command) -> Command {
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(format!("ulimit {limit} && exec \"$@\"")).arg("bash");
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell.current_dir(command.get_current_dir().unwrap());
    shell
}

fn file(lab: &Lab, name: &str, bytes: usize) -> std::path::PathBuf {
    let path = lab.path().join(name);
    fs::write(&path, content(bytes)).unwrap();
    path
}

#[test]
fn a_file_that_is_too_large_for_a_node_ends_nothing_else() {
    for more in [&[][..], &["--event-loop"]] {
        let lab = Lab::new();
        let root = lab.path().join("root");
        fs::create_dir(&root).unwrap();
        let mut command = lab.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
        command.arg(&root).args(more);
        // 4 MiB.
        let mut node = Node::start(limited("-f 4096", &command), root);
        let other = lab.node("other");
        let (small, large) = (file(&lab, "small", 3 << 20), file(&lab, "large", 6 << 20));
        let mut sending = lab.command(["send", "--json", "--limit", "1M"]);
        sending.arg(small).arg(node.destination("small"));
        let sending = sending.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("it has begun", || node.file("small.lantorrent").exists());

        // Known before, or found out on the way: it is told of the file, and passed on.
        let both = |name: &str| [node.destination(name), other.destination(name)];
        let checked = lab.send(&large, &both("a"), &["--json"]).expect(1);
        let unchecked = lab.send(&large, &both("b"), &["--json", "--no-check"]).expect(1);
        let mut stream = lab.command(["send", "--json", "-"]);
        stream.args(both("c")).stdin(fs::File::open(&large).unwrap());
        let stream = crate::common::finish(stream).expect(1);
        let mut in_place = vec!["--json", "--in-place", "--no-check"];
        let placed = lab.send(&large, &both("d"), &in_place).expect(1);
        for (finished, name) in [(&checked, "a"), (&unchecked, "b"), (&stream, "c"), (&placed, "d")] {
            assert_eq!(finished.codes(), [512, 0], "{name}: {}", finished.stdout);
            let message = finished.json().0[0]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("file too large") && message.contains("RLIMIT_FSIZE"), "{message}");
            assert!(fs::read(other.file(name)).unwrap() == content(6 << 20), "{name}");
        }
        in_place.clear();
        assert_eq!(Finished::of(sending).expect(0).codes(), [0]);
        assert!(fs::read(node.file("small")).unwrap() == content(3 << 20));
        assert!(node.stop("TERM").success());
        assert!(
            !names(node.root()).iter().any(|name| name.ends_with(".lantorrent")),
            "{:?}",
            names(node.root())
        );
    }
}

#[test]
fn a_stream_that_is_too_long_to_be_spooled_is_told_of() {
    let lab = Lab::new();
    let node = lab.node("node");
    let large = file(&lab, "large", 6 << 20);
    let mut command = lab.command(["send", "--json", "-"]);
    command.arg(node.destination("a"));
    let mut command = limited("-f 4096", &command);
    command.stdin(fs::File::open(large).unwrap());
    let finished = crate::common::finish(command);
    assert_eq!(finished.status, Some(1), "{finished:?}");
    assert!(
        [&finished.stdout, &finished.stderr].iter().any(|said| said.contains("too large")),
        "{finished:?}"
    );
    assert!(!node.file("a").exists());
}

#[test]
fn a_fetched_file_that_is_too_large_is_told_of() {
    let lab = Lab::empty();
    make(&lab, "here", "a.img", 6 << 20);
    let (_seed, address) = Running::seed(&lab, "here", &["a.img.torrent"]);
    let mut command = lab.command(["get", "a.img.torrent", "-o", "there", "--peer", &address]);
    command.args(ALONE);
    let finished = crate::common::finish(limited("-f 4096", &command)).expect(1);
    assert!(
        finished.stderr.contains("file too large") && finished.stderr.contains("RLIMIT_FSIZE"),
        "{finished:?}"
    );
}

#[test]
fn a_log_that_cannot_grow_ends_nothing() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    fs::create_dir(&root).unwrap();
    let log = lab.path().join("lt.log");
    // At the limit from the start.
    fs::write(&log, vec![b'\n'; 4 << 20]).unwrap();
    lab.write_ini(&format!("{INI}[log]\nfile = {}\nlevel = debug\n", log.display()));
    let mut command = lab.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
    command.arg(&root);
    let mut node = Node::start(limited("-f 4096", &command), root);
    lab.send(&lab.source(1_000_000), &[node.destination("a")], &[]).expect(0);
    fs::rename(&log, lab.path().join("lt.log.1")).unwrap();
    signal("USR1", node.pid());
    wait_until("the new log says what is missing", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("messages could not be written here"))
    });
    assert!(node.stop("TERM").success());
}

#[test]
fn a_disk_that_is_full_of_log_ends_nothing() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    fs::create_dir(&root).unwrap();
    lab.write_ini(&format!("{INI}[log]\nfile = /dev/full\nlevel = debug\n"));
    let mut command = lab.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
    command.arg(&root);
    let mut node = Node::start(command, root);
    lab.send(&lab.source(1_000_000), &[node.destination("a")], &[]).expect(0);
    assert!(node.stop("TERM").success());
}

/// The same as a user that nothing else runs as: limits of processes are for all of a user's, and not for root. Skipped in
/// word elsewhere than as root.
fn as_nobody(script: &str, lab: &Lab, command: &Command) -> Option<Command> {
    let folder = lab.path().to_str().unwrap();
    crate::common::system::run("chown", &["-R", "64123:64123", folder])?;
    let shell = limited(script, command);
    let mut command_line = Command::new("setpriv");
    command_line.args(["--reuid", "64123", "--regid", "64123", "--clear-groups", "--"]);
    command_line.arg(shell.get_program()).args(shell.get_args()).stdin(Stdio::null());
    for (name, value) in shell.get_envs() {
        command_line.env(name, value.unwrap());
    }
    command_line.current_dir(lab.path());
    Some(command_line)
}

#[test]
fn without_threads_left_a_node_refuses_connections_and_lives() {
    for (more, limit) in [(&[][..], "-u 4"), (&["--event-loop"], "-u 3")] {
        let lab = Lab::new();
        fs::set_permissions(lab.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let root = lab.path().join("root");
        fs::create_dir(&root).unwrap();
        let log = lab.path().join("log/lt.log");
        lab.write_ini(&format!("{INI}[log]\nfile = {}\n", log.display()));
        let mut command = lab.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
        command.arg(&root).args(more);
        let Some(command) = as_nobody(limit, &lab, &command) else { return };
        let mut node = Node::start(command, root);
        let source = lab.source(1_000_000);
        let says = |words: &str| fs::read_to_string(&log).is_ok_and(|log| log.contains(words));
        for number in 0..4 {
            // Whatever comes of it is said.
            let finished = lab.send(&source, &[node.destination(&number.to_string())], &["--json"]);
            let codes = finished.codes();
            let is_there =
                fs::read(node.file(&number.to_string())).is_ok_and(|data| data == content(1_000_000));
            assert_eq!(codes == [0], is_there, "{finished:?}");
        }
        // The loop has had all that it needs at its start.
        assert!(!more.is_empty() || says("os error 11"), "{}", fs::read_to_string(&log).unwrap());
        assert!(node.stop("TERM").success());
    }
}

#[test]
fn with_little_memory_a_node_does_what_it_can_and_refuses_the_rest() {
    const MANY: usize = 10;
    for more in [&[][..], &["--event-loop"]] {
        let lab = Lab::new();
        let root = lab.path().join("root");
        fs::create_dir(&root).unwrap();
        let source = lab.source(8 << 20);
        let mut command = lab.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
        command.arg(&root).args(more);
        // In KiB, for a program of some 80 MiB.
        let mut node = Node::start(limited("-v 250000", &command), root);
        let send = |number: usize| {
            let mut command = lab.command(["send", "--json"]);
            command.arg(&source).arg(node.destination(&number.to_string()));
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let sending: Vec<_> = (0..MANY).map(send).collect();
        let codes: Vec<u64> = sending.into_iter().flat_map(|child| Finished::of(child).codes()).collect();
        for (number, code) in codes.iter().enumerate() {
            let is_there =
                fs::read(node.file(&number.to_string())).is_ok_and(|data| data == content(8 << 20));
            assert_eq!(*code == 0, is_there, "{number}: {codes:?}");
        }
        // It is as good as new.
        lab.send(&source, &[node.destination("after")], &[]).expect(0);
        assert!(node.stop("TERM").success(), "{codes:?}");
    }
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let lab = Lab::new();
    let root = lab.path().join("root");
    fs::create_dir(&root).unwrap();
    let mut command = lab.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
    command.arg(&root);
    let node = Node::start(limited("-Sn 64 && ulimit -Hn 512", &command), root);
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.pid())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["512", "512"]);
}

#[test]
fn results_that_nobody_gets_are_no_success() {
    let lab = Lab::new();
    let node = lab.node("node");
    let source = lab.source(1000);
    let mut command = lab.command(["check", &node.destination("a")]);
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let finished = |command: &mut Command, stdout: Stdio| {
        Finished::of(command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap())
    };
    let said = finished(&mut command, full().into()).expect(1);
    assert!(said.stderr.contains("No space left"), "{said:?}");
    let mut command = lab.command(["send"]);
    command.arg(&source).arg(node.destination("a"));
    finished(&mut command, full().into()).expect(1);
    assert!(Path::new(&node.file("a")).exists());
    // Who does not want to read on has what he wants.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = finished(&mut lab.command(["check", &node.destination("b")]), writer.into()).expect(0);
    assert_eq!(said.stderr, "");
}
