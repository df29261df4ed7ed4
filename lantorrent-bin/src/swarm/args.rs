//! The arguments of `lantorrent get` and `lantorrent seed`.

// Most doc comments here are help texts, and no Markdown.
#![allow(clippy::doc_markdown)]

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use argh::FromArgs;
use lantorrent_swarm::metainfo::Contact;

use crate::config::value;
use crate::size;
use crate::torrent::{file, tier, web_seed};

/// Fetch a torrent, or a file from the web.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "get",
    help_triggers("-h", "--help"),
    note = "Ends with 0 only when all of it is there, right and in place. What was fetched before that is kept, and gone \
            on with by the same command.",
    example = "{command_name} tool-1.0.torrent -o /srv --seed-for 1h",
    example = "{command_name} http://10.0.0.1/tool-1.0.torrent --peer 10.0.0.2:6881"
)]
#[allow(clippy::struct_excessive_bools)] // Switches are yes or no.
pub(crate) struct Get {
    /// a torrent, a magnet link, or the URL of a torrent or of any file
    #[argh(positional, arg_name = "file.torrent|magnet|url")]
    pub(crate) what: String,

    /// the folder to put it into, which is made if need be (default: the present one)
    #[argh(option, short = 'o', arg_name = "dir", default = "PathBuf::from(\".\")")]
    pub(crate) output: PathBuf,

    /// serve it for so long after it is whole, such as 30m or 2h
    #[argh(option, arg_name = "time", from_str_fn(time))]
    pub(crate) seed_for: Option<Duration>,

    /// serve it until so many times its size has been sent, such as 1.5
    #[argh(option, arg_name = "ratio", from_str_fn(ratio))]
    pub(crate) seed_ratio: Option<f64>,

    /// serve it until it is stopped by a signal
    #[argh(switch)]
    pub(crate) seed: bool,

    /// where the file is on the web, too (again for more)
    #[argh(option, arg_name = "url", from_str_fn(web_seed))]
    pub(crate) web_seed: Vec<String>,

    /// the port where peers are awaited, or the first free one of a range (default: 6881-6999)
    #[argh(option, arg_name = "port|a-b", from_str_fn(ports))]
    pub(crate) port: Option<RangeInclusive<u16>>,

    /// a peer to begin with (again for more)
    #[argh(option, arg_name = "host:port", from_str_fn(contact))]
    pub(crate) peer: Vec<Contact>,

    /// a tracker besides those of the torrent (again for more; with commas between them, those that are as good as each
    /// other)
    #[argh(option, arg_name = "url", from_str_fn(tier))]
    pub(crate) tracker: Vec<Vec<String>>,

    /// do not look for peers on the own network
    #[argh(switch)]
    pub(crate) no_local: bool,

    /// look for peers in the DHT
    #[argh(switch)]
    pub(crate) dht: bool,

    /// a node of the DHT to begin with (again for more; means --dht)
    #[argh(option, arg_name = "host:port", from_str_fn(contact))]
    pub(crate) dht_node: Vec<Contact>,

    /// what is received at most in a second: 50M, 800Mbit
    #[argh(option, arg_name = "rate", from_str_fn(limit))]
    pub(crate) download: Option<u64>,

    /// what is sent at most in a second
    #[argh(option, arg_name = "rate", from_str_fn(limit))]
    pub(crate) upload: Option<u64>,

    /// connections to peers at most (default: 500)
    #[argh(option, arg_name = "n", from_str_fn(connections))]
    pub(crate) connections: Option<usize>,

    /// hash what is there again, whatever is recorded
    #[argh(switch)]
    pub(crate) check: bool,

    /// the proxy, http://, https:// or socks5h:// (default: as http_proxy, https_proxy and all_proxy say). no_proxy holds for
    /// it as well
    #[argh(option, arg_name = "url")]
    pub(crate) proxy: Option<String>,

