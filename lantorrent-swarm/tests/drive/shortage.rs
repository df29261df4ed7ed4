//! Disks that are full, descriptors that run out, and many who come at once.

use std::env;
use std::fs::{self, File};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_swarm::drive::{Alert, Bounds, Existing, Phase, TorrentError};
use lantorrent_swarm::metainfo::{Draft, Metainfo};
use lantorrent_swarm::wire::Message;
use lantorrent_swarm::{BLOCK, Span};

use crate::support::{
    LONG, add_torrent, address, await_message, content, expect_whole, introduced, say, session, stranger,
    torrent,
};
use crate::system::SmallDisk;

const PIECE: u32 = 64 << 10;
/// Messages of BEP 3.
const UNCHOKE: u8 = 1;
const BLOCK_OF_PIECE: u8 = 7;

#[test]
fn a_full_disk_is_told_of_once_and_gone_on_with_when_there_is_room() {
    let Some(disk) = SmallDisk::new(2 << 20) else { return };
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(1_200_000)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let hash = metainfo.info.hash();
    let (mut seeder, mut leecher) = (session(), session());
    let _ = leecher.add(add_torrent(&metainfo, disk.path()));
    while leecher.statuses()[0].phase != Phase::Fetching {
        thread::sleep(Duration::from_millis(5));
    }
    let theirs = disk.path().join("theirs");
    fs::write(&theirs, vec![1; 1_600_000]).unwrap();
    let _ = seeder.add(add_torrent(&metainfo, here.path()).peers(vec![address(&leecher)]));
    expect_whole(&mut seeder, hash);
    let Some(Alert::Failed(_, error)) = leecher.next_alert(LONG) else { panic!("the disk is full") };
    let TorrentError::DiskFull { path, .. } = &error else { panic!("{error:?}") };
    assert!(path.ends_with("a.img.lantorrent") && error.to_string().contains("space"), "{error}");
    let kept = leecher.statuses()[0].have;
    fs::remove_file(theirs).unwrap();
    let _ = leecher.add(add_torrent(&metainfo, disk.path()).peers(vec![address(&seeder)]));
    // Not a second failure of the pieces that were under way.
    assert_eq!(leecher.next_alert(LONG), Some(Alert::Finished(hash)));
    assert!(leecher.statuses()[0].progress.downloaded <= 1_200_000 - kept, "{kept}");
    assert!(fs::read(disk.path().join("a.img")).unwrap() == content(1_200_000));
}

/// Runs one of the tests below in a process of its own, which may have so many descriptors.
fn with_descriptors(descriptors: usize, child: &str) {
    let script =
        format!("ulimit -n {descriptors} && exec \"$0\" --exact shortage::{child} --ignored --nocapture");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).arg(env::current_exe().unwrap()).env("LANTORRENT_TEST_CHILD", "1");
    let output = command.output().unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn is_child() -> bool {
    env::var_os("LANTORRENT_TEST_CHILD").is_some()
}

#[test]
fn descriptors_that_run_out_are_warned_of_once_each_time() {
    with_descriptors(64, "no_descriptors_left");
}

/// What was logged.
struct Log(Mutex<Vec<String>>);

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

