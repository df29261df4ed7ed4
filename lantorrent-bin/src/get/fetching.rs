//! A torrent that is fetched, and then served for as long as that is asked for.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lantorrent_swarm::{AddTorrent, Alert, Phase, Session, Status as Standing, TorrentHandle, TorrentSource};
use serde_json::{Value, json};

use crate::exit::{Failure, Status};
use crate::size;
use crate::swarm::say::{Far, Teller, To};
use crate::swarm::{Get, Network, Stop};
use crate::terminal;
use crate::text::clean;

/// How often it is looked at.
const GLANCE: Duration = Duration::from_millis(200);

const NOT_SOUGHT: &str = "nobody is asked for it, as no tracker, web seed or peer is named, so somebody has to \
                          connect to this host; give --tracker, --web-seed or --peer, or another way to find peers";

pub(super) fn run(get: &Get, request: AddTorrent, stop: &Stop, to: To) -> Result<Status, Failure> {
    let session = Network {
        port: get.port.as_ref(),
        no_local: get.no_local,
        dht: get.dht,
        dht_nodes: &get.dht_node,
        download: get.download,
        upload: get.upload,
        connections: get.connections,
        proxy: get.proxy.as_deref(),
    }
    .start()?;
    to.event("listening", json!({ "port": session.port() }));
    let unsought = !is_sought(get, &request);
    let torrent = session.add(request);
    let mut fetching = Fetching {
        get,
        stop,
        to,
        session,
        torrent,
        unsought,
        started: Instant::now(),
        warned: HashSet::new(),
    };
    let outcome = fetching.fetch().and_then(|is_whole| {
        if is_whole {
            fetching.serve()?;
        }
        Ok(if is_whole { Status::Success } else { Status::Incomplete })
    });
    let uploaded = fetching.standing().map_or(0, |standing| standing.progress.uploaded);
    fetching.session.stop();
    if let Ok(status) = &outcome {
        to.event("stopped", json!({ "whole": *status == Status::Success, "uploaded": uploaded }));
    }
    outcome
}

struct Fetching<'a> {
    get: &'a Get,
    stop: &'a Stop,
    to: To,
    session: Session,
    torrent: TorrentHandle,
    /// Nobody is asked for it, and that is yet to be said.
    unsought: bool,
    started: Instant,
    /// What was said already, and need not be said again and again.
    warned: HashSet<String>,
}

impl Fetching<'_> {
    /// Until it is whole and in place, or nobody wants it any more: whether it is.
    fn fetch(&mut self) -> Result<bool, Failure> {
        let mut teller = Teller::new(self.to);
        let outcome = self.watch(&mut teller);
        teller.hide();
        if let Ok(is_whole) = outcome
            && let Some(standing) = self.standing()
        {
            if is_whole { self.tell_whole(&standing) } else { self.tell_stopped(&standing) }
        }
        outcome
    }

    fn watch(&mut self, teller: &mut Teller) -> Result<bool, Failure> {
        while !self.stop.is_asked() {
            match self.session.next_alert(GLANCE) {
                Some(Alert::Finished(_)) => return Ok(true),
                Some(Alert::Failed(_, error)) => {
                    return Err(Failure::told(Status::Incomplete, error.to_string()));
                }
                Some(alert) => self.heard(alert),
                None => {}
            }
            let standing = self.standing().ok_or_else(ended)?;
            if matches!(standing.phase, Phase::Metadata | Phase::Fetching)
                && std::mem::take(&mut self.unsought)
            {
                self.to.warn(NOT_SOUGHT);
            }
            teller.tell(&Far::of(&standing), || fields(&standing));
        }
        Ok(false)
    }

    /// Serves for as long as it is asked for.
    fn serve(&mut self) -> Result<(), Failure> {
        let (get, begun) = (self.get, Instant::now());
        if !get.seed && get.seed_for.is_none() && get.seed_ratio.is_none() {
            return Ok(());
        }
        self.to.event("seeding", json!({}));
        if self.to == To::People {
            terminal::note(&format!("serving it{}; a signal ends that", how_long(get)));
        }
        while !self.stop.is_asked() {
            let standing = self.standing().ok_or_else(ended)?;
            let is_over = get.seed_for.is_some_and(|time| begun.elapsed() >= time)
                || get.seed_ratio.is_some_and(|ratio| ratio_of(&standing) >= ratio);
            if is_over {
                break;
            }
            if let Some(alert) = self.session.next_alert(GLANCE) {
                self.heard(alert);
            }
        }
        Ok(())
    }

    fn heard(&mut self, alert: Alert) {
        match alert {
            Alert::MetadataReceived(hash) => {
                let name = self.standing().and_then(|standing| standing.name).unwrap_or_default();
                self.to.event("metadata", json!({ "info_hash": hash.to_string(), "name": name }));
            }
            Alert::Warning(_, warning) => self.warn(warning.to_string()),
            Alert::Failed(_, error) => self.warn(error.to_string()),
            // Nothing that this command has to tell.
            _ => {}
        }
    }

    fn warn(&mut self, text: String) {
        // A torrent with ever new warnings does not fill the terminal.
        if self.warned.len() < 100 && !self.warned.contains(&text) {
            self.to.warn(&text);
            self.warned.insert(text);
        }
    }

    fn standing(&self) -> Option<Standing> {
        self.torrent.status()
    }

    fn path(&self, standing: &Standing) -> PathBuf {
        self.get.output.join(standing.name.as_deref().unwrap_or_default())
    }

    fn tell_whole(&self, standing: &Standing) {
        let (path, bytes, progress) = (self.path(standing), standing.have, &standing.progress);
        let time = self.started.elapsed();
        match self.to {
            To::People => {
                let how = match progress.downloaded {
                    0 => "was there already".into(),
                    fetched => {
                        let rate = size::rate(fetched, time);
                        format!("{} fetched in {} ({rate})", size::bytes(fetched), size::seconds(time))
                    }
                };
                let text = format!("{}: {}, {how}", path.display(), size::bytes(bytes));
                terminal::print_line(&clean(&text));
            }
            To::Programs => self.to.event(
                "whole",
                json!({
                    "path": path,
                    "info_hash": self.torrent.info_hash().to_string(),
                    "bytes": bytes,
                    "downloaded": progress.downloaded,
                    "wasted": progress.wasted,
                    "seconds": time.as_secs_f64(),
                }),
            ),
        }
    }

    fn tell_stopped(&self, standing: &Standing) {
        if self.to == To::People {
            let of = standing.length.map(|length| format!(" of {}", size::bytes(length))).unwrap_or_default();
            let have = size::bytes(standing.have);
            terminal::note(&format!(
                "lantorrent: stopped; {have}{of} are there, and the same command goes on"
            ));
        }
    }
}

