//! The `.torrent` file: the info dictionary, and where peers can be found.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::address::{ADDRESSES, Kind, LeftOut, LeftOuts, WhyLeftOut};
use super::{Info, METAINFO, Magnet, MetainfoError};
use crate::bencode::{Dict, Item, List, Value, dict};
use crate::url::{self, LONGEST, Url};

/// What a `.torrent` file says (BEP 3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metainfo {
    /// The torrent itself.
    pub info: Info,
    /// URLs of trackers in tiers: all of the first are tried before any of the next (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// URLs of servers that have the files (BEP 19).
    pub web_seeds: Vec<String>,
    /// What else it names, and nothing is asked at. Not written.
    pub left_out: Vec<LeftOut>,
    /// Nodes of the DHT (BEP 5).
    pub nodes: Vec<Contact>,
    /// What somebody wrote about it. From anybody: to be cleaned before it is shown.
    pub comment: Option<String>,
    /// The program that made it. From anybody, too.
    pub created_by: Option<String>,
    /// When it was made, in seconds since 1970.
    pub creation_date: Option<i64>,
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "host and port are all")]
pub struct Contact {
    /// A name, or an address of IPv4 or IPv6 without brackets.
    pub host: String,
    /// Not 0.
    pub port: u16,
}

impl Metainfo {
    /// Reads a whole `.torrent` file, of at most [`METAINFO`] bytes. What follows its last byte is ignored.
    pub fn read(bytes: &[u8]) -> Result<Self, MetainfoError> {
        if bytes.len() > METAINFO {
            return Err(MetainfoError::TooLarge { size: bytes.len(), limit: METAINFO });
        }
        let (value, _) = Value::read(bytes)?;
        let top = value.dict().ok_or(MetainfoError::Missing { key: "info", expected: "dictionary" })?;
        let info = top.get("info").filter(|info| info.dict().is_some());
        let info = info.ok_or(MetainfoError::Missing { key: "info", expected: "dictionary" })?;
        let text =
            |key| top.get(key).and_then(Value::bytes).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut left_out = LeftOuts::default();
        let trackers = trackers(&top, &mut left_out);
        let web_seeds =
            top.get("url-list").map(|urls| left_out.all("url-list", urls, Kind::Web)).unwrap_or_default();
        http_seeds(&top, &mut left_out);
        Ok(Self {
            info: Info::read(info.encoded())?,
            trackers,
            web_seeds,
            left_out: left_out.0,
            nodes: top.get("nodes").and_then(Value::list).map(nodes).unwrap_or_default(),
            comment: text("comment"),
            created_by: text("created by"),
            creation_date: top.get("creation date").and_then(Value::integer),
        })
    }

    /// The `.torrent` file. The info dictionary is in it as it was read, wherever that was.
    pub fn encode(&self) -> Vec<u8> {
        let mut entries = vec![("info", Item::Encoded(self.info.encoded().to_vec()))];
        entries.extend(self.trackers.iter().flatten().next().map(|url| ("announce", url.as_str().into())));
        if self.trackers.iter().flatten().count() > 1 {
            let tiers: Vec<Item> = self.trackers.iter().map(|tier| list(tier)).collect();
            entries.push(("announce-list", tiers.into()));
        }
        entries.extend(self.comment.as_deref().map(|text| ("comment", text.into())));
        entries.extend(self.created_by.as_deref().map(|text| ("created by", text.into())));
        entries.extend(self.creation_date.map(|date| ("creation date", date.into())));
        if !self.nodes.is_empty() {
            let pair =
                |node: &Contact| Item::List(vec![node.host.as_str().into(), i64::from(node.port).into()]);
            entries.push(("nodes", Item::List(self.nodes.iter().map(pair).collect())));
        }
        match &self.web_seeds[..] {
            [] => {}
            [url] => entries.push(("url-list", url.as_str().into())),
            several => entries.push(("url-list", list(several))),
        }
        dict(entries).encode()
    }

