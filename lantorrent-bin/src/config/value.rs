//! The values of lt.ini, one parser for each kind. An error says what would be right.

use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lantorrent_core::Dscp;
use lantorrent_core::runtime::look_up;
use log::LevelFilter;

use super::Sync;
use crate::size;

/// Requests in a batch: no more than the nodes of one header.
pub(crate) const BATCH: RangeInclusive<usize> = 1..=10_000;
/// Files sent at the same time.
pub(crate) const SENDS: RangeInclusive<usize> = 1..=64;
/// Attempts at a request.
pub(super) const ATTEMPTS: RangeInclusive<usize> = 1..=100;

/// The program's name, as the placeholder `@PGM@` has it.
const PROGRAM: &str = "lantorrent";

/// Puts in what stands for `@LANTORRENT_HOME@` and `@PGM@`.
pub(super) fn path(text: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let mut path = text.replace("@PGM@", PROGRAM);
    if text.contains("@LANTORRENT_HOME@") {
        let home = home.ok_or("@LANTORRENT_HOME@ stands for a folder, and neither it nor HOME is set")?;
        let home = home.to_str().ok_or("@LANTORRENT_HOME@ stands for a path that is not UTF-8")?;
        path = path.replace("@LANTORRENT_HOME@", home);
    }
    let path = PathBuf::from(path);
    if path.is_absolute() { Ok(path) } else { Err("it must be a path that begins with /".into()) }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

pub(super) fn roots(text: &str, home: Option<&Path>) -> Result<Vec<PathBuf>, String> {
    list(text).map(|part| path(part, home).map_err(|error| format!("{part}: {error}"))).collect()
}

/// An address of this host and a port. That of a single link may have its interface by name, as in `[fe80::1%eth0]:2893`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "it must be an address and port such as 0.0.0.0:2893 or [::]:2893".to_owned();
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let (host, port) = text.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")).ok_or_else(wrong)?;
    let is_address = host.split_once('%').is_some_and(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok());
    let port = port.parse().ok().filter(|_| is_address).ok_or_else(wrong)?;
    look_up(host, port).map_err(|error| error.to_string())?.first().copied().ok_or_else(wrong)
}

pub(super) fn addresses(text: &str) -> Result<Vec<SocketAddr>, String> {
    list(text).map(|part| address(part).map_err(|error| format!("{part}: {error}"))).collect()
}

pub(super) fn sync(text: &str) -> Result<Sync, String> {
    match text {
        "yes" => Ok(Sync::Yes),
        "no" => Ok(Sync::No),
        _ => Err("it must be yes or no".into()),
    }
}

pub(super) fn connections(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&count| count > 0).ok_or_else(|| "it must be a number of at least 1".into())
}

pub(crate) fn within(text: &str, range: &RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("it must be {} to {}", range.start(), range.end()))
}

/// Bytes a second, 0 for no limit.
pub(super) fn limit(text: &str) -> Result<u64, String> {
    size::limit(text).map_err(|error| format!("it is {error}"))
}

pub(super) fn dscp(text: &str) -> Result<Dscp, String> {
    text.parse().map_err(|error| format!("it is {error}"))
}

/// What can stand in a header of HTTP, and is too long to be guessed.
pub(super) fn token(text: &str) -> Result<&str, String> {
    let fits = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(text).ok_or_else(|| "it must be 16 or more letters, digits and signs".into())
}

/// A time: a number of seconds, or one with s, m, h or d behind it.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b's') => (&text[..text.len() - 1], 1.0),
        Some(b'm') => (&text[..text.len() - 1], 60.0),
        Some(b'h') => (&text[..text.len() - 1], 3600.0),
        Some(b'd') => (&text[..text.len() - 1], 86400.0),
        _ => (text, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = number.trim().parse::<f64>().ok().filter(|_| plain);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds * unit).ok())
        .ok_or_else(|| "it must be a time such as 3, 1.5s, 10m, 24h or 7d".into())
}

/// Less than a second would take every hiccup for a death; a node says that it is alive twice a second.
pub(super) fn dead_after(text: &str) -> Result<Duration, String> {
    let range = Duration::from_secs(1)..=Duration::from_secs(600);
    Some(time(text)?).filter(|time| range.contains(time)).ok_or_else(|| "it must be from 1 s to 10 m".into())
}

/// The names that version 0.2 has, and those of the `log` crate.
pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    match text.to_ascii_lowercase().as_str() {
        "trace" => Ok(LevelFilter::Trace),
        "debug" => Ok(LevelFilter::Debug),
        "info" => Ok(LevelFilter::Info),
        "warning" | "warn" => Ok(LevelFilter::Warn),
        "error" | "critical" => Ok(LevelFilter::Error),
        _ => Err("it must be debug, info, warning, error or critical".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_single_link() {
        for text in ["[fe80::1%lo]:2893", "[fe80::1%1]:2893"] {
            assert_eq!(address(text).map(|address| address.to_string()), Ok("[fe80::1%1]:2893".into()));
        }
        assert!(address("[fe80::1%none]:2893").unwrap_err().contains("no interface none"));
        for wrong in ["[fe80::1%lo]", "[fe80::1%lo]:x", "[a.example%lo]:1", "[a.example]:1", "fe80::1%lo:1"] {
            assert!(address(wrong).unwrap_err().starts_with("it must be"), "{wrong}");
        }
    }
}
