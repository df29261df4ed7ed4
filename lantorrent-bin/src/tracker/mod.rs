//! `lantorrent tracker`.

mod whitelist;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use lantorrent_swarm::Seed;
use lantorrent_swarm::tracker::{ServiceError, Tracker, TrackerHandle, TrackerService, TrackerSettings};
use serde_json::json;

use crate::args;
use crate::exit::{Failure, Status};
use crate::signals::{Asked, Inbox};
use crate::terminal;

/// Where trackers usually listen.
const PORT: u16 = 6969;
/// What `--interval` may be. Clients keep to bounds of their own.
pub(crate) const INTERVALS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(30)..=Duration::from_secs(24 * 60 * 60);

/// A tracker that serves until it is told to stop.
pub(crate) fn run(arguments: &args::Tracker) -> Result<Status, Failure> {
    let inbox = Inbox::of_daemon()?;
    let mut settings = TrackerSettings::default();
    if let Some(interval) = arguments.interval {
        settings.interval = interval;
    }
    if let Some(file) = &arguments.whitelist {
        settings.whitelist = Some(whitelist::read(file)?);
    }
    let tracker = Tracker::new(settings, seed()?, Instant::now());
    let service = TrackerService::bind(&addresses(arguments), tracker)?;
    let (handle, file) = (service.handle(), arguments.whitelist.clone());
    inbox.attend(move |asked| match asked {
        Asked::Stop(_) => handle.stop(),
        Asked::Reload => reload(&handle, file.as_deref()),
    })?;
    for address in service.addresses() {
        if arguments.json {
            terminal::announce(&json!({ "event": "listening", "address": address }).to_string());
        } else {
            terminal::announce(&format!("listening on {address}"));
        }
    }
    let tracker = service.run()?;
    let (peers, torrents) = (tracker.peers(), tracker.torrents());
    if arguments.json {
        terminal::print_line(
            &json!({ "event": "stopped", "peers": peers, "torrents": torrents }).to_string(),
        );
    } else {
        log::info!("stopped; torrents: {torrents}, peers: {peers}");
    }
    Ok(Status::Success)
}

/// Reads the whitelist again, and goes on with the one before if that cannot be.
fn reload(handle: &TrackerHandle, file: Option<&Path>) {
    let Some(file) = file else {
        return log::info!("there is no whitelist, and so nothing to read again");
    };
    match whitelist::read(file) {
        Ok(torrents) => {
            log::info!("{} was read again; torrents in it: {}", file.display(), torrents.len());
            handle.set_whitelist(Some(torrents));
        }
        Err(failure) => log::error!("everything stays as it was: {failure}"),
    }
}

/// As asked for, or everywhere: over IPv6 too where there is any.
fn addresses(arguments: &args::Tracker) -> Vec<SocketAddr> {
    if !arguments.listen.is_empty() {
        return arguments.listen.iter().map(|listen| listen.0).collect();
    }
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT));
    let has_v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    [Some(v4), Some(v6).filter(|_| has_v6)].into_iter().flatten().collect()
}

fn seed() -> Result<Seed, Failure> {
    let mut seed = [0; 32];
    match getrandom::fill(&mut seed) {
        Ok(()) => Ok(Seed(seed)),
        Err(error) => Err(Failure::local(format_args!("there are no random numbers: {error}"), "try again")),
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        let advice = match error {
            ServiceError::Listen { .. } => "stop what listens there, or give another address with --listen",
            _ => "look at the limits and the memory of this machine",
        };
        Self::local(error, advice)
    }
}
