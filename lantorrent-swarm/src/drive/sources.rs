//! Who and what is named by a torrent, and by whoever adds it: trackers, web seeds, peers and nodes.

use super::settings::{AddTorrent, TorrentSource};
use crate::metainfo::Contact;
use crate::text::readable;
use crate::url::{Url, UrlError, shown};

/// Web seeds of one torrent.
const WEB_SEEDS: usize = 200;

/// Where a torrent can be had.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sources {
    /// In tiers.
    pub(super) trackers: Vec<Vec<Url>>,
    pub(super) web_seeds: Vec<Url>,
    /// Peers whose names are to be looked up.
    pub(super) peers: Vec<Contact>,
    /// Nodes of the DHT; none where it must not be asked.
    pub(super) nodes: Vec<Contact>,
    /// What is named and cannot be asked, for people.
    pub(super) left_out: Vec<String>,
}

impl Sources {
    /// What the torrent names comes first.
    pub(super) fn of(request: &AddTorrent) -> Self {
        let mut this = Self::default();
        match &request.source {
            TorrentSource::Metainfo(metainfo) => {
                this.left_out.extend(metainfo.left_out.iter().map(ToString::to_string));
                metainfo.trackers.iter().for_each(|tier| this.add_tier(tier));
                this.add_web_seeds(&metainfo.web_seeds);
                if !metainfo.info.is_private() {
                    this.nodes.clone_from(&metainfo.nodes);
                }
            }
            TorrentSource::Magnet(magnet) => {
                this.left_out.extend(magnet.left_out.iter().map(ToString::to_string));
                magnet.trackers.iter().for_each(|tracker| this.add_tier(std::slice::from_ref(tracker)));
                this.add_web_seeds(&magnet.web_seeds);
                this.peers.clone_from(&magnet.peers);
            }
        }
        request.trackers.iter().for_each(|tier| this.add_tier(tier));
        this.add_web_seeds(&request.web_seeds);
        this
    }

    fn add_tier(&mut self, urls: &[String]) {
        let tier: Vec<Url> = urls.iter().filter_map(|url| self.usable("tracker", url, url.parse())).collect();
        if !tier.is_empty() {
            self.trackers.push(tier);
        }
    }

    fn add_web_seeds(&mut self, urls: &[String]) {
        for text in urls {
            let url = self.usable("web seed", text, text.parse().and_then(Url::http));
            self.web_seeds.extend(url.filter(|url| !self.web_seeds.contains(url)));
        }
        self.web_seeds.truncate(WEB_SEEDS);
    }

    fn usable(&mut self, what: &str, text: &str, url: Result<Url, UrlError>) -> Option<Url> {
        url.map_err(|error| {
            let url = readable(shown(text).as_bytes());
            self.left_out.push(format!("the {what} {url} is left out: {error}"));
        })
        .ok()
    }
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
        let mut request = AddTorrent::new(TorrentSource::Magnet(link.parse().unwrap()), "folder");
        request.trackers = vec![vec!["http://c/".into(), "wss://u:p@e/".into(), "http://d/".into()]];
        request.web_seeds = vec!["HTTPS://w/3".into(), "http://w/1".into()];
        let sources = Sources::of(&request);
        let tier = |urls: &[Url]| urls.iter().map(ToString::to_string).collect::<Vec<_>>();
        let tiers: Vec<_> = sources.trackers.iter().map(|urls| tier(urls)).collect();
        assert_eq!(tiers, [vec!["http://a/"], vec!["udp://b:1"], vec!["http://c/", "http://d/"]]);
        assert_eq!(tier(&sources.web_seeds), ["http://w/1", "https://w/3"]);
        assert_eq!(sources.left_out.len(), 2, "{:?}", sources.left_out);
        assert!(sources.left_out[0].contains("ftp://w/2") && sources.left_out[1].contains("wss://e"));
        assert_eq!(sources.peers, [Contact { host: "c.example".into(), port: 3 }]);
        assert_eq!(sources.nodes, []);
    }
}
