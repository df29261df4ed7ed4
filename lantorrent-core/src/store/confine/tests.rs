//! Both ways give the same, whatever is tried.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::thread;

use rustix::fs::{FileType, fstat, mknodat, open};
use tempfile::TempDir;

use super::*;
use crate::store::Identity;

/// A folder with everything in it that could lead astray, in another one with a secret.
fn folder() -> (TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    fs::create_dir_all(root.join("sub/deep")).unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    fs::write(root.join("a"), "a").unwrap();
    fs::write(root.join("sub/b"), "b").unwrap();
    for (target, name) in [
        ("a", "plain"),
        ("sub", "folder"),
        ("sub/", "slashed"),
        ("plain", "twice"),
        ("../a", "sub/up"),
        ("../../root/a", "sub/out-and-in"),
        ("../secret", "out"),
        ("..", "parent"),
        ("/etc/passwd", "absolute"),
        ("/proc/self/root", "magic"),
        ("loop", "loop"),
        ("gone", "dangling"),
        ("sub/new", "dangling-below"),
        ("a/", "file-as-folder"),
        (".", "itself"),
        ("sub/..", "sub-and-back"),
        ("sub/deep/../b", "round"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    for link in 0..45 {
        symlink(
            if link == 0 { "a".into() } else { format!("chain{}", link - 1) },
            root.join(format!("chain{link}")),
        )
        .unwrap();
    }
    mknodat(rustix::fs::CWD, root.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    (outside, root)
}

const PATHS: [&str; 53] = [
    ".",
    "./",
    "",
    "/",
    "a",
    "./a",
    "a/",
    "a/.",
    "a/..",
    "a/b",
    "sub",
    "sub/",
    "sub//b",
    "sub/.",
    "sub/./b",
    "sub/..",
    "sub/../a",
    "sub/../..",
    "..",
    "../root/a",
    "../secret",
    "sub/../../secret",
    "/etc/passwd",
    "plain",
    "plain/",
    "folder",
    "folder/",
    "folder/b",
    "folder/../a",
    "slashed",
    "slashed/b",
    "twice",
    "sub/up",
    "sub/out-and-in",
    "out",
    "parent",
    "parent/secret",
    "parent/root/a",
    "absolute",
    "magic",
    "magic/etc/passwd",
    "loop",
    "loop/a",
    "dangling",
    "dangling/a",
    "gone",
    "gone/a",
    "file-as-folder",
    "itself/a",
    "sub-and-back/a",
    "round",
    "fifo",
    "chain39",
];

/// What was opened, or why not.
fn seen(result: Result<OwnedFd, Errno>) -> Result<(Identity, FileType), Errno> {
    result.map(|file| {
        let stat = fstat(&file).unwrap();
        (Identity::of_file(&file).unwrap(), crate::store::partial::file_type(&stat))
    })
}

fn compare(
    root: &Path,
    path: &str,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<(Identity, FileType), Errno> {
    let folder = open(root, LOOK | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mode = if flags.contains(OFlags::CREATE) { MODE } else { Mode::empty() };
    let kernel = seen(by_kernel(&folder, Path::new(path), flags, mode, resolve));
    let walked = seen(walk::walk(&folder, Path::new(path), flags, mode, resolve));
    assert_eq!(kernel, walked, "{path:?} with {flags:?}, {resolve:?}");
    walked
}

#[test]
fn both_ways_agree_on_all_paths() {
    let (_outside, root) = folder();
    let no_links = OFlags::NOFOLLOW;
    let mut granted = 0;
    for path in PATHS.into_iter().chain([
        "chain40",
        "chain44",
        &"x".repeat(300),
        &"x/".repeat(2100),
        &"./".repeat(2000),
    ]) {
        for resolve in [BENEATH, STRICTLY_BENEATH, STRICTLY_BENEATH | ResolveFlags::NO_XDEV] {
            for flags in
                [LOOK, LOOK | OFlags::DIRECTORY, FOLDER, READ_WRITE, READ_WRITE.difference(OFlags::RDWR)]
            {
                for flags in [flags, flags | no_links] {
                    granted += usize::from(compare(&root, path, flags, resolve).is_ok());
                }
            }
        }
    }
    assert!(granted > 300, "{granted}");
    // In /proc, where symlinks are not what they say.
    let open_file = fs::File::open(&root).unwrap();
    let magic = std::os::fd::AsRawFd::as_raw_fd(&open_file).to_string();
    for (folder, path) in
        [("/proc/self", "root"), ("/proc/self", "cwd/a"), ("/proc/self", "exe"), ("/proc/self/fd", &magic)]
    {
        assert!(compare(Path::new(folder), path, LOOK, BENEATH).is_err(), "{folder} {path}");
    }
}

#[test]
fn both_ways_make_the_same_files() {
    let make = |way: &dyn Fn(&OwnedFd, &Path, OFlags) -> Result<OwnedFd, Errno>| {
        let (outside, root) = folder();
        let folder = open(&root, LOOK | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let paths = [
            "new",
            "sub/new2",
            "dangling-below",
            "dangling",
            "out",
            "absolute",
            "a",
            "loop",
            "gone/a",
            "sub",
            "../x",
        ];
        let mut results = Vec::new();
        for path in paths {
            for flags in [OFlags::CREATE, OFlags::CREATE | OFlags::EXCL, OFlags::CREATE | OFlags::NOFOLLOW] {
                let made = way(&folder, Path::new(path), READ_WRITE | flags);
                results.push((path, flags, seen(made).map(|(_, what)| what)));
            }
        }
        let mut names = Vec::new();
        for folder in [outside.path().to_owned(), root.clone(), root.join("sub")] {
            names.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()));
        }
        names.sort();
        (results, names)
    };
    let kernel = make(&|folder, path, flags| by_kernel(folder, path, flags, MODE, BENEATH));
    let walked = make(&|folder, path, flags| walk::walk(folder, path, flags, MODE, BENEATH));
    assert_eq!(kernel, walked);
    assert!(kernel.1.iter().any(|name| name == "new2"));
}

/// Something is a folder now and a symlink out of the root then, as fast as can be.
#[test]
fn a_symlink_that_is_swapped_in_never_leads_outside() {
    let (outside, root) = folder();
    fs::create_dir(outside.path().join("elsewhere")).unwrap();
    fs::write(outside.path().join("elsewhere/b"), "outside").unwrap();
    symlink("../elsewhere", root.join("bad")).unwrap();
    symlink("../../elsewhere/b", root.join("sub/bad")).unwrap();
    let secret = Identity::of_path(&outside.path().join("elsewhere/b")).unwrap();
    let folder = open(&root, LOOK | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let exchange = |one: &str, other: &str| {
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        rustix::fs::renameat_with(&folder, one, &folder, other, flags).unwrap();
    };
    let over = AtomicBool::new(false);
    let (mut granted, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                exchange("sub", "bad");
                exchange("sub", "bad");
                exchange("sub/b", "sub/bad");
                exchange("sub/b", "sub/bad");
            }
        });
        // Until both have been seen, and often enough.
        for round in 0.. {
            for resolve in [BENEATH, STRICTLY_BENEATH] {
                match seen(walk::walk(&folder, Path::new("sub/b"), READ_WRITE, Mode::empty(), resolve)) {
                    Ok((id, _)) => {
                        assert_ne!(id, secret);
                        granted += 1;
                    }
                    Err(errno) => {
                        assert!(matches!(errno, Errno::XDEV | Errno::LOOP | Errno::NOTDIR), "{errno:?}");
                        refused += 1;
                    }
                }
            }
            if round > 20_000 && granted > 0 && refused > 0 {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

/// Takes root for a mount.
#[test]
fn the_root_of_another_file_system_is_one_both_ways() {
    let (_outside, root) = folder();
    let (bound, there) = (root.join("bound"), root.join("there"));
    for folder in [&bound, &there] {
        fs::create_dir(folder).unwrap();
    }
    let mounted = [
        ("none", &there, &["-t", "tmpfs"][..]),
        (root.join("sub").to_str().unwrap(), &bound, &["--bind"][..]),
    ]
    .map(|(from, to, how)| {
        let command = std::process::Command::new("mount").args(how).arg(from).arg(to).output();
        command.is_ok_and(|output| output.status.success())
    });
    if mounted == [true, true] {
        for name in ["bound", "there", "sub"] {
            let strict = STRICTLY_BENEATH | ResolveFlags::NO_XDEV;
            let result = compare(&root, name, FOLDER | OFlags::NOFOLLOW, strict);
            assert_eq!(result.is_ok(), name == "sub", "{name}: {result:?}");
            assert!(compare(&root, name, FOLDER, BENEATH).is_ok());
        }
    } else {
        assert!(std::env::var_os("CI").is_none(), "this takes root");
        println!("skipped: this takes root");
    }
    for folder in [bound, there] {
        let _ = std::process::Command::new("umount").arg("-l").arg(folder).output();
    }
}

#[test]
fn a_refusal_of_the_call_is_told_from_that_of_a_file() {
    assert!(is_known() || IS_REFUSED.load(Ordering::Relaxed));
    assert!(is_refusal(Errno::NOSYS) && is_refusal(Errno::PERM));
    assert!(!is_refusal(Errno::XDEV) && !is_refusal(Errno::LOOP) && !is_refusal(Errno::NOENT));
}
