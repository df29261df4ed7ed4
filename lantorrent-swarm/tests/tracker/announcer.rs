//! When a torrent announces itself, and to whom, on a simulated clock.

use std::time::{Duration, Instant};

use lantorrent_swarm::tracker::{
    Announce, AnnounceEvent, Announced, Announcer, AnnouncerAction, AnnouncerEvent, AskId, Identity, Retry,
    Scrape, Standing, Stats, TrackerError,
};
use lantorrent_swarm::{InfoHash, PeerId, Seed, Url};

const AT_ONCE: AnnouncerEvent = AnnouncerEvent::Start { within: Duration::ZERO };
const SEED: Standing = Standing::new(Stats { uploaded: 0, downloaded: 0, left: 0 }, 0);

/// One announcer, the time that has passed, and where its torrent stands.
struct Lab {
    announcer: Announcer,
    start: Instant,
    now: Duration,
    standing: Standing,
}

/// A question that waits for its answer.
struct Question {
    id: AskId,
    host: String,
    announce: Announce,
    tracker_id: Option<Vec<u8>>,
}

impl Lab {
    /// Names of trackers, one tier in each string.
    fn new(tiers: &[&str]) -> Self {
        let url = |name: &str| -> Url { format!("http://{name}/announce").parse().unwrap() };
        let tiers: Vec<Vec<_>> = tiers.iter().map(|tier| tier.split(' ').map(url).collect()).collect();
        let who = Identity::new(InfoHash([1; 20]), PeerId::ours([2; 12]), 6881, 7);
        let stats = Stats { left: 1000, ..Stats::default() };
        Self {
            announcer: Announcer::new(who, &tiers, Seed([4; 32])),
            start: Instant::now(),
            now: Duration::ZERO,
            standing: Standing::new(stats, 100),
        }
    }

    fn does(&mut self, event: AnnouncerEvent) -> Vec<AnnouncerAction> {
        self.announcer.handle(self.start + self.now, self.standing, event)
    }

    /// The question that follows.
    fn asks(&mut self, event: AnnouncerEvent) -> Question {
        only_question(self.does(event))
    }

    /// Lets time pass until the deadline, and returns how much it was and the question that follows.
    fn waits(&mut self) -> (u64, Question) {
        let due = self.announcer.deadline().expect("a deadline").duration_since(self.start);
        let waited = due.saturating_sub(self.now);
        if !waited.is_zero() {
            self.now = due.saturating_sub(Duration::from_millis(1));
            assert_eq!(self.does(AnnouncerEvent::Tick), [], "too early");
        }
        self.now = due;
        (waited.as_secs(), self.asks(AnnouncerEvent::Tick))
    }

    fn answers(&mut self, question: &Question, announced: Announced) -> Vec<AnnouncerAction> {
        self.does(AnnouncerEvent::Answered(question.id, Ok(announced)))
    }

    fn fails(&mut self, question: &Question) -> Vec<AnnouncerAction> {
        let error = TrackerError::Unreachable("connection refused".into());
        self.does(AnnouncerEvent::Answered(question.id, Err(error)))
    }
}

fn questions(actions: Vec<AnnouncerAction>) -> Vec<Question> {
    let question = |action| match action {
        AnnouncerAction::Ask { id, tracker, announce, tracker_id } => {
            Some(Question { id, host: tracker.endpoint().0.to_owned(), announce, tracker_id })
        }
        _ => None,
    };
    actions.into_iter().filter_map(question).collect()
}

fn only_question(actions: Vec<AnnouncerAction>) -> Question {
    let [question] = <[Question; 1]>::try_from(questions(actions)).unwrap_or_else(|_| panic!("one question"));
    question
}

fn every(seconds: u64) -> Announced {
    announced(|it| it.interval = Some(Duration::from_secs(seconds)))
}

fn announced(fill: impl FnOnce(&mut Announced)) -> Announced {
    let mut announced = Announced::default();
    fill(&mut announced);
    announced
}

/// The tracker's answer, with the least time between two announcements.
fn not_sooner(least: Duration, mut announced: Announced) -> Announced {
    announced.min_interval = Some(least);
    announced
}

