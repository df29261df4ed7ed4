use std::collections::BTreeMap;

use super::*;
use crate::agent::request::Wanted;
use crate::agent::testing::{self, Random};

const RULES: Rules = Rules { batch: 3, wait: Duration::from_secs(5), sends: 2 };

fn record(source: &str, host: &str, path: &str) -> Arc<Record> {
    let wanted = Wanted { destination: path.into(), ..testing::wanted(source, host) };
    Arc::new(testing::record("r", wanted))
}

/// Lanes under a clock that is moved by hand.
struct Bench {
    batching: Batching,
    start: Instant,
}

impl Bench {
    fn new(rules: Rules) -> Self {
        Self { batching: Batching::new(rules), start: Instant::now() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn arrive(&mut self, seconds: u64, ticket: Ticket, source: &str) {
        let now = self.at(seconds);
        self.batching.arrive(now, ticket, record(source, &format!("node{ticket}"), "/dst"));
    }

    fn next(&mut self, seconds: u64) -> Option<(String, Vec<Ticket>)> {
        let now = self.at(seconds);
        self.batching.next(now).map(|load| (load.source.to_string(), load.tickets))
    }

    fn deadline(&self) -> Option<u64> {
        self.batching.deadline().map(|deadline| deadline.duration_since(self.start).as_secs())
    }
}

fn load(source: &str, tickets: &[Ticket]) -> (String, Vec<Ticket>) {
    (source.into(), tickets.to_vec())
}

#[test]
fn enough_of_them_go_at_once() {
    let mut bench = Bench::new(RULES);
    bench.arrive(0, 1, "a");
    bench.arrive(1, 2, "a");
    assert_eq!((bench.next(1), bench.deadline()), (None, Some(6)));
    bench.arrive(2, 3, "a");
    assert_eq!(bench.next(2), Some(load("a", &[1, 2, 3])));
    assert_eq!(bench.deadline(), None);
}

#[test]
fn each_waits_for_the_next_but_the_first_not_for_ever() {
    let rules = Rules { batch: 100, ..RULES };
    let mut bench = Bench::new(rules);
    bench.arrive(0, 0, "quiet");
    for second in 0..50 {
        assert_eq!(
            bench.next(second),
            if second == 5 { Some(load("quiet", &[0])) } else { None },
            "{second}"
        );
        bench.arrive(second, 1 + second, "trickle");
    }
    assert_eq!(bench.deadline(), Some(50));
    let all: Vec<Ticket> = (1..=50).collect();
    assert_eq!(bench.next(50), Some(load("trickle", &all)));
}

#[test]
fn whoever_wants_to_wait_for_ever_may() {
    let mut bench = Bench::new(Rules { wait: Duration::MAX, ..RULES });
    bench.arrive(0, 1, "a");
    assert_eq!(bench.next(1_000_000_000), None);
    assert!(bench.deadline().is_some());
}

#[test]
fn one_transfer_of_a_source_and_no_more_than_so_many() {
    let mut bench = Bench::new(Rules { batch: 1, ..RULES });
    for (ticket, source) in [(1, "a"), (2, "b"), (3, "c")] {
        bench.arrive(ticket, ticket, source);
    }
    assert_eq!(bench.next(9), Some(load("a", &[1])));
    bench.arrive(9, 4, "a");
    assert_eq!(bench.next(9), Some(load("b", &[2])));
    assert_eq!((bench.next(99), bench.deadline()), (None, None));
    bench.batching.ended("a");
    // c has waited for longer than what came for a.
    assert_eq!(bench.next(9), Some(load("c", &[3])));
    bench.batching.ended("b");
    assert_eq!(bench.next(9), Some(load("a", &[4])));
    bench.batching.reconfigure(Rules { batch: 1, sends: 3, ..RULES });
    bench.arrive(9, 5, "d");
    assert_eq!(bench.next(9), Some(load("d", &[5])));
}

#[test]
fn what_is_withdrawn_does_not_go() {
    let mut bench = Bench::new(RULES);
    for ticket in 1..=3 {
        bench.arrive(0, ticket, "a");
    }
    for ticket in [2, 2, 77] {
        bench.batching.withdraw(ticket);
    }
    // Two are not enough any more.
    assert_eq!((bench.next(0), bench.deadline()), (None, Some(5)));
    bench.batching.withdraw(1);
    bench.batching.withdraw(3);
    assert_eq!((bench.next(99), bench.deadline()), (None, None));
}

#[test]
fn a_batch_fits_into_a_header() {
    let mut bench = Bench::new(RULES);
    let now = bench.start;
    // So many files on one node are all that a header takes; the others wait.
    for ticket in 0..1_500 {
        bench.batching.arrive(now, ticket, record("a", "one", "/dst"));
    }
    bench.batching.arrive(now, 1_500, record("a", "two", "/dst"));
    let first = bench.next(0).unwrap().1;
    assert_eq!(first.len(), limits::REQUESTS + 1);
    assert_eq!(first.last(), Some(&1_500));
    bench.batching.ended("a");
    assert_eq!(bench.next(0).unwrap().1.len(), 500);
    bench.batching.ended("a");

    // What is escaped counts as it is written.
    let path = format!("/{}", "\u{1}".repeat(1 << 14));
    for ticket in 0..100 {
        bench.batching.arrive(now, ticket, record("a", &ticket.to_string(), &path));
    }
    let mut sent = 0;
    while let Some((_, tickets)) = bench.next(0) {
        let json = serde_json::to_string(&path).unwrap().len();
        assert!(tickets.len() * json < MOST_BYTES, "{}", tickets.len());
        sent += tickets.len();
        bench.batching.ended("a");
    }
    assert_eq!(sent, 100);

    for ticket in 0..=MOST_REQUESTS as Ticket {
        bench.batching.arrive(now, ticket, record("a", &ticket.to_string(), "/dst"));
    }
    assert_eq!(bench.next(0).unwrap().1.len(), MOST_REQUESTS);
}

#[test]
fn no_character_takes_more_than_is_counted() {
    for c in (0..0x3000).chain(0x1_f600..0x1_f640).filter_map(char::from_u32) {
        let text = c.to_string();
        let written = serde_json::to_string(&text).unwrap().len() - 2;
        assert!(written <= escaped_bytes(c), "{c:?}");
    }
}

/// Random arrivals, withdrawals and ends under a simulated clock. Every request goes exactly once or is withdrawn; none
/// goes before its time; and none stays when it is old enough, its source is free, and there is a place.
#[test]
fn whatever_comes_each_goes_once_and_none_starves() {
    for seed in 0..300u64 {
        let mut random = Random(seed);
        let rules = Rules {
            batch: random.below(8) as usize + 1,
            wait: Duration::from_secs(random.below(10)),
            sends: random.below(4) as usize + 1,
        };
        let mut bench = Bench::new(rules);
        let mut waiting: BTreeMap<Ticket, (String, u64)> = BTreeMap::new();
        let mut running: Vec<String> = Vec::new();
        let (mut second, mut next_ticket) = (0, 0);
        for _ in 0..400 {
            match random.below(10) {
                0..=4 => {
                    let source = format!("source{}", random.below(5));
                    bench.arrive(second, next_ticket, &source);
                    waiting.insert(next_ticket, (source, second));
                    next_ticket += 1;
                }
                5 => {
                    let ticket = random.below(next_ticket + 1);
                    bench.batching.withdraw(ticket);
                    waiting.remove(&ticket);
                }
                6 if !running.is_empty() => {
                    let source = running.swap_remove(random.below(running.len() as u64) as usize);
                    bench.batching.ended(&source);
                }
                _ => second += random.below(4),
            }
            while let Some((source, tickets)) = bench.next(second) {
                assert!(!running.contains(&source) && running.len() < rules.sends, "seed {seed}");
                let of_source = waiting.values().filter(|(other, _)| *other == source).count();
                assert_eq!(tickets.len(), of_source, "seed {seed}: some were left behind");
                let arrivals: Vec<u64> =
                    tickets.iter().map(|ticket| waiting.remove(ticket).unwrap().1).collect();
                let wait = rules.wait.as_secs();
                let is_ready = tickets.len() >= rules.batch
                    || arrivals.iter().max().unwrap() + wait <= second
                    || arrivals.iter().min().unwrap() + 10 * wait <= second;
                assert!(is_ready, "seed {seed}: {arrivals:?} at {second}");
                running.push(source);
            }
            // Whatever is due went; and there is an alarm for what is not.
            let startable: Vec<u64> = waiting
                .values()
                .filter(|(source, _)| running.len() < rules.sends && !running.contains(source))
                .map(|&(_, since)| since)
                .collect();
            match startable.iter().min() {
                Some(oldest) => {
                    assert!(oldest + 10 * rules.wait.as_secs() > second, "seed {seed}: one starves");
                    let deadline = bench.deadline().unwrap();
                    assert!(
                        deadline > second && deadline <= oldest + 10 * rules.wait.as_secs(),
                        "seed {seed}"
                    );
                }
                None => assert_eq!(bench.deadline(), None, "seed {seed}"),
            }
        }
    }
}
