//! Programs under a kernel that lacks a call, or a sandbox that forbids it.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::common::names;
use crate::place::{DRIVERS, Place};

/// What a child of this program is to become: the call's number, the errno, and the command.
const FORBIDDEN: &str = "LANTORRENT_TEST_FORBIDDEN";
/// The numbers of these are the same on all processors.
pub(crate) const OPENAT2: i64 = 437;
const FACCESSAT2: i64 = 439;
const CLOSE_RANGE: i64 = 436;
const EPOLL_PWAIT2: i64 = 441;

/// That command, in which those calls fail.
pub(crate) fn without(calls: &[i64], errno: Errno, command: &Command) -> Command {
    // What this program says of its tests is not what the command says.
    let mut wrapped = Command::new("sh");
    wrapped.args(["-c", "exec \"$0\" \"$@\" 3>&1 >/dev/null"]).arg(std::env::current_exe().unwrap());
    wrapped.args(["--exact", "seccomp::becomes_the_command_without_the_calls", "--nocapture"]);
    let numbers: Vec<String> = calls.iter().map(i64::to_string).collect();
    wrapped.env(FORBIDDEN, format!("{}:{}", errno.raw_os_error(), numbers.join(",")));
    wrapped.env("LANTORRENT_TEST_PROGRAM", command.get_program());
    let args: Vec<_> = command.get_args().map(|arg| arg.to_str().unwrap()).collect();
    wrapped.env("LANTORRENT_TEST_ARGS", args.join("\n"));
    wrapped.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    if let Some(folder) = command.get_current_dir() {
        wrapped.current_dir(folder);
    }
    wrapped
}

/// No test: what the others start, as there is no other program here that can do it.
#[test]
fn becomes_the_command_without_the_calls() {
    let Ok(forbidden) = std::env::var(FORBIDDEN) else { return };
    let (errno, calls) = forbidden.split_once(':').unwrap();
    let action = SeccompAction::Errno(errno.parse().unwrap());
    let rules = calls.split(',').map(|call| (call.parse().unwrap(), Vec::new())).collect();
    let machine = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, machine).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    let args = std::env::var("LANTORRENT_TEST_ARGS").unwrap();
    let mut command = Command::new(std::env::var_os("LANTORRENT_TEST_PROGRAM").unwrap());
    command.args(args.split('\n')).stdout(File::options().write(true).open("/proc/self/fd/3").unwrap());
    panic!("{}", command.exec());
}

fn arrives_without(calls: &[i64], errno: Errno) {
    let folder = tempfile::tempdir().unwrap();
    for driver in DRIVERS {
        let place = Place::new(folder.path());
        let node = place.node(driver, |command| without(calls, errno, &command));
        place.receive(&node);
        place.fetch(|command| without(calls, errno, &command));
    }
}

#[test]
fn without_openat2() {
    for errno in [Errno::NOSYS, Errno::PERM] {
        arrives_without(&[OPENAT2], errno);
    }
}

#[test]
fn without_faccessat2() {
    for errno in [Errno::NOSYS, Errno::PERM] {
        arrives_without(&[FACCESSAT2], errno);
    }
}

#[test]
fn without_all_that_is_new() {
    for errno in [Errno::NOSYS, Errno::PERM] {
        arrives_without(&[OPENAT2, FACCESSAT2, CLOSE_RANGE, EPOLL_PWAIT2], errno);
    }
}

/// The same checks without the call: nothing is written or read beside the root.
#[test]
fn no_way_out_of_a_root_without_openat2() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir_all(root.join("inside")).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    symlink(&outside, root.join("absolute")).unwrap();
    symlink("../outside", root.join("relative")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("/proc/self/cwd", root.join("magic")).unwrap();
    let place = Place::new(&root);
    let node = place.node(&[], |command| without(&[OPENAT2], Errno::NOSYS, &command));
    let (source, bytes) = place.source();
    for out in ["absolute/a", "relative/a", "loop/a", "magic/a", "../outside/a", "inside/../../outside/a"] {
        let finished = place.lab.send(&source, &[node.destination(out)], &["--json"]);
        assert_ne!(finished.status, Some(0), "{out}");
        let code = finished.codes()[0];
        assert!([503, 504, 513, 514].contains(&code), "{out}: {code}");
    }
    assert_eq!(names(&outside), ["kept"]);
    assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
    // A link that has the name is replaced, and not followed.
    symlink("../outside/kept", root.join("file")).unwrap();
    place.lab.send(&source, &[node.destination("file")], &[]).expect(0);
    assert_eq!(fs::read(outside.join("kept")).unwrap(), b"kept");
    symlink("inside", root.join("beneath")).unwrap();
    place.lab.send(&source, &[node.destination("beneath/a")], &[]).expect(0);
    assert!(fs::read(root.join("inside/a")).unwrap() == bytes);
}
