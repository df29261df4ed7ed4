//! Where a torrent or a magnet link says that there is something: addresses that can be asked, and those that are left out.

use std::fmt;

use thiserror::Error;

use crate::bencode::Value;
use crate::text::readable;
use crate::url::{self, Url, UrlError};

/// How many addresses of one kind are taken from a torrent or a magnet link.
pub(super) const ADDRESSES: usize = 200;

/// How many of those that are left out are told, with one more for the others.
const TOLD: usize = 100;

/// An address of a torrent or a magnet link that nothing is asked at, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Where it stands, such as `url-list` or `tr`.
    pub key: &'static str,
    /// As it is shown: without credentials.
    pub address: String,
    /// What is wrong.
    pub why: WhyLeftOut,
}

/// Why an address is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WhyLeftOut {
    /// It is no URL, or one of a scheme that is not spoken.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// It is a list or a number.
    #[error("an address is text")]
    NoText,
    /// There are too many.
    #[error("at most {ADDRESSES} addresses of a kind are used")]
    TooMany,
    /// It says where a torrent is that is known by its hash already, or by protocols that are not spoken.
    #[error("addresses of this kind are not used; give it to `get` by itself, or as a web seed")]
    NotUsed,
    /// BEP 17.
    #[error("HTTP seeds (BEP 17) are not supported, only web seeds (BEP 19)")]
    HttpSeed,
    /// No `host:port`.
    #[error("a peer is given as HOST:PORT")]
    Peer,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} is left out: {}", self.key, self.address, self.why)
    }
}

/// What is left out of one torrent or link, bounded.
#[derive(Debug, Default)]
pub(super) struct LeftOuts(pub(super) Vec<LeftOut>);

impl LeftOuts {
    pub(super) fn add(&mut self, key: &'static str, address: &str, why: WhyLeftOut) {
        match self.0.len() {
            0..TOLD => self.0.push(LeftOut { key, address: readable(url::shown(address).as_bytes()), why }),
            TOLD => {
                self.0.push(LeftOut { key: "more", address: "addresses".into(), why: WhyLeftOut::TooMany });
            }
            _ => {}
        }
    }

    /// The address as it was given, if something can be asked there.
    pub(super) fn usable(&mut self, key: &'static str, address: &str, kind: Kind) -> Option<String> {
        let address = address.trim_matches(|c: char| c.is_whitespace() || c.is_control());
        // An empty one stands for none in the torrents of some programs.
        if address.is_empty() {
            return None;
        }
        let url = address.parse::<Url>().and_then(|url| if kind == Kind::Web { url.http() } else { Ok(url) });
        match url {
            Ok(_) => Some(address.to_owned()),
            Err(error) => {
                self.add(key, address, error.into());
                None
            }
        }
    }

    /// A list of addresses, or the one that stands there without a list.
    pub(super) fn all(&mut self, key: &'static str, value: Value<'_>, kind: Kind) -> Vec<String> {
        let mut addresses = Vec::new();
        let values: Vec<Value<'_>> = value.list().map_or_else(|| vec![value], Iterator::collect);
        for value in values {
            let Some(bytes) = value.bytes() else {
                self.add(key, "", WhyLeftOut::NoText);
                continue;
            };
            let text = url::text_of(bytes);
            if addresses.len() >= ADDRESSES {
                self.add(key, &text, WhyLeftOut::TooMany);
            } else {
                addresses.extend(self.usable(key, &text, kind));
            }
        }
        addresses
    }
}

/// What an address is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tracker,
    Web,
}