#[test]
fn a_life() {
    let mut lab = Lab::new(&["a"]);
    let question = lab.asks(AT_ONCE);
    assert_eq!((question.host.as_str(), question.announce.event), ("a", AnnounceEvent::Started));
    assert_eq!((question.announce.stats.left, question.announce.key), (1000, Some(7)));
    let found = vec!["10.0.0.1:6881".parse().unwrap()];
    let mut announced = every(100);
    announced.peers.clone_from(&found);
    announced.tracker_id = Some(b"id".to_vec());
    announced.warning = Some("old".into());
    let actions = lab.answers(&question, announced);
    let warning = AnnouncerAction::Warning("http://a/announce".parse().unwrap(), "old".into());
    assert_eq!(actions, [warning, AnnouncerAction::Found(found)]);

    let (waited, question) = lab.waits();
    assert!((90..=100).contains(&waited), "{waited}");
    assert_eq!(question.announce.event, AnnounceEvent::Regular);
    assert_eq!(question.tracker_id.as_deref(), Some(&b"id"[..]));
    assert_eq!(lab.answers(&question, every(100)), []);

    lab.standing = SEED;
    let question = lab.asks(AnnouncerEvent::Completed);
    assert_eq!((question.announce.event, question.announce.stats.left), (AnnounceEvent::Completed, 0));
    assert_eq!(lab.answers(&question, every(100)), []);
    let question = lab.waits().1;
    assert_eq!(question.announce.event, AnnounceEvent::Regular, "completed once only");
    assert_eq!(lab.answers(&question, every(100)), []);

    let question = lab.asks(AnnouncerEvent::Stop);
    assert_eq!((question.announce.event, question.announce.want), (AnnounceEvent::Stopped, Some(0)));
    assert_eq!(lab.answers(&question, every(100)), [AnnouncerAction::Stopped]);
    assert_eq!(lab.announcer.deadline(), None);
}

#[test]
fn the_next_tracker_is_asked_at_once_and_the_one_that_answers_comes_first() {
    let mut lab = Lab::new(&["a b", "c"]);
    let first = lab.asks(AT_ONCE);
    let second = only_question(lab.fails(&first));
    let third = only_question(lab.fails(&second));
    assert_eq!(third.host, "c");
    let hosts = [first.host.as_str(), &second.host];
    assert!(hosts == ["a", "b"] || hosts == ["b", "a"]);
    assert_eq!(lab.answers(&third, every(100)), []);

    let again = lab.waits().1;
    assert_eq!(again.host, first.host, "an earlier tier comes before the one that answered");
    let again = only_question(lab.fails(&again));
    assert_eq!((again.host.as_str(), again.announce.event), (second.host.as_str(), AnnounceEvent::Started));
    assert_eq!(lab.answers(&again, every(100)), []);
    assert_eq!(lab.waits().1.host, second.host, "it is the first of its tier now");
    // Both that have answered hear of the end.
    let farewells = questions(lab.does(AnnouncerEvent::Stop));
    assert_eq!(farewells.iter().map(|question| &*question.host).collect::<Vec<_>>(), [&*second.host, "c"]);
    assert_eq!(lab.fails(&farewells[0]), []);
    assert_eq!(lab.fails(&farewells[1]), [AnnouncerAction::Stopped]);
}

#[test]
fn when_all_fail_it_waits_ever_longer() {
    let mut lab = Lab::new(&["a", "b"]);
    let mut question = lab.asks(AT_ONCE);
    let mut waits = Vec::new();
    for _ in 0..12 {
        question = only_question(lab.fails(&question));
        assert_eq!(question.host, "b");
        assert!(matches!(lab.fails(&question)[..], [AnnouncerAction::Failed(..)]));
        let (waited, next) = lab.waits();
        waits.push(waited);
        question = next;
    }
    for (waited, least) in
        waits.into_iter().zip([15, 30, 60, 120, 240, 480, 960, 1800, 1800, 1800, 1800, 1800])
    {
        assert!((least..=least + least / 4).contains(&waited), "{waited} for {least}");
    }
}

#[test]
fn with_few_peers_it_asks_sooner_but_not_sooner_than_it_may() {
    let mut lab = Lab::new(&["a"]);
    lab.standing.peers = 2;
    let mut question = lab.asks(AT_ONCE);
    for expected in [40, 80, 160, 320] {
        lab.answers(&question, not_sooner(Duration::from_secs(40), every(3600)));
        let (waited, next) = lab.waits();
        assert_eq!(waited, expected);
        question = next;
    }
    lab.standing.peers = 50;
    lab.answers(&question, every(3600));
    let (waited, question) = lab.waits();
    assert!(waited >= 3240, "{waited}: there are enough now");
    lab.answers(&question, every(3600));
    lab.standing.peers = 0;
    assert!(lab.does(AnnouncerEvent::Tick).is_empty());
    let (waited, question) = lab.waits();
    assert_eq!(waited, 30, "they have gone");
    lab.answers(&question, every(3600));
    lab.standing = SEED;
    assert!(lab.does(AnnouncerEvent::Tick).is_empty());
    assert!(lab.waits().0 >= 3240, "a seed needs none");
}

#[test]
fn intervals_have_sane_bounds() {
    for (announced, least, most) in [
        (every(0), 30, 30),
        (every(u64::MAX), 6480, 7200),
        (Announced::default(), 1620, 1800),
        (not_sooner(Duration::MAX, every(100)), 100, 100),
    ] {
        let mut lab = Lab::new(&["a"]);
        let question = lab.asks(AT_ONCE);
        lab.answers(&question, announced.clone());
        let waited = lab.waits().0;
        assert!((least..=most).contains(&waited), "{waited} after {announced:?}");
    }
}

