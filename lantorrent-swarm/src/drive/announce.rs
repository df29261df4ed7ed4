//! Torrents announce themselves to their trackers: by HTTP in threads, by UDP through the loop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lantorrent_core::look_up_within;
use lantorrent_core::runtime::{Mailbox, Workers};

use super::alert::TorrentWarning;
use super::datagrams::Pair;
use super::engine::{Engine, Who};
use super::http::{Ask, Client, HttpError};
use super::lookup::without_escape;
use super::message::Message;
use super::packing;
use super::running::TorrentKey;
use crate::entropy::Entropy;
use crate::swarm::Origin;
use crate::text::readable;
use crate::tracker::{
    Announce, AnnounceEvent, Announced, Announcer, AnnouncerAction, AnnouncerEvent, AskId, Identity,
    REPLY_LIMIT, Retry, Standing, TrackerError, UdpAction, UdpAnswer, UdpClient, UdpEvent, UdpQuestion,
    announce_url, read_announced,
};
use crate::{InfoHash, PeerId, Scheme, Seed, Url};

/// Trackers that are asked by HTTP, and names that are looked up, at the same time.
pub(super) const ASKED: usize = 8;
/// How often a datagram is sent to a tracker that does not answer.
const SENT: u32 = 3;
/// How long a tracker may take for its answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for the last announcement of a torrent, that somebody waits for.
const FAREWELL: Duration = Duration::from_secs(5);
/// A question that nobody had time for by then is not asked any more: the torrent has given it up.
const STALE: Duration = Duration::from_secs(120);
/// Of thousands of torrents that are added at the same time, so many announce themselves in a second.
const STARTED: u32 = 100;

/// A question of a torrent to a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    torrent: TorrentKey,
    id: AskId,
}

/// What a thread has to say to a question.
pub(super) enum TrackerNews {
    Answered(Result<Announced, TrackerError>),
    /// The tracker is there, and can be asked this by UDP.
    Located(Vec<SocketAddr>, UdpQuestion),
}

/// The announcements of all torrents.
pub(super) struct Trackers {
    heralds: BTreeMap<TorrentKey, Herald>,
    udp: UdpClient<Asked>,
    pub(super) sockets: Pair,
    threads: Workers,
    entropy: Entropy,
    key: u32,
}

/// The announcements of one torrent.
struct Herald {
    announcer: Announcer,
    /// As it was when the torrent was last there.
    standing: Standing,
    /// Which questions went out by UDP.
    by_udp: Vec<AskId>,
    turn: Arc<Turn>,
    /// It waits for the farewell of the same torrent, as it was before.
    waits: bool,
}

/// Who comes first of the threads that ask for one torrent. What is said behind its farewell would bring it back.
#[derive(Default)]
struct Turn {
    /// The torrent is gone: what it was still going to say is not to be said.
    left: AtomicBool,
    /// Held while something is said that is not the last.
    speaking: Mutex<()>,
}

impl Turn {
    /// Says it, unless the torrent is gone by now.
    fn say<T>(&self, question: impl FnOnce() -> T) -> Option<T> {
        let _speaking = self.speaking.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.left.load(Ordering::SeqCst)).then(question)
    }

    /// Says it when the last before it is through.
    fn say_last<T>(&self, question: impl FnOnce() -> T) -> T {
        drop(self.speaking.lock().unwrap_or_else(PoisonError::into_inner));
        question()
    }
}

