//! Datagrams of a UDP tracker (BEP 15, 41), both directions.

use std::net::SocketAddr;

use super::announce::{Announce, AnnounceEvent, Scrape, Stats};
use crate::compact::Compact;
use crate::{InfoHash, PeerId};

/// The largest datagram that a tracker or a client sends: what an Ethernet frame carries.
pub(super) const DATAGRAM: usize = 1472;
/// Torrents that one scrape may ask for.
pub const SCRAPED: usize = 70;

/// What every exchange begins with in place of a connection id.
const PROTOCOL: u64 = 0x0417_2710_1980;
const CONNECT: u32 = 0;
const ANNOUNCE: u32 = 1;
const SCRAPE: u32 = 2;
const ERROR: u32 = 3;

const OPTION_END: u8 = 0;
const OPTION_NOTHING: u8 = 1;
const OPTION_URL: u8 = 2;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Chosen by the client; the answer has it too.
    pub(super) transaction: u32,
    pub(super) question: Question,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Give me a connection id.
    Connect,
    Announce {
        connection: u64,
        announce: Announce,
        /// Path and query of the tracker's URL.
        target: Vec<u8>,
    },
    Scrape {
        connection: u64,
        torrents: Vec<InfoHash>,
    },
}

/// What a tracker sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) transaction: u32,
    pub(super) answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Connection(u64),
    /// The interval in seconds, leechers, seeds, and peers of the family that the client has asked over.
    Announced {
        interval: u32,
        scrape: Scrape,
        peers: Vec<SocketAddr>,
    },
    Scraped(Vec<Scrape>),
    Error(Vec<u8>),
}

impl Request {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        let (connection, action) = match &self.question {
            Question::Connect => (PROTOCOL, CONNECT),
            Question::Announce { connection, .. } => (*connection, ANNOUNCE),
            Question::Scrape { connection, .. } => (*connection, SCRAPE),
        };
        out.extend(connection.to_be_bytes());
        out.extend(action.to_be_bytes());
        out.extend(self.transaction.to_be_bytes());
        match &self.question {
            Question::Connect => {}
            Question::Announce { announce, target, .. } => write_announce(announce, target, &mut out),
            Question::Scrape { torrents, .. } => {
                out.extend(torrents.iter().take(SCRAPED).flat_map(|torrent| torrent.0));
            }
        }
        out
    }

    /// None for what is no request.
    pub(super) fn read(datagram: &[u8]) -> Option<Self> {
        let mut rest = datagram;
        let connection = u64::from_be_bytes(take(&mut rest)?);
        let action = word(&mut rest)?;
        let transaction = word(&mut rest)?;
        let question = match action {
            CONNECT if connection == PROTOCOL => Question::Connect,
            ANNOUNCE => {
                let announce = read_announce(&mut rest)?;
                Question::Announce { connection, announce, target: read_target(rest) }
            }
            SCRAPE => {
                let torrents =
                    rest.chunks_exact(20).take(SCRAPED).filter_map(|hash| hash.try_into().ok().map(InfoHash));
                Question::Scrape { connection, torrents: torrents.collect() }
            }
            _ => return None,
        };
        Some(Self { transaction, question })
    }
}

fn write_announce(announce: &Announce, target: &[u8], out: &mut Vec<u8>) {
    let Announce { info_hash, peer_id, port, stats, event, want, key } = announce;
    out.extend(info_hash.0);
    out.extend(peer_id.0);
    out.extend([stats.downloaded, stats.left, stats.uploaded].iter().flat_map(|number| number.to_be_bytes()));
    // The address is the one that the datagram comes from.
    out.extend([event.number(), 0, key.unwrap_or(0)].iter().flat_map(|number| number.to_be_bytes()));
    let want = want.map_or(-1, |want| i32::try_from(want).unwrap_or(i32::MAX));
    out.extend(want.to_be_bytes());
    out.extend(port.to_be_bytes());
    for part in target.chunks(255) {
        out.extend([OPTION_URL, part.len() as u8]);
        out.extend(part);
    }
}

