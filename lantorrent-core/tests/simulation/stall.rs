//! A child that says it is alive and takes nothing, by hand: the world's hosts are not that stubborn.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_core::session::{Input, LinkId, Now, Output, Plan, Seed, SourceSession, Timing};
use lantorrent_core::wire::{
    Code, Destination, HeaderReader, Keyring, Line, LineWriter, Nonce, Password, Report, Request, Wire,
};

const CHILD: LinkId = LinkId(0);

fn outputs(session: &mut SourceSession) -> Vec<Output> {
    std::iter::from_fn(|| session.poll()).collect()
}

/// A source whose only child has just said that it is ready, and what goes on writing the child's lines.
fn feeding(now: Now, keys: &Keyring) -> (SourceSession, LineWriter) {
    let requests = vec![Request { filename: "/a".into(), id: "1".into(), rename: true }];
    let node =
        Destination { host: "child".into(), port: 2893, index: 0, requests, degree: None, block_size: None };
    let plan = Plan {
        wire: Wire::Two,
        destinations: vec![node],
        degree: 1,
        block_size: 4096,
        length: Some(1 << 20),
        source: None,
        begun: None,
        min_rate: None,
        sparse: false,
        cancelled: BTreeSet::new(),
    };
    let mut source = SourceSession::new(now, plan, keys.clone(), Timing::default(), Seed([1; 32]));
    outputs(&mut source);
    source.handle(now, Input::Connected(CHILD, SocketAddr::from(([10, 0, 0, 1], 2893))));
    let [Output::Send(_, bytes)] = &outputs(&mut source)[..] else { panic!("no header") };
    let (_, signed) = HeaderReader::default().push(bytes).unwrap();
    let header = signed.unwrap().verify(keys).unwrap();
    let challenge = Nonce([2; 16]);
    let key = keys.line_key(&header.envelope.unwrap().nonce, &challenge).unwrap();
    let mut lines = LineWriter::new(key);
    for line in [Line::Challenge { challenge }, Line::Accepted, Line::Ready { offset: 0 }] {
        source.handle(now, Input::Bytes(CHILD, &lines.encode(&line)));
    }
    assert!(outputs(&mut source).contains(&Output::Feed(CHILD, 0)));
    (source, lines)
}

/// Lets time pass while the child says that it is alive. Returns the report and when it came.
fn wait(takes: impl Fn(Duration) -> bool) -> (Report, Duration) {
    let keys = Keyring::new(Password::new("a secret of many bytes"));
    let start = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let (mut source, mut lines) = feeding(start, &keys);
    for half_seconds in 1..10_000 {
        let passed = Duration::from_millis(500) * half_seconds;
        let now = start + passed;
        source.handle(now, Input::Bytes(CHILD, &lines.encode(&Line::Alive)));
        if takes(passed) {
            source.handle(now, Input::Sent(CHILD, 0));
        }
        source.handle(now, Input::Tick);
        for output in outputs(&mut source) {
            if let Output::Report(report) = output {
                return (report, passed);
            }
        }
    }
    panic!("it was waited for for ever");
}

#[test]
fn who_lives_and_takes_nothing_is_lost_in_the_end() {
    let (report, passed) = wait(|_| false);
    assert_eq!(report.code, Code::NEVER_REPORTED);
    assert!(report.message.contains("took no data"), "{}", report.message);
    let stall = Timing::default().stall;
    assert!((stall..stall + Duration::from_secs(2)).contains(&passed), "{passed:?}");
}

#[test]
fn a_source_that_has_nothing_to_send_loses_nobody() {
    let hour = Duration::from_secs(3600);
    let (_, passed) = wait(|passed| passed < hour);
    assert!(passed + Duration::from_secs(1) >= hour + Timing::default().stall, "{passed:?}");
}
