//! What an HTTP tracker answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use thiserror::Error;

use crate::bencode::{BencodeError, Dict, Value};
use crate::compact::Compact;
use crate::text::readable;
use crate::tracker::announce::Scrape;
use crate::{InfoHash, tracker::PEERS};

/// How many bytes of a tracker's answer are worth reading. Far more than anybody sends.
pub const REPLY_LIMIT: usize = 1 << 20;

/// It comes back in a URL.
const LONGEST_ID: usize = 256;

/// What a tracker answers to an announcement, over HTTP and UDP alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announced {
    /// When it wants to hear from us again.
    pub interval: Option<Duration>,
    /// How early it may hear from us again.
    pub min_interval: Option<Duration>,
    /// How many peers there are, where it says so.
    pub scrape: Scrape,
    /// At most 2000 peers, ourselves maybe among them.
    pub peers: Vec<SocketAddr>,
    /// What it wants to have back with the next announcement.
    pub tracker_id: Option<Vec<u8>>,
    /// Something that the user should read.
    pub warning: Option<String>,
}

/// Why there is no answer to an announcement or a scrape.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// It does not want to. The same question again is answered the same.
    #[error("the tracker refuses: {reason}")]
    Refused {
        /// Its words.
        reason: String,
        /// When to ask again, if it says so (BEP 31).
        retry: Option<Retry>,
    },
    /// What it says is not bencoded.
    #[error("the tracker's answer is not bencoded ({0}): check its URL")]
    Encoding(#[from] BencodeError),
    /// What it says is something else.
    #[error("the tracker's answer has no {0}: check its URL")]
    Lacks(&'static str),
    /// It did not answer in time.
    #[error("the tracker did not answer in time")]
    Silent,
    /// It cannot be reached; what the driver says of it.
    #[error("the tracker cannot be reached: {0}")]
    Unreachable(String),
}

/// When a tracker that refused may be asked again (BEP 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// After that time.
    After(Duration),
    /// Not again.
    Never,
}

/// Reads the body of the answer to an announcement (BEP 3, 7, 23, 31), whatever its HTTP status was.
pub fn read_announced(body: &[u8]) -> Result<Announced, TrackerError> {
    let reply = read(body)?;
    let peers = ["peers", "peers6"].map(|key| reply.get(key));
    if peers == [None, None] && reply.get("interval").is_none() {
        return Err(TrackerError::Lacks("peers"));
    }
    let forms = [Compact::V4, Compact::V6];
    let mut found: Vec<SocketAddr> = Vec::new();
    for (value, form) in peers.into_iter().zip(forms).filter_map(|(value, form)| Some((value?, form))) {
        match (value.bytes(), value.list()) {
            (Some(bytes), _) => found.extend(form.read(bytes).take(PEERS)),
            (_, Some(list)) => found.extend(list.filter_map(|peer| listed(&peer.dict()?)).take(PEERS)),
            _ => {}
        }
    }
    found.truncate(PEERS);
    let id = reply.get("tracker id").and_then(Value::bytes).filter(|id| id.len() <= LONGEST_ID);
    Ok(Announced {
        interval: seconds(&reply, "interval"),
        min_interval: seconds(&reply, "min interval"),
        scrape: counts(&reply),
        peers: found,
        tracker_id: id.map(<[u8]>::to_vec),
        warning: reply.get("warning message").and_then(Value::bytes).map(readable),
    })
}

/// Reads the body of the answer to a scrape (BEP 48).
pub fn read_scraped(body: &[u8]) -> Result<Vec<(InfoHash, Scrape)>, TrackerError> {
    let reply = read(body)?;
    let files = reply.get("files").and_then(Value::dict).ok_or(TrackerError::Lacks("files"))?;
    let entry =
        |(hash, value): (&[u8], Value<'_>)| Some((InfoHash(hash.try_into().ok()?), counts(&value.dict()?)));
    Ok(files.filter_map(entry).collect())
}

/// The dictionary that an answer is. Something behind it is forgiven.
fn read(body: &[u8]) -> Result<Dict<'_>, TrackerError> {
    let (value, _) = Value::read(body)?;
    let reply = value.dict().ok_or(TrackerError::Lacks("dictionary"))?;
    match reply.get("failure reason").and_then(Value::bytes) {
        Some(reason) => Err(TrackerError::Refused { reason: readable(reason), retry: retry(&reply) }),
        None => Ok(reply),
    }
}

