//! Hosts that speak to others, but to no good.

use lantorrent_swarm::swarm::Bitfield;
use lantorrent_swarm::wire::{Features, Handshake, Message, piece_header};
use lantorrent_swarm::{PeerId, Span};

use crate::package::Package;
use crate::world::{End, Happening, HostId, Net};

/// What a liar does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It has everything, and sends nothing.
    Silent,
    /// It sends anything but BitTorrent, from the start or behind the handshake.
    Garbage,
    /// It sends messages, one after another, that make no sense together.
    Flood,
}

#[derive(Debug)]
pub(crate) struct Liar {
    habit: Habit,
    package: Package,
    id: PeerId,
    ends: Vec<End>,
    said: usize,
}

impl Liar {
    pub(crate) fn new(net: &mut Net, habit: Habit, package: &Package) -> Self {
        let mut random = [0; 12];
        random.fill_with(|| net.random.next() as u8);
        Self { habit, package: package.clone(), id: PeerId::ours(random), ends: Vec::new(), said: 0 }
    }

    pub(crate) fn opened(&mut self, net: &mut Net, end: End) {
        self.ends.push(end);
        let features = Features::NONE.with_extensions();
        let features = if net.random.below(2) == 0 { features.with_fast() } else { features };
        let handshake = Handshake { info_hash: self.package.info_hash(), peer_id: self.id, features };
        let mut bytes = handshake.encode().to_vec();
        match self.habit {
            Habit::Silent => {
                let all = Bitfield::all(self.package.geometry.pieces());
                Message::Bitfield(all.to_bytes()).encode(&mut bytes);
                Message::Unchoke.encode(&mut bytes);
                Message::Interested.encode(&mut bytes);
            }
            Habit::Garbage => {
                bytes.truncate(net.random.below(120));
                bytes.extend((0..net.random.below(300)).map(|_| net.random.next() as u8));
            }
            Habit::Flood => {}
        }
        net.pipe(end).say(&bytes);
    }

    /// Called now and then.
    pub(crate) fn wake(&mut self, net: &mut Net, host: HostId) {
        self.ends.retain(|end| net.is_open(*end));
        self.said += 1;
        if self.habit == Habit::Flood && self.said < 400 {
            for end in &self.ends {
                let mut bytes = Vec::new();
                for _ in 0..net.random.below(20) {
                    self.nonsense(net, &mut bytes);
                }
                net.pipe(*end).say(&bytes);
            }
        }
        let delay = 20_000 + net.random.below(30_000) as u64;
        if self.said < 400 {
            net.after(delay, Happening::Wake(host));
        }
    }

    fn nonsense(&self, net: &mut Net, bytes: &mut Vec<u8>) {
        let pieces = self.package.geometry.pieces();
        // Mostly what exists.
        let beyond = usize::from(net.random.below(50) == 0);
        let piece = net.random.below(pieces as usize + beyond) as u32;
        let span = self.package.geometry.block(piece, net.random.below(3) as u32);
        let span = if net.random.below(100) == 0 { Span { length: 1 << 20, ..span } } else { span };
        let payload = || match piece % 4 {
            0 => b"d1:md6:ut_pexi1e11:ut_metadatai2ee13:metadata_sizei99999e4:reqqi0ee".to_vec(),
            1 => b"d8:msg_typei0e5:piecei0ee".to_vec(),
            2 => b"d5:added6:\x01\x02\x03\x04\x05\x067:added.f1:\0e".to_vec(),
            _ => b"d8:msg_typei1e5:piecei0e10:total_sizei5eehallo".to_vec(),
        };
        let message = match net.random.below(17) {
            0 => Message::KeepAlive,
            1 => Message::Choke,
            2 => Message::Unchoke,
            3 => Message::Interested,
            4 => Message::NotInterested,
            5 | 6 => Message::Have(piece),
            7 => Message::Request(span),
            8 => Message::Cancel(span),
            9 => Message::Port(1),
            10 => Message::Suggest(piece),
            11 if net.random.below(20) == 0 => Message::HaveAll,
            12 => Message::Reject(span),
            13 => Message::AllowedFast(piece),
            14 => Message::Extended { id: net.random.below(4) as u8, payload: payload() },
            _ => {
                if span.length > 0 && span.length <= 1 << 14 {
                    bytes.extend(piece_header(span));
                    bytes.extend(std::iter::repeat_n(7, span.length as usize));
                }
                return;
            }
        };
        message.encode(bytes);
    }
}
