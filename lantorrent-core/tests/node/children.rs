//! Children that lie, stall, babble and vanish.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use lantorrent_core::wire::{Code, Line, LineWriter, Nonce, Report, SealedReport, TransferId, Wire};
use lantorrent_core::{Outcome, Target, Transfer};

use crate::support::{
    BOTH, Child, FakeNode, Gate, TestNode, codes, content, in_parallel, keys, reports, short, transfer,
};
use crate::with::with;

const SIZE: usize = 50_000;

/// Sends to a hand-made node, and waits for both. Deadlines are short: some of these children are only ever found out
/// by time.
fn send_to(wire: Wire, script: impl Fn(Child) + Send + 'static) -> Report {
    let fake = FakeNode::new(script);
    let outcome = through(wire, &content(SIZE), [fake.target()]);
    fake.join();
    reports(&outcome).into_iter().next().unwrap()
}

fn through(wire: Wire, content: &[u8], targets: impl IntoIterator<Item = Target>) -> Outcome {
    let begin = transfer(content).wire(wire).timing(short(2000));
    let outcome = targets.into_iter().fold(begin, Transfer::to).send().unwrap();
    let mut ids: Vec<_> = outcome.reports().map(|report| report.id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), reports(&outcome).len(), "one result for each: {outcome:?}");
    outcome
}

#[test]
fn an_honest_one_is_believed() {
    // Otherwise everything below would prove nothing.
    for wire in BOTH {
        let report = send_to(wire, |mut child| {
            let sum = child.swallow().unwrap();
            let report = child.report(Code::SUCCESS, Some(&sum));
            child.say(&report);
            child.wait();
        });
        assert_eq!(report.code, Code::SUCCESS, "{report:?}");
    }
}

#[test]
fn a_success_for_other_content_is_none() {
    for wire in BOTH {
        let wrong = match wire {
            Wire::One => "0".repeat(32),
            Wire::Two => "0".repeat(64),
        };
        for sum in [Some(wrong), None, Some(String::new())] {
            let report = send_to(wire, move |mut child| {
                child.swallow();
                let report = child.report(Code::SUCCESS, sum.as_deref());
                child.say(&report);
                child.wait();
            });
            assert_eq!(report.code, Code::WRONG_CHECKSUM, "{report:?}");
        }
    }
}

#[test]
fn a_success_before_the_end_is_none() {
    for wire in BOTH {
        let gate = Arc::new(Gate::default());
        let wait = Arc::clone(&gate);
        let fake = FakeNode::new(move |mut child| {
            let report = child.report(Code::SUCCESS, Some("00"));
            child.say(&report);
            wait.open();
            child.swallow();
            child.wait();
        });
        let outcome = through(wire, &content(20 << 20), [fake.target()]);
        fake.join();
        assert!(!outcome.all_succeeded(), "{outcome:?}");
        gate.pass();
    }
}

#[test]
fn forged_results_are_not_believed() {
    type Forge = fn(&mut Child, &Report) -> Vec<u8>;
    let forgeries: [(&str, Forge); 6] = [
        ("a tag under the key of another transfer", |child, report| {
            let key = keys().result_key(&TransferId([9; 16])).unwrap();
            child.encode(&Line::Result(SealedReport::seal(report, &key)))
        }),
        ("a tag of another report", |child, report| {
            let bad = with(report.clone(), |it| it.code = Code::NO_SPACE);
            let key = child.result_key();
            let line = serde_json::to_string(&SealedReport::seal(&bad, &key)).unwrap();
            let other = serde_json::to_string(&SealedReport::seal(report, &key)).unwrap();
            let tag = |text: &str| text.rsplit_once("\"tag\":").unwrap().1.to_owned();
            let mixed = other.replace(&tag(&other), &tag(&line));
            assert_ne!(mixed, other);
            child.encode(&Line::Result(serde_json::from_str(&mixed).unwrap()))
        }),
        ("a line under the key of another connection", |child, report| {
            let key = keys().line_key(&Nonce([1; 16]), &Nonce([2; 16])).unwrap();
            let sealed = SealedReport::seal(report, &child.result_key());
            LineWriter::new(key).encode(&Line::Result(sealed))
        }),
        ("a line without a code", |child, report| {
            let sealed = SealedReport::seal(report, &child.result_key());
            let line = child.encode(&Line::Result(sealed));
            [&line[..line.len() - 46], b"\n"].concat()
        }),
        ("a bare report, as on wire 1", |_, report| (report.encode() + "\n").into_bytes()),
        ("a line that was left out before it", |child, report| {
            child.encode(&Line::Alive);
            let sealed = SealedReport::seal(report, &child.result_key());
            child.encode(&Line::Result(sealed))
        }),
    ];
    for (what, forge) in forgeries {
        let report = send_to(Wire::Two, move |mut child| {
            let sum = child.swallow().unwrap();
            let report = child.report(Code::SUCCESS, Some(&sum));
            let bytes = forge(&mut child, &report);
            child.write(&bytes);
            child.wait();
        });
        assert_eq!(report.code, Code::NEVER_REPORTED, "{what}: {report:?}");
    }
}

