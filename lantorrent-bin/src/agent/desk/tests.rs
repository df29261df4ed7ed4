use std::collections::BTreeMap;

use super::*;
use crate::agent::clerk::{Refusal, RefusalKind};
use crate::agent::testing::{Random, wanted};

const RETRIES: Retries = Retries { attempts: 3, pause: Duration::from_secs(10) };
const RULES: Rules = Rules { batch: 2, wait: Duration::from_secs(5), sends: 2 };
const KEEP: Duration = Duration::from_secs(1000);

/// Said of a batch that is over, and of no interest to anybody.
const TOO_LATE: Code = Code(999);

fn policy() -> Policy {
    Policy { rules: RULES, retries: RETRIES, keep: KEEP, topology: Topology::default() }
}

/// A desk with what its thread, the disk and the nodes would be.
struct Bench {
    desk: Desk,
    now: Now,
    disk: BTreeMap<Ticket, Record>,
    /// Whether the disk takes nothing.
    full: bool,
    events: Vec<Event>,
    batches: BTreeMap<BatchId, Batch>,
    /// Those that are over.
    past: Vec<Batch>,
    effects: Vec<Effect>,
    random: Random,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let now = Now { clock: Instant::now(), date: Timestamp(1_000_000) };
        Self {
            desk: Desk::new(now, Vec::new(), policy()),
            now,
            disk: BTreeMap::new(),
            full: false,
            events: Vec::new(),
            batches: BTreeMap::new(),
            past: Vec::new(),
            effects: Vec::new(),
            random: Random(seed),
        }
    }

    fn pass(&mut self, seconds: u64) {
        let time = Duration::from_secs(seconds);
        self.now = Now { clock: self.now.clock + time, date: self.now.date.after(time) };
    }

    /// What the thread does in one turn. None if the disk is full.
    fn turn<T>(&mut self, ask: impl FnOnce(&mut Draft<'_>) -> T) -> Option<T> {
        let mut draft = self.desk.draft(self.now);
        for event in &self.events {
            self.desk.note(&mut draft, event, &mut || self.random.next());
        }
        draft.expire(KEEP, 100);
        let answer = ask(&mut draft);
        let changes = draft.finish();
        if self.full && !changes.is_empty() {
            return None;
        }
        for (&ticket, change) in &changes {
            match change {
                Change::Put(record) => self.disk.insert(ticket, Record::clone(record)),
                Change::Remove(_) => self.disk.remove(&ticket),
            };
        }
        self.effects.extend(self.desk.apply(self.now, &changes));
        for event in self.events.drain(..) {
            if let Event::Ended { batch, .. } = event {
                self.desk.ended(batch);
            }
        }
        Some(answer)
    }

    fn start(&mut self) {
        while let Some(batch) = self.desk.start(self.now) {
            self.batches.insert(batch.id, batch);
        }
    }

    /// Killed, and started again.
    fn restart(&mut self) {
        let waiting = |record: &Record| match record.state {
            State::Sending => Record { state: State::Waiting, ..record.clone() },
            _ => record.clone(),
        };
        let records = self.disk.iter().map(|(&ticket, record)| (ticket, waiting(record))).collect();
        self.desk = Desk::new(self.now, records, policy());
        self.batches.clear();
        self.past.clear();
        self.effects.clear();
        self.events = vec![Event::Restarted];
    }

    fn submit(&mut self, id: &str, source: &str) -> Result<(), Refusal> {
        self.turn(|draft| draft.submit(vec![(id.into(), wanted(source, "node"))])).unwrap().map(drop)
    }

    fn report(&mut self, batch: BatchId, id: &str, code: Code) {
        let result = Verdict { code, reason: String::new() };
        self.events.push(Event::Reported { batch, id: id.into(), at: self.now.date, result });
    }

    fn end(&mut self, batch: BatchId, code: Option<Code>) {
        let rest = code.map(|code| Verdict { code, reason: String::new() });
        self.events.push(Event::Ended { batch, at: self.now.date, rest });
        self.past.extend(self.batches.remove(&batch));
    }

    fn state(&self, id: &str) -> State {
        self.desk.queue.find(id).unwrap().state
    }

    /// Starts the only batch that there is.
    fn sent(&mut self) -> BatchId {
        self.pass(5);
        self.start();
        assert_eq!(self.batches.len(), 1);
        *self.batches.keys().next().unwrap()
    }
}

