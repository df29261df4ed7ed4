//! A connected peer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::blame::Who;
use super::download::Download;
use super::event::Direction;
use super::gossip::Gossip;
use super::upload::Upload;
use crate::PeerId;
use crate::bitfield::Bitfield;
use crate::rate::{Allowance, Rate};
use crate::wire::{Features, Message};

/// Addresses of one peer that are remembered beside the first.
const MOST_ALSO: usize = 4;
/// What a peer may say that has to be said rarely, and that costs us more to hear than it to say.
const RARE: Rate = Rate { burst: 200, interval: Duration::from_millis(50) };
/// Messages about pieces that are kept until the number of pieces is known.
const MOST_EARLY: usize = 4096;

/// Everything about one connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// Where it takes connections, if that is known.
    pub(super) listens: Option<SocketAddr>,
    /// Where it does so, too: other addresses of the same peer.
    also: Vec<SocketAddr>,
    pub(super) direction: Direction,
    pub(super) id: PeerId,
    pub(super) who: Who,
    pub(super) features: Features,
    pub(super) client: Option<String>,
    pub(super) since: Instant,
    /// When it last said anything.
    pub(super) heard: Instant,
    /// When it was last sent anything.
    pub(super) spoken: Instant,
    /// When a block last came from it or went to it.
    pub(super) useful: Instant,
    /// What it has; of no pieces while their number is not known.
    pub(super) has: Bitfield,
    /// What it said about that before.
    early: Vec<Message>,
    /// How many of those that it has we lack.
    pub(super) wants: u32,
    pub(super) knowledge: Knowledge,
    pub(super) download: Download,
    pub(super) upload: Upload,
    pub(super) gossip: Gossip,
    pub(super) exchange_id: u8,
    pub(super) metadata_id: u8,
    pub(super) metadata_size: u32,
    /// When it was last asked for the metadata.
    pub(super) metadata_asked: Option<Instant>,
    /// Parts of the metadata that it was given.
    pub(super) metadata_given: usize,
    /// It wants nothing any more, although it may lack pieces (BEP 21).
    pub(super) upload_only: bool,
    /// Bytes in each direction when slots were last shared out.
    pub(super) last_round: (u64, u64),
    /// How many more blocks have come from it that nobody has asked for than others.
    pub(super) strays: u32,
    /// What is left of its rare words.
    pub(super) rare: Allowance,
}

/// Whether a peer has said which pieces it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knowledge {
    Nothing,
    Told,
}

impl Peer {
    pub(super) fn new(
        now: Instant,
        address: SocketAddr,
        direction: Direction,
        id: PeerId,
        features: Features,
        pieces: u32,
    ) -> Self {
        Self {
            address,
            listens: (direction == Direction::Outgoing).then_some(address),
            also: Vec::new(),
            direction,
            id,
            who: Who::peer(address.ip(), id),
            features,
            client: None,
            since: now,
            heard: now,
            spoken: now,
            useful: now,
            has: Bitfield::none(pieces),
            early: Vec::new(),
            wants: 0,
            knowledge: Knowledge::Nothing,
            download: Download::new(now),
            upload: Upload::new(now),
            gossip: Gossip::default(),
            exchange_id: 0,
            metadata_id: 0,
            metadata_size: 0,
            metadata_asked: None,
            metadata_given: 0,
            upload_only: false,
            last_round: (0, 0),
            strays: 0,
            rare: Allowance::new(RARE),
        }
    }

    /// It takes connections there. False if so many such addresses are known that this one is not remembered.
    pub(super) fn reached_at(&mut self, address: SocketAddr) -> bool {
        let first = *self.listens.get_or_insert(address);
        if first != address && !self.also.contains(&address) && self.also.len() < MOST_ALSO {
            self.also.push(address);
        }
        first == address || self.also.contains(&address)
    }

    /// Where it takes connections.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listens.into_iter().chain(self.also.iter().copied())
    }

    /// Keeps what it says about pieces until their number is known. What is too much is forgotten, which only means that it
    /// is not asked for that; and of bitfields, which may be long, only the last.
    pub(super) fn keep(&mut self, message: Message) {
        let is_long = |message: &Message| matches!(message, Message::Bitfield(_));
        if is_long(&message) {
            self.early.retain(|message| !is_long(message));
        }
        if self.early.len() < MOST_EARLY {
            self.early.push(message);
        }
    }

    /// The number of pieces is known: what it has said before is to be heard now.
    pub(super) fn begin(&mut self, pieces: u32) -> Vec<Message> {
        self.has = Bitfield::none(pieces);
        self.knowledge = Knowledge::Nothing;
        std::mem::take(&mut self.early)
    }

    pub(super) fn is_seed(&self) -> bool {
        self.upload_only || (self.has.is_full() && self.knowledge == Knowledge::Told)
    }

    /// Bytes sent and taken since slots were last shared out; `from now on` they count for the next time.
    pub(super) fn take_round(&mut self) -> (u64, u64) {
        let totals = (self.download.rate.total(), self.upload.rate.total());
        let last = std::mem::replace(&mut self.last_round, totals);
        (totals.0 - last.0, totals.1 - last.1)
    }
}
