//! Real file systems. Those of the kernel are mounted from a file, the others by their programs.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::common::system::{LoopDevice, SmallDisk, run};
use crate::place::{DRIVERS, Place, plain};
use crate::swarms::Running;

const MIB: u64 = 1 << 20;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An image of that many bytes and a folder to mount it on, in a folder of their own.
fn image(size: u64) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    fs::File::create(&image).unwrap().set_len(size).unwrap();
    (folder, image)
}

/// Files and torrents arrive there.
fn arrives(disk: Option<SmallDisk>) {
    let Some(disk) = disk else { return };
    let root = disk.path().join("root");
    fs::create_dir(&root).unwrap();
    let place = Place::new(&root);
    for driver in DRIVERS {
        let node = place.node(driver, plain);
        place.receive(&node);
    }
    place.fetch(plain);
    println!("{:#?}", place.warnings());
}

/// Mounted by that program, which is told the image and the folder.
fn by_program(mkfs: &str, made: &[&str], program: &str, options: &[&str]) -> Option<SmallDisk> {
    let ((folder, image), at) = (image(32 * MIB), tempfile::tempdir().unwrap());
    run(mkfs, &[made, &[text(&image)]].concat())?;
    run(program, &[options, &[text(&image), text(at.path())]].concat())?;
    // The program has the image open.
    drop(folder);
    Some(SmallDisk::mounted(at))
}

#[test]
fn ext4() {
    arrives(SmallDisk::formatted("ext4", 64 * MIB, "rw"));
}

#[test]
fn xfs() {
    arrives(SmallDisk::formatted("xfs", 320 * MIB, "rw"));
}

#[test]
fn btrfs() {
    arrives(SmallDisk::formatted("btrfs", 128 * MIB, "rw"));
}

#[test]
fn tmpfs() {
    arrives(SmallDisk::new(64 << 20));
}

#[test]
fn overlayfs() {
    let Some(below) = SmallDisk::new(64 << 20) else { return };
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| below.path().join(name));
    for folder in [&lower, &upper, &work] {
        fs::create_dir(folder).unwrap();
    }
    let at = tempfile::tempdir().unwrap();
    let options =
        format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    let mounted = run("mount", &["-t", "overlay", "-o", &options, "overlay", text(at.path())]);
    arrives(mounted.map(|_| SmallDisk::mounted(at)));
}

#[test]
fn ntfs_3g() {
    arrives(by_program("mkntfs", &["-F", "-Q", "-q"], "ntfs-3g", &[]));
}

#[test]
fn exfat() {
    // Its program takes nothing but a device.
    let Some(device) = LoopDevice::new(32 << 20) else { return };
    let (path, at) = (text(&device.path), tempfile::tempdir().unwrap());
    let mounted = run("mkfs.exfat", &[path]).and_then(|_| run("mount.exfat-fuse", &[path, text(at.path())]));
    arrives(mounted.map(|_| SmallDisk::mounted(at)));
}

#[test]
fn fat() {
    let Some(disk) = by_program("mkfs.vfat", &[], "fusefat", &["-o", "rw+"]) else { return };
    let root = disk.path().join("root");
    fs::create_dir(&root).unwrap();
    let place = Place::new(&root);
    place.receive(&place.node(&[], plain));
    // A folder that is renamed loses there what is in it: no torrent of a folder may count as whole.
    let tree = place.lab.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("a"), "content").unwrap();
    place.lab.run(["torrent", "create", "tree"]).expect(0);
    let (_seed, address) = Running::seed(&place.lab, ".", &["tree.torrent"]);
    let finished = place.get("tree.torrent", &address, plain).expect(1);
    assert!(finished.stderr.contains("lacks files since it was renamed"), "{finished:?}");
}

/// Another machine's files over SFTP; the connection is a socket of its own, with no SSH in it.
#[test]
fn sshfs() {
    let (there, at) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let socket = OwnedFd::from(listener.accept().unwrap().0);
        let mut server = Command::new("/usr/lib/openssh/sftp-server");
        server.stdin(Stdio::from(socket.try_clone().unwrap())).stdout(Stdio::from(socket));
        let _ = server.status();
    });
    let (from, options) = (format!("localhost:{}", there.path().display()), format!("directport={port}"));
    let mounted = run("sshfs", &["-o", &options, &from, text(at.path())]);
    arrives(mounted.map(|_| SmallDisk::mounted(at)));
}

/// What a quota leaves is less than the disk says.
#[test]
fn a_quota_of_btrfs() {
    let Some(disk) = SmallDisk::formatted("btrfs", 128 * MIB, "rw") else { return };
    let root = disk.path().join("root");
    let steps: [&[&str]; 3] = [
        &["quota", "enable", text(disk.path())],
        &["subvolume", "create", text(&root)],
        &["qgroup", "limit", "700K", text(&root)],
    ];
    for step in steps {
        if run("btrfs", step).is_none() {
            return;
        }
    }
    let place = Place::new(&root);
    let node = place.node(&[], plain);
    let (source, _) = place.source();
    let finished = place.lab.send(&source, &[node.destination("a")], &["--json"]).expect(1);
    assert_eq!(finished.codes(), [512], "{}", finished.stdout);
    assert!(finished.stdout.contains("quota"), "{}", finished.stdout);
    assert!(!node.file("a").exists());
}
