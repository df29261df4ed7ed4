//! The `.torrent` file: the info dictionary, and where peers can be found.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::{Info, METAINFO, Magnet, MetainfoError};
use crate::bencode::{Dict, Item, List, Value, dict};

/// How many addresses of one kind are taken from a torrent or a magnet link.
pub(super) const ADDRESSES: usize = 200;

/// Bytes that an address may have.
pub(super) const ADDRESS: usize = 2048;

/// What a `.torrent` file says (BEP 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    /// The torrent itself.
    pub info: Info,
    /// URLs of trackers in tiers: all of the first are tried before any of the next (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// URLs of servers that have the files (BEP 19).
    pub web_seeds: Vec<String>,
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
        Ok(Self {
            info: Info::read(info.encoded())?,
            trackers: trackers(&top),
            web_seeds: top.get("url-list").map(one_or_several).unwrap_or_default(),
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

    /// The same torrent without its files and hashes, as a link.
    pub fn magnet(&self) -> Magnet {
        Magnet {
            info_hash: self.info.hash(),
            name: Some(self.info.layout().name().to_string_lossy().into_owned()),
            trackers: self.trackers.concat(),
            web_seeds: self.web_seeds.clone(),
            peers: Vec::new(),
        }
    }
}

fn list(urls: &[String]) -> Item {
    Item::List(urls.iter().map(|url| url.as_str().into()).collect())
}

/// The tiers of `announce-list`; without any, `announce` alone (BEP 12).
fn trackers(dict: &Dict<'_>) -> Vec<Vec<String>> {
    let tiers = dict.get("announce-list").and_then(Value::list).into_iter().flatten();
    let tiers: Vec<_> = tiers.take(ADDRESSES).map(one_or_several).filter(|tier| !tier.is_empty()).collect();
    if !tiers.is_empty() {
        return tiers;
    }
    dict.get("announce").and_then(url).map(|url| vec![vec![url]]).unwrap_or_default()
}

/// A list of URLs, or the one that stands there without a list.
fn one_or_several(value: Value<'_>) -> Vec<String> {
    match value.list() {
        Some(list) => list.filter_map(url).take(ADDRESSES).collect(),
        None => url(value).into_iter().collect(),
    }
}

fn url(value: Value<'_>) -> Option<String> {
    value.text().and_then(plain)
}

/// The address, if it can be one: short, and without blanks and control characters.
pub(super) fn plain(text: &str) -> Option<String> {
    let text = text.trim();
    let fits =
        (1..=ADDRESS).contains(&text.len()) && !text.contains(|c: char| c.is_control() || c.is_whitespace());
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
