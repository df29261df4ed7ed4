//! A package cache: fetches torrents into one folder, keeps at most 10 GiB there, and serves what it has until it is killed.
//!
//! `cargo run --example cache FOLDER FILE.torrent...`

use std::time::Duration;

use lantorrent_swarm::metainfo::Metainfo;
use lantorrent_swarm::{AddTorrent, Alert, Bounds, Session, Settings, TorrentError, TorrentHandle};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, torrents @ ..] = &arguments[..] else {
        return Err("usage: cache FOLDER FILE.torrent...".into());
    };
    let settings = Settings::default().bounds(Bounds::default().quota(10 << 30));
    let mut session = Session::start(settings)?;
    println!("listening on port {}", session.port());
    let mut packages = Vec::new();
    for path in torrents {
        let metainfo = Metainfo::read(&std::fs::read(path)?)?;
        packages.push(session.add(AddTorrent::new(metainfo, folder)));
    }
    while let Some(alert) = session.next_alert(Duration::MAX) {
        match alert {
            Alert::Finished(hash) => println!("{hash} is complete and served"),
            Alert::Failed(hash, TorrentError::DiskFull { needed, .. }) => {
                println!("{hash}: the disk lacks room for {needed} bytes");
            }
            Alert::Failed(hash, error) => println!("{hash}: {error}"),
            _ => {}
        }
        for status in packages.iter().filter_map(TorrentHandle::status) {
            println!("{}: {} bytes of {:?}", status.info_hash, status.have, status.length);
        }
    }
    Ok(())
}