/// For how long it is served.
fn how_long(get: &Get) -> String {
    let time = get.seed_for.map(|time| format!(" for {}", size::seconds(time)));
    let ratio = get.seed_ratio.map(|ratio| format!(" until {ratio} times its size has been sent"));
    match (time, ratio) {
        (Some(time), Some(ratio)) => format!("{time}, or{ratio}"),
        (time, ratio) => time.or(ratio).unwrap_or_default(),
    }
}

/// Whether anybody is asked for it. Otherwise somebody has to come.
fn is_sought(get: &Get, request: &AddTorrent) -> bool {
    let (named, is_private) = match &request.source {
        TorrentSource::Metainfo(metainfo) => {
            (!metainfo.trackers.is_empty() || !metainfo.web_seeds.is_empty(), metainfo.info.is_private())
        }
        TorrentSource::Magnet(magnet) => (!magnet.trackers.is_empty() || !magnet.web_seeds.is_empty(), false),
        // A source of another kind would name its own.
        _ => (true, false),
    };
    let given = !request.trackers.is_empty() || !request.web_seeds.is_empty() || !request.peers.is_empty();
    let open = !get.no_local || get.dht || !get.dht_node.is_empty();
    named || given || (open && !is_private)
}

fn ended() -> Failure {
    Failure::local("the session has ended", "say -v to learn more, and try again")
}

/// How many times it was sent as much as it is. What is empty has been sent at once.
fn ratio_of(standing: &Standing) -> f64 {
    #[allow(clippy::cast_precision_loss)] // Nobody asks for ratios of that many digits.
    match standing.length {
        Some(length) if length > 0 => standing.progress.uploaded as f64 / length as f64,
        _ => f64::INFINITY,
    }
}

fn fields(standing: &Standing) -> Value {
    let progress = &standing.progress;
    json!({
        "phase": match standing.phase {
            Phase::Checking => "checking",
            Phase::Metadata => "metadata",
            Phase::Fetching => "fetching",
            Phase::Finishing => "finishing",
            Phase::Seeding => "seeding",
            _ => "failed",
        },
        "have": standing.have,
        "bytes": standing.length,
        "peers": progress.peers,
        "seeds": progress.seeds,
        "downloaded": progress.downloaded,
        "uploaded": progress.uploaded,
        "download_rate": progress.download_rate,
        "upload_rate": progress.upload_rate,
    })
}