impl Trackers {
    pub(super) fn new(threads: Workers, sockets: Pair, seed: Seed) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            heralds: BTreeMap::new(),
            udp: UdpClient::new(entropy.seed(), SENT),
            sockets,
            threads,
            key: u32::from_be_bytes(entropy.bytes()),
            entropy,
        }
    }

    /// Does something in one of the threads that may wait for the network.
    pub(super) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        self.threads.spawn(job);
    }

    /// Whether all torrents that are gone have said so.
    pub(super) fn are_quiet(&self) -> bool {
        self.heralds.is_empty()
    }

    /// Lets the threads go without waiting for what they do.
    pub(super) fn abandon(&mut self) {
        self.threads.abandon();
    }

    /// A torrent with these trackers will announce itself.
    fn add(&mut self, torrent: TorrentKey, (peer_id, port): (PeerId, u16), tiers: &[Vec<Url>]) {
        let who = Identity { info_hash: torrent.0, peer_id, port, key: self.key };
        let waits = self.of(torrent.0).next().is_some();
        let herald = Herald {
            announcer: Announcer::new(who, tiers, self.entropy.seed()),
            standing: Standing::default(),
            by_udp: Vec::new(),
            turn: Arc::default(),
            waits,
        };
        self.heralds.insert(torrent, herald);
    }

    /// All that announce the same torrent, as it was added once and again.
    fn of(&self, torrent: InfoHash) -> impl Iterator<Item = TorrentKey> {
        let range = TorrentKey(torrent, 0)..=TorrentKey(torrent, u64::MAX);
        self.heralds.range(range).map(|(key, _)| *key)
    }

    /// Forgets what was asked by UDP, and would be asked again and again.
    fn cancel(&mut self, now: Instant, torrent: TorrentKey) {
        let Some(herald) = self.heralds.get_mut(&torrent) else { return };
        for id in herald.by_udp.drain(..) {
            self.udp.handle(now, UdpEvent::Cancel(Asked { torrent, id }));
        }
    }

    /// Has a thread ask an HTTP tracker, or look up where a UDP tracker is.
    fn ask(
        &mut self,
        asked: Asked,
        question: (Url, Announce, Option<Vec<u8>>),
        client: &Client,
        mailbox: &Arc<Mailbox<Message>>,
    ) {
        let Some(herald) = self.heralds.get_mut(&asked.torrent) else { return };
        let (tracker, announce, tracker_id) = question;
        let by_udp = tracker.scheme() == Scheme::Udp;
        if by_udp {
            herald.by_udp.push(asked.id);
        }
        let is_last = announce.event == AnnounceEvent::Stopped;
        let patience = if is_last { FAREWELL } else { PATIENCE };
        let stale = Instant::now() + if is_last { FAREWELL } else { STALE };
        let (turn, families) = (Arc::clone(&herald.turn), self.sockets.families());
        let (client, mailbox) = (client.clone(), Arc::clone(mailbox));
        self.threads.spawn(move || {
            let question = || {
                if Instant::now() >= stale {
                    return None;
                }
                if by_udp {
                    return Some(locate(&tracker, families, patience).map_or_else(
                        |error| TrackerNews::Answered(Err(error)),
                        |places| TrackerNews::Located(places, UdpQuestion::announce(&tracker, announce)),
                    ));
                }
                let url = announce_url(&tracker, &announce, tracker_id.as_deref())?;
                Some(TrackerNews::Answered(get(&client, &url, patience)))
            };
            let news = if is_last { turn.say_last(question) } else { turn.say(question).flatten() };
            if let Some(news) = news {
                mailbox.send(Message::Tracker(asked, news));
            }
        });
    }
}

/// Asks by HTTP. Many front ends pack what trackers say, whatever they are asked for.
fn get(client: &Client, url: &Url, patience: Duration) -> Result<Announced, TrackerError> {
    let ask = Ask { url, headers: Vec::new(), patience: Some(patience), is_verified: false };
    let answer = client.get(&ask).map_err(|error| match error {
        HttpError::Silent(_) => TrackerError::Silent,
        error => TrackerError::Unreachable(readable(error.to_string().as_bytes())),
    })?;
    let (told, is_success) = (answer.told(), (200..300).contains(&answer.status));
    let retry = answer.retry_after().filter(|_| matches!(answer.status, 429 | 503));
    let coding = answer.coding();
    let read = packing::read_all(coding.as_deref(), answer.body, REPLY_LIMIT as u64)
        .map_err(|error| TrackerError::Unreachable(readable(error.to_string().as_bytes())));
    match read.and_then(|body| read_announced(body.trim_ascii_start())) {
        // What it says of itself is more than its status says.
        Err(TrackerError::Refused { reason, retry: None }) => {
            Err(TrackerError::Refused { reason, retry: retry.map(Retry::After) })
        }
        Err(TrackerError::Encoding(_) | TrackerError::Lacks(_) | TrackerError::Unreachable(_))
            if !is_success =>
        {
            Err(retry.map_or_else(
                || TrackerError::Unreachable(told.clone()),
                |after| TrackerError::Refused { reason: told.clone(), retry: Some(Retry::After(after)) },
            ))
        }
        answer => answer,
    }
}

/// Where a tracker may be: its addresses of IPv4 before those of IPv6.
fn locate(tracker: &Url, [v4, v6]: [bool; 2], patience: Duration) -> Result<Vec<SocketAddr>, TrackerError> {
    let unreachable =
        |error: std::io::Error| TrackerError::Unreachable(readable(error.to_string().as_bytes()));
    let (host, port) = tracker.endpoint();
    let mut places = look_up_within(&without_escape(host), port, patience).map_err(unreachable)?;
    places.retain(|place| if place.is_ipv4() { v4 } else { v6 });
    places.sort_by_key(SocketAddr::is_ipv6);
    if places.is_empty() {
        return Err(TrackerError::Unreachable("it has no address of a family that this host has".into()));
    }
    Ok(places)
}

impl Engine {
    /// A torrent is there that has these trackers, in tiers.
    pub(super) fn herald(&mut self, torrent: TorrentKey, tiers: &[Vec<Url>]) {
        if !tiers.is_empty() {
            self.trackers.add(torrent, (self.peer_id, self.port), tiers);
        }
    }

    /// The torrent announces itself from now on. Nothing changes if it does so already.
    pub(super) fn start_announcing(&mut self, torrent: TorrentKey) {
        let waits = self.trackers.heralds.get(&torrent).is_none_or(|herald| herald.waits);
        let fetching = self.torrents.get(&torrent.0).is_some_and(|torrent| !torrent.machine.is_complete());
        // Somebody waits for what is fetched.
        let others = if fetching { 0 } else { self.torrents.len() as u32 };
        if !waits {
            self.announce(
                torrent,
                AnnouncerEvent::Start { within: Duration::from_secs(1) * others / STARTED },
            );
        }
    }

