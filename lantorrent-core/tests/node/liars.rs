//! A relay that knows the password and lies about the nodes behind it: each of them has the file in the end, and what the
//! source says of it is true.

use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use lantorrent_core::wire::{Code, Destination, Header, Line, Nonce, Report, SealedReport, Verb, Wire};
use lantorrent_core::{NodeConfig, Transfer};

use crate::support::{
    Child, DeadPort, FakeNode, Peer, TestNode, codes, content, header_for, keys, short, transfer,
};
use crate::with::with;

/// What a relay does that has let its upstream in: first when the payload is about to come, then when it is over, with its
/// sum.
#[derive(Clone, Copy)]
struct Lie {
    early: fn(&mut Child),
    late: fn(&mut Child, &str),
}

impl Lie {
    const NONE: Self = Self { early: |_| (), late: |_, _| () };

    fn early(early: fn(&mut Child)) -> Self {
        Self { early, ..Self::NONE }
    }

    fn late(late: fn(&mut Child, &str)) -> Self {
        Self { late, ..Self::NONE }
    }

    /// A relay that serves none of those behind it.
    fn node(self) -> FakeNode {
        FakeNode::raw(move |mut child| {
            if child.header.envelope.as_ref().unwrap().verb != Verb::Send {
                return;
            }
            child.line(&Line::ACCEPTED);
            child.line(&Line::Ready { offset: 0 });
            (self.early)(&mut child);
            let Some(sum) = child.swallow() else { return };
            (self.late)(&mut child, &sum);
            let own = child.report(Code::SUCCESS, Some(&sum));
            child.say(&own);
            let _ = child.socket.shutdown(Shutdown::Write);
            child.wait();
        })
    }
}

/// Every honest node is served and believed: in a chain and in a tree, with and without a check.
fn harms_none(lie: Lie) {
    for degree in [1, 2] {
        for checks in [true, false] {
            let content = content(100_000);
            let soon = |config: &mut NodeConfig| config.timing = short(1000);
            let nodes = [TestNode::with(soon), TestNode::apart(soon), TestNode::with(soon)];
            let liar = lie.node();
            let mut targets: Vec<_> = nodes.iter().map(|node| node.target("a")).collect();
            // In the middle of the chain, or at the head of the first of two.
            let place = usize::from(degree == 1);
            targets.insert(place, liar.target());
            let begin = transfer(&content).degree(degree).block_size(4096).timing(short(1000));
            let begin = if checks { begin } else { begin.no_check() };
            let outcome = targets.into_iter().fold(begin, Transfer::to).send().unwrap();
            let mut said = codes(&outcome);
            said.remove(place);
            assert_eq!(said, [0; 3], "degree {degree}, checks: {checks}: {outcome:?}");
            for node in &nodes {
                node.assert_has("a", &content);
            }
            liar.join();
        }
    }
}

/// A report about the first request of that node.
fn about(node: &Destination, by: u32, code: Code, sum: Option<&str>) -> Report {
    with(Report::refusal(code, "believe me"), |it| {
        it.host = Some(node.host.clone());
        it.port = Some(node.port);
        it.file = Some(node.requests[0].filename.clone());
        it.id = Some(node.requests[0].id.clone());
        it.root = sum.map(str::to_owned);
        it.index = Some(node.index);
        it.by = Some(by);
    })
}

/// Says that of each node behind, under the key that every node of the transfer has.
fn say_of_all(child: &mut Child, report: impl Fn(&Destination) -> Report) {
    let key = keys().result_key(&child.header.envelope.as_ref().unwrap().transfer).unwrap();
    for node in child.header.destinations.clone() {
        child.line(&Line::Result(SealedReport::seal(&report(&node), &key)));
    }
}

#[test]
fn a_success_before_the_node_has_the_file_is_not_believed() {
    harms_none(Lie::late(|child, sum| {
        say_of_all(child, |node| about(node, node.index, Code::SUCCESS, Some(sum)));
    }));
    harms_none(Lie::early(|child| {
        say_of_all(child, |node| about(node, node.index, Code::SUCCESS, None));
    }));
}

#[test]
fn a_success_that_names_no_node_is_none() {
    harms_none(Lie::late(|child, sum| {
        say_of_all(child, |node| {
            with(about(node, node.index, Code::SUCCESS, Some(sum)), |it| it.index = None)
        });
    }));
}

