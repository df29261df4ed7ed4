//! A child that says it is alive and takes nothing, and one that answers late, by hand: the world's hosts are not that
//! stubborn.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_core::session::{
    Answer, Ask, FeedInput, FeedOutput, FileInput, LinkId, LinkInput, LinkOutput, NodeInput, NodeOutput,
    NodeSession, Now, Opened, Plan, Proven, ReadBack, Seed, SourceInput, SourceOutput, SourceSession, Timing,
    UpstreamId,
};
use lantorrent_core::wire::{
    Code, Destination, Envelope, Features, Header, HeaderReader, Keyring, Line, LineWriter, Nonce, Password,
    Report, Request, RootHasher, SourceHint, Sum, TransferId, TransferKey, Wire,
};

use crate::with::with;

const CHILD: LinkId = LinkId(0);

fn outputs(session: &mut SourceSession) -> Vec<SourceOutput> {
    std::iter::from_fn(|| session.poll()).collect()
}

fn node(place: usize) -> Destination {
    Destination::new("10.0.0.1".into(), 2893, vec![Request::new("/a".into(), place.to_string())])
}

/// Of the transfer that a node takes part in.
fn key() -> TransferKey {
    TransferKey::new(&[1; 32])
}

/// What an empty file sums up to.
fn empty() -> Sum {
    Sum::Root(key().sign(0, 4096, RootHasher::new(4096).root()))
}

/// A source with so many nodes.
fn source(now: Now, keys: &Keyring, nodes: usize) -> SourceSession {
    let plan =
        with(Plan::new(Wire::Two, (0..nodes).map(node).collect(), 4096), |it| it.length = Some(1 << 20));
    SourceSession::new(now, plan, keys.clone(), Timing::default(), Seed([1; 32]))
}

/// The node is connected, and hears its header. Returns its challenge, and what goes on writing its lines.
fn connect(source: &mut SourceSession, now: Now, keys: &Keyring, link: LinkId) -> (Line, LineWriter) {
    outputs(source);
    source.handle(now, LinkInput::Connected(link, SocketAddr::from(([10, 0, 0, 1], 2893))));
    let [SourceOutput::Link(LinkOutput::Send(_, bytes))] = &outputs(source)[..] else { panic!("no header") };
    let (_, signed) = HeaderReader::default().push(bytes).unwrap();
    let header = signed.unwrap().verify(keys).unwrap();
    let challenge = Nonce([2; 16]);
    let key = keys.line_key(&header.envelope.unwrap().nonce, &challenge).unwrap();
    (Line::Challenge { challenge }, LineWriter::new(key))
}

/// A source whose only child has just said that it is ready, and what goes on writing the child's lines.
fn feeding(now: Now, keys: &Keyring, nodes: usize) -> (SourceSession, LineWriter) {
    let mut source = source(now, keys, nodes);
    let (challenge, mut lines) = connect(&mut source, now, keys, CHILD);
    for line in [challenge, Line::ACCEPTED, Line::Ready { offset: 0 }] {
        source.handle(now, LinkInput::Bytes(CHILD, &lines.encode(&line)));
    }
    assert!(outputs(&mut source).contains(&SourceOutput::Feed(FeedOutput::Feed(CHILD, 0))));
    (source, lines)
}

