//! What a tracker takes of this process's memory. Alone in its process, so that nothing else is counted.

use std::time::Instant;

use lantorrent_swarm::Seed;
use lantorrent_swarm::tracker::{Tracker, TrackerSettings};

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// A tracker in which as many torrents have a hundred thousand peers together, and what it takes.
fn full(torrents: u32) -> (Tracker, usize) {
    let before = resident();
    let now = Instant::now();
    let mut tracker = Tracker::new(TrackerSettings::default(), Seed([1; 32]), now);
    for peer in 0..110_000_u32 {
        let from = (std::net::Ipv4Addr::from_bits(0x0a00_0000 + peer * 3), 40_000).into();
        let torrent = format!("{:020}", peer % torrents);
        let left = peer % 2;
        let target = format!(
            "/announce?info_hash={torrent}&peer_id=-XX0000-{peer:012}&port=6881&left={left}&key={peer}&numwant=1"
        );
        assert_eq!(tracker.http(now, from, target.as_bytes()).status, 200);
    }
    let taken = resident() - before;
    (tracker, taken)
}

#[test]
fn a_hundred_thousand_peers_take_less_than_64_mib() {
    // What is freed in between might be used again, so all stay.
    let full: Vec<_> = [1, 100, 50_000, 100_000].map(|torrents| (torrents, full(torrents))).into();
    for (torrents, (tracker, taken)) in full {
        println!("{torrents} torrents: {} peers, {} KiB", tracker.peers(), taken >> 10);
        assert_eq!(
            (tracker.peers(), tracker.torrents() as u32),
            match torrents {
                100_000 => (60_000, 50_000),
                few => (100_000, few),
            }
        );
        assert!(taken < 64 << 20, "{torrents} torrents: {taken} bytes");
    }
}
