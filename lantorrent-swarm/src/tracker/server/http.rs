//! What a tracker is asked over HTTP, and answers (BEP 3, 7, 23, 48).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::registry::{Answer, Kept, Reach, Registry};
use crate::bencode::{Item, dict};
use crate::compact::Compact;
use crate::percent::decode_form as decode;
use crate::tracker::announce::{Announce, AnnounceEvent, Scrape, Stats};
use crate::{InfoHash, PeerId};

/// Torrents of one scrape.
const SCRAPED: usize = 100;
/// Both families, and at most so many peers.
const REACH: Reach = Reach { families: &[Compact::V4, Compact::V6], most: 200 };

/// The answer to a request: the status and the body, which is text if the status is not 200.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpAnswer {
    /// 200, or 404 where nothing is.
    pub status: u16,
    /// What is to be sent.
    pub body: Vec<u8>,
}

/// An announcement as a query has it.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    announce: Announce,
    form: Form,
    /// Where the client says it is.
    ip: Option<IpAddr>,
}

/// How peers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Compact,
    Dictionaries,
    /// Without the ids of the peers.
    Nameless,
}

#[derive(Debug, PartialEq, Eq, Error)]
enum BadQuery {
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} must have 20 bytes")]
    Length(&'static str),
    #[error("{0} is not a number that it can be")]
    Number(&'static str),
}

/// Answers a `GET` of that path and query.
pub(super) fn answer(registry: &mut Registry, now: Instant, from: SocketAddr, target: &[u8]) -> HttpAnswer {
    let mut parts = target.splitn(2, |&byte| byte == b'?');
    let (path, query) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let body = match path {
        b"/announce" => announce(registry, now, from, query),
        b"/scrape" => scrape(registry, query),
        _ => {
            return HttpAnswer {
                status: 404,
                body: b"This is a BitTorrent tracker: /announce and /scrape\n".into(),
            };
        }
    };
    let body = body.unwrap_or_else(|reason| dict([("failure reason", reason.as_str().into())]));
    HttpAnswer { status: 200, body: body.encode() }
}

fn announce(registry: &mut Registry, now: Instant, from: SocketAddr, query: &[u8]) -> Result<Item, String> {
    let asked = read(query).map_err(|error| error.to_string())?;
    // From this machine comes also what a proxy or a seeder beside the tracker announces: nobody else could use that address.
    let address = asked.ip.filter(|_| from.ip().to_canonical().is_loopback()).unwrap_or(from.ip());
    let answer =
        registry.announce(now, address, &asked.announce, REACH).map_err(|refusal| refusal.to_string())?;
    Ok(write(&answer, asked.form))
}

fn scrape(registry: &Registry, query: &[u8]) -> Result<Item, String> {
    let hashes = pairs(query).filter(|(key, _)| *key == b"info_hash").take(SCRAPED);
    let hashes: Vec<[u8; 20]> = hashes.filter_map(|(_, value)| decode(value).try_into().ok()).collect();
    if hashes.is_empty() {
        return Err(BadQuery::Missing("info_hash").to_string());
    }
    let file = |hash: [u8; 20]| {
        let Scrape { seeds, leechers, completed } = registry.scrape(&InfoHash(hash));
        let counts = [("complete", seeds), ("downloaded", completed), ("incomplete", leechers)];
        (hash, dict(counts.map(|(key, count)| (key, i64::from(count).into()))))
    };
    Ok(dict([("files", dict(hashes.into_iter().map(file)))]))
}

fn read(query: &[u8]) -> Result<Asked, BadQuery> {
    let find = |key: &'static str| {
        pairs(query).find(|(found, _)| *found == key.as_bytes()).map(|(_, value)| decode(value))
    };
    let hash = |key| -> Result<[u8; 20], BadQuery> {
        find(key).ok_or(BadQuery::Missing(key))?.try_into().map_err(|_| BadQuery::Length(key))
    };
    let number = |key| -> Result<Option<u64>, BadQuery> {
        let Some(value) = find(key).filter(|value| !value.is_empty()) else { return Ok(None) };
        let number = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or(BadQuery::Number(key))
    };
    let port = number("port")?.ok_or(BadQuery::Missing("port"))?;
    let flag = |key| find(key).is_some_and(|value| value == b"1");
    let announce = Announce {
        info_hash: InfoHash(hash("info_hash")?),
        peer_id: PeerId(hash("peer_id")?),
        port: u16::try_from(port).map_err(|_| BadQuery::Number("port"))?,
        stats: Stats {
            uploaded: number("uploaded").unwrap_or_default().unwrap_or(0),
            downloaded: number("downloaded").unwrap_or_default().unwrap_or(0),
            // Who does not say that it has all of it has not.
            left: number("left").unwrap_or_default().unwrap_or(u64::MAX),
        },
        event: AnnounceEvent::named(&find("event").unwrap_or_default()),
        want: number("numwant").unwrap_or_default().map(|want| u32::try_from(want).unwrap_or(u32::MAX)),
        key: find("key").filter(|key| !key.is_empty()).map(|key| key_number(&key)),
    };
    let form = match (find("compact"), flag("no_peer_id")) {
        (Some(compact), true) if compact == b"0" => Form::Nameless,
        (Some(compact), false) if compact == b"0" => Form::Dictionaries,
        _ => Form::Compact,
    };
    let ip = find("ip").and_then(|ip| std::str::from_utf8(&ip).ok()?.parse().ok());
    Ok(Asked { announce, form, ip })
}

