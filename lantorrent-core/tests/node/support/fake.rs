//! A node made by hand, for what no node of ours would do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lantorrent_core::Target;
use lantorrent_core::wire::{
    Code, Frame, Header, HeaderReader, Line, LineWriter, Nonce, PayloadReader, Report, ResultKey,
    SealedReport, Verb, Wire, proof::ProofReader,
};

/// Of each connection: the nonces differ.
const CHALLENGE: Nonce = Nonce([7; 16]);

use super::peer::PATIENCE;
use super::{keys, target};

use crate::with::with;

pub(crate) struct FakeNode {
    pub(crate) address: SocketAddr,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl FakeNode {
    /// Serves connections by `script`, one after the other: who loses a child tries again.
    pub(crate) fn new(script: impl Fn(Child) + Send + 'static) -> Self {
        Self::raw(move |mut child| {
            if child.header.wire() == Wire::Two {
                child.line(&Line::ACCEPTED);
                child.line(&Line::Ready { offset: 0 });
            }
            script(child);
        })
    }

    /// Serves connections by `script`, which begins after the proof. Questions before the start are answered with yes.
    pub(crate) fn raw(script: impl Fn(Child) + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let serve = move || {
            loop {
                let (socket, _) = listener.accept().unwrap();
                if is_over.load(Ordering::Acquire) {
                    return;
                }
                // Of several candidates that answer only one is let in.
                match Child::welcome(socket) {
                    Some(child) if child.is_check() => child.says_yes(),
                    Some(child) => script(child),
                    None => {}
                }
            }
        };
        Self { address, over, thread: thread::spawn(serve) }
    }

    pub(crate) fn target(&self) -> Target {
        target(self.address, "/fake")
    }

    /// Waits for the end of the script, and serves nobody any more.
    pub(crate) fn join(self) {
        self.over.store(true, Ordering::Release);
        let _wakes_it = TcpStream::connect(self.address);
        self.thread.join().unwrap();
    }
}

/// The connection from upstream.
pub(crate) struct Child {
    pub(crate) socket: TcpStream,
    pub(crate) header: Header,
    lines: Option<LineWriter>,
}

impl Child {
    /// Takes a connection so far that upstream has proven itself. None if it does not.
    fn welcome(socket: TcpStream) -> Option<Self> {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        // Where upstream shut its side down while there was no room, the kernel may try for a minute.
        socket.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut reader = HeaderReader::default();
        // Byte by byte, so that what follows stays where it is.
        let signed = loop {
            if let (_, Some(signed)) = reader.push(&[next(&socket)?]).unwrap() {
                break signed;
            }
        };
        let header = signed.verify(&keys()).unwrap();
        let mut child = Self { socket, header, lines: None };
        if let Some(envelope) = &child.header.envelope {
            let mut proof = ProofReader::new(&keys(), &envelope.nonce, &CHALLENGE).unwrap();
            child.lines = Some(LineWriter::new(keys().line_key(&envelope.nonce, &CHALLENGE).unwrap()));
            child.line(&Line::Challenge { challenge: CHALLENGE });
            while !proof.push(&[next(&child.socket)?]).unwrap().1 {}
        }
        Some(child)
    }

    fn is_check(&self) -> bool {
        self.header.envelope.as_ref().is_some_and(|envelope| envelope.verb == Verb::Check)
    }

    fn says_yes(mut self) {
        self.line(&Line::ACCEPTED);
        let report = self.report(Code::SUCCESS, None);
        self.say(&report);
        self.wait();
    }

    pub(crate) fn encode(&mut self, line: &Line) -> Vec<u8> {
        self.lines.as_mut().unwrap().encode(line)
    }

    pub(crate) fn line(&mut self, line: &Line) {
        let bytes = self.encode(line);
        self.write(&bytes);
    }

    /// Returns whether it was written: upstream may have heard enough.
    pub(crate) fn write(&self, bytes: &[u8]) -> bool {
        (&self.socket).write_all(bytes).is_ok()
    }

