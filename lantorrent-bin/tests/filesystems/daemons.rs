//! The agent's queue and repository, seeds, and nodes under inetd, on file systems that refuse calls.

use std::fs;
use std::os::unix::fs::symlink;

use fuser::Errno;

use crate::agent::{Agent, REPOSITORY, configure_with, database, lab, source, wish};
use crate::common::system::{SmallDisk, run};
use crate::common::{Inetd, Lab, content, names};
use crate::odd::{Call, Odd, Oddity};
use crate::place::BYTES;
use crate::seccomp::{OPENAT2, without};
use crate::swarms::{ALONE, Running};

#[test]
fn a_queue_where_calls_are_refused() {
    let refused = [
        (Call::Lock, Errno::ENOSYS),
        (Call::Lock, Errno::ENOLCK),
        (Call::Lock, Errno::EOPNOTSUPP),
        (Call::FsyncFolder, Errno::EINVAL),
        (Call::Fallocate, Errno::EOPNOTSUPP),
        (Call::Chmod, Errno::EPERM),
        (Call::Access, Errno::EACCES),
    ];
    for (call, errno) in refused {
        let Some(odd) = Odd::mount(Oddity { refuses: vec![(call, errno)], ..Oddity::default() }) else {
            return;
        };
        let lab = lab("");
        configure_with(&lab, "", &odd.path().join("queue"));
        let node = lab.node("node");
        let file = source(&lab, "a.img", b"content");
        let agent = Agent::start(&lab);
        agent.submit(&wish("before", &file, &node, "a"));
        agent.expect_done("before");
        agent.kill();
        let agent = Agent::start(&lab);
        assert_eq!(agent.get("/v1/requests/before").0, 200, "{call:?}");
        agent.submit(&wish("after", &file, &node, "b"));
        agent.expect_done("after");
        // Two agents would do everything twice.
        let second = lab.command(["agent", "--listen", "127.0.0.1:0"]).output().unwrap();
        assert!(!second.status.success(), "{call:?} {errno:?}");
        assert!(agent.stop("TERM").success());
    }
}

/// What it cannot make durable it must not promise to keep.
#[test]
fn a_queue_on_a_disk_that_fails() {
    for call in [Call::Fsync, Call::Write] {
        let refuses = vec![(call, Errno::EIO)];
        let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
        let lab = lab("");
        configure_with(&lab, "", &odd.path().join("queue"));
        let output = lab.command(["agent"]).output().unwrap();
        assert!(!output.status.success(), "{call:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("queue") && told.contains("Input/output error"), "{told}");
    }
}

#[test]
fn a_repository_without_openat2() {
    for errno in [rustix::io::Errno::NOSYS, rustix::io::Errno::PERM] {
        let lab = lab("");
        configure_with(&lab, "", &database(&lab));
        let node = lab.node("node");
        let file = source(&lab, "a.img", b"content");
        let folder = lab.path().join(REPOSITORY);
        fs::write(lab.path().join("secret"), "secret").unwrap();
        symlink("../secret", folder.join("out")).unwrap();
        symlink("a.img", folder.join("latest")).unwrap();
        let agent = Agent::from_command(without(&[OPENAT2], errno, &lab.command(["agent"])));
        agent.submit(&wish("plain", &file, &node, "a"));
        agent.submit(&wish("link", folder.join("latest").to_str().unwrap(), &node, "b"));
        agent.expect_done("plain");
        agent.expect_done("link");
        assert_eq!(fs::read(node.file("b")).unwrap(), b"content");
        let (status, answer) =
            agent.post("/v1/requests", &wish("out", folder.join("out").to_str().unwrap(), &node, "c"));
        if status < 300 {
            assert_ne!(agent.ended("out")["state"], "done", "{answer}");
        }
        assert!(!node.file("c").exists());
    }
}

#[test]
fn seeds_that_cannot_be_locked_or_written() {
    let lab = Lab::empty();
    let Some(disk) = SmallDisk::new(16 << 20) else { return };
    let data = content(BYTES);
    fs::write(disk.path().join("a.img"), &data).unwrap();
    let path = disk.path().join("a.img");
    lab.run(["torrent", "create", path.to_str().unwrap(), "-o", "a.torrent"]).expect(0);
    let at = disk.path().to_str().unwrap();
    if run("mount", &["-o", "remount,ro", at]).is_none() {
        return;
    }
    fetched_from(&lab, at, &data);
    let refuses = [Errno::ENOSYS, Errno::ENOLCK, Errno::EOPNOTSUPP].map(|errno| vec![(Call::Lock, errno)]);
    for refuses in refuses {
        let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
        fs::write(odd.path().join("a.img"), &data).unwrap();
        fetched_from(&lab, odd.path().to_str().unwrap(), &data);
    }
}

fn fetched_from(lab: &Lab, folder: &str, data: &[u8]) {
    let (_seed, address) = Running::seed(lab, folder, &["a.torrent"]);
    let to = tempfile::tempdir_in(lab.path()).unwrap();
    let mut command = lab.command(["get", "a.torrent", "--peer", &address, "-o"]);
    command.arg(to.path()).args(ALONE);
    assert!(command.output().unwrap().status.success());
    assert!(fs::read(to.path().join("a.img")).unwrap() == data);
}

#[test]
fn inetd_where_nothing_can_be_locked() {
    for errno in [Errno::ENOSYS, Errno::ENOLCK, Errno::EOPNOTSUPP] {
        let refuses = vec![(Call::Lock, errno)];
        let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
        let lab = Lab::new();
        symlink(odd.path(), lab.path().join("inetd")).unwrap();
        let inetd = Inetd::start(&lab, "inetd");
        let source = lab.source(BYTES);
        for _ in 0..2 {
            lab.send(&source, &[inetd.destination("a"), inetd.destination("b")], &[]).expect(0);
        }
        assert!(fs::read(inetd.file("a")).unwrap() == content(BYTES));
        assert_eq!(names(odd.path()), ["a", "b"]);
    }
}

/// Many processes want one file at the same time, and nothing tells them of each other: what gets the name is whole.
#[test]
fn processes_that_write_one_file_without_locks() {
    let refuses = vec![(Call::Lock, Errno::ENOSYS)];
    let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
    let lab = Lab::new();
    symlink(odd.path(), lab.path().join("inetd")).unwrap();
    let inetd = Inetd::start(&lab, "inetd");
    let sources: Vec<_> =
        (0..4_u8).map(|number| (lab.path().join(number.to_string()), vec![number; 3_000_000])).collect();
    for (path, bytes) in &sources {
        fs::write(path, bytes).unwrap();
    }
    let mut succeeded = 0;
    for _ in 0..3 {
        let to = [inetd.destination("a")];
        let ended: Vec<_> = std::thread::scope(|scope| {
            let sends: Vec<_> =
                sources.iter().map(|(path, _)| scope.spawn(|| lab.send(path, &to, &[]).status)).collect();
            sends.into_iter().map(|send| send.join().unwrap()).collect()
        });
        let found = fs::read(inetd.file("a")).ok();
        if ended.contains(&Some(0)) {
            succeeded += 1;
            assert!(
                sources.iter().any(|(_, bytes)| found.as_ref() == Some(bytes)),
                "what is there is no file of those"
            );
        }
    }
    assert!(succeeded > 0, "not one of them ever gets there");
}
