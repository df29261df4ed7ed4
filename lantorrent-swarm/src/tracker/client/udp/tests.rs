//! Questions to UDP trackers on a simulated clock.

use super::*;
use crate::PeerId;
use crate::tracker::{AnnounceEvent, Stats};

type Action = UdpAction<u8>;

struct Lab {
    client: UdpClient<u8>,
    start: Instant,
}

fn tracker() -> SocketAddr {
    "10.0.0.1:6969".parse().unwrap()
}

fn question() -> UdpQuestion {
    let announce = Announce {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        port: 6881,
        stats: Stats::default(),
        event: AnnounceEvent::Started,
        want: None,
        key: None,
    };
    UdpQuestion::announce(&"udp://t:6969/announce".parse().unwrap(), announce)
}

impl Lab {
    fn new(sent_at_most: u32) -> Self {
        Self { client: UdpClient::new(Seed([3; 32]), sent_at_most), start: Instant::now() }
    }

    fn at(&mut self, seconds: u64, event: UdpEvent<'_, u8>) -> Vec<Action> {
        self.client.handle(self.start + Duration::from_secs(seconds), event)
    }

    fn ask(&mut self, seconds: u64, key: u8, question: UdpQuestion) -> Vec<Action> {
        self.at(seconds, UdpEvent::Ask { key, places: vec![tracker()], question })
    }

    fn hear(&mut self, seconds: u64, transaction: u32, answer: Answer) -> Vec<Action> {
        let datagram = Reply { transaction, answer }.write();
        self.at(seconds, UdpEvent::Received(tracker(), &datagram))
    }

    fn due(&self) -> Option<u64> {
        self.client.deadline().map(|due| due.duration_since(self.start).as_secs())
    }
}

/// The one datagram that is sent.
fn sent(actions: &[Action]) -> Request {
    let [UdpAction::Send(to, datagram)] = actions else { panic!("{actions:?}") };
    assert_eq!(*to, tracker());
    Request::read(datagram).unwrap()
}

fn announced() -> Answer {
    Answer::Announced { interval: 60, scrape: Scrape::default(), peers: vec!["10.0.0.9:9".parse().unwrap()] }
}

#[test]
fn a_connection_id_serves_for_a_minute() {
    let mut lab = Lab::new(3);
    let connect = sent(&lab.ask(0, 1, question()));
    assert_eq!(connect.question, Question::Connect);
    let request = sent(&lab.hear(1, connect.transaction, Answer::Connection(77)));
    let Question::Announce { connection: 77, target, .. } = request.question else { panic!() };
    assert_eq!(target, b"/announce");
    let actions = lab.hear(2, request.transaction, announced());
    let [UdpAction::Answered(1, Ok(UdpAnswer::Announced(announced)))] = &actions[..] else { panic!() };
    assert_eq!((announced.interval, announced.peers.len()), (Some(Duration::from_secs(60)), 1));
    assert_eq!(lab.due(), None);

    let torrents = vec![InfoHash([1; 20]), InfoHash([2; 20])];
    let request = sent(&lab.ask(60, 2, UdpQuestion::scrape(torrents.clone())));
    assert!(matches!(request.question, Question::Scrape { connection: 77, .. }));
    let scrapes = vec![Scrape { seeds: 1, ..Scrape::default() }; 2];
    let actions = lab.hear(61, request.transaction, Answer::Scraped(scrapes.clone()));
    let scraped = torrents.into_iter().zip(scrapes).collect();
    assert_eq!(actions, [UdpAction::Answered(2, Ok(UdpAnswer::Scraped(scraped)))]);
    assert_eq!(sent(&lab.ask(61, 3, question())).question, Question::Connect, "a minute is over");
}

#[test]
fn what_gets_lost_is_sent_again_ever_more_slowly() {
    let mut lab = Lab::new(9);
    let mut sent_at = vec![(0, sent(&lab.ask(0, 1, question())).transaction)];
    loop {
        let due = lab.due().unwrap();
        let actions = lab.at(due, UdpEvent::Tick);
        if matches!(actions[..], [UdpAction::Answered(1, Err(TrackerError::Silent))]) {
            assert_eq!(due, 7665);
            break;
        }
        sent_at.push((due, sent(&actions).transaction));
    }
    let times: Vec<u64> = sent_at.iter().map(|(time, _)| *time).collect();
    assert_eq!(times, [0, 15, 45, 105, 225, 465, 945, 1905, 3825]);
    assert!(sent_at.windows(2).all(|pair| pair[0].1 != pair[1].1), "transactions are not used twice");
}

#[test]
fn an_id_that_gets_old_while_the_question_is_lost_is_fetched_again() {
    let mut lab = Lab::new(9);
    let connect = sent(&lab.ask(0, 1, question())).transaction;
    sent(&lab.hear(0, connect, Answer::Connection(77)));
    let again = sent(&lab.at(15, UdpEvent::Tick));
    assert!(matches!(again.question, Question::Announce { connection: 77, .. }));
    sent(&lab.at(45, UdpEvent::Tick));
    assert_eq!(sent(&lab.at(105, UdpEvent::Tick)).question, Question::Connect);
}

