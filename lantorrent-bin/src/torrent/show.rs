//! `lantorrent torrent show`.

use std::path::Path;

use lantorrent_swarm::metainfo::{FileEntry, Info, Kind, LeftOut, Metainfo};
use lantorrent_swarm::url::shown;
use serde::Serialize;

use super::args::Show;
use crate::exit::{Failure, Status};
use crate::size;
use crate::terminal;
use crate::text::{clean, clean_json};
use crate::time::Timestamp;

pub(super) fn run(show: &Show) -> Result<Status, Failure> {
    let torrent = super::read(&show.torrent)?;
    if show.json {
        // Strings, numbers and lists: nothing in it can fail to become JSON.
        let json = serde_json::to_string(&Shown::of(&torrent)).expect("a torrent is plain JSON");
        terminal::print_line(&clean_json(&json));
    } else {
        terminal::print(&text(&torrent));
    }
    Ok(Status::Success)
}

/// How much it is, and in how many pieces.
pub(super) fn size_of(info: &Info) -> String {
    let files = info.layout().files().iter().filter(|file| file.kind != Kind::Padding).count();
    format!(
        "{} in {files} {}, {} {} of {} bytes",
        size::bytes(info.geometry().length()),
        if files == 1 { "file" } else { "files" },
        info.geometry().pieces(),
        if info.geometry().pieces() == 1 { "piece" } else { "pieces" },
        info.geometry().piece_length(),
    )
}

/// Lines of a heading and what it is about, and then all files.
fn text(torrent: &Metainfo) -> String {
    let info = &torrent.info;
    let mut lines = vec![
        ("name", info.layout().name().to_string_lossy().into_owned()),
        ("info hash", info.hash().to_string()),
        ("size", size_of(info)),
    ];
    lines.extend(torrent.trackers.iter().map(|tier| ("trackers", public(tier).join(", "))));
    lines.extend(torrent.web_seeds.iter().map(|url| ("web seed", shown(url))));
    lines.extend(torrent.left_out.iter().map(|left_out| ("left out", left_out_of(left_out))));
    lines.extend(torrent.nodes.iter().map(|node| ("DHT node", node.to_string())));
    lines.extend(info.is_private().then(|| ("private", "peers are found by the trackers alone".to_owned())));
    lines.extend(torrent.comment.iter().map(|text| ("comment", text.clone())));
    lines.extend(torrent.created_by.iter().map(|text| ("made by", text.clone())));
    lines.extend(created(torrent).map(|time| ("made at", time)));
    lines.push(("magnet", torrent.magnet().to_string()));
    let lines = lines.iter().map(|(heading, value)| format!("{heading:<9}  {}\n", clean(value)));
    let files = files(info).map(|file| {
        let path = file.path.to_string_lossy();
        format!("{:>14}  {}\n", file.length, clean(&path))
    });
    lines.chain(files).collect()
}

/// URLs without their credentials.
fn public(urls: &[String]) -> Vec<String> {
    urls.iter().map(|url| shown(url)).collect()
}

fn left_out_of(LeftOut { key, address, why, .. }: &LeftOut) -> String {
    format!("{key} {address}: {why}")
}

/// The time as people read it; nothing if it is before 1970 or beyond all calendars.
fn created(torrent: &Metainfo) -> Option<String> {
    const YEAR_9999: u64 = 253_402_300_800;
    let seconds = u64::try_from(torrent.creation_date?).ok().filter(|&seconds| seconds < YEAR_9999)?;
    Some(Timestamp(seconds * 1000).to_string())
}

/// The files without what is between them.
fn files(info: &Info) -> impl Iterator<Item = &FileEntry> {
    info.layout().files().iter().filter(|file| file.kind != Kind::Padding)
}

#[derive(Serialize)]
struct Shown<'a> {
    name: String,
    info_hash: String,
    bytes: u64,
    piece_length: u32,
    pieces: u32,
    private: bool,
    folder: bool,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    left_out: Vec<String>,
    nodes: Vec<String>,
    comment: Option<&'a str>,
    created_by: Option<&'a str>,
    created_at: Option<String>,
    magnet: String,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: String,
    bytes: u64,
    executable: bool,
}

impl<'a> Shown<'a> {
    fn of(torrent: &'a Metainfo) -> Self {
        let info = &torrent.info;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let file = |file: &FileEntry| File {
            path: text(&file.path),
            bytes: file.length,
            executable: file.kind == Kind::Executable,
        };
        Self {
            name: text(info.layout().name()),
            info_hash: info.hash().to_string(),
            bytes: info.geometry().length(),
            piece_length: info.geometry().piece_length(),
            pieces: info.geometry().pieces(),
            private: info.is_private(),
            folder: info.layout().is_folder(),
            trackers: torrent.trackers.iter().map(|tier| public(tier)).collect(),
            web_seeds: public(&torrent.web_seeds),
            left_out: torrent.left_out.iter().map(left_out_of).collect(),
            nodes: torrent.nodes.iter().map(ToString::to_string).collect(),
            comment: torrent.comment.as_deref(),
            created_by: torrent.created_by.as_deref(),
            created_at: created(torrent),
            magnet: torrent.magnet().to_string(),
            files: files(info).map(file).collect(),
        }
    }
}