    /// The same torrent without its files and hashes, as a link. A link is passed on: it has no credentials.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            info_hash: self.info.hash(),
            name: Some(self.info.layout().name().to_string_lossy().into_owned()),
            trackers: self.trackers.iter().flatten().map(|url| public(url)).collect(),
            web_seeds: self.web_seeds.iter().map(|url| public(url)).collect(),
            peers: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

fn list(urls: &[String]) -> Item {
    Item::List(urls.iter().map(|url| url.as_str().into()).collect())
}

/// The URL as it was given, unless it has credentials.
fn public(text: &str) -> String {
    match text.parse::<Url>() {
        Ok(url) if url.credentials().is_some() => url.to_string(),
        Ok(_) => text.to_owned(),
        Err(_) => url::shown(text),
    }
}

/// The tiers of `announce-list`; without any, `announce` alone (BEP 12).
fn trackers(dict: &Dict<'_>, left_out: &mut LeftOuts) -> Vec<Vec<String>> {
    let mut tiers = Vec::new();
    for tier in dict.get("announce-list").and_then(Value::list).into_iter().flatten() {
        if tiers.len() >= ADDRESSES {
            left_out.add("announce-list", "the rest", WhyLeftOut::TooMany);
            break;
        }
        let tier = left_out.all("announce-list", tier, Kind::Tracker);
        if !tier.is_empty() {
            tiers.push(tier);
        }
    }
    if !tiers.is_empty() {
        return tiers;
    }
    let announce = dict.get("announce").map(|url| left_out.all("announce", url, Kind::Tracker));
    announce.filter(|tier| !tier.is_empty()).into_iter().collect()
}

/// Those of BEP 17, which are not used.
fn http_seeds(dict: &Dict<'_>, left_out: &mut LeftOuts) {
    let Some(value) = dict.get("httpseeds") else { return };
    let seeds: Vec<Value<'_>> = value.list().map_or_else(|| vec![value], Iterator::collect);
    for seed in seeds {
        left_out.add("httpseeds", &url::text_of(seed.bytes().unwrap_or_default()), WhyLeftOut::HttpSeed);
    }
}

/// The name of a host, if it can be one: short, and without blanks and control characters.
fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let fits =
        (1..=LONGEST).contains(&text.len()) && !text.contains(|c: char| c.is_control() || c.is_whitespace());
    fits.then(|| text.to_owned())
}

fn nodes(list: List<'_>) -> Vec<Contact> {
    let contact = |node: Value<'_>| {
        let mut node = node.list()?;
        let host = plain(node.next()?.text()?)?;
        let port = u16::try_from(node.next()?.integer()?).ok().filter(|&port| port > 0)?;
        Some(Contact { host, port })
    };
    list.filter_map(contact).take(ADDRESSES).collect()
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Text that is no host with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host and a port look like 10.0.0.7:6881, [fe80::1]:6881 or a.example:6881")]
#[non_exhaustive]
pub struct ParseContactError;

/// An address of IPv6, one of a single link with its zone.
fn address(text: &str) -> Option<String> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let address: Ipv6Addr = address.parse().ok()?;
    let is_zone = |zone: &str| {
        !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    match zone {
        None => Some(address.to_string()),
        Some(zone) => is_zone(zone).then(|| format!("{address}%{zone}")),
    }
}

impl FromStr for Contact {
    type Err = ParseContactError;

    fn from_str(text: &str) -> Result<Self, ParseContactError> {
        let (host, port) = text.rsplit_once(':').ok_or(ParseContactError)?;
        let port = port.parse().ok().filter(|&port| port > 0).ok_or(ParseContactError)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => address(host).ok_or(ParseContactError)?,
            None if host.contains(':') => return Err(ParseContactError),
            None => plain(host).ok_or(ParseContactError)?,
        };
        Ok(Self { host, port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_of_a_single_link_have_a_zone() {
        let contact: Contact = "[fe80::1%eth0]:6881".parse().unwrap();
        assert_eq!((contact.host.as_str(), contact.port), ("fe80::1%eth0", 6881));
        assert_eq!(contact.to_string(), "[fe80::1%eth0]:6881");
        for text in ["[fe80::1%]:1", "[fe80::1%a b]:1", "[a%eth0]:1", "fe80::1%eth0:1"] {
            assert_eq!(text.parse::<Contact>(), Err(ParseContactError), "{text}");
        }
    }
}