#[test]
fn a_failure_is_tried_again_after_a_pause() {
    let mut bench = Bench::new(1);
    bench.submit("r", "/a").unwrap();
    for attempt in 1..=3 {
        let batch = bench.sent();
        bench.desk.began(batch, "t");
        bench.report(batch, "r", Code::CANNOT_CONNECT);
        bench.end(batch, None);
        bench.turn(|_| ()).unwrap();
        let record = bench.desk.queue.find("r").unwrap();
        assert_eq!(record.attempts.len(), attempt);
        assert_eq!(record.attempts[0].transfer.as_deref(), Some("t"));
        if attempt < 3 {
            assert_eq!(record.state, State::Waiting);
            let pause = record.retry_at.unwrap().since(bench.now.date).as_secs();
            let doubled = 10 << (attempt - 1);
            assert!((doubled * 3 / 4..=doubled * 5 / 4).contains(&pause), "{pause}");
            bench.pass(pause - 1);
            bench.start();
            assert!(bench.batches.is_empty());
            bench.pass(2);
            bench.start();
        }
    }
    assert_eq!(bench.state("r"), State::Failed);
    let totals = bench.desk.totals;
    assert_eq!((totals.submitted, totals.retries, totals.failed), (1, 2, 1));
    bench.pass(KEEP.as_secs());
    bench.turn(|_| ()).unwrap();
    assert!(bench.desk.queue.find("r").is_none() && bench.disk.is_empty());
}

#[test]
fn what_nobody_mends_fails_at_once() {
    let mut bench = Bench::new(1);
    bench.submit("r", "/a").unwrap();
    let batch = bench.sent();
    bench.end(batch, Some(Code::NOT_ALLOWED));
    bench.turn(|_| ()).unwrap();
    assert_eq!(bench.state("r"), State::Failed);
}

#[test]
fn an_interruption_is_no_attempt() {
    let mut bench = Bench::new(1);
    bench.submit("r", "/a").unwrap();
    let batch = bench.sent();
    bench.end(batch, None);
    bench.turn(|_| ()).unwrap();
    let record = bench.desk.queue.find("r").unwrap();
    assert_eq!((record.state, record.attempts.len()), (State::Waiting, 0));
    bench.sent();
}

/// In every state a request can be in, with what is said to the nodes.
#[test]
fn cancelling() {
    let mut bench = Bench::new(1);
    // Waiting, and never sent.
    bench.submit("fresh", "/a").unwrap();
    bench.turn(|draft| draft.cancel("fresh").unwrap()).unwrap();
    assert_eq!((bench.state("fresh"), bench.effects.len()), (State::Cancelled, 0));
    // Being sent: three ways in which that ends.
    for (code, end) in [
        (Some(Code::SUCCESS), State::Done),
        (Some(Code::CANCELLED), State::Cancelled),
        (Some(Code::CANNOT_CONNECT), State::Cancelled),
        (None, State::Cancelled),
    ] {
        let id = format!("sent-{code:?}").replace(['(', ')'], "");
        bench.submit(&id, "/a").unwrap();
        let batch = bench.sent();
        for _ in 0..2 {
            bench.turn(|draft| draft.cancel(&id).unwrap()).unwrap();
            assert_eq!(bench.state(&id), State::Sending);
        }
        // Once, however often it is asked for.
        assert_eq!(std::mem::take(&mut bench.effects), [Effect::Cancel { batch, id: id.clone() }]);
        bench.end(batch, code);
        bench.turn(|_| ()).unwrap();
        assert_eq!(bench.state(&id), end, "{code:?}");
        let cleaned = std::mem::take(&mut bench.effects);
        assert_eq!(cleaned.len(), usize::from(code.is_none()), "{code:?}");
        // It has ended, and that is no error.
        assert_eq!(bench.turn(|draft| draft.cancel(&id).unwrap().state), Some(end));
    }
    // Waiting for its next attempt.
    bench.submit("again", "/a").unwrap();
    let batch = bench.sent();
    bench.end(batch, Some(Code::CANNOT_CONNECT));
    bench.turn(|_| ()).unwrap();
    bench.turn(|draft| draft.cancel("again").unwrap()).unwrap();
    let record = Arc::clone(bench.desk.queue.find("again").unwrap());
    assert_eq!(record.state, State::Cancelled);
    assert_eq!(bench.effects, [Effect::Clean(record)]);
    bench.pass(100);
    bench.start();
    assert!(bench.batches.is_empty());
}

