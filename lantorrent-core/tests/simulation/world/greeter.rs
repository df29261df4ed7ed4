//! Accepted connections until they are proven, at a node and at hosts that only pretend to be one.

use std::collections::VecDeque;
use std::net::SocketAddr;

use lantorrent_core::session::{HandshakeStep, Incoming, Proven};
use lantorrent_core::wire::Nonce;

use super::host::{Host, Manner, Script};
use super::link::{ConnId, Read, Side};
use super::net::{ActorId, Event, Net};

/// What becomes of a connection that was accepted.
pub(crate) enum Next {
    Stay,
    /// The sender is let in; what it sent beyond its greeting comes with it.
    Proven(Box<Proven>, Vec<u8>),
}

pub(crate) struct Greeter {
    pub(crate) conn: ConnId,
    pub(crate) out: VecDeque<u8>,
    pub(crate) challenge: Nonce,
    greeting: Option<Incoming>,
    closing: bool,
    pub(crate) script: Option<Script>,
}

impl Greeter {
    pub(crate) fn accept(net: &mut Net, host: &Host, id: ActorId, conn: ConnId, local: SocketAddr) -> Self {
        let greets = matches!(host.manner, Manner::Node | Manner::Liar(_));
        let challenge = Nonce(net.random.bytes());
        let greeting = greets.then(|| Incoming::new(net.now(), host.gate(), Some(local), challenge));
        if let Some(greeting) = &greeting {
            net.at(greeting.deadline(), Event::Timer(id));
        }
        let mut out = VecDeque::new();
        if let Manner::Says(words) = host.manner {
            out.extend(words);
        }
        let script = if let Manner::Liar(script) = host.manner { Some(script) } else { None };
        Self { conn, out, challenge, greeting, closing: false, script }
    }

    pub(crate) fn readable(&mut self, net: &mut Net) -> Next {
        let read = net.read(self.conn, Side::Acceptor);
        let Some(greeting) = &mut self.greeting else {
            if matches!(read, Read::Eof | Read::Reset) {
                self.closing = true;
                self.pump(net);
            }
            return Next::Stay;
        };
        let bytes = match read {
            Read::Bytes(bytes) => bytes,
            Read::Nothing => return Next::Stay,
            Read::Eof | Read::Reset => {
                let answer = greeting.closed();
                self.answer(answer);
                self.pump(net);
                return Next::Stay;
            }
        };
        let mut rest = &bytes[..];
        while let Some(greeting) = self.greeting.as_mut().filter(|_| !rest.is_empty()) {
            let (used, answer) = greeting.push(net.now(), rest);
            rest = &rest[used..];
            if let HandshakeStep::Proven(proven) = answer {
                self.greeting = None;
                return Next::Proven(proven, rest.to_vec());
            }
            self.answer(answer);
        }
        self.pump(net);
        Next::Stay
    }

    fn answer(&mut self, answer: HandshakeStep) {
        match answer {
            HandshakeStep::More | HandshakeStep::Proven(_) => {}
            HandshakeStep::Reply(bytes) => self.out.extend(bytes),
            HandshakeStep::Refused { reply, .. } => {
                self.out.extend(reply);
                self.greeting = None;
                self.closing = true;
            }
        }
    }

    pub(crate) fn pump(&mut self, net: &mut Net) {
        while !self.out.is_empty() {
            let count = net.write(self.conn, Side::Acceptor, self.out.as_slices().0);
            if count == 0 {
                return;
            }
            self.out.drain(..count);
        }
        if self.closing {
            net.shut_down(self.conn, Side::Acceptor);
        }
    }

    /// Says this, and goes.
    pub(crate) fn say_last(&mut self, net: &mut Net, bytes: Vec<u8>) {
        self.out.extend(bytes);
        self.closing = true;
        self.pump(net);
    }

    pub(crate) fn timer(&mut self, net: &mut Net, id: ActorId) {
        let Some(greeting) = &self.greeting else { return };
        if greeting.deadline() <= net.now().instant {
            self.greeting = None;
            net.close(self.conn, Side::Acceptor, false);
        } else {
            net.at(greeting.deadline(), Event::Timer(id));
        }
    }
}