#[test]
fn a_failure_in_the_name_of_a_node_is_not_believed() {
    for code in [Code::CANNOT_OPEN, Code::WRONG_CHECKSUM, Code::NEVER_REPORTED, Code::CANCELLED] {
        let lie = match code {
            Code::CANNOT_OPEN => Lie::early(|child| {
                say_of_all(child, |node| about(node, node.index, Code::CANNOT_OPEN, None));
            }),
            Code::WRONG_CHECKSUM => Lie::late(|child, _| {
                say_of_all(child, |node| about(node, node.index, Code::WRONG_CHECKSUM, None));
            }),
            Code::NEVER_REPORTED => Lie::early(|child| {
                say_of_all(child, |node| about(node, node.index, Code::NEVER_REPORTED, None));
            }),
            _ => Lie::late(|child, _| {
                say_of_all(child, |node| about(node, node.index, Code::CANCELLED, None));
            }),
        };
        harms_none(lie);
    }
}

#[test]
fn hearsay_in_the_name_of_a_third_is_not_the_last_word() {
    harms_none(Lie::early(|child| {
        let last = child.header.destinations.last().map(|node| node.index);
        let others =
            |node: &Destination| if Some(node.index) == last { node.index - 1 } else { node.index + 1 };
        say_of_all(child, |node| about(node, others(node), Code::CANNOT_CONNECT, None));
    }));
}

#[test]
fn results_under_a_key_that_no_node_has_are_not_believed() {
    harms_none(Lie::late(|child, sum| {
        let key = keys().node_key(&Nonce([1; 16]), &Nonce([2; 16])).unwrap();
        for node in child.header.destinations.clone() {
            for code in [Code::NO_SPACE, Code::SUCCESS] {
                let report = about(&node, node.index, code, Some(sum));
                child.line(&Line::Result(SealedReport::seal(&report, &key)));
            }
        }
    }));
}

#[test]
fn a_relay_that_says_nothing_of_those_behind_it_delays_them() {
    harms_none(Lie::NONE);
}

#[test]
fn a_relay_that_has_no_other_upstream_and_says_so_delays_those_behind_it() {
    harms_none(Lie::early(|child| child.line(&Line::Left)));
}

fn at(node: &Destination) -> SocketAddr {
    SocketAddr::new(node.host.parse().unwrap(), node.port)
}

/// A header from a relay to a node behind it.
fn onward(child: &Child, node: &Destination) -> Header {
    let mut header = child.header.clone();
    let envelope = header.envelope.as_mut().unwrap();
    (envelope.from, envelope.to) = (Some(child.header.node.index), at(node));
    // Another than upstream's.
    envelope.nonce.0[0] ^= 1;
    (header.node, header.destinations) = (node.clone(), Vec::new());
    header
}

/// What a node says to the relay that asks it in the middle of the transfer.
fn asked_of(
    child: &Child,
    node: &Destination,
    verb: Verb,
    from: Option<u32>,
    file: &str,
) -> Vec<SealedReport> {
    let mut header = onward(child, node);
    header.node.requests[0].filename = file.into();
    let envelope = header.envelope.as_mut().unwrap();
    (envelope.verb, envelope.from) = (verb, from);
    let mut peer = Peer::greet(header, at(node));
    peer.prove();
    peer.sealed()
}

fn replay(child: &mut Child, verb: Verb, from: Option<u32>, file: Option<&str>) {
    for node in child.header.destinations.clone() {
        let file = file.unwrap_or(&node.requests[0].filename);
        let answers = asked_of(child, &node, verb, from, file);
        assert!(!answers.is_empty(), "there is something to replay");
        for sealed in answers {
            child.line(&Line::Result(sealed));
        }
    }
}

#[test]
fn what_a_node_answers_to_a_relay_that_asks_is_no_result() {
    // The check finds that the file could be written, or that another could not; and the node knows of no transfer yet.
    harms_none(Lie::early(|child| replay(child, Verb::Check, Some(child.header.node.index), None)));
    harms_none(Lie::early(|child| replay(child, Verb::Check, Some(child.header.node.index), Some("/no/a"))));
    harms_none(Lie::early(|child| replay(child, Verb::Query, Some(child.header.node.index), None)));
}