#[test]
fn lines_out_of_order_end_the_connection() {
    type Say = fn(&mut Child);
    let cases: [(&str, Say); 5] = [
        ("twice the same", |child| {
            let line = child.encode(&Line::Alive);
            child.write(&line.repeat(2));
        }),
        ("one in the other", |child| {
            let (one, two) = (child.encode(&Line::Alive), child.encode(&Line::Alive));
            let mixed: Vec<u8> = one.iter().zip(&two).flat_map(|(&one, &two)| [one, two]).collect();
            child.write(&mixed);
        }),
        ("ready once more", |child| child.line(&Line::Ready { offset: 0 })),
        ("another challenge", |child| child.line(&Line::Challenge { challenge: Nonce([3; 16]) })),
        ("a repair that nobody does", |child| child.line(&Line::Left)),
    ];
    for (what, say) in cases {
        let report = send_to(Wire::Two, move |mut child| {
            let sum = child.swallow().unwrap();
            say(&mut child);
            // Too late, however good it is.
            let report = child.report(Code::SUCCESS, Some(&sum));
            child.say(&report);
            child.wait();
        });
        assert_eq!(report.code, Code::NEVER_REPORTED, "{what}: {report:?}");
    }
}

#[test]
fn the_first_result_counts() {
    for wire in BOTH {
        for (first, then) in [(Code::SUCCESS, Code::NO_SPACE), (Code::NO_SPACE, Code::SUCCESS)] {
            let report = send_to(wire, move |mut child| {
                let sum = child.swallow().unwrap();
                for code in [first, then, first, then] {
                    let report = child.report(code, code.is_success().then_some(sum.as_str()));
                    child.say(&report);
                }
                child.wait();
            });
            assert_eq!(report.code, first, "{report:?}");
        }
    }
}

#[test]
fn on_wire_1_what_is_about_no_request_is_a_refusal_only_at_the_end() {
    // 0.2 relays such a report where the node behind it refuses.
    for refuses in [false, true] {
        let report = send_to(Wire::One, move |mut child| {
            child.say(&Report::refusal(Code::ACCESS_DENIED, "not you"));
            if refuses {
                return;
            }
            let sum = child.swallow().unwrap();
            let report = child.report(Code::SUCCESS, Some(&sum));
            child.say(&report);
            child.wait();
        });
        assert_eq!(report.code, if refuses { Code::ACCESS_DENIED } else { Code::SUCCESS }, "{report:?}");
    }
}

#[test]
fn results_about_others_change_nothing() {
    for wire in BOTH {
        let report = send_to(wire, move |mut child| {
            let sum = child.swallow().unwrap();
            let good = child.report(Code::SUCCESS, Some(&sum));
            for id in [Some("1"), Some(""), Some("no such request")] {
                child.say(&with(good.clone(), |it| it.id = id.map(str::to_owned)));
            }
            if wire == Wire::Two {
                child.say(&with(good.clone(), |it| {
                    it.index = Some(5);
                    it.by = Some(5);
                }));
                child.say(&with(good, |it| it.id = None));
            }
            child.socket.shutdown(Shutdown::Write).unwrap();
            child.wait();
        });
        assert!(!report.code.is_success(), "{report:?}");
    }
}

#[test]
fn a_child_has_no_say_in_what_becomes_of_its_parent() {
    let content = content(SIZE);
    for wire in BOTH {
        let node = TestNode::with(|config| config.timing = short(2000));
        let fake = FakeNode::new(move |mut child| {
            let own = child.report(Code::SUCCESS, None);
            let wire_2 = wire == Wire::Two;
            // At once, before the parent can have a result of its own.
            child.say(&with(own, |it| {
                it.id = Some("0".into());
                it.code = Code::NO_SPACE;
                it.index = wire_2.then_some(0);
                it.by = wire_2.then_some(0);
            }));
            let sum = child.swallow().unwrap();
            let report = child.report(Code::SUCCESS, Some(&sum));
            child.say(&report);
            child.wait();
        });
        let outcome = through(wire, &content, [node.target("a"), fake.target()]);
        fake.join();
        assert_eq!(codes(&outcome), [0, 0], "{outcome:?}");
        node.assert_has("a", &content);
    }
}