    /// Reads the payload to its end, or to the end of the connection, and says what it sums up to. On wire 1 nothing else
    /// ends it than the end of the stream, as for 0.2.
    pub(crate) fn swallow(&self) -> Option<String> {
        match self.read_to(|frame| matches!(frame, Frame::End { .. }))? {
            Frame::End { sum, .. } => {
                let over = self.header.wire() == Wire::Two || self.wait();
                over.then(|| sum.to_hex())
            }
            _ => None,
        }
    }

    /// Reads the payload to the first such frame. None if an abort, or the end of the connection, comes before.
    pub(crate) fn read_to(&self, is_last: impl Fn(&Frame) -> bool) -> Option<Frame> {
        let mut reader = PayloadReader::new(&self.header, &keys()).unwrap();
        let mut block = vec![0; self.header.block_size as usize];
        let mut bytes = vec![0; 64 << 10];
        loop {
            let count = (&self.socket).read(&mut bytes).ok().filter(|&count| count > 0)?;
            let mut rest = &bytes[..count];
            while !rest.is_empty() {
                let (used, frame) = reader.push(rest, &mut block).unwrap();
                rest = &rest[used..];
                match frame {
                    Some(frame) if is_last(&frame) => return Some(frame),
                    Some(Frame::Abort(_)) => return None,
                    _ => {}
                }
            }
        }
    }

    /// Reads the payload to its end: its bytes as they came, and what they sum up to.
    pub(crate) fn record(&self) -> Option<(Vec<u8>, String)> {
        let mut reader = PayloadReader::new(&self.header, &keys()).unwrap();
        let mut block = vec![0; self.header.block_size as usize];
        let mut bytes = Vec::new();
        loop {
            let byte = next(&self.socket)?;
            bytes.push(byte);
            if let (_, Some(Frame::End { sum, .. })) = reader.push(&[byte], &mut block).unwrap() {
                return Some((bytes, sum.to_hex()));
            }
        }
    }

    /// Reads the first frame of the payload. None if the connection ends before.
    pub(crate) fn first_frame(&self) -> Option<Frame> {
        let mut reader = PayloadReader::new(&self.header, &keys()).unwrap();
        let mut block = vec![0; self.header.block_size as usize];
        loop {
            if let (_, Some(frame)) = reader.push(&[next(&self.socket)?], &mut block).unwrap() {
                return Some(frame);
            }
        }
    }

    /// A report of this node about its first request.
    pub(crate) fn report(&self, code: Code, sum: Option<&str>) -> Report {
        let node = &self.header.node;
        let wire_2 = self.header.wire() == Wire::Two;
        with(Report::refusal(code, "made up"), |it| {
            it.host = Some(node.host.clone());
            it.port = Some(node.port);
            it.file = Some(node.requests[0].filename.clone());
            it.id = Some(node.requests[0].id.clone());
            sum.filter(|_| !wire_2).unwrap_or_default().clone_into(&mut it.md5sum);
            it.root = sum.filter(|_| wire_2).map(str::to_owned);
            it.index = wire_2.then_some(node.index);
            it.by = wire_2.then_some(node.index);
        })
    }

    /// Reports, sealed as it should be.
    pub(crate) fn say(&mut self, report: &Report) {
        if self.header.wire() == Wire::Two {
            let sealed = SealedReport::seal(report, &self.result_key());
            self.line(&Line::Result(sealed));
        } else {
            self.write(report.encode().as_bytes());
        }
    }

    pub(crate) fn result_key(&self) -> ResultKey {
        let envelope = self.header.envelope.as_ref().unwrap();
        let key = match envelope.from {
            None => keys().node_key(&envelope.nonce, &CHALLENGE),
            Some(_) => keys().result_key(&envelope.transfer),
        };
        key.unwrap()
    }

    /// Waits until upstream closes, and returns whether it did so in good order.
    pub(crate) fn wait(&self) -> bool {
        let mut bytes = [0; 4096];
        loop {
            match (&self.socket).read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }
}

fn next(mut socket: &TcpStream) -> Option<u8> {
    let mut byte = [0];
    socket.read_exact(&mut byte).ok()?;
    Some(byte[0])
}