impl Log {
    fn count(&self, part: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    fn await_count(&self, part: &str, count: usize) {
        let until = Instant::now() + LONG;
        while self.count(part) < count {
            assert!(Instant::now() < until, "{part}: {:?}", self.0.lock().unwrap());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
#[ignore = "only in a process of its own, which may have few descriptors"]
fn no_descriptors_left() {
    static LOG: Log = Log(Mutex::new(Vec::new()));
    const SHORT: &str = "not all connections can be accepted";
    if !is_child() {
        return;
    }
    log::set_logger(&LOG).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let session = session();
    // What it takes to begin with is taken when it answers.
    session.statuses();
    for turn in 1..=2 {
        let mut others: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        others.pop();
        // It has the last one, and there is none for the other end.
        let visitor = TcpStream::connect(address(&session)).unwrap();
        LOG.await_count(SHORT, turn);
        // It has tried again five times by then.
        thread::sleep(Duration::from_secs(1));
        assert_eq!(LOG.count(SHORT), turn);
        drop((others, visitor));
        LOG.await_count("all connections are accepted again", turn);
    }
}

#[test]
fn thousands_of_files_are_served_with_few_descriptors() {
    with_descriptors(256, "a_thousand_torrents_of_many_files");
}

#[test]
#[ignore = "only in a process of its own, which may have few descriptors"]
fn a_thousand_torrents_of_many_files() {
    const MANY: usize = 1000;
    if !is_child() {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    let mut seeder = session();
    let mut torrents = Vec::new();
    for number in 0..MANY {
        let folder = here.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        for file in 0..5_u64 {
            fs::write(folder.join(file.to_string()), (number as u64 * 5 + file).to_be_bytes()).unwrap();
        }
        let metainfo = torrent(&folder, PIECE, &Draft::default());
        let _ = seeder.add(add_torrent(&metainfo, here.path()).existing(Existing::Serve));
        torrents.push(metainfo.info.hash());
    }
    for _ in 0..MANY {
        let alert = seeder.next_alert(LONG);
        assert!(matches!(alert, Some(Alert::Finished(_))), "{alert:?}");
    }
    for (number, hash) in torrents.into_iter().enumerate() {
        let mut peer = stranger(address(&seeder), hash, 1);
        assert!(introduced(&mut peer));
        say(&mut peer, &Message::Interested);
        assert!(await_message(&mut peer, UNCHOKE).is_some());
        say(&mut peer, &Message::Request(Span { piece: 0, begin: 0, length: 40 }));
        let data = await_message(&mut peer, BLOCK_OF_PIECE).unwrap().split_off(8);
        let expected: Vec<u8> = (0..5).flat_map(|file| (number as u64 * 5 + file).to_be_bytes()).collect();
        assert_eq!(data, expected, "{number}");
    }
    let open = fs::read_dir("/proc/self/fd").unwrap().count();
    assert!(open <= Bounds::default().open_files + 64, "{open}");
}

#[test]
fn five_hundred_at_once_are_served_or_closed() {
    with_descriptors(2048, "five_hundred_connections");
}

#[test]
#[ignore = "only in a process of its own, which needs many descriptors"]
fn five_hundred_connections() {
    const CROWD: u16 = 500;
    if !is_child() {
        return;
    }
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(8 << 20)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let mut seeder = session();
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    let data = content(8 << 20);
    let streams: Vec<TcpStream> =
        (0..CROWD).map(|number| stranger(address(&seeder), metainfo.info.hash(), number)).collect();
    let served: usize = thread::scope(|scope| {
        let visit = |(number, stream)| visit(stream, number, &metainfo, &data);
        let visits: Vec<_> =
            streams.into_iter().enumerate().map(|visitor| scope.spawn(move || visit(visitor))).collect();
        visits.into_iter().map(|visit| usize::from(visit.join().unwrap())).sum()
    });
    println!("{served} of {CROWD} were served");
    assert!(served >= 200, "as many as one torrent takes");
    let memory = fs::read_to_string("/proc/self/status").unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 128 << 10, "{peak} KiB");
}

/// Asks for a piece: whether it comes. If not, the connection is closed.
fn visit(mut stream: TcpStream, number: usize, metainfo: &Metainfo, data: &[u8]) -> bool {
    let piece = number as u32 % metainfo.info.geometry().pieces();
    if !introduced(&mut stream) {
        return false;
    }
    say(&mut stream, &Message::Interested);
    if await_message(&mut stream, UNCHOKE).is_none() {
        return false;
    }
    for begin in (0..PIECE).step_by(BLOCK as usize) {
        say(&mut stream, &Message::Request(Span { piece, begin, length: BLOCK }));
    }
    for begin in (0..PIECE).step_by(BLOCK as usize) {
        let block = await_message(&mut stream, BLOCK_OF_PIECE).expect("who is served is served to the end");
        let start = (piece * PIECE + begin) as usize;
        assert!(block[8..] == data[start..start + BLOCK as usize], "{number}");
    }
    true
}