#[test]
fn what_was_taken_back_before_a_restart_ends_by_it() {
    let mut bench = Bench::new(1);
    bench.submit("r", "/a").unwrap();
    let batch = bench.sent();
    bench.turn(|draft| draft.cancel("r").unwrap()).unwrap();
    // An orderly stop leaves it to the next start, as a kill does.
    bench.desk.phase = Phase::Stopping;
    bench.end(batch, None);
    bench.turn(|_| ()).unwrap();
    assert_eq!(bench.state("r"), State::Waiting);
    bench.restart();
    bench.pass(100);
    bench.start();
    assert!(bench.batches.is_empty());
    bench.turn(|_| ()).unwrap();
    assert_eq!(bench.state("r"), State::Cancelled);
    assert!(matches!(bench.effects.as_slice(), [Effect::Clean(record)] if record.id == "r"));
    // And so may what waited have been begun before.
    bench.submit("s", "/a").unwrap();
    bench.restart();
    bench.turn(|draft| draft.cancel("s").unwrap()).unwrap();
    assert!(matches!(bench.effects.as_slice(), [Effect::Clean(record)] if record.id == "s"));
}

#[test]
fn a_clock_that_is_put_back_does_not_keep_requests_waiting() {
    let mut bench = Bench::new(1);
    bench.submit("r", "/a").unwrap();
    let batch = bench.sent();
    bench.end(batch, Some(Code::CANNOT_CONNECT));
    bench.turn(|_| ()).unwrap();
    bench.now.date = Timestamp(5);
    bench.restart();
    bench.turn(|_| ()).unwrap();
    bench.pass(RETRIES.longest_pause(1).as_secs() + 1);
    bench.start();
    bench.sent();
}

#[test]
fn a_clock_that_is_put_back_during_an_attempt_does_not_keep_its_request_waiting() {
    for by in [200, 3600, 86_400] {
        let mut bench = Bench::new(1);
        bench.now.date = Timestamp(1_000_000_000);
        bench.submit("r", "/a").unwrap();
        let batch = bench.sent();
        bench.now.date = Timestamp(bench.now.date.0 - by * 1000);
        bench.end(batch, Some(Code::CANNOT_CONNECT));
        bench.turn(|_| ()).unwrap();
        let record = bench.desk.queue.find("r").unwrap();
        assert!(record.retry_at.unwrap().since(bench.now.date) <= RETRIES.longest_pause(1), "{by} s");
        assert!(record.attempts[0].ended >= record.attempts[0].started);
        bench.pass(RETRIES.longest_pause(1).as_secs() + 1);
        bench.start();
        bench.sent();
    }
}

#[test]
fn a_chain_is_ordered_by_address() {
    let mut bench = Bench::new(1);
    let hosts = ["10.0.0.10", "b", "10.0.0.9", "a"];
    let list = hosts.map(|host| (host.to_owned(), wanted("/a", host))).to_vec();
    bench.turn(|draft| draft.submit(list).unwrap()).unwrap();
    bench.start();
    let batch = bench.batches.values().next().unwrap();
    let order: Vec<&str> = batch.requests.iter().map(|record| record.wanted.host.as_str()).collect();
    assert_eq!(order, ["10.0.0.9", "10.0.0.10", "a", "b"]);
}