fn read_announce(rest: &mut &[u8]) -> Option<Announce> {
    let info_hash = InfoHash(take(rest)?);
    let peer_id = PeerId(take(rest)?);
    let [downloaded, left, uploaded] = [take(rest)?, take(rest)?, take(rest)?].map(u64::from_be_bytes);
    let [event, _address, key, want] = [word(rest)?, word(rest)?, word(rest)?, word(rest)?];
    let port = u16::from_be_bytes(take(rest)?);
    Some(Announce {
        info_hash,
        peer_id,
        port,
        stats: Stats { uploaded, downloaded, left },
        event: AnnounceEvent::numbered(event),
        // Who says 0 says nothing: there are clients that leave it empty.
        want: Some(want).filter(|&want| want != 0 && i32::try_from(want).is_ok()),
        key: Some(key).filter(|&key| key != 0),
    })
}

/// The URL's data among the options (BEP 41). What is no option ends them.
fn read_target(options: &[u8]) -> Vec<u8> {
    let mut target = Vec::new();
    let mut rest = options;
    while let [kind, behind @ ..] = rest {
        rest = match (*kind, behind) {
            (OPTION_NOTHING, _) => behind,
            (OPTION_END, _) | (_, []) => break,
            (kind, [length, data @ ..]) => {
                let Some((data, after)) = data.split_at_checked(usize::from(*length)) else { break };
                if kind == OPTION_URL {
                    target.extend(data);
                }
                after
            }
        };
    }
    target
}

impl Reply {
    pub(super) fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        let action = match &self.answer {
            Answer::Connection(_) => CONNECT,
            Answer::Announced { .. } => ANNOUNCE,
            Answer::Scraped(_) => SCRAPE,
            Answer::Error(_) => ERROR,
        };
        out.extend(action.to_be_bytes());
        out.extend(self.transaction.to_be_bytes());
        match &self.answer {
            Answer::Connection(id) => out.extend(id.to_be_bytes()),
            Answer::Announced { interval, scrape, peers } => {
                out.extend(
                    [*interval, scrape.leechers, scrape.seeds].iter().flat_map(|number| number.to_be_bytes()),
                );
                for peer in peers {
                    Compact::of(peer).write(peer, &mut out);
                }
            }
            Answer::Scraped(scrapes) => out.extend(scrapes.iter().flat_map(|scrape| {
                [scrape.seeds, scrape.completed, scrape.leechers].into_iter().flat_map(u32::to_be_bytes)
            })),
            Answer::Error(reason) => out.extend(reason),
        }
        out.truncate(DATAGRAM);
        out
    }

    /// A reply that came over this family, whose addresses peers have in it. None for what is no reply.
    pub(super) fn read(datagram: &[u8], family: Compact) -> Option<Self> {
        let mut rest = datagram;
        let action = word(&mut rest)?;
        let transaction = word(&mut rest)?;
        let answer = match action {
            CONNECT => Answer::Connection(u64::from_be_bytes(take(&mut rest)?)),
            // So opentracker refuses a torrent that it does not serve.
            ANNOUNCE if rest.is_empty() => Answer::Error(b"an empty answer".to_vec()),
            ANNOUNCE => {
                let [interval, leechers, seeds] = [word(&mut rest)?, word(&mut rest)?, word(&mut rest)?];
                let scrape = Scrape { seeds, leechers, completed: 0 };
                Answer::Announced { interval, scrape, peers: family.read(rest).collect() }
            }
            SCRAPE => Answer::Scraped(read_scrapes(rest)),
            ERROR => Answer::Error(rest.to_vec()),
            _ => return None,
        };
        Some(Self { transaction, answer })
    }
}

fn read_scrapes(mut rest: &[u8]) -> Vec<Scrape> {
    std::iter::from_fn(|| {
        let [seeds, completed, leechers] = [word(&mut rest)?, word(&mut rest)?, word(&mut rest)?];
        Some(Scrape { seeds, leechers, completed })
    })
    .collect()
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

fn word(rest: &mut &[u8]) -> Option<u32> {
    take(rest).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests;
