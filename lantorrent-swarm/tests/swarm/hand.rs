//! A torrent in the hand: told what happens, and asked what it wants.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_swarm::swarm::{
    Action, Bitfield, BlockSum, Config, Content, Direction, Event, Fate, Origin, PeerKey, Reason, Sender,
    Torrent, Verdict,
};
use lantorrent_swarm::wire::{ExtendedHandshake, Features, Handshake, Message};
use lantorrent_swarm::{BLOCK, Geometry, InfoHash, PeerId, Span};

pub(crate) const INFO: &[u8] = b"d6:lengthi262144e4:name1:x12:piece lengthi32768ee";
pub(crate) const PIECES: u32 = 8;
/// Ours.
pub(crate) const ID: PeerId = PeerId(*b"-LT0100-mmmmmmmmmmmm");

pub(crate) struct Hand {
    pub(crate) torrent: Torrent,
    pub(crate) now: Instant,
}

/// Eight pieces of two blocks each, of which these are there.
pub(crate) fn content(have: impl IntoIterator<Item = u32>) -> Content {
    let mut set = Bitfield::none(PIECES);
    for piece in have {
        set.insert(piece);
    }
    let geometry = Geometry::new(u64::from(PIECES * 2 * BLOCK), 2 * BLOCK).unwrap();
    Content::new(INFO.into(), geometry, set)
}

pub(crate) fn config(content: Option<Content>) -> Config {
    let mut config = Config::new(InfoHash::of(INFO), ID, 1);
    config.port = Some(6881);
    config.content = content;
    config
}

/// What a peer says in the extension protocol.
pub(crate) fn extended(fill: impl FnOnce(&mut ExtendedHandshake)) -> ExtendedHandshake {
    let mut handshake = ExtendedHandshake::default();
    fill(&mut handshake);
    handshake
}

pub(crate) fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 6881))
}

pub(crate) fn block(piece: u32, number: u32) -> Span {
    Span { piece, begin: number * BLOCK, length: BLOCK }
}

/// What a peer can do, mostly.
pub(crate) const ALL: Features = Features::NONE.with_extensions().with_fast();
/// What a peer of 2001 can do.
pub(crate) const PLAIN: Features = Features::NONE;

impl Hand {
    pub(crate) fn new(config: Config) -> Self {
        let now = Instant::now();
        Self { torrent: Torrent::new(config, now), now }
    }

    /// A node that has these pieces.
    pub(crate) fn with(have: impl IntoIterator<Item = u32>) -> Self {
        Self::new(config(Some(content(have))))
    }

    /// What it wants.
    pub(crate) fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.torrent.poll()).collect()
    }

    pub(crate) fn handle(&mut self, event: Event<'_>) -> Vec<Action> {
        self.torrent.handle(self.now, event);
        self.actions()
    }

    pub(crate) fn found(&mut self, by: Origin, numbers: &[u8]) -> Vec<Action> {
        let addresses: Vec<SocketAddr> = numbers.iter().map(|number| address(*number)).collect();
        self.handle(Event::Found { by, addresses: &addresses })
    }

    /// A peer whose number is its key, its address and its name.
    pub(crate) fn connect(&mut self, number: u8, direction: Direction, features: Features) -> Vec<Action> {
        self.connect_as(number.into(), number, direction, PeerId([number; 20]), features)
    }

    pub(crate) fn connect_as(
        &mut self,
        key: u64,
        number: u8,
        direction: Direction,
        peer_id: PeerId,
        features: Features,
    ) -> Vec<Action> {
        let handshake = Handshake { info_hash: InfoHash::of(INFO), peer_id, features };
        let (peer, address) = (PeerKey(key), address(number));
        self.handle(Event::Connected { peer, address, direction, handshake })
    }

    pub(crate) fn say(&mut self, key: u64, message: Message) -> Vec<Action> {
        self.handle(Event::Message(PeerKey(key), message))
    }

    /// A peer that has everything and is willing. Returns what it is asked for.
    pub(crate) fn willing(&mut self, number: u8, features: Features) -> Vec<Span> {
        self.connect(number, Direction::Outgoing, features);
        self.say(number.into(), Message::Bitfield(vec![0xff]));
        let actions = self.say(number.into(), Message::Unchoke);
        requests(&actions, number.into())
    }

    pub(crate) fn introduce(&mut self, key: u64, handshake: &ExtendedHandshake) -> Vec<Action> {
        self.say(key, Message::Extended { id: 0, payload: handshake.encode() })
    }

    /// Time passes, and the torrent is woken as often as it wants.
    pub(crate) fn pass(&mut self, time: Duration) -> Vec<Action> {
        let end = self.now + time;
        let mut actions = Vec::new();
        while let Some(at) = self.torrent.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            actions.extend(self.handle(Event::Tick));
        }
        self.now = end;
        actions
    }

    /// A block comes from a peer.
    pub(crate) fn block(&mut self, key: u64, span: Span) -> (Fate, Vec<Action>) {
        let mut fate = self.torrent.expects(self.now, PeerKey(key), span);
        if fate == Fate::Keep {
            fate = self.torrent.received(self.now, Sender::Peer(PeerKey(key)), span);
        }
        (fate, self.actions())
    }

    /// A whole piece comes from a peer, if it is asked for it.
    pub(crate) fn piece(&mut self, key: u64, piece: u32) -> Vec<Action> {
        let parts = [0, 1].map(|number| self.block(key, block(piece, number)).1);
        parts.concat()
    }

    pub(crate) fn verified(&mut self, piece: u32, verdict: Verdict, data: [&[u8]; 2]) -> Vec<Action> {
        let sums = data.map(BlockSum::of);
        self.handle(Event::Verified { piece, verdict, sums: &sums })
    }

    pub(crate) fn stored(&mut self, piece: u32) -> Vec<Action> {
        self.verified(piece, Verdict::Stored, [b"a", b"b"])
    }
}

/// What a peer is sent.
pub(crate) fn said(actions: &[Action], key: u64) -> Vec<Message> {
    let to = |action: &Action| match action {
        Action::Send(peer, message) if *peer == PeerKey(key) => Some(message.clone()),
        _ => None,
    };
    actions.iter().filter_map(to).collect()
}

/// What a peer is asked for.
pub(crate) fn requests(actions: &[Action], key: u64) -> Vec<Span> {
    let span = |message| if let Message::Request(span) = message { Some(span) } else { None };
    said(actions, key).into_iter().filter_map(span).collect()
}

/// Who is closed, and why.
pub(crate) fn closed(actions: &[Action]) -> Vec<(u64, Reason)> {
    let closed = |action: &Action| match action {
        Action::Close(peer, reason) => Some((peer.0, *reason)),
        _ => None,
    };
    actions.iter().filter_map(closed).collect()
}

/// Who is called.
pub(crate) fn dialled(actions: &[Action]) -> Vec<SocketAddr> {
    let dialled = |action: &Action| if let Action::Connect(address) = action { Some(*address) } else { None };
    actions.iter().filter_map(dialled).collect()
}
