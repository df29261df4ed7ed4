//! A connection from upstream until its sender has proven to know the password. Before that the node opens,
//! connects and adopts nothing. PROTOCOL.md, "Challenge and proof".

use core::net::SocketAddr;
use std::time::Instant;

use super::io::Now;
use super::timing::Timing;
use crate::wire::{
    Code, Features, Header, HeaderError, HeaderReader, Keyring, Line, LineWriter, Nonce, Report, ResultKey,
    Verb, Wire, proof,
};

/// What a node lets in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Gate {
    /// The passwords.
    pub keys: Keyring,
    /// Addresses besides the socket's own under which senders know this node, behind a translation for one.
    pub also: Vec<SocketAddr>,
    /// How long a greeting may take.
    pub timing: Timing,
    /// What may be asked for.
    pub verbs: &'static [Verb],
    /// What this node can do: a transfer that uses more is refused.
    pub features: Features,
}

impl Gate {
    /// Everything that this version speaks.
    pub const VERBS: &'static [Verb] = &[Verb::Send, Verb::Check, Verb::Query, Verb::Cancel];

    /// Of a node with those passwords, under no other address than its own, that can do all that this version can.
    pub fn new(keys: Keyring) -> Self {
        let (also, timing) = (Vec::new(), Timing::default());
        Self { keys, also, timing, verbs: Self::VERBS, features: Features::SUPPORTED }
    }
}

/// A header that is not only authentic but fresh, and what the connection goes on with.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "made by one part of the session for another")]
pub struct Proven {
    /// What is asked for.
    pub header: Header,
    /// Writes the lines of this connection; none on wire 1.
    pub lines: Option<LineWriter>,
    /// The key for this node's results that its source has as well: of this connection if the source has made it, else of
    /// a former one, as far as [`Admission`](crate::flow::admission::Admission) knows of any.
    pub node_key: Option<ResultKey>,
    /// What this node can do, for its `accepted` and the headers of its children.
    pub features: Features,
}

impl Proven {
    /// The line that says so to the sender.
    pub(crate) fn accepted(&self) -> Line {
        Line::Accepted { features: self.features.clone() }
    }
}

/// What came of some bytes.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to do what it says, whatever it is")]
pub enum HandshakeStep {
    /// More are needed.
    More,
    /// Write this, and go on.
    Reply(Vec<u8>),
    /// The sender is let in. What follows is payload.
    Proven(Box<Proven>),
    /// Write this, and close.
    Refused {
        /// A report, as the wire wants it. Empty behind a challenge, where the peer believes nothing but authentic lines.
        reply: Vec<u8>,
        /// For the node's own log: more than a stranger is told.
        why: String,
    },
}

/// Seconds that a header may be valid for. Whose header is valid for longer has another idea of the time.
const LATEST: u64 = 3600;

#[derive(Debug)]
enum State {
    Header(HeaderReader),
    Proof(proof::ProofReader, Box<Proven>),
    Over,
}

/// The greeting of one connection. Give it every byte that comes until it says [`HandshakeStep::Proven`] or
/// [`HandshakeStep::Refused`].
#[derive(Debug)]
pub struct Incoming {
    gate: Gate,
    local: Option<SocketAddr>,
    challenge: Nonce,
    state: State,
    deadline: Instant,
}

impl Incoming {
    /// A connection accepted at `now` on the address `local` (None where the socket has none). `challenge` must be
    /// unpredictable and new.
    pub fn new(now: Now, gate: Gate, local: Option<SocketAddr>, challenge: Nonce) -> Self {
        let deadline = now.instant + gate.timing.greeting;
        Self { gate, local, challenge, state: State::Header(HeaderReader::default()), deadline }
    }

    /// When to close the connection if the greeting is not complete: a peer that says nothing, or one byte a
    /// second, is not waited for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Takes bytes, and returns how many of them were part of the greeting. On [`HandshakeStep::More`] that is all of
    /// them; otherwise call again with the rest.
    pub fn push(&mut self, now: Now, input: &[u8]) -> (usize, HandshakeStep) {
        match &mut self.state {
            State::Header(reader) => match reader.push(input) {
                Ok((used, None)) => (used, HandshakeStep::More),
                Ok((used, Some(signed))) => {
                    let greeting = match signed.verify(&self.gate.keys) {
                        Ok(header) => self.header(now, header),
                        Err(error) => self.refuse(&error),
                    };
                    (used, greeting)
                }
                Err(error) => (input.len(), self.refuse(&error)),
            },
            State::Proof(reader, _) => match reader.push(input) {
                Ok((used, false)) => (used, HandshakeStep::More),
                Ok((used, true)) => (used, self.proven()),
                Err(_) => (input.len(), self.hang_up("it did not prove that it has the password")),
            },
            State::Over => (input.len(), HandshakeStep::More),
        }
    }

    /// The connection ended before the greeting did.
    pub fn closed(&mut self) -> HandshakeStep {
        match self.state {
            State::Proof(..) => self.hang_up("the connection ended before the proof"),
            _ => self.refuse(&HeaderError::Truncated),
        }
    }

    fn hang_up(&mut self, why: &str) -> HandshakeStep {
        self.state = State::Over;
        HandshakeStep::Refused { reply: Vec::new(), why: why.to_owned() }
    }

    fn refuse(&mut self, error: &HeaderError) -> HandshakeStep {
        let code = Code::from(error);
        // A stranger learns nothing: not what is wrong with a signature, nor which one would be right.
        let message = match code {
            Code::ACCESS_DENIED => "Access denied".to_owned(),
            _ => error.to_string(),
        };
        self.refuse_with(code, &message, error.to_string())
    }