#[test]
fn a_tracker_that_refuses_is_left_alone_as_it_says() {
    let mut lab = Lab::new(&["a", "b"]);
    let refused = |retry| Err(TrackerError::Refused { reason: "full".into(), retry: Some(retry) });
    let question = lab.asks(AT_ONCE);
    let retry = Retry::After(Duration::from_secs(1000));
    let question = only_question(lab.does(AnnouncerEvent::Answered(question.id, refused(retry))));
    assert_eq!(question.host, "b");
    lab.answers(&question, every(500));
    let question = lab.waits().1;
    assert_eq!(question.host, "b", "the first has its rest");
    lab.answers(&question, every(600));
    let question = lab.waits().1;
    assert_eq!(question.host, "a", "it is over");
    let question = only_question(lab.does(AnnouncerEvent::Answered(question.id, refused(Retry::Never))));
    assert!(matches!(
        lab.does(AnnouncerEvent::Answered(question.id, refused(Retry::Never)))[..],
        [AnnouncerAction::Failed(..)]
    ));
    assert_eq!(lab.announcer.deadline(), None, "nobody is left to ask");
}

#[test]
fn a_tracker_that_never_answers_is_given_up() {
    let mut lab = Lab::new(&["a", "b"]);
    let question = lab.asks(AT_ONCE);
    let (waited, next) = lab.waits();
    assert_eq!((waited, next.host.as_str()), (180, "b"));
    assert_eq!(lab.answers(&question, every(60)), [], "too late");
    lab.answers(&next, every(60));
    // Nor does the end wait for it.
    lab.asks(AnnouncerEvent::Stop);
    lab.now += Duration::from_secs(5);
    assert_eq!(lab.does(AnnouncerEvent::Tick), [AnnouncerAction::Stopped]);
}

#[test]
fn who_is_being_asked_hears_of_the_end_and_who_never_was_does_not() {
    let mut lab = Lab::new(&["a", "b"]);
    lab.asks(AT_ONCE);
    let question = lab.asks(AnnouncerEvent::Stop);
    assert_eq!((question.host.as_str(), question.announce.event), ("a", AnnounceEvent::Stopped));
    let mut lab = Lab::new(&["a"]);
    assert_eq!(lab.does(AnnouncerEvent::Start { within: Duration::from_secs(60) }), []);
    assert_eq!(lab.does(AnnouncerEvent::Stop), [AnnouncerAction::Stopped]);
}

#[test]
fn a_torrent_completed_while_it_is_announced_says_so_next() {
    let mut lab = Lab::new(&["a"]);
    let question = lab.asks(AT_ONCE);
    lab.standing = SEED;
    assert_eq!(lab.does(AnnouncerEvent::Completed), []);
    let question = only_question(lab.answers(&question, every(100)));
    assert_eq!(question.announce.event, AnnounceEvent::Completed);
}

#[test]
fn torrents_that_start_together_come_apart() {
    let start = Instant::now();
    let within = Duration::from_secs(100);
    let mut early = 0;
    for number in 0..200 {
        let who = Identity::new(InfoHash([1; 20]), PeerId([2; 20]), 1, 7);
        let tiers = [vec!["udp://a:1".parse().unwrap()]];
        let mut announcer = Announcer::new(who, &tiers, Seed([number; 32]));
        assert!(announcer.handle(start, SEED, AnnouncerEvent::Start { within }).is_empty());
        let due = announcer.deadline().unwrap().duration_since(start);
        assert!(due <= within);
        early += u32::from(due < within / 2);
    }
    assert!((70..130).contains(&early), "{early}");
}

#[test]
fn without_a_tracker_nothing_happens() {
    let mut announcer =
        Announcer::new(Identity::new(InfoHash([1; 20]), PeerId([2; 20]), 1, 7), &[], Seed([0; 32]));
    assert_eq!(announcer.handle(Instant::now(), SEED, AT_ONCE), []);
    assert_eq!(announcer.deadline(), None);
}

#[test]
fn a_seed_calls_nobody_where_all_are_seeds() {
    let peers = vec!["10.0.0.1:7".parse().unwrap()];
    let counts = |seeds, leechers| Scrape { seeds, leechers, completed: 0 };
    for (standing, scrape, calls) in [
        (SEED, counts(5, 0), false),
        (SEED, counts(5, 1), true),
        (SEED, counts(0, 0), true),
        (Standing::new(Stats { left: 1, ..Stats::default() }, 0), counts(5, 0), true),
    ] {
        let mut lab = Lab::new(&["a"]);
        lab.standing = standing;
        let question = lab.asks(AT_ONCE);
        assert_eq!(question.announce.want, Some(if standing.stats.left == 0 { 20 } else { 80 }));
        let announced = announced(|it| (it.peers, it.scrape) = (peers.clone(), scrape));
        let found = if calls { vec![AnnouncerAction::Found(peers.clone())] } else { Vec::new() };
        assert_eq!(lab.answers(&question, announced), found, "{scrape:?}");
    }
}
