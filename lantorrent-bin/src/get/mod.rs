//! `lantorrent get`.

mod fetching;
mod page;

use std::path::Path;

use lantorrent_core::Limit;
use lantorrent_swarm::drive::{Page, Web};
use lantorrent_swarm::metainfo::Magnet;
use lantorrent_swarm::url::shown;
use lantorrent_swarm::{AddTorrent, TorrentSource};
use serde_json::json;

use crate::exit::{Failure, Status};
use crate::swarm::say::To;
use crate::swarm::{Get, Stop, addresses, trust};
use crate::torrent;

pub(crate) fn run(get: &Get) -> Result<Status, Failure> {
    if get.seed && (get.seed_for.is_some() || get.seed_ratio.is_some()) {
        return Err(Failure::usage(
            "--seed serves without end, and --seed-for and --seed-ratio set one",
            "give either --seed or one of the others",
        ));
    }
    let to = To::of(get.json);
    let outcome = fetch(get, to);
    if let Err(failure) = &outcome {
        to.event("failed", json!({ "message": failure.to_string() }));
    }
    outcome
}

fn fetch(get: &Get, to: To) -> Result<Status, Failure> {
    if is_url(&get.what) {
        return from_web(get, to);
    }
    let source: TorrentSource =
        if get.what.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("magnet:")) {
            magnet(&get.what)?.into()
        } else {
            torrent::read(&torrent::file(&get.what).map_err(named)?)?.into()
        };
    folder(&get.output)?;
    fetching::run(get, add_torrent(get, source), &Stop::on_signals()?, to)
}

fn named(why: String) -> Failure {
    Failure::usage(why, "give a .torrent file, a magnet link or a URL")
}

/// Of whatever kind: those that cannot be asked for are named as such.
fn is_url(what: &str) -> bool {
    let scheme = what.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

fn magnet(link: &str) -> Result<Magnet, Failure> {
    link.parse().map_err(|error| Failure::usage(error, "give the whole link, in quotes"))
}

/// Makes the folder.
fn folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::usage(
            format_args!("cannot make {}: {error}", folder.display()),
            "give another folder with -o",
        )
    })
}

fn add_torrent(get: &Get, source: TorrentSource) -> AddTorrent {
    let mut peers = addresses(&get.peer);
    if let TorrentSource::Magnet(magnet) = &source {
        peers.extend(addresses(&magnet.peers));
    }
    AddTorrent::new(source, get.output.clone())
        .trackers(get.tracker.clone())
        .web_seeds(get.web_seed.clone())
        .peers(peers)
        .trust(trust(get.check))
}

fn from_web(get: &Get, to: To) -> Result<Status, Failure> {
    let url = torrent::web_url(&get.what).map_err(|error| {
        Failure::usage(
            format_args!("{} is not a URL that can be fetched: {error}", shown(&get.what)),
            "give the whole URL",
        )
    })?;
    let web = Web::new(get.proxy.as_deref(), Limit::new(get.download))?;
    let stop = Stop::on_signals()?;
    let interrupted = web.clone();
    stop.then(move || interrupted.shut_down());
    match web.open(&url) {
        Ok(Page::Torrent(metainfo)) => {
            folder(&get.output)?;
            fetching::run(get, add_torrent(get, metainfo.into()), &stop, to)
        }
        Ok(Page::File(file)) => {
            folder(&get.output)?;
            page::save(get, &url, *file, &stop, to)
        }
        Err(_) if stop.is_asked() => Ok(Status::Incomplete),
        Err(error) => Err(page::failure(&error)),
    }
}