    fn refuse_with(&mut self, code: Code, message: &str, why: String) -> HandshakeStep {
        self.state = State::Over;
        let mut reply = Report::refusal(code, message).encode().into_bytes();
        reply.push(b'\n');
        HandshakeStep::Refused { reply, why }
    }

    fn header(&mut self, now: Now, header: Header) -> HandshakeStep {
        let Some(envelope) = &header.envelope else {
            self.state = State::Over;
            let features = self.gate.features.clone();
            return HandshakeStep::Proven(Box::new(Proven { header, lines: None, node_key: None, features }));
        };
        if !self.is_here(envelope.to) {
            let message = format!(
                "the header is meant for {}, which is not one of this node's; an address by which others reach it has to stand in its configuration",
                envelope.to
            );
            return self.refuse_with(Code::WRONG_NODE, &message, message.clone());
        }
        if envelope.expires < now.unix {
            let late = now.unix - envelope.expires;
            let message = format!("the header expired {late} s ago; are the clocks right?");
            return self.refuse_with(Code::EXPIRED, &message, message.clone());
        }
        if envelope.expires > now.unix.saturating_add(LATEST) {
            let early = envelope.expires - now.unix;
            let message =
                format!("the header is valid for {early} s more, which is too long; are the clocks right?");
            return self.refuse_with(Code::EXPIRED, &message, message.clone());
        }
        if !self.gate.verbs.contains(&envelope.verb) {
            let message = format!("this node does not speak the verb {:?}", envelope.verb);
            return self.refuse_with(Code::UNSUPPORTED, &message, message.clone());
        }
        if let Some(name) = envelope.features_in_use.missing_in(&self.gate.features) {
            let message = format!("this node lacks the feature {name:?}, which the transfer uses");
            return self.refuse_with(Code::UNSUPPORTED, &message, message.clone());
        }
        let nonce = envelope.nonce;
        let keys = &self.gate.keys;
        let (Some(reader), Some(key)) =
            (proof::ProofReader::new(keys, &nonce, &self.challenge), keys.line_key(&nonce, &self.challenge))
        else {
            return self.refuse(&HeaderError::WireOff(Wire::Two.number()));
        };
        let mut lines = LineWriter::new(key);
        let challenge = lines.encode(&Line::Challenge { challenge: self.challenge });
        let features = self.gate.features.clone();
        let node_key = keys.node_key(&nonce, &self.challenge).filter(|_| envelope.from.is_none());
        self.state =
            State::Proof(reader, Box::new(Proven { header, lines: Some(lines), node_key, features }));
        self.deadline = now.instant + self.gate.timing.greeting;
        HandshakeStep::Reply(challenge)
    }

    fn proven(&mut self) -> HandshakeStep {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Proof(_, proven) => HandshakeStep::Proven(proven),
            _ => HandshakeStep::More,
        }
    }

    fn is_here(&self, to: SocketAddr) -> bool {
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        self.local.iter().chain(&self.gate.also).any(|&here| canonical(here) == canonical(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Destination, Envelope, LineReader, Password, Request, TransferKey};

    const HERE: ([u8; 4], u16) = ([10, 0, 0, 1], 1);

    fn features(names: &[&str]) -> Features {
        Features::new(names.iter().copied()).unwrap()
    }

    /// What a node with those features makes of a header that uses these.
    fn greeted(has: &[&str], used: &[&str]) -> HandshakeStep {
        let keys = Keyring::new(Password::new("p").unwrap());
        let gate = Gate { features: features(has), ..Gate::new(keys.clone()) };
        let now = Now { instant: Instant::now(), unix: 1 };
        let request = Request { filename: "/a".into(), id: "a".into(), rename: true };
        let envelope = Envelope {
            features: features(&["of-the-sender"]),
            features_in_use: features(used),
            ..Envelope::new(TransferKey::new(&[1; 32]).signer(), Nonce([2; 16]), 2, HERE.into())
        };
        let header = Header {
            node: Destination {
                host: "h".into(),
                port: 1,
                index: 0,
                requests: vec![request],
                degree: None,
                block_size: None,
            },
            length: None,
            block_size: 4096,
            degree: 1,
            destinations: Vec::new(),
            envelope: Some(envelope),
        };
        let mut incoming = Incoming::new(now, gate, Some(HERE.into()), Nonce([3; 16]));
        incoming.push(now, &header.sign(&keys).unwrap()).1
    }

    #[test]
    fn a_transfer_that_uses_a_feature_which_the_node_lacks_is_refused_before_the_challenge() {
        for (has, used) in [(&["a", "b"][..], &["a"][..]), (&["a"], &["a"]), (&["a"], &[]), (&[], &[])] {
            let HandshakeStep::Reply(reply) = greeted(has, used) else { panic!("{has:?} {used:?}") };
            let mut lines = LineReader::new(Keyring::new(Password::new("p").unwrap()), Nonce([2; 16]));
            assert!(lines.push(&reply).unwrap().1.is_some());
        }
        for (has, used) in [(&[][..], &["delta"][..]), (&["a"], &["a", "delta"])] {
            let HandshakeStep::Refused { reply, .. } = greeted(has, used) else { panic!("{has:?} {used:?}") };
            let report = Report::parse_bare(reply.trim_ascii_end()).unwrap();
            assert_eq!(report.code, Code::UNSUPPORTED);
            assert!(report.message.contains("\"delta\""), "{}", report.message);
        }
    }
}
