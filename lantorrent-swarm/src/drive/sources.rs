//! Who and what is named by a torrent, and by whoever adds it: trackers, web seeds, peers and nodes.

use super::settings::{Adding, Wanted};
use crate::metainfo::Contact;

/// Web seeds of one torrent.
const WEB_SEEDS: usize = 200;

/// Where a torrent can be had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sources {
    /// URLs, in tiers.
    pub(super) trackers: Vec<Vec<String>>,
    pub(super) web_seeds: Vec<String>,
    /// Peers whose names are to be looked up.
    pub(super) peers: Vec<Contact>,
    /// Nodes of the DHT; none where it must not be asked.
    pub(super) nodes: Vec<Contact>,
}

impl Sources {
    /// What the torrent names comes first.
    pub(super) fn of(adding: &Adding) -> Self {
        let (mut trackers, own_seeds, peers, nodes) = match &adding.torrent {
            Wanted::Metainfo(metainfo) => {
                let nodes = if metainfo.info.is_private() { Vec::new() } else { metainfo.nodes.clone() };
                (metainfo.trackers.clone(), &metainfo.web_seeds, Vec::new(), nodes)
            }
            Wanted::Magnet(magnet) => {
                let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
                (tiers, &magnet.web_seeds, magnet.peers.clone(), Vec::new())
            }
        };
        trackers.extend(adding.trackers.iter().cloned());
        let mut web_seeds: Vec<String> = Vec::new();
        for url in own_seeds.iter().chain(&adding.web_seeds) {
            if web_seeds.len() < WEB_SEEDS && is_http(url) && !web_seeds.contains(url) {
                web_seeds.push(url.clone());
            }
        }
        Self { trackers, web_seeds, peers, nodes }
    }
}

/// FTP and others are named by some torrents, and spoken by nobody here.
fn is_http(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_link_and_of_who_adds_it() {
        let hash = "da39a3ee5e6b4b0d3255bfef95601890afd80709";
        let link = format!(
            "magnet:?xt=urn:btih:{hash}&tr=http://a/&tr=udp://b:1&ws=http://w/1&ws=ftp://w/2&x.pe=c.example:3"
        );
        let mut adding = Adding::new(Wanted::Magnet(link.parse().unwrap()), "folder".into());
        adding.trackers = vec![vec!["http://c/".into(), "http://d/".into()]];
        adding.web_seeds = vec!["HTTPS://w/3".into(), "http://w/1".into()];
        let sources = Sources::of(&adding);
        assert_eq!(sources.trackers, [vec!["http://a/"], vec!["udp://b:1"], vec!["http://c/", "http://d/"]]);
        assert_eq!(sources.web_seeds, ["http://w/1", "HTTPS://w/3"]);
        assert_eq!(sources.peers, [Contact { host: "c.example".into(), port: 3 }]);
        assert_eq!(sources.nodes, []);
    }
}