#[test]
fn what_a_node_answers_to_a_relay_that_plays_the_source_is_no_result() {
    harms_none(Lie::early(|child| replay(child, Verb::Check, None, None)));
    harms_none(Lie::early(|child| replay(child, Verb::Check, None, Some("/no/a"))));
    harms_none(Lie::early(|child| replay(child, Verb::Query, None, None)));
}

#[test]
fn a_node_that_is_not_at_its_end_is_waited_for() {
    for code in [Code::CANNOT_OPEN, Code::SUCCESS] {
        let content = content(100_000);
        let node = TestNode::new();
        let liar = FakeNode::raw(move |mut child| {
            if child.header.envelope.as_ref().unwrap().verb != Verb::Send {
                return;
            }
            child.line(&Line::ACCEPTED);
            child.line(&Line::Ready { offset: 0 });
            // The node is let in, and waits: it has no answer to the source's question.
            let behind =
                child.header.destinations.first().map(|node| Peer::ready(onward(&child, node), at(node)));
            let Some(sum) = child.swallow() else { return };
            say_of_all(&mut child, |node| about(node, node.index, code, Some(&sum)));
            let own = child.report(Code::SUCCESS, Some(&sum));
            child.say(&own);
            child.wait();
            drop(behind);
        });
        let begin = transfer(&content).timing(with(short(1000), |it| it.check = Duration::from_millis(300)));
        let outcome = begin.to(liar.target()).to(node.target("a")).no_check().send().unwrap();
        assert_eq!(codes(&outcome), [0, 0], "{code}: {outcome:?}");
        node.assert_has("a", &content);
        liar.join();
    }
}

#[test]
fn a_node_that_was_asked_for_another_file_has_not_the_one_that_was_meant() {
    let content = content(100_000);
    for checks in [true, false] {
        let node = TestNode::with(|config| config.timing = short(1000));
        let other = node.path("b").to_str().unwrap().to_owned();
        let liar = FakeNode::raw(move |mut child| {
            if child.header.envelope.as_ref().unwrap().verb != Verb::Send {
                return;
            }
            child.line(&Line::ACCEPTED);
            child.line(&Line::Ready { offset: 0 });
            let behind = child.header.destinations.first().map(|node| {
                let mut header = onward(&child, node);
                header.node.requests[0].filename.clone_from(&other);
                Peer::ready(header, at(node))
            });
            let Some((bytes, sum)) = child.record() else { return };
            if let Some(mut behind) = behind {
                behind.write(&bytes);
                for sealed in behind.sealed() {
                    child.line(&Line::Result(sealed));
                }
            }
            let own = child.report(Code::SUCCESS, Some(&sum));
            child.say(&own);
            let _ = child.socket.shutdown(Shutdown::Write);
            child.wait();
        });
        let begin = transfer(&content).to(liar.target()).to(node.target("a")).timing(short(1000));
        let outcome = if checks { begin } else { begin.no_check() }.send().unwrap();
        assert_eq!(node.path("a").exists(), codes(&outcome)[1] == 0, "{outcome:?}");
        liar.join();
    }
}

#[test]
fn a_child_does_not_speak_in_the_name_of_its_parent() {
    let node = TestNode::with(|config| config.timing = short(1000));
    let fake = FakeNode::new(|mut child| {
        let key = keys().node_key(&Nonce([1; 16]), &Nonce([2; 16])).unwrap();
        let last = child.header.destinations[0].clone();
        let said = about(&last, 0, Code::CANNOT_CONNECT, None);
        child.line(&Line::Result(SealedReport::seal(&said, &key)));
        child.wait();
    });
    let nobody = DeadPort::new();
    let mut header = header_for(Wire::Two, &[&node, &node, &node], &["a"], Some(9));
    header.destinations[0].port = fake.address.port();
    header.destinations[1].port = nobody.address.port();
    let mut source = Peer::greet(header, node.address);
    source.prove();
    let result = |line| if let Line::Result(sealed) = line { Some(sealed) } else { None };
    let sealed = std::iter::from_fn(|| source.line()).find_map(result).expect("it says what it knows");
    let said = sealed.open(&source.node_key()).expect("its own word");
    assert_eq!((said.index, said.by, said.code), (Some(2), Some(0), Code::LOST), "{said:?}");
    source.give_up();
    drop(source);
    fake.join();
}