#[test]
fn many_questions_fetch_one_id() {
    let mut lab = Lab::new(3);
    let connect = sent(&lab.ask(0, 0, question()));
    assert!((1..100).all(|key| lab.ask(0, key, question()).is_empty()));
    let actions = lab.hear(1, connect.transaction, Answer::Connection(1));
    assert_eq!(actions.len(), 100);
    lab.at(1, UdpEvent::Cancel(5));
    let keys: std::collections::BTreeSet<u8> = actions
        .iter()
        .flat_map(|action| {
            let request = sent(std::slice::from_ref(action));
            lab.hear(2, request.transaction, announced())
        })
        .filter_map(|action| if let UdpAction::Answered(key, Ok(_)) = action { Some(key) } else { None })
        .collect();
    assert_eq!(keys, (0..100).filter(|&key| key != 5).collect());
}

#[test]
fn the_first_address_that_answers_is_the_tracker() {
    let mut lab = Lab::new(3);
    let place = |last: u8| SocketAddr::from(([10, 0, 0, last], 6969));
    let places: Vec<SocketAddr> = (1..=4).map(place).collect();
    let mut at = lab.start;
    let ask = |lab: &mut Lab, at: Instant, event| lab.client.handle(at, event);
    let first = ask(&mut lab, at, UdpEvent::Ask { key: 1, places: places.clone(), question: question() });
    let [UdpAction::Send(to, datagram)] = &first[..] else { panic!("{first:?}") };
    let transaction = Request::read(datagram).unwrap().transaction;
    assert_eq!(*to, place(1));
    for last in 2..=3 {
        at += Duration::from_millis(250);
        assert_eq!(lab.client.deadline(), Some(at));
        let next = ask(&mut lab, at, UdpEvent::Tick);
        let [UdpAction::Send(to, datagram)] = &next[..] else { panic!("{next:?}") };
        assert_eq!((*to, Request::read(datagram).unwrap().transaction), (place(last), transaction));
    }
    // The second is something else, and of the last nothing was asked yet.
    let reply = |answer| Reply { transaction, answer }.write();
    let error = reply(Answer::Error(b"what?".to_vec()));
    assert_eq!(ask(&mut lab, at, UdpEvent::Received(place(2), &error)), []);
    assert_eq!(lab.client.deadline(), Some(at), "the next one is asked at once");
    let connection = reply(Answer::Connection(7));
    assert_eq!(ask(&mut lab, at, UdpEvent::Received(place(4), &connection)), []);
    let asked = ask(&mut lab, at, UdpEvent::Received(place(3), &connection));
    assert!(matches!(&asked[..], [UdpAction::Send(to, _)] if *to == place(3)), "{asked:?}");
    assert_eq!(lab.client.deadline(), Some(at + FIRST_WAIT), "no other is asked");
    // Who asks next asks there at once.
    let next = ask(&mut lab, at, UdpEvent::Ask { key: 2, places, question: question() });
    assert!(matches!(&next[..], [UdpAction::Send(to, _)] if *to == place(3)), "{next:?}");
}

#[test]
fn where_no_address_answers_all_are_asked_again() {
    let mut lab = Lab::new(2);
    let places: Vec<SocketAddr> = (1..=20).map(|last| SocketAddr::from(([10, 0, 0, last], 6969))).collect();
    let mut actions =
        lab.client.handle(lab.start, UdpEvent::Ask { key: 1, places: places.clone(), question: question() });
    let mut asked = Vec::new();
    loop {
        asked.extend(actions.iter().filter_map(|action| match action {
            UdpAction::Send(to, _) => Some(*to),
            UdpAction::Answered(..) => None,
        }));
        let Some(due) = lab.client.deadline() else { break };
        actions = lab.client.handle(due, UdpEvent::Tick);
    }
    assert_eq!(actions, [UdpAction::Answered(1, Err(TrackerError::Silent))]);
    assert_eq!(asked, [&places[..PLACES], &places[..PLACES]].concat());
}

#[test]
fn what_is_no_answer_changes_nothing() {
    let mut lab = Lab::new(3);
    let connect = sent(&lab.ask(0, 1, question())).transaction;
    let connection = Reply { transaction: connect, answer: Answer::Connection(7) }.write();
    let stranger = "10.0.0.2:6969".parse().unwrap();
    assert_eq!(lab.at(1, UdpEvent::Received(stranger, &connection)), []);
    assert_eq!(lab.hear(1, connect.wrapping_add(1), Answer::Connection(7)), []);
    assert_eq!(lab.hear(1, connect, announced()), [], "before the connection");
    assert_eq!(lab.at(1, UdpEvent::Received(tracker(), b"x")), []);
    let asked = sent(&lab.hear(1, connect, Answer::Connection(7))).transaction;
    assert_eq!(lab.hear(1, connect, Answer::Connection(7)), [], "once only");
    assert_eq!(lab.hear(1, asked, Answer::Scraped(Vec::new())), [], "something else was asked");
    let refused = TrackerError::Refused { reason: "no".into(), retry: None };
    assert_eq!(lab.hear(1, asked, Answer::Error(b"no".to_vec())), [UdpAction::Answered(1, Err(refused))]);
    assert_eq!(sent(&lab.ask(2, 2, question())).question, Question::Connect, "its id may be the error");
}