    /// print what happens as JSON, one object on each line
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Serve torrents whose files are there, until it is stopped by a signal. Nothing is fetched, made or changed.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "seed",
    help_triggers("-h", "--help"),
    note = "SIGHUP tries those again that could not be served. A folder that is replaced is looked at anew.",
    note = "Torrents whose files are missing or wrong are named and left out; with none left it ends. Those that were \
            served before are not read again unless their files have changed: that is kept in state/whole under \
            $LANTORRENT_HOME, or under ~/.lantorrent."
)]
#[allow(clippy::struct_excessive_bools)] // Switches are yes or no.
pub(crate) struct Seed {
    /// the torrents
    #[argh(positional, arg_name = "file.torrent", from_str_fn(file))]
    pub(crate) torrents: Vec<PathBuf>,

    /// the folder that their files and folders are in (default: the present one)
    #[argh(option, arg_name = "dir", default = "PathBuf::from(\".\")")]
    pub(crate) dir: PathBuf,

    /// the port where peers are awaited, or the first free one of a range (default: 6881-6999)
    #[argh(option, arg_name = "port|a-b", from_str_fn(ports))]
    pub(crate) port: Option<RangeInclusive<u16>>,

    /// a peer to connect to (again for more)
    #[argh(option, arg_name = "host:port", from_str_fn(contact))]
    pub(crate) peer: Vec<Contact>,

    /// a tracker besides those of the torrents (again for more; with commas between them, those that are as good as each
    /// other)
    #[argh(option, arg_name = "url", from_str_fn(tier))]
    pub(crate) tracker: Vec<Vec<String>>,

    /// do not look for peers on the own network
    #[argh(switch)]
    pub(crate) no_local: bool,

    /// announce the torrents in the DHT
    #[argh(switch)]
    pub(crate) dht: bool,

    /// a node of the DHT to begin with (again for more; means --dht)
    #[argh(option, arg_name = "host:port", from_str_fn(contact))]
    pub(crate) dht_node: Vec<Contact>,

    /// what is sent at most in a second: 50M, 800Mbit
    #[argh(option, arg_name = "rate", from_str_fn(limit))]
    pub(crate) upload: Option<u64>,

    /// connections to peers at most (default: 500)
    #[argh(option, arg_name = "n", from_str_fn(connections))]
    pub(crate) connections: Option<usize>,

    /// hash what is there again, whatever is recorded
    #[argh(switch)]
    pub(crate) check: bool,

    /// the proxy for trackers, http://, https:// or socks5h:// (default: as http_proxy, https_proxy and all_proxy say). no_proxy
    /// holds for it as well
    #[argh(option, arg_name = "url")]
    pub(crate) proxy: Option<String>,

    /// print what happens as JSON, one object on each line
    #[argh(switch)]
    pub(crate) json: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    value::time(text)
}

fn limit(text: &str) -> Result<u64, String> {
    size::limit(text)
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse().ok().filter(|ratio: &f64| ratio.is_finite() && *ratio > 0.0);
    ratio.ok_or_else(|| "not a number above 0 such as 1.5".to_owned())
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok().zip(last.parse().ok()).filter(|(first, last)| first <= last);
    let range = range.filter(|(first, last)| *first > 0 || first == last);
    let wrong = || "not a port such as 6881, or a range such as 6881-6999; 0 is any that is free".to_owned();
    range.map(|(first, last)| first..=last).ok_or_else(wrong)
}

fn contact(text: &str) -> Result<Contact, String> {
    text.parse().map_err(|error: lantorrent_swarm::metainfo::ParseContactError| error.to_string())
}

fn connections(text: &str) -> Result<usize, String> {
    value::within(text, &(1..=100_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ports_can_be() {
        assert_eq!(ports("6881"), Ok(6881..=6881));
        assert_eq!(ports("0"), Ok(0..=0));
        assert_eq!(ports("6881-6999"), Ok(6881..=6999));
        for bad in ["", "-", "0-9", "7-6", "65536", "a", "1-2-3", "+5x"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_ratios_can_be() {
        assert_eq!(ratio("1.5"), Ok(1.5));
        for bad in ["", "0", "-1", "inf", "NaN", "1,5"] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }
}