/// Keys are hexadecimal numbers with some clients, as over UDP, and any text with others.
fn key_number(key: &[u8]) -> u32 {
    let number = std::str::from_utf8(key).ok().filter(|key| key.len() <= 8);
    number.and_then(|key| u32::from_str_radix(key, 16).ok()).unwrap_or_else(|| {
        let hash = Sha1::digest(key);
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    })
}

fn pairs(query: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    query.split(|&byte| byte == b'&').filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=')?;
        Some((&pair[..at], &pair[at + 1..]))
    })
}

fn write(answer: &Answer, form: Form) -> Item {
    let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX).into();
    let Scrape { seeds, leechers, completed } = answer.scrape;
    let mut entries = vec![
        ("complete", i64::from(seeds).into()),
        ("downloaded", i64::from(completed).into()),
        ("incomplete", i64::from(leechers).into()),
        ("interval", seconds(answer.interval)),
        ("min interval", seconds(answer.min_interval)),
    ];
    if answer.kept == Kept::Full {
        entries.push(("warning message", "this tracker has no room for more peers".into()));
    }
    let listed = answer.peers.iter().map(|&(address, id)| {
        let mut entries = vec![
            ("ip", Item::from(address.ip().to_string().as_str())),
            ("port", i64::from(address.port()).into()),
        ];
        if form == Form::Dictionaries {
            entries.push(("peer id", id.0[..].into()));
        }
        dict(entries)
    });
    match form {
        Form::Dictionaries | Form::Nameless => entries.push(("peers", Item::List(listed.collect()))),
        Form::Compact => {
            let [mut v4, mut v6] = [Vec::new(), Vec::new()];
            for (address, _) in &answer.peers {
                Compact::V4.write(address, &mut v4);
                Compact::V6.write(address, &mut v6);
            }
            entries.push(("peers", v4.into()));
            if !v6.is_empty() {
                entries.push(("peers6", v6.into()));
            }
        }
    }
    dict(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seed;
    use crate::tracker::{TrackerSettings, announce_url, read_announced, read_scraped, scrape_url};

    struct Lab(Registry);

    impl Lab {
        fn new() -> Self {
            Self(Registry::new(TrackerSettings::default(), Seed([1; 32]), Instant::now()))
        }

        fn get(&mut self, from: &str, target: &str) -> HttpAnswer {
            answer(&mut self.0, Instant::now(), from.parse().unwrap(), target.as_bytes())
        }

        fn text(&mut self, from: &str, target: &str) -> String {
            self.get(from, target).body.escape_ascii().to_string()
        }
    }

    fn query(more: &str) -> String {
        format!("/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=bbbbbbbbbbbbbbbbbbbb&{more}")
    }

    const HEAD: &str =
        "d8:completei1e10:downloadedi0e10:incompletei1e8:intervali900e12:min intervali60e5:peers";

    #[test]
    fn what_our_client_asks_is_read_as_it_was_meant() {
        let announce = Announce {
            info_hash: InfoHash(*b"0123456789 \xff&=?/%+#~"),
            peer_id: PeerId([0; 20]),
            port: 6881,
            stats: Stats { uploaded: 1, downloaded: 2, left: u64::MAX },
            event: AnnounceEvent::Completed,
            want: Some(80),
            key: Some(0xbeef),
        };
        let url = announce_url(&"http://t/announce?x=y".parse().unwrap(), &announce, Some(b"&")).unwrap();
        let asked = read(url.to_string().split_once('?').unwrap().1.as_bytes()).unwrap();
        assert_eq!(asked, Asked { announce, form: Form::Compact, ip: None });
    }

    #[test]
    fn forms_of_an_answer() {
        let mut lab = Lab::new();
        lab.get("10.0.0.1:999", &query("port=1&left=0"));
        let mut get = |more: &str| lab.text("10.0.0.2:999", &query(&format!("port=2&left=1&{more}")));
        assert_eq!(get(""), format!("{HEAD}6:\\n\\x00\\x00\\x01\\x00\\x01e"));
        assert_eq!(get("compact=1"), get(""));
        let listed = "d2:ip8:10.0.0.17:peer id20:bbbbbbbbbbbbbbbbbbbb4:porti1ee";
        assert_eq!(get("compact=0"), format!("{HEAD}l{listed}ee"));
        assert_eq!(get("compact=0&no_peer_id=1"), format!("{HEAD}ld2:ip8:10.0.0.14:porti1eeee"));
        let six = lab.get("[fd00::1]:999", &query("port=3&left=1"));
        lab.get("[fd00::2]:999", &query("port=4&left=1"));
        assert_eq!(read_announced(&six.body).unwrap().peers.len(), 2);
        let answered = read_announced(&lab.get("[fd00::1]:999", &query("port=3&left=1")).body).unwrap();
        assert_eq!(answered.peers.iter().filter(|peer| peer.is_ipv6()).count(), 1);
    }

    #[test]
    fn scrapes() {
        let mut lab = Lab::new();
        lab.get("10.0.0.1:999", &query("port=1&left=0"));
        let hashes = [InfoHash([b'a'; 20]), InfoHash([b'c'; 20])];
        let url = scrape_url(&"http://t/announce".parse().unwrap(), &hashes).unwrap();
        let scraped = read_scraped(&lab.get("10.0.0.2:1", url.target()).body).unwrap();
        let seed = Scrape { seeds: 1, ..Scrape::default() };
        assert_eq!(scraped, [(hashes[0], seed), (hashes[1], Scrape::default())]);
        assert_eq!(lab.text("10.0.0.2:1", "/scrape"), "d14:failure reason20:info_hash is missinge");
    }

    #[test]
    fn bad_questions_have_answers_that_clients_show() {
        let mut lab = Lab::new();
        for (target, reason) in [
            ("/announce".into(), "port is missing"),
            ("/announce?port=1".into(), "info_hash is missing"),
            ("/announce?port=1&info_hash=a".into(), "info_hash must have 20 bytes"),
            (query("port="), "port is missing"),
            (query("port=65536"), "port is not a number that it can be"),
            (query("port=-1"), "port is not a number that it can be"),
        ] {
            let expected = format!("d14:failure reason{}:{reason}e", reason.len());
            assert_eq!(lab.text("10.0.0.1:1", &target), expected, "{target}");
        }
        assert_eq!(
            ["/", "", "/announcement", "/favicon.ico"].map(|path| lab.get("10.0.0.1:1", path).status),
            [404; 4]
        );
        // What is of no importance may be nonsense.
        assert_eq!(
            lab.get("10.0.0.1:1", &query("port=1&left=x&numwant=-1&event=x&key=%ff&&=&a")).status,
            200
        );
        assert_eq!(lab.0.peers(), 1);
    }

    #[test]
    fn whose_address_is_believed() {
        let mut lab = Lab::new();
        for from in ["127.0.0.1:9", "10.0.0.1:9", "[::ffff:10.0.0.2]:9"] {
            lab.get(from, &query("port=1&left=0&ip=192.168.0.7"));
        }
        let told = read_announced(&lab.get("10.0.0.9:9", &query("port=1&left=1")).body).unwrap();
        let mut told: Vec<_> = told.peers.iter().map(ToString::to_string).collect();
        told.sort();
        assert_eq!(told, ["10.0.0.1:1", "10.0.0.2:1", "192.168.0.7:1"]);
    }
}
