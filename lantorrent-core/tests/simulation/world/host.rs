//! A host: what it does with connections, and what outlives each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use lantorrent_core::flow::admission::{Admission, Kept, Name};
use lantorrent_core::session::{Gate, Proven, Timing};
use lantorrent_core::wire::{Features, Header, Keyring, Nonce, ResultKey, SealedReport, TransferId};

use crate::later::FEATURE;

use super::disk::Disk;
use super::net::{ActorId, Event};
use crate::forger::Lie;
use crate::with::with;

/// What a liar writes towards its parent once it was let in.
pub(crate) type Script = fn(&mut Proven, &Keyring) -> Vec<u8>;

/// What a host does with a connection.
#[derive(Clone)]
pub(crate) enum Manner {
    /// A node as it should be.
    Node,
    /// Nobody listens.
    Refuses,
    /// No answer at all, not even a refusal.
    BlackHole,
    /// Accepts, and says nothing.
    Mute,
    /// Accepts, and says this.
    Says(&'static [u8]),
    /// Knows the password, and says what the script makes. After the payload it goes on to listen.
    Liar(Script),
}

impl fmt::Debug for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Refuses => "refuses",
            Self::BlackHole => "black hole",
            Self::Mute => "mute",
            Self::Says(_) => "says nonsense",
            Self::Liar(_) => "liar",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) manner: Manner,
    pub(crate) keys: Keyring,
    pub(crate) timing: Timing,
    pub(crate) disk: Disk,
    /// What it makes of the payload on its way to its children.
    pub(crate) lie: Option<Lie>,
    pub(crate) admission: Admission,
    /// Whether each connection has a process of its own, which shares no memory with the others.
    pub(crate) solo: bool,
    /// How transfers have ended here, in a file.
    ended_transfers: Vec<(TransferId, Vec<SealedReport>)>,
    /// What of transfers was cancelled, in a file.
    cancelled: Vec<(TransferId, String)>,
    /// The places of this node in transfers.
    pub(crate) places: BTreeMap<TransferId, u32>,
    /// What files keep of connections that sources have made: this node's place, and the key.
    node_keys: BTreeMap<TransferId, (u32, ResultKey)>,
    /// By which its processes find each other.
    names: Vec<(Name, ActorId)>,
    /// The sessions that are live in its process.
    pub(crate) sessions: Vec<(TransferId, ActorId)>,
    /// Whether it is of a version that says more than this one knows.
    pub(crate) is_later: bool,
    /// Whether it takes note of frames that it does not know.
    pub(crate) overhears: bool,
    /// Those that it had from upstream, and those that it made; without their tags.
    pub(crate) heard: Vec<Vec<u8>>,
    pub(crate) extended: Vec<Vec<u8>>,
    pub(crate) stopping: Option<Duration>,
    /// Its process stands still; its kernel does not.
    pub(crate) frozen: bool,
    /// What the process will find when it wakes up.
    pub(crate) missed: Vec<Event>,
    /// The ids of each request whose transfer was begun here, each time that it was.
    pub(crate) begun: Vec<String>,
    /// Of each header that was proven here, the nonce and who made it: the place of a node, None for the source.
    pub(crate) proven: Vec<(Nonce, Option<u32>)>,
    /// What had its name when a process of this host died, if one has: those that come after it do not know that it came
    /// from them.
    pub(crate) outlived: Option<BTreeSet<String>>,
    /// How far the payload came here.
    pub(crate) received: u64,
    /// How many bytes of payload came here, all in all.
    pub(crate) taken: u64,
    /// How often it began to read the payload from somebody.
    pub(crate) upstreams: u32,
    /// Whether the end of the payload came here.
    pub(crate) ended: bool,
}

impl Host {
    pub(crate) fn new(manner: Manner, keys: Keyring, timing: Timing) -> Self {
        let admission = Admission::new(gate(&keys, &timing), usize::MAX);
        Self {
            manner,
            keys,
            timing,
            disk: Disk::default(),
            lie: None,
            admission,
            solo: false,
            ended_transfers: Vec::new(),
            cancelled: Vec::new(),
            places: BTreeMap::new(),
            node_keys: BTreeMap::new(),
            names: Vec::new(),
            sessions: Vec::new(),
            is_later: false,
            overhears: false,
            heard: Vec::new(),
            extended: Vec::new(),
            stopping: None,
            frozen: false,
            missed: Vec::new(),
            begun: Vec::new(),
            proven: Vec::new(),
            outlived: None,
            received: 0,
            taken: 0,
            upstreams: 0,
            ended: false,
        }
    }

    pub(crate) fn gate(&self) -> Gate {
        let features = self.is_later.then(|| Features::new([FEATURE]).expect("a name"));
        with(gate(&self.keys, &self.timing), |it| it.features = features.unwrap_or_default())
    }