#[test]
fn endless_and_senseless_lines_end_the_connection() {
    for wire in BOTH {
        for piece in [&b"x"[..], b"{\"a\":\"", b"[", b"\n", b"{}", b"\0\xff", b"{\"code\":0}"] {
            let report = send_to(wire, move |child| {
                child.swallow();
                let piece = piece.repeat((64 << 10) / piece.len());
                let _all = (0..64).all(|_| child.write(&piece));
                let _ = child.socket.shutdown(Shutdown::Write);
                child.wait();
            });
            assert!(!report.code.is_success(), "{piece:?}: {report:?}");
        }
    }
}

#[test]
fn a_child_that_never_reads_is_given_up() {
    let content = content(24 << 20);
    in_parallel(4, 4, |number| {
        let (wire, through_node) = (BOTH[number % 2], number / 2 == 1);
        let node = TestNode::with(|config| config.timing = short(500));
        let done = Arc::new(Gate::default());
        let wait = Arc::clone(&done);
        // Not even that it is closed does it read.
        let fake = FakeNode::new(move |child| {
            wait.pass();
            drop(child);
        });
        let mut list = vec![fake.target()];
        if through_node {
            list.insert(0, node.target("a"));
        }
        let outcome = through(wire, &content, list);
        done.open();
        fake.join();
        let last = reports(&outcome).pop().unwrap();
        assert!(!last.code.is_success(), "{outcome:?}");
        if through_node {
            assert!(reports(&outcome)[0].code.is_success(), "{outcome:?}");
            node.assert_has("a", &content);
        }
    });
}

#[test]
fn a_child_that_resets_is_given_up_at_once() {
    let content = content(4 << 20);
    for wire in BOTH {
        // Default deadlines: nothing here waits for one.
        let node = TestNode::new();
        let fake = FakeNode::new(|child| {
            let mut bytes = vec![0; 50_000];
            std::io::Read::read_exact(&mut &child.socket, &mut bytes).unwrap();
            socket2::SockRef::from(&child.socket).set_linger(Some(Duration::ZERO)).unwrap();
        });
        let begin = transfer(&content).wire(wire).to(node.target("a")).to(fake.target());
        let outcome = begin.send().unwrap();
        fake.join();
        assert!(reports(&outcome)[0].code.is_success(), "{outcome:?}");
        assert!(!reports(&outcome)[1].code.is_success(), "{outcome:?}");
        node.assert_has("a", &content);
    }
}

#[test]
fn a_child_that_never_reports_is_given_up() {
    in_parallel(2, 2, |number| {
        let report = send_to(BOTH[number], |child| {
            child.swallow();
            child.wait();
        });
        assert!(!report.code.is_success(), "{report:?}");
    });
}

#[test]
fn an_impossible_offset_is_refused() {
    for offset in [1, SIZE as u64 + 1, u64::MAX] {
        let fake = FakeNode::raw(move |mut child| {
            child.line(&Line::ACCEPTED);
            child.line(&Line::Ready { offset });
            child.wait();
        });
        let outcome = through(Wire::Two, &content(SIZE), [fake.target()]);
        fake.join();
        // It was let in, so only it can know what became of its file; and it makes no sense.
        assert_eq!(codes(&outcome), [Code::NEVER_REPORTED.0], "{outcome:?}");
        assert!(reports(&outcome)[0].message.contains("impossible offset"), "{outcome:?}");
    }
}

#[test]
fn who_says_ready_before_accepted_is_skipped() {
    let next = TestNode::new();
    let content = content(SIZE);
    let fake = FakeNode::raw(|mut child| {
        child.line(&Line::Ready { offset: 0 });
        child.wait();
    });
    let outcome = through(Wire::Two, &content, [fake.target(), next.target("a")]);
    fake.join();
    assert_eq!(codes(&outcome), [Code::PROTOCOL.0, 0], "{outcome:?}");
    next.assert_has("a", &content);
}

#[test]
fn who_accepts_the_connection_and_no_more_is_skipped() {
    let next = TestNode::new();
    let content = content(SIZE);
    let mute = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let target = crate::support::target(mute.local_addr().unwrap(), "/a");
    let outcome = transfer(&content).timing(short(500)).to(target).to(next.target("a")).send().unwrap();
    assert_eq!(codes(&outcome), [Code::TIMED_OUT.0, 0], "{outcome:?}");
    next.assert_has("a", &content);
}
