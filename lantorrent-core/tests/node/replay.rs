//! Who has no password, and has only heard others use it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;

use lantorrent_core::wire::{Code, Keyring, Line, Password, ReportReader, Wire};

use crate::support::{
    BOTH, Peer, Proxy, TestNode, Way, content, exchange, header, keys, payload, reports, send, target,
    transfer,
};

/// A whole connection from a source to a node, overheard. The file is removed again.
fn overhear(wire: Wire, content: &[u8]) -> (TestNode, Vec<u8>) {
    let record = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&record);
    let tap = move |_, way, _, bytes: &mut [u8]| {
        if way == Way::Down {
            ear.lock().unwrap().extend_from_slice(bytes);
        }
    };
    let node = TestNode::behind(Arc::new(tap), |_| ());
    assert!(send(wire, content, [node.target("a")]).all_succeeded());
    std::fs::remove_file(node.path("a")).unwrap();
    let record = record.lock().unwrap().clone();
    (node, record)
}

/// Sends bytes, with or without an end behind them, and returns the code of the refusal.
fn refusal(address: SocketAddr, bytes: &[u8]) -> Code {
    let answer = exchange(address, bytes);
    let (_, report) = ReportReader::default().push(&answer).unwrap();
    report.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer))).code
}

/// Sends bytes that begin with a good header, and makes sure that they draw a challenge and nothing behind it: whatever
/// is not authentic would be damage to a sender.
fn challenged_in_vain(address: SocketAddr, bytes: &[u8]) {
    let answer = String::from_utf8(exchange(address, bytes)).unwrap();
    let (challenge, rest) = answer.split_once('\n').unwrap();
    assert!(challenge.contains("\"line\":\"challenge\""), "{answer}");
    assert_eq!(rest, "");
}

fn assert_empty(node: &mut TestNode) {
    node.stop();
    assert_eq!(node.names(), [""; 0]);
}

#[test]
fn an_overheard_transfer_opens_nothing_on_any_node() {
    let content = content(5000);
    let (node, all) = overhear(Wire::Two, &content);
    let header = all.windows(4).position(|window| window == b"EOH ").unwrap();
    let header = header + all[header..].iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let with_proof = header + lantorrent_core::wire::proof::PROOF_BYTES;
    assert!(with_proof < all.len());
    let parts = [&all[..header], &all[..with_proof], &all[..]];

    // To the same node. The old header draws a new challenge, and there it ends.
    for part in parts {
        challenged_in_vain(node.address, part);
        challenged_in_vain(node.own, part);
    }
    // While it is busy with something else.
    let busy = Peer::ready(crate::support::header(Wire::Two, &node, "b", 5), node.address);
    challenged_in_vain(node.address, &all);
    busy.write(&payload(&busy.header, b"fives"));
    assert_eq!(busy.codes(), [0]);
    std::fs::remove_file(node.path("b")).unwrap();

    // To another one.
    let mut other = TestNode::new();
    for part in parts {
        assert_eq!(refusal(other.address, part), Code::WRONG_NODE);
    }
    assert_empty(&mut other);

    // After a restart: same address, same folder.
    let (own, also) = (node.own, node.address);
    let folder = node.into_folder();
    let mut again = TestNode::at(own, folder, |config| config.also.push(also));
    for part in parts {
        challenged_in_vain(own, part);
    }
    assert_empty(&mut again);
}

#[test]
fn an_overheard_payload_is_worth_nothing_in_a_transfer_of_ones_own() {
    // The same file, from a holder of the password even: frames belong to their transfer.
    let content = content(5000);
    let mut node = TestNode::new();
    let first = header(Wire::Two, &node, "a", 5000);
    let frames = payload(&first, &content);
    let mut peer = Peer::ready(header(Wire::Two, &node, "a", 5000), node.address);
    peer.write(&frames);
    assert_eq!(peer.line(), Some(Line::Damaged { offset: 0 }));
    assert_eq!(peer.line(), None);
    assert_empty(&mut node);
}

#[test]
fn a_header_that_is_relayed_to_another_node_is_refused() {
    // Live, with all that both sides say.
    let content = content(5000);
    let mut victim = TestNode::new();
    let proxy = Proxy::new();
    let address = proxy.address;
    proxy.run(victim.own, Arc::new(|_, _, _, _: &mut [u8]| ()));
    let path = victim.path("a").to_str().unwrap().to_owned();
    let outcome = send(Wire::Two, &content, [target(address, path)]);
    assert_eq!(reports(&outcome)[0].code, Code::WRONG_NODE, "{outcome:?}");
    assert!(reports(&outcome)[0].message.contains(&address.to_string()), "{outcome:?}");
    assert_empty(&mut victim);
}