fn retry(reply: &Dict<'_>) -> Option<Retry> {
    let value = reply.get("retry in")?;
    if value.text() == Some("never") {
        return Some(Retry::Never);
    }
    let minutes = value.integer().or_else(|| value.text()?.parse().ok())?;
    let seconds = u64::try_from(minutes).ok()?.saturating_mul(60);
    Some(Retry::After(Duration::from_secs(seconds)))
}

fn listed(peer: &Dict<'_>) -> Option<SocketAddr> {
    let address: IpAddr = peer.get("ip")?.text()?.parse().ok()?;
    let port = peer.get("port")?.integer().and_then(|port| u16::try_from(port).ok())?;
    (port != 0).then_some(SocketAddr::new(address, port))
}

fn seconds(reply: &Dict<'_>, key: &str) -> Option<Duration> {
    reply.get(key)?.integer().and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs)
}

fn counts(reply: &Dict<'_>) -> Scrape {
    let count = |key| {
        let number = reply.get(key).and_then(Value::integer).unwrap_or(0);
        u32::try_from(number.max(0)).unwrap_or(u32::MAX)
    };
    Scrape { seeds: count("complete"), leechers: count("incomplete"), completed: count("downloaded") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn compact_peers_of_both_families() {
        let mut body = b"d8:completei3e10:incompletei-4e8:intervali1800e12:min intervali60e".to_vec();
        body.extend(b"5:peers12:\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\0\0");
        body.extend(b"6:peers618:\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x07");
        body.extend(b"10:tracker id2:\xff\xfe15:warning message5:old\x1b!e trailing");
        let announced = read_announced(&body).unwrap();
        assert_eq!(announced.interval, Some(Duration::from_secs(1800)));
        assert_eq!(announced.min_interval, Some(Duration::from_secs(60)));
        assert_eq!(announced.scrape, Scrape { seeds: 3, leechers: 0, completed: 0 });
        assert_eq!(announced.peers, addresses(&["10.0.0.1:6881", "[fe80::1]:7"]));
        assert_eq!(announced.tracker_id.as_deref(), Some(&b"\xff\xfe"[..]));
        assert_eq!(announced.warning.as_deref(), Some("old\u{fffd}!"));
    }

    #[test]
    fn peers_as_dictionaries() {
        let body = b"d8:intervali5e5:peersl\
            d2:ip8:10.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee\
            d2:ip3:::14:porti1ee\
            d2:ip9:localhost4:porti1ee\
            d2:ip8:10.0.0.24:porti0ee\
            d2:ip8:10.0.0.34:porti65536ee\
            i7ee\
            e";
        assert_eq!(read_announced(body).unwrap().peers, addresses(&["10.0.0.1:6881", "[::1]:1"]));
    }

    #[test]
    fn at_most_so_many_peers() {
        let peers = [10, 0, 0, 1, 0, 7].repeat(50_000);
        let body = [b"d5:peers300000:".to_vec(), peers, b"e".to_vec()].concat();
        assert_eq!(read_announced(&body).unwrap().peers.len(), PEERS);
    }

    #[test]
    fn refusals() {
        let refused = |retry| TrackerError::Refused { reason: "no".into(), retry };
        let cases: [(&[u8], TrackerError); 7] = [
            (b"d14:failure reason2:noe", refused(None)),
            (b"d14:failure reason2:no8:retry in5:nevere", refused(Some(Retry::Never))),
            (b"d14:failure reason2:no8:retry in1:2e", refused(Some(Retry::After(Duration::from_secs(120))))),
            (
                b"d14:failure reason2:no8:retry ini9223372036854775807ee",
                refused(Some(Retry::After(Duration::from_secs(u64::MAX)))),
            ),
            (b"de", TrackerError::Lacks("peers")),
            (b"le", TrackerError::Lacks("dictionary")),
            (b"<html>", TrackerError::Encoding(Value::read(b"<html>").unwrap_err())),
        ];
        for (body, error) in cases {
            assert_eq!(read_announced(body), Err(error), "{}", body.escape_ascii());
        }
    }

    #[test]
    fn scrapes() {
        let body =
            b"d5:filesd20:aaaaaaaaaaaaaaaaaaaad8:completei1e10:downloadedi2e10:incompletei3ee3:bad0:ee";
        let expected = Scrape { seeds: 1, leechers: 3, completed: 2 };
        assert_eq!(read_scraped(body), Ok(vec![(InfoHash([b'a'; 20]), expected)]));
        assert_eq!(read_scraped(b"de"), Err(TrackerError::Lacks("files")));
    }
}