    /// The torrent is going to be let go. Its trackers hear of it.
    pub(super) fn stop_announcing(&mut self, torrent: TorrentKey) {
        self.trackers.cancel(Instant::now(), torrent);
        if let Some(herald) = self.trackers.heralds.get(&torrent) {
            herald.turn.left.store(true, Ordering::SeqCst);
        }
        self.announce(torrent, AnnouncerEvent::Stop);
    }

    pub(super) fn announce(&mut self, torrent: TorrentKey, event: AnnouncerEvent) {
        let now = Instant::now();
        let Some(herald) = self.trackers.heralds.get_mut(&torrent) else { return };
        if let Some(running) = self.torrents.get(&torrent.0).filter(|running| running.added == torrent.1) {
            herald.standing = running.standing(now);
        }
        let actions = herald.announcer.handle(now, herald.standing, event);
        self.timers.set(Who::Herald(torrent), herald.announcer.deadline());
        for action in actions {
            match action {
                AnnouncerAction::Ask { id, tracker, announce, tracker_id } => {
                    let question = (tracker, announce, tracker_id);
                    self.trackers.ask(Asked { torrent, id }, question, &self.client, &self.mailbox);
                }
                AnnouncerAction::Found(peers) => self.found(torrent.0, Origin::Tracker, &peers),
                AnnouncerAction::Warning(tracker, text) => {
                    let url = tracker.to_string();
                    self.warn(torrent.0, TorrentWarning::Tracker { url, text });
                }
                AnnouncerAction::Failed(tracker, error) => {
                    let url = tracker.to_string();
                    self.warn(torrent.0, TorrentWarning::TrackerFailed { url, error });
                }
                AnnouncerAction::Stopped => self.forget_herald(now, torrent),
            }
        }
    }

    /// All that have to know of a torrent's end do. If it is there again, it can say so.
    fn forget_herald(&mut self, now: Instant, torrent: TorrentKey) {
        self.trackers.cancel(now, torrent);
        self.trackers.heralds.remove(&torrent);
        self.timers.set(Who::Herald(torrent), None);
        let next = self.trackers.of(torrent.0).next();
        let Some(next) = next else { return };
        if let Some(herald) = self.trackers.heralds.get_mut(&next) {
            herald.waits = false;
        }
        if self.torrents.get(&torrent.0).is_some_and(|running| running.added == next.1 && running.is_ready())
        {
            self.start_announcing(next);
        }
    }

    /// A thread has something to say to a question.
    pub(super) fn heard_of_tracker(&mut self, asked: Asked, news: TrackerNews) {
        match news {
            TrackerNews::Answered(answer) => self.answered(asked, answer),
            TrackerNews::Located(places, question) => {
                let herald = self.trackers.heralds.get(&asked.torrent);
                if herald.is_some_and(|herald| herald.by_udp.contains(&asked.id)) {
                    self.ask_by_udp(UdpEvent::Ask { key: asked, places, question });
                }
            }
        }
    }

    fn answered(&mut self, Asked { torrent, id }: Asked, answer: Result<Announced, TrackerError>) {
        if let Some(herald) = self.trackers.heralds.get_mut(&torrent) {
            herald.by_udp.retain(|asked| *asked != id);
        }
        self.announce(torrent, AnnouncerEvent::Answered(id, answer));
    }

    /// Something has happened to the questions that are asked by UDP.
    pub(super) fn ask_by_udp(&mut self, event: UdpEvent<'_, Asked>) {
        for action in self.trackers.udp.handle(Instant::now(), event) {
            match action {
                UdpAction::Send(to, datagram) => self.trackers.sockets.send(to, &datagram),
                UdpAction::Answered(asked, answer) => {
                    let answer = answer.and_then(|answer| match answer {
                        UdpAnswer::Announced(announced) => Ok(announced),
                        UdpAnswer::Scraped(_) => Err(TrackerError::Lacks("peers")),
                    });
                    self.answered(asked, answer);
                }
            }
        }
        self.timers.set(Who::Questions, self.trackers.udp.deadline());
    }

    /// A datagram came from one of the trackers, or from somebody who would like to be one.
    pub(super) fn received_from_tracker(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.ask_by_udp(UdpEvent::Received(from, datagram));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_farewell_is_the_last_word() {
        let (turn, said) = (Turn::default(), Mutex::new(Vec::new()));
        let say = |word| said.lock().unwrap().push(word);
        let (begun, begins) = mpsc::channel();
        let (go_on, waits) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                turn.say(move || {
                    begun.send(()).unwrap();
                    waits.recv().unwrap();
                    say("completed");
                })
            });
            begins.recv().unwrap();
            turn.left.store(true, Ordering::SeqCst);
            scope.spawn(|| turn.say_last(|| say("stopped")));
            go_on.send(()).unwrap();
        });
        assert_eq!(turn.say(|| say("again")), None);
        assert_eq!(*said.lock().unwrap(), ["completed", "stopped"]);
    }
}
