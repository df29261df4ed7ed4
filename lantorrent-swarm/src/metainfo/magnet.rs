//! Magnet links (BEP 9): a torrent by its hash alone.

use std::fmt::{self, Write};
use std::str::FromStr;

use thiserror::Error;

use super::Contact;
use super::address::{ADDRESSES, Kind, LeftOut, LeftOuts, WhyLeftOut};
use crate::InfoHash;
use crate::percent;
use crate::url;

/// Bytes that a link may have.
const LENGTH: usize = 64 << 10;

/// Where a torrent can be had that is known by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Magnet {
    /// Which torrent (`xt`).
    pub info_hash: InfoHash,
    /// What it may be called until its own name is known (`dn`). From anybody: not to be used as the name of a file.
    pub name: Option<String>,
    /// URLs of trackers (`tr`).
    pub trackers: Vec<String>,
    /// URLs of servers that have the files (`ws`, BEP 19).
    pub web_seeds: Vec<String>,
    /// Peers to begin with (`x.pe`).
    pub peers: Vec<Contact>,
    /// What else it names, and nothing is asked at. Not written.
    pub left_out: Vec<LeftOut>,
}

/// Why text is no magnet link that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MagnetError {
    /// It begins with something else.
    #[error("a magnet link begins with `magnet:?`")]
    NoMagnet,
    /// It is longer than anything that is read.
    #[error("a magnet link has at most {LENGTH} bytes")]
    TooLong,
    /// It names no torrent.
    #[error(
        "the magnet link names no torrent: `xt=urn:btih:` and 40 hexadecimal digits, or 32 of base 32, are missing"
    )]
    NoHash,
    /// It names one by a hash of version 2 alone.
    #[error("the magnet link is for version 2 of the protocol (BEP 52) alone; ask for one with `urn:btih:`")]
    VersionTwo,
}

impl FromStr for Magnet {
    type Err = MagnetError;

    /// What is unknown is left out, and so are addresses that cannot be asked, which are named. `&amp;` stands for `&`, as
    /// in links that are copied out of a page.
    fn from_str(text: &str) -> Result<Self, MagnetError> {
        if text.len() > LENGTH {
            return Err(MagnetError::TooLong);
        }
        let (scheme, query) = text.trim().split_once('?').ok_or(MagnetError::NoMagnet)?;
        if !scheme.eq_ignore_ascii_case("magnet:") {
            return Err(MagnetError::NoMagnet);
        }
        let pairs: Vec<(&str, &str)> = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("amp;").unwrap_or(pair).split_once('='))
            .map(|(key, value)| (family(key), value))
            .collect();
        let raw = |wanted| pairs.iter().filter(move |(key, _)| *key == wanted).map(|(_, value)| *value);
        let values = |wanted| raw(wanted).map(|value| url::text_of(&percent::decode(value.as_bytes())));
        let info_hash = values("xt").find_map(|topic| strip(&topic, "urn:btih:")?.parse().ok());
        let Some(info_hash) = info_hash else {
            let is_newer = values("xt").any(|topic| strip(&topic, "urn:btmh:").is_some());
            return Err(if is_newer { MagnetError::VersionTwo } else { MagnetError::NoHash });
        };
        let mut left_out = LeftOuts::default();
        let mut urls = |key, kind| {
            let mut urls = Vec::new();
            for url in values(key) {
                if urls.len() >= ADDRESSES {
                    left_out.add(key, &url, WhyLeftOut::TooMany);
                } else {
                    urls.extend(left_out.usable(key, &url, kind));
                }
            }
            urls
        };
        let (trackers, web_seeds) = (urls("tr", Kind::Tracker), urls("ws", Kind::Web));
        for key in ["as", "xs"] {
            values(key).for_each(|source| left_out.add(key, &source, WhyLeftOut::NotUsed));
        }
        let mut peers = Vec::new();
        for peer in values("x.pe") {
            match peer.parse() {
                Ok(peer) if peers.len() < ADDRESSES => peers.push(peer),
                Ok(_) => left_out.add("x.pe", &peer, WhyLeftOut::TooMany),
                Err(_) => left_out.add("x.pe", &peer, WhyLeftOut::Peer),
            }
        }
        let name = raw("dn").next().map(|name| percent::decode_form(name.as_bytes()));
        Ok(Self {
            info_hash,
            name: name.map(|name| String::from_utf8_lossy(&name).into_owned()),
            trackers,
            web_seeds,
            peers,
            left_out: left_out.0,
        })
    }
}

/// The key without the number that tells several of a kind apart, as in `tr.1`.
fn family(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((family, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => family,
        _ => key,
    }
}

fn strip<'a>(topic: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = topic.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "magnet:?xt=urn:btih:{}", self.info_hash)?;
        let peers: Vec<String> = self.peers.iter().map(ToString::to_string).collect();
        let name = self.name.iter().map(|name| ("dn", name));
        let trackers = self.trackers.iter().map(|url| ("tr", url));
        let seeds = self.web_seeds.iter().map(|url| ("ws", url));
        for (key, value) in name.chain(trackers).chain(seeds).chain(peers.iter().map(|peer| ("x.pe", peer))) {
            write!(f, "&{key}=")?;
            escape(value, f)?;
        }
        Ok(())
    }
}