/// Random asks, results, ends, kills and full disks under a simulated clock, against a plain model of what callers were
/// told. Nothing acknowledged is lost, nothing ends twice, and in the end everything has ended.
#[test]
fn whatever_happens_nothing_is_lost_and_nothing_ends_twice() {
    for seed in 0..200 {
        let mut bench = Bench::new(seed);
        // What callers know: the id, and its end once it was seen.
        let mut told: BTreeMap<String, Option<Record>> = BTreeMap::new();
        for step in 0..300 {
            act(&mut bench, &mut told, step);
            verify(&bench, &mut told, seed);
        }
        bench.full = false;
        for _ in 0..300 {
            finish(&mut bench);
            verify(&bench, &mut told, seed);
        }
        assert!(told.values().all(Option::is_some), "seed {seed}: {told:?}");
        assert_eq!(bench.desk.queue.count()[..2], [0, 0], "seed {seed}");
    }
}

fn act(bench: &mut Bench, told: &mut BTreeMap<String, Option<Record>>, step: u64) {
    let choice = bench.random.below(20);
    let any_id = format!("r{}", bench.random.below(step + 1));
    match choice {
        0..=5 => {
            let id = format!("r{step}");
            let source = format!("/{}", bench.random.below(3));
            let list = vec![(id.clone(), wanted(&source, "node"))];
            if bench.turn(|draft| draft.submit(list).unwrap()).is_some() {
                told.insert(id, None);
            }
        }
        6 => drop(bench.turn(|draft| draft.cancel(&any_id).map(drop))),
        7 => {
            if let Some(Ok(())) = bench.turn(|draft| draft.acknowledge(&any_id)) {
                told.remove(&any_id);
            }
        }
        8..=12 => {
            let code = [Code::SUCCESS, Code::LOST, Code::CANNOT_CONNECT, Code::CANCELLED];
            let code = code[bench.random.below(4) as usize];
            let sent: Vec<(BatchId, String)> = bench
                .batches
                .iter()
                .flat_map(|(&batch, sent)| sent.requests.iter().map(move |record| (batch, record.id.clone())))
                .collect();
            if !sent.is_empty() {
                let (batch, id) = &sent[bench.random.below(sent.len() as u64) as usize];
                // Often twice, which counts once.
                bench.report(*batch, id, code);
            }
        }
        13..=14 => {
            if let Some(&batch) = bench.batches.keys().next() {
                let code = [None, Some(Code::SUCCESS), Some(Code::SOURCE_FAILED)];
                let code = code[bench.random.below(3) as usize];
                bench.end(batch, code);
            }
        }
        15 => bench.full = !bench.full,
        17 if !bench.past.is_empty() => {
            let batch = &bench.past[bench.random.below(bench.past.len() as u64) as usize];
            let (batch, id) = (batch.id, batch.requests[0].id.clone());
            bench.report(batch, &id, TOO_LATE);
        }
        16 if bench.random.below(5) == 0 => bench.restart(),
        _ => {
            let seconds = bench.random.below(8);
            bench.pass(seconds);
        }
    }
    bench.turn(|_| ());
    bench.start();
}

/// Everybody is reached at last.
fn finish(bench: &mut Bench) {
    bench.pass(5);
    for batch in bench.batches.keys().copied().collect::<Vec<_>>() {
        bench.end(batch, Some(Code::SUCCESS));
    }
    bench.turn(|_| ()).unwrap();
    bench.start();
}