/// Lets time pass while the child says that it is alive. Returns the report and when it came.
fn wait(takes: impl Fn(Duration) -> bool) -> (Report, Duration) {
    let keys = Keyring::new(Password::new("a secret of many bytes").unwrap());
    let start = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let (mut source, mut lines) = feeding(start, &keys, 1);
    for half_seconds in 1..10_000 {
        let passed = Duration::from_millis(500) * half_seconds;
        let now = start + passed;
        source.handle(now, LinkInput::Bytes(CHILD, &lines.encode(&Line::Alive)));
        if takes(passed) {
            source.handle(now, FeedInput::Sent(CHILD, 0));
        }
        source.handle(now, SourceInput::Tick);
        for output in outputs(&mut source) {
            if let SourceOutput::Report(report) = output {
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

#[test]
fn a_second_question_says_nothing_of_who_answers_the_first() {
    let keys = Keyring::new(Password::new("a secret of many bytes").unwrap());
    let start = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let at = |millis| start + Duration::from_millis(millis);
    let mut source = source(start, &keys, 1);
    // In the chain it cannot be reached; then it is asked by itself.
    source.handle(start, LinkInput::Closed(CHILD, "connection refused".into()));
    let (first, second) = (LinkId(1), LinkId(2));
    let (challenge, mut lines) = connect(&mut source, start, &keys, first);
    let asked = |output: &SourceOutput| matches!(output, SourceOutput::Link(LinkOutput::Connect { link, .. }) if *link == second);
    source.handle(at(500), SourceInput::Tick);
    assert!(outputs(&mut source).iter().any(asked), "it is asked over a second connection");
    // Slowly it answers the first one, while nothing comes over the second.
    connect(&mut source, at(510), &keys, second);
    source.handle(at(600), LinkInput::Bytes(first, &lines.encode(&challenge)));
    source.handle(at(1100), SourceInput::Tick);
    let last = [Line::ACCEPTED, Line::Ready { offset: 0 }].map(|line| lines.encode(&line)).concat();
    source.handle(at(1200), LinkInput::Bytes(first, &last));
    assert!(outputs(&mut source).contains(&SourceOutput::Feed(FeedOutput::Feed(first, 0))));
    source.handle(at(1300), SourceInput::End { size: 1 << 20, sum: empty() });
    source.handle(at(1300), FeedInput::SentEnd(first));
    // It has everything now, and its connections break.
    source.handle(at(1400), LinkInput::Closed(first, "it reset the connection".into()));
    source.handle(at(1500), LinkInput::Closed(LinkId(3), "connection refused".into()));
    let reports: Vec<Code> = outputs(&mut source)
        .into_iter()
        .filter_map(|output| if let SourceOutput::Report(report) = output { Some(report.code) } else { None })
        .collect();
    assert_eq!(reports, [Code::NEVER_REPORTED]);
}

#[test]
fn who_steps_aside_from_an_abort_is_not_waited_for_long() {
    let keys = Keyring::new(Password::new("a secret of many bytes").unwrap());
    let start = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let (mut source, mut lines) = feeding(start, &keys, 3);
    source.handle(start, SourceInput::Stop);
    source.handle(start, LinkInput::Bytes(CHILD, &lines.encode(&Line::Aside)));
    source.handle(start, LinkInput::Closed(CHILD, "it closed the connection".into()));
    let outputs = outputs(&mut source);
    let reports = outputs.iter().filter(|output| matches!(output, SourceOutput::Report(_))).count();
    assert_eq!((reports, outputs.last()), (3, Some(&SourceOutput::Done)), "{outputs:?}");
}

/// A node with one file, open, that receives the payload from the source.
fn receiving() -> (NodeSession, Now, Timing) {
    let keys = Keyring::new(Password::new("a secret of many bytes").unwrap());
    let start = Now { instant: Instant::now(), unix: 1_700_000_000 };
    let (nonce, to) = (Nonce([2; 16]), SocketAddr::from(([10, 0, 0, 1], 2893)));
    let source = Some(with(SourceHint::new("a".into()), |it| it.size = Some(0)));
    let envelope = with(Envelope::new(key().signer(), nonce, 1_700_000_060, to), |it| {
        it.source = source;
        it.begun = Some(1);
    });
    let header = with(Header::new(node(0), Some(1 << 20), 4096), |it| it.envelope = Some(envelope));
    let lines = LineWriter::new(keys.line_key(&nonce, &Nonce([3; 16])).unwrap());
    let features = Features::default();
    let proven = Proven { header, lines: Some(lines), node_key: None, features };
    let timing = Timing::default();
    let mut node = NodeSession::new(start, UpstreamId(0), proven, keys, timing.clone(), Seed([1; 32]));
    let opened = Opened::new(ReadBack::Possible, 0);
    node.handle(start, FileInput::Opened(0, Ok(opened)));
    (node, start, timing)
}

#[test]
fn a_stop_that_comes_due_when_a_node_gives_up_ends_it_once() {
    let (mut node, start, timing) = receiving();
    node.handle(start, NodeInput::Halted { offset: 0, cause: None });
    node.handle(start, NodeInput::Stop(timing.orphan));
    let mut now = start;
    let mut ends = 0;
    while let Some(deadline) = node.deadline() {
        now.instant = deadline;
        node.handle(now, NodeInput::Tick);
        let outputs: Vec<NodeOutput> = std::iter::from_fn(|| node.poll()).collect();
        ends += outputs.iter().filter(|output| **output == NodeOutput::Done).count();
    }
    assert_eq!((now.instant - start.instant, ends), (timing.orphan, 1));
    assert_eq!(node.results(), None, "the transfer may begin anew");
}

#[test]
fn a_transfer_that_gives_way_while_its_file_is_placed_says_how_it_ended() {
    let (mut node, start, _) = receiving();
    let sum = empty();
    node.handle(start, NodeInput::End { size: 0, sum });
    node.handle(start, NodeInput::EndVerified(Ok(())));
    node.handle(start, FileInput::Written(0));
    let source = with(SourceHint::new("a".into()), |it| it.size = Some(0));
    let newer =
        Ask { transfer: TransferId([2; 16]), index: 0, from: None, begun: Some(2), source: Some(source) };
    let again = Ask { transfer: key().transfer(), begun: Some(1), ..newer.clone() };
    let mut answer = |ask| {
        node.handle(start, NodeInput::Asked(ask));
        std::iter::from_fn(|| node.poll()).find_map(|output| match output {
            NodeOutput::Answer(answer) => Some(answer),
            NodeOutput::Done => panic!("its file has its name by now, and nobody knows"),
            _ => None,
        })
    };
    assert_eq!(answer(newer), Some(Answer::Yes));
    assert_eq!(answer(again), Some(Answer::Finishing));
}