    /// For a process that knows of no other.
    pub(crate) fn new_admission(&self) -> Admission {
        Admission::new(self.gate(), usize::MAX)
    }

    /// The process that has that name.
    pub(crate) fn holder(&self, name: &Name) -> Option<ActorId> {
        self.names.iter().find(|(other, _)| other == name).map(|&(_, id)| id)
    }

    pub(crate) fn take_name(&mut self, name: Name, id: ActorId) {
        self.names.retain(|(other, _)| *other != name);
        self.names.push((name, id));
    }

    pub(crate) fn give_up_names(&mut self, id: ActorId) {
        self.names.retain(|&(_, other)| other != id);
    }

    pub(crate) fn session(&self, transfer: &TransferId) -> Option<ActorId> {
        self.sessions.iter().find(|(other, _)| other == transfer).map(|&(_, id)| id)
    }

    /// A transfer is over here, with these results if it is not to be forgotten.
    pub(crate) fn leave(&mut self, now: Instant, transfer: &TransferId, results: Option<Vec<SealedReport>>) {
        if self.solo {
            self.ended_transfers.extend(results.map(|results| (*transfer, results)));
        } else {
            self.admission.leave(now, Some(transfer), results);
        }
        if let Some(id) = self.session(transfer) {
            self.give_up_names(id);
        }
        self.sessions.retain(|(other, _)| other != transfer);
    }

    /// How a transfer has ended here, where that is kept in a file.
    pub(crate) fn kept_results(&self, transfer: &TransferId) -> Option<Vec<SealedReport>> {
        let ended = self.ended_transfers.iter().find(|(other, _)| other == transfer);
        ended.map(|(_, results)| results.clone())
    }

    /// Keeps in a file that the requests of that header are cancelled.
    pub(crate) fn record_cancel(&mut self, header: &Header) {
        let Some(envelope) = &header.envelope else { return };
        let ids = header.node.requests.iter().map(|request| request.id.clone());
        self.cancelled.extend(ids.map(|id| (envelope.transfer, id)));
    }

    /// The source of a transfer has checked this node.
    pub(crate) fn meet(&mut self, now: Instant, transfer: TransferId, index: u32, key: ResultKey) {
        self.node_keys.insert(transfer, (index, key.clone()));
        let kept = Kept { node_key: Some((index, key)), ..Kept::default() };
        self.admission.restore(now, transfer, kept);
    }

    /// Keeps in a file the key of a connection that a source has made.
    pub(crate) fn keep_key(&mut self, proven: &Proven) {
        let index = proven.header.node.index;
        let transfer = proven.header.envelope.as_ref().map(|envelope| envelope.transfer);
        self.node_keys
            .extend(transfer.zip(proven.node_key.clone()).map(|(transfer, key)| (transfer, (index, key))));
    }

    pub(crate) fn erase_cancel(&mut self, header: &Header) {
        let Some(envelope) = &header.envelope else { return };
        let requests = &header.node.requests;
        let is_named = |id: &String| requests.iter().any(|request| request.id == *id);
        self.cancelled.retain(|(transfer, id)| *transfer != envelope.transfer || !is_named(id));
    }

    /// What files keep of the transfer of that header.
    pub(crate) fn recall(&self, header: &Header) -> Kept {
        let Some(envelope) = &header.envelope else { return Kept::default() };
        let transfer = envelope.transfer;
        let place = self.places.get(&transfer).copied().unwrap_or(header.node.index);
        let ended = self.kept_results(&transfer).map(|results| (place, results));
        let cancelled = self.cancelled.iter().filter(|(other, _)| *other == transfer);
        let node_key = self.node_keys.get(&transfer).cloned();
        Kept { ended, cancelled: cancelled.map(|(_, id)| id.clone()).collect(), node_key }
    }

    /// The process is gone, and with it everything but what the disk has.
    pub(crate) fn crash(&mut self) {
        self.manner = Manner::Refuses;
        self.admission = self.new_admission();
        self.sessions.clear();
        self.names.clear();
        self.stopping = None;
        self.frozen = false;
        self.missed.clear();
        self.outlived.get_or_insert_default().extend(self.disk.files.keys().cloned());
        self.disk.crash();
    }
}

fn gate(keys: &Keyring, timing: &Timing) -> Gate {
    with(Gate::new(keys.clone()), |it| it.timing = timing.clone())
}

impl crate::random::Random {
    /// Some way of not being a node.
    pub(crate) fn pick_manner(&mut self) -> Manner {
        match self.below(4) {
            0 => Manner::Refuses,
            1 => Manner::BlackHole,
            2 => Manner::Mute,
            _ => Manner::Says(b"220 mail.example ESMTP\r\n"),
        }
    }
}