fn escape(value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    value.bytes().try_for_each(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'[' | b']' => {
            f.write_char(byte.into())
        }
        _ => write!(f, "%{byte:02X}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "da39a3ee5e6b4b0d3255bfef95601890afd80709";

    fn read(text: &str) -> Magnet {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn all_that_a_link_can_say() {
        let link = format!(
            "magnet:?xt=urn:btih:{HASH}&dn=a%20file+%C3%A4&tr=http%3A%2F%2Fa.example%2Fannounce&tr.1=udp://b.example:1\
             &ws=http://web.example/a%2520b&x.pe=10.0.0.1:6881&x.pe=[fe80::1]:2&x.pe=c.example:3&x.pe=nowhere&xl=10&so=0"
        );
        let magnet = read(&link);
        assert_eq!(magnet.info_hash.to_string(), HASH);
        assert_eq!(magnet.name.as_deref(), Some("a file ä"));
        assert_eq!(magnet.trackers, ["http://a.example/announce", "udp://b.example:1"]);
        assert_eq!(magnet.web_seeds, ["http://web.example/a%20b"]);
        let peers: Vec<_> = magnet.peers.iter().map(ToString::to_string).collect();
        assert_eq!(peers, ["10.0.0.1:6881", "[fe80::1]:2", "c.example:3"]);
        let said: Vec<_> = magnet.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(said, ["x.pe nowhere is left out: a peer is given as HOST:PORT"]);
        assert_eq!(read(&magnet.to_string()), Magnet { left_out: Vec::new(), ..magnet.clone() }, "{magnet}");
        assert!(magnet.to_string().is_ascii());
    }

    #[test]
    fn addresses_as_others_write_them() {
        let link = format!(
            "magnet:?xt=urn:btih:{HASH}&amp;dn=g+++x&amp;tr=http://a.example/g++/announce?key=a+b/c==&amp;tr=http%3A%2F%2Fb\
             %2Fa%2Bb%3Fx%3D%2526&ws=http://web.example/My%20Images/gr%c3%b6%ff/&ws=http://web.example/My Images/"
        );
        let magnet = read(&link);
        assert_eq!(magnet.name.as_deref(), Some("g   x"));
        assert_eq!(magnet.trackers, ["http://a.example/g++/announce?key=a+b/c==", "http://b/a+b?x=%26"]);
        let web_seeds = ["http://web.example/My Images/grö%FF/", "http://web.example/My Images/"];
        assert_eq!(magnet.web_seeds, web_seeds);
        assert_eq!(magnet.left_out, []);
        assert_eq!(read(&magnet.to_string()), magnet, "{magnet}");
    }

    #[test]
    fn what_is_left_out_is_told() {
        let link = format!(
            "magnet:?xt=urn:btih:{HASH}&tr=wss://u:pw@a.example&tr=udp://b.example&ws=ftp://c.example/x&ws=udp://d:1\
             &as=http://e.example/x&xs=http://f.example/x.torrent&tr=http://gä.example/&tr="
        );
        let magnet = read(&link);
        assert_eq!((magnet.trackers.len(), magnet.web_seeds.len()), (0, 0));
        let said: Vec<_> = magnet.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 7, "{said:?}");
        for (said, part) in said.iter().zip([
            "tr wss://a.example is left out: only http://",
            "tr udp://b.example is left out: the port",
            "tr http://gä.example/ is left out: international",
            "ws ftp://c.example/x is",
            "ws udp://d:1 is left out: only http:// and https://",
            "as http://e.example/x is",
            "xs http://f.example/x.torrent is",
        ]) {
            assert!(said.starts_with(part), "{said} {part}");
        }
    }

    #[test]
    fn both_spellings_and_any_order() {
        for link in [
            format!("magnet:?xt=urn:btih:{HASH}"),
            " MAGNET:?dn=x&xt.1=urn:sha1:x&xt.2=URN:BTIH:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ\n".to_owned(),
            format!("magnet:?xt=urn:btmh:1220{HASH}&xt=urn%3Abtih%3A{}", HASH.to_uppercase()),
        ] {
            assert_eq!(read(&link).info_hash.to_string(), HASH, "{link}");
        }
        assert_eq!(
            read(&format!("magnet:?xt=urn:btih:{HASH}")).to_string(),
            format!("magnet:?xt=urn:btih:{HASH}")
        );
    }

    #[test]
    fn what_is_no_link() {
        for (text, error) in [
            (String::new(), MagnetError::NoMagnet),
            ("http://a.example/?xt=urn:btih:".to_owned() + HASH, MagnetError::NoMagnet),
            (format!("magnet:xt=urn:btih:{HASH}"), MagnetError::NoMagnet),
            ("magnet:?".into(), MagnetError::NoHash),
            ("magnet:?xt=urn:btih:123".into(), MagnetError::NoHash),
            ("magnet:?xt=urn:btih:ä".into(), MagnetError::NoHash),
            (format!("magnet:?xt=urn:btmh:1220{HASH}"), MagnetError::VersionTwo),
            (format!("magnet:?xt=urn:btih:{HASH}&dn={}", "x".repeat(LENGTH)), MagnetError::TooLong),
        ] {
            assert_eq!(text.parse::<Magnet>(), Err(error));
        }
    }

    #[test]
    fn odd_escapes_stand_for_themselves() {
        for (value, plain) in
            [("100%", "100%"), ("%4", "%4"), ("%zz%41", "%zzA"), ("%ff", "\u{fffd}"), ("ä%", "ä%")]
        {
            let magnet = read(&format!("magnet:?dn={value}&xt=urn:btih:{HASH}"));
            assert_eq!(magnet.name.as_deref(), Some(plain));
        }
    }
}
