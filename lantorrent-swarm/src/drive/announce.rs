//! Torrents announce themselves to their trackers: by HTTP in threads, by UDP through the loop.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lantorrent_core::runtime::look_up_within;
use lantorrent_core::runtime::{Mailbox, Timers, Workers};

use super::alert::TorrentWarning;
use super::datagrams::Pair;
use super::http::{Ask, Client, HttpError};
use super::lookup::without_escape;
use super::message::Message;
use super::packing;
use super::peer_sources::SourceNews;
use super::running::{Running, TorrentKey, Torrents};
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
    client: Client,
    mailbox: Arc<Mailbox<Message>>,
    /// As whom torrents announce themselves, and where they take connections.
    identity: (PeerId, u16),
    entropy: Entropy,
    key: u32,
    timers: Timers<Timer>,
    news: Vec<SourceNews>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Timer {
    /// A torrent announces itself.
    Herald(TorrentKey),
    /// What was asked by UDP is asked again.
    Questions,
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
    pub(super) fn new(
        (threads, sockets): (Workers, Pair),
        identity: (PeerId, u16),
        (client, mailbox): (Client, Arc<Mailbox<Message>>),
        seed: Seed,
    ) -> Self {
        let mut entropy = Entropy::new(seed);
        Self {
            heralds: BTreeMap::new(),
            udp: UdpClient::new(entropy.seed(), SENT),
            sockets,
            threads,
            client,
            mailbox,
            identity,
            timers: Timers::default(),
            news: Vec::new(),
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
    pub(super) fn add(&mut self, torrent: TorrentKey, tiers: &[Vec<Url>]) {
        let (peer_id, port) = self.identity;
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
    fn ask(&mut self, asked: Asked, question: (Url, Announce, Option<Vec<u8>>)) {
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
        let (client, mailbox) = (self.client.clone(), Arc::clone(&self.mailbox));
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

impl Trackers {
    /// When something has to be done although nothing is heard.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant, torrents: &Torrents) {
        for timer in self.timers.due(now) {
            match timer {
                Timer::Herald(torrent) => self.handle(torrent, AnnouncerEvent::Tick, torrents),
                Timer::Questions => self.ask_by_udp(UdpEvent::Tick, torrents),
            }
        }
    }

    /// What has come of it since the last call.
    pub(super) fn take_news(&mut self) -> Vec<SourceNews> {
        std::mem::take(&mut self.news)
    }

    /// The torrent announces itself from now on. Nothing changes if it does so already.
    pub(super) fn start(&mut self, torrent: TorrentKey, torrents: &Torrents) {
        let waits = self.heralds.get(&torrent).is_none_or(|herald| herald.waits);
        let fetching = torrents.get(&torrent.0).is_some_and(|torrent| !torrent.machine.is_complete());
        // A user waits for what is fetched.
        let others = if fetching { 0 } else { torrents.len() as u32 };
        if !waits {
            let within = Duration::from_secs(1) * others / STARTED;
            self.handle(torrent, AnnouncerEvent::Start { within }, torrents);
        }
    }

    /// The torrent is going to be let go. Its trackers hear of it.
    pub(super) fn stop(&mut self, torrent: TorrentKey, torrents: &Torrents) {
        self.cancel(Instant::now(), torrent);
        if let Some(herald) = self.heralds.get(&torrent) {
            herald.turn.left.store(true, Ordering::SeqCst);
        }
        self.handle(torrent, AnnouncerEvent::Stop, torrents);
    }

    /// Something has happened to the announcements of a torrent.
    pub(super) fn handle(&mut self, torrent: TorrentKey, event: AnnouncerEvent, torrents: &Torrents) {
        let now = Instant::now();
        let Some(herald) = self.heralds.get_mut(&torrent) else { return };
        if let Some(running) = torrents.get(&torrent.0).filter(|running| running.added == torrent.1) {
            herald.standing = running.standing(now);
        }
        let actions = herald.announcer.handle(now, herald.standing, event);
        self.timers.set(Timer::Herald(torrent), herald.announcer.deadline());
        for action in actions {
            match action {
                AnnouncerAction::Ask { id, tracker, announce, tracker_id } => {
                    self.ask(Asked { torrent, id }, (tracker, announce, tracker_id));
                }
                AnnouncerAction::Found(peers) => {
                    self.news.push(SourceNews::Found(torrent.0, Origin::Tracker, peers));
                }
                AnnouncerAction::Warning(tracker, text) => {
                    let warning = TorrentWarning::Tracker { url: tracker.to_string(), text };
                    self.news.push(SourceNews::Warning(torrent.0, warning));
                }
                AnnouncerAction::Failed(tracker, error) => {
                    let warning = TorrentWarning::TrackerFailed { url: tracker.to_string(), error };
                    self.news.push(SourceNews::Warning(torrent.0, warning));
                }
                AnnouncerAction::Stopped => self.forget(now, torrent, torrents),
            }
        }
    }

    /// All that have to know of a torrent's end do. If it is there again, it can say so.
    fn forget(&mut self, now: Instant, torrent: TorrentKey, torrents: &Torrents) {
        self.cancel(now, torrent);
        self.heralds.remove(&torrent);
        self.timers.set(Timer::Herald(torrent), None);
        let Some(next) = self.of(torrent.0).next() else { return };
        if let Some(herald) = self.heralds.get_mut(&next) {
            herald.waits = false;
        }
        let running = torrents.get(&torrent.0).filter(|running| running.added == next.1);
        if running.is_some_and(Running::is_ready) {
            self.start(next, torrents);
        }
    }

    /// A thread has something to say to a question.
    pub(super) fn heard(&mut self, asked: Asked, news: TrackerNews, torrents: &Torrents) {
        match news {
            TrackerNews::Answered(answer) => self.answered(asked, answer, torrents),
            TrackerNews::Located(places, question) => {
                let herald = self.heralds.get(&asked.torrent);
                if herald.is_some_and(|herald| herald.by_udp.contains(&asked.id)) {
                    self.ask_by_udp(UdpEvent::Ask { key: asked, places, question }, torrents);
                }
            }
        }
    }

    fn answered(
        &mut self,
        Asked { torrent, id }: Asked,
        answer: Result<Announced, TrackerError>,
        torrents: &Torrents,
    ) {
        if let Some(herald) = self.heralds.get_mut(&torrent) {
            herald.by_udp.retain(|asked| *asked != id);
        }
        self.handle(torrent, AnnouncerEvent::Answered(id, answer), torrents);
    }

    /// Something has happened to the questions that are asked by UDP.
    fn ask_by_udp(&mut self, event: UdpEvent<'_, Asked>, torrents: &Torrents) {
        for action in self.udp.handle(Instant::now(), event) {
            match action {
                UdpAction::Send(to, datagram) => self.sockets.send(to, &datagram),
                UdpAction::Answered(asked, answer) => {
                    let answer = answer.and_then(|answer| match answer {
                        UdpAnswer::Announced(announced) => Ok(announced),
                        UdpAnswer::Scraped(_) => Err(TrackerError::Lacks("peers")),
                    });
                    self.answered(asked, answer, torrents);
                }
            }
        }
        self.timers.set(Timer::Questions, self.udp.deadline());
    }

    /// A datagram came from one of the trackers, or from a host that claims to be one.
    pub(super) fn received(&mut self, from: SocketAddr, datagram: &[u8], torrents: &Torrents) {
        self.ask_by_udp(UdpEvent::Received(from, datagram), torrents);
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