#[test]
fn another_password_opens_nothing() {
    let strangers = || {
        [
            Keyring::new(Password::new("guessed").unwrap())
                .with_wire_1(Password::new("guessed as well").unwrap())
                .unwrap(),
            // The password of the other wire.
            Keyring::new(Password::new(crate::support::NIMBUS).unwrap())
                .with_wire_1(Password::new(crate::support::PASSWORD).unwrap())
                .unwrap(),
            Keyring::new(Password::new("0").unwrap()).with_wire_1(Password::new("1").unwrap()).unwrap(),
        ]
    };
    let content = content(5000);
    for wire in BOTH {
        let mut node = TestNode::new();
        for stranger in strangers() {
            let header = header(wire, &node, "a", 5000);
            let bytes = [header.sign(&stranger).unwrap(), payload(&header, &content)].concat();
            assert_eq!(refusal(node.address, &bytes), Code::ACCESS_DENIED);
            // By the library: the source hears it too.
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("a"), &content).unwrap();
            let transfer = lantorrent_core::Transfer::from_file(folder.path().join("a"), stranger).unwrap();
            let outcome = transfer.wire(wire).to(node.target("a")).send().unwrap();
            assert_eq!(reports(&outcome)[0].code, Code::ACCESS_DENIED, "{outcome:?}");
        }
        assert_empty(&mut node);
    }
}

#[test]
fn a_wire_without_a_password_is_off() {
    let content = content(5000);
    for (wire, only) in [
        (Wire::One, Keyring::new(Password::new(crate::support::PASSWORD).unwrap())),
        (Wire::Two, Keyring::wire_1_only(Password::new(crate::support::NIMBUS).unwrap())),
    ] {
        let mut node = TestNode::with(|config| config.keys = only);
        let outcome = transfer(&content).wire(wire).to(node.target("a")).send().unwrap();
        assert_eq!(reports(&outcome)[0].code, Code::ACCESS_DENIED, "{outcome:?}");
        assert_empty(&mut node);
    }
}

#[test]
fn an_expired_header_opens_nothing() {
    let mut node = TestNode::new();
    for expires in [0, 1_600_000_000] {
        let mut header = header(Wire::Two, &node, "a", 5000);
        header.envelope.as_mut().unwrap().expires = expires;
        assert_eq!(refusal(node.address, &header.sign(&keys()).unwrap()), Code::EXPIRED);
    }
    assert_empty(&mut node);
}

#[test]
fn a_proof_for_another_challenge_opens_nothing() {
    use lantorrent_core::wire::proof;
    let mut node = TestNode::new();
    // Two connections with the same header: the proof of one is no proof on the other.
    let header = header(Wire::Two, &node, "a", 5);
    let nonce = header.envelope.as_ref().unwrap().nonce;
    let mut first = Peer::greet(header.clone(), node.address);
    let mut second = Peer::greet(header, node.address);
    let Some(Line::Challenge { challenge }) = first.line() else { panic!("no challenge") };
    let Some(Line::Challenge { challenge: other }) = second.line() else { panic!("no challenge") };
    assert_ne!(challenge, other);
    second.write(&proof::line(&keys(), &nonce, &challenge).unwrap());
    // A bare report would be damage here: the sender believes authentic lines alone.
    assert_eq!(second.said(), None);
    drop(first);
    assert_empty(&mut node);
}

#[test]
fn a_node_has_one_place_in_a_transfer() {
    let node = TestNode::new();
    let header = header(Wire::Two, &node, "a", 5);
    let first = Peer::ready(header.clone(), node.address);
    let mut other = header;
    other.node.index = 1;
    let mut second = Peer::greet(other, node.address);
    second.prove();
    assert_eq!(second.codes(), [Code::TAKING_PART.0]);
    first.write(&payload(&first.header, b"fives"));
    assert_eq!(first.codes(), [0]);
    node.assert_has("a", b"fives");
}

#[test]
fn a_list_that_leads_back_ends() {
    let content = content(50_000);
    for wire in BOTH {
        let (node, next) = (TestNode::new(), TestNode::new());
        // Under a name that the list does not know to be the same.
        let again = |name: &str| {
            let mut target = node.target(name);
            target.host = "localhost".into();
            target
        };
        let outcome = send(wire, &content, [node.target("a"), again("a"), next.target("c")]);
        match wire {
            // Wire 1 cannot know: these are two who want the same file, one after the other if they are lucky.
            Wire::One => {
                let codes = [reports(&outcome)[0].code, reports(&outcome)[1].code];
                assert!(codes.contains(&Code::SUCCESS), "{outcome:?}");
                assert!(codes.iter().all(|&code| code.is_success() || code == Code::IN_USE), "{outcome:?}");
            }
            Wire::Two => {
                assert!(reports(&outcome)[0].code.is_success(), "{outcome:?}");
                assert_eq!(reports(&outcome)[1].code, Code::TAKING_PART, "{outcome:?}");
            }
        }
        assert!(reports(&outcome)[2].code.is_success(), "{outcome:?}");
        node.assert_has("a", &content);
        next.assert_has("c", &content);
        assert_eq!(node.names(), ["a"]);
    }
}

#[test]
fn strangers_at_once_disturb_no_transfer() {
    let content = content(3 << 20);
    let (node, all) = overhear(Wire::Two, &content[..5000]);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| challenged_in_vain(node.address, &all)));
        }
        for wire in BOTH {
            assert!(send(wire, &content, [node.target("b")]).all_succeeded());
            node.assert_has("b", &content);
        }
    });
}