fn verify(bench: &Bench, told: &mut BTreeMap<String, Option<Record>>, seed: u64) {
    let queue = &bench.desk.queue;
    // Who was told an end sees the same one until it has been kept for long enough.
    told.retain(|_, end| {
        end.as_ref().and_then(|end| end.ended).is_none_or(|at| at.after(KEEP) > bench.now.date)
    });
    for (id, end) in told.iter_mut() {
        let record = queue.find(id).unwrap_or_else(|| panic!("seed {seed}: {id} is lost"));
        assert!(record.attempts.len() <= RETRIES.attempts, "seed {seed}: {record:?}");
        assert!(record.attempts.iter().all(|attempt| attempt.code != TOO_LATE), "seed {seed}: {record:?}");
        assert_eq!(record.ended.is_some(), record.state.is_final(), "seed {seed}: {record:?}");
        match end {
            Some(end) => assert_eq!(end, record.as_ref(), "seed {seed}"),
            None if record.state.is_final() => *end = Some(Record::clone(record)),
            None => {}
        }
    }
    let mut counts = [0; 5];
    for (ticket, record) in queue.iter() {
        counts[State::ALL.iter().position(|&state| state == record.state).unwrap()] += 1;
        // What is seen is on the disk, but for what is volatile.
        let on_disk = &bench.disk[&ticket];
        assert_eq!((&on_disk.attempts, on_disk.ended), (&record.attempts, record.ended), "seed {seed}");
    }
    assert_eq!(counts, queue.count(), "seed {seed}");
    assert_eq!(bench.desk.underway.len(), counts[1], "seed {seed}");
    assert_eq!(queue.len(), bench.disk.len(), "seed {seed}");
    let mut sources: Vec<&str> = bench.batches.values().map(|batch| batch.source.as_str()).collect();
    let batches = sources.len();
    sources.sort_unstable();
    sources.dedup();
    assert!(batches <= RULES.sends && sources.len() == batches, "seed {seed}");
}

#[test]
fn a_list_is_taken_as_a_whole_or_not_at_all() {
    let mut bench = Bench::new(1);
    let entry = |id: &str, source| (id.to_owned(), wanted(source, "node"));
    let refused =
        bench.turn(|draft| draft.submit(vec![entry("a", "/1"), entry("a", "/2")])).unwrap().unwrap_err();
    assert_eq!((refused.kind, refused.index), (RefusalKind::Conflict, Some(1)));
    assert_eq!(bench.desk.queue.len(), 0);
    // Within one commit, each sees what came before it.
    let answers = bench.turn(|draft| {
        [
            draft.submit(vec![entry("a", "/1"), entry("a", "/1"), entry("b", "/1")]).map(drop),
            draft.submit(vec![entry("c", "/1"), entry("b", "/2")]).map(drop),
            draft.cancel("b").map(drop),
            draft.acknowledge("b"),
            draft.submit(vec![entry("b", "/2")]).map(drop),
            draft.acknowledge("a"),
        ]
        .map(|answer| answer.map_err(|refusal| refusal.kind))
    });
    let conflict = Err(RefusalKind::Conflict);
    assert_eq!(answers.unwrap(), [Ok(()), conflict, Ok(()), Ok(()), Ok(()), conflict]);
    assert_eq!(bench.desk.queue.len(), 2);
    assert_eq!(bench.desk.queue.find("b").unwrap().wanted.source, "/2");
    assert!(bench.desk.queue.find("c").is_none());
}

#[test]
fn an_id_that_is_used_again_is_another_request() {
    let mut bench = Bench::new(1);
    bench.submit("r", "/a").unwrap();
    let first = bench.sent();
    bench.report(first, "r", Code::NOT_ALLOWED);
    bench.turn(|draft| draft.acknowledge("r")).unwrap().unwrap();
    bench.submit("r", "/b").unwrap();
    bench.pass(5);
    bench.start();
    assert_eq!(bench.state("r"), State::Sending);
    // The first batch is still on its way, and has nothing to say about the second request.
    bench.report(first, "r", Code::SUCCESS);
    bench.turn(|_| ()).unwrap();
    assert_eq!(bench.state("r"), State::Sending);
}
