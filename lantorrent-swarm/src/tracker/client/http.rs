//! The URLs that a client asks an HTTP tracker by.

use std::fmt::Write;

use crate::InfoHash;
use crate::percent::encode;
use crate::tracker::announce::Announce;
use crate::url::{Scheme, Url};

/// The URL to `GET` for this announcement (BEP 3, 23). A query that the tracker's URL has is kept. `tracker_id` is what
/// the tracker's last reply had, if it had one. None for a tracker that speaks UDP.
pub fn announce_url(tracker: &Url, announce: &Announce, tracker_id: Option<&[u8]>) -> Option<Url> {
    let mut target = begin(tracker, tracker.target())?;
    let Announce { info_hash, peer_id, port, stats, event, want, key } = announce;
    target.push_str("info_hash=");
    encode(&info_hash.0, &mut target);
    target.push_str("&peer_id=");
    encode(&peer_id.0, &mut target);
    let (up, down, left) = (stats.uploaded, stats.downloaded, stats.left);
    let mut add = |text: std::fmt::Arguments<'_>| {
        // Writing to a String cannot fail.
        let _ = target.write_fmt(text);
    };
    add(format_args!("&port={port}&uploaded={up}&downloaded={down}&left={left}&compact=1&no_peer_id=1"));
    if let Some(want) = want {
        add(format_args!("&numwant={want}"));
    }
    if let Some(key) = key {
        add(format_args!("&key={key:08X}"));
    }
    if let Some(event) = event.name() {
        add(format_args!("&event={event}"));
    }
    if let Some(id) = tracker_id {
        target.push_str("&trackerid=");
        encode(id, &mut target);
    }
    Some(tracker.with_target(target))
}

/// The URL to `GET` for how many peers these torrents have (BEP 48). None for a tracker that has no such URL: one
/// whose last part does not begin with `announce`, or that speaks UDP.
pub fn scrape_url(tracker: &Url, torrents: &[InfoHash]) -> Option<Url> {
    let sent = tracker.target();
    let end = sent.find('?').unwrap_or(sent.len());
    let last = sent[..end].rfind('/')? + 1;
    let rest = sent[last..].strip_prefix("announce")?;
    let mut target = begin(tracker, &format!("{}scrape{rest}", &sent[..last]))?;
    for torrent in torrents {
        target.push_str("info_hash=");
        encode(&torrent.0, &mut target);
        target.push('&');
    }
    target.pop();
    Some(tracker.with_target(target))
}

/// The target up to where more can be added to its query.
fn begin(tracker: &Url, target: &str) -> Option<String> {
    if tracker.scheme() == Scheme::Udp {
        return None;
    }
    let separator = match target.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    Some(format!("{target}{separator}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerId;
    use crate::tracker::{AnnounceEvent, Stats};

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_announcement() {
        let mut announce = Announce {
            info_hash: InfoHash(*b"0123456789 \xff&=?/%+#~"),
            peer_id: PeerId(*b"-LT0100-abcdefghijkl"),
            port: 6881,
            stats: Stats { uploaded: 1, downloaded: 2, left: u64::MAX },
            event: AnnounceEvent::Started,
            want: Some(80),
            key: Some(0xbeef),
        };
        assert_eq!(
            announce_url(&url("http://t/announce"), &announce, Some(b"a b")).unwrap().to_string(),
            "http://t/announce?info_hash=0123456789%20%FF%26%3D%3F%2F%25%2B%23~&peer_id=-LT0100-abcdefghijkl&port=6881\
             &uploaded=1&downloaded=2&left=18446744073709551615&compact=1&no_peer_id=1&numwant=80&key=0000BEEF\
             &event=started&trackerid=a%20b"
        );
        announce = Announce { event: AnnounceEvent::Regular, want: None, key: None, ..announce };
        for (tracker, begin) in [
            ("https://t/a?passkey=1#here", "https://t/a?passkey=1&info_hash="),
            ("http://t/a?passkey=1&", "http://t/a?passkey=1&info_hash="),
            ("http://t?", "http://t?info_hash="),
            ("http://t", "http://t?info_hash="),
        ] {
            let asked = announce_url(&url(tracker), &announce, None).unwrap().to_string();
            assert!(asked.starts_with(begin) && asked.ends_with("&no_peer_id=1"), "{asked}");
        }
        assert_eq!(announce_url(&url("udp://t:1/announce"), &announce, None), None);
    }

    #[test]
    fn a_scrape() {
        let torrents = [InfoHash([b'a'; 20]), InfoHash([0; 20])];
        let zeros = "%00".repeat(20);
        let query = format!("info_hash=aaaaaaaaaaaaaaaaaaaa&info_hash={zeros}");
        for (tracker, expected) in [
            ("http://t/announce", Some("http://t/scrape?")),
            ("http://t/x/announce", Some("http://t/x/scrape?")),
            ("http://t/announce.php", Some("http://t/scrape.php?")),
            ("http://t/announce?x=2/4", Some("http://t/scrape?x=2/4&")),
            ("http://t/a", None),
            ("http://t/announce/x", None),
            ("http://announce", None),
            ("udp://t:1/announce", None),
        ] {
            let expected = expected.map(|begin| format!("{begin}{query}"));
            assert_eq!(
                scrape_url(&url(tracker), &torrents).map(|url| url.to_string()),
                expected,
                "{tracker}"
            );
        }
    }
}
