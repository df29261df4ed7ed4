//! Reads one peer's connection: messages through a scratch buffer, the data of blocks straight to where it stays.

use std::io::{self, IoSliceMut, Read};

use thiserror::Error;

use super::pool::{Buffer, Pool};
use crate::Span;
use crate::wire::{Incoming, Limits, Message, Reader, WireError};

/// Bytes that are read behind the rest of a block: enough for the header of the next one and some messages, and little
/// enough that what is copied of the next block costs nothing.
const BEHIND: usize = 512;

/// Who hears what was read.
pub(super) trait Listener {
    fn hear(&mut self, message: Message);

    /// Whether the data of a block that begins is wanted.
    fn wants(&mut self, span: Span) -> bool;

    /// All of a block that was wanted is there.
    fn receive(&mut self, span: Span, data: Buffer, pool: &mut Pool);
}

/// Why nothing more can be read.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("the peer has closed the connection")]
    Ended,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
}

pub(super) struct Intake {
    reader: Reader,
    landing: Option<Landing>,
}

/// A block that is being read.
struct Landing {
    span: Span,
    /// None if it is to be dropped.
    data: Option<Buffer>,
}

impl Intake {
    pub(super) fn new(limits: Limits) -> Self {
        Self { reader: Reader::new(limits), landing: None }
    }

    pub(super) fn limit(&mut self, limits: Limits) {
        self.reader.limit(limits);
    }

    /// Reads once, at most so many bytes, and tells the listener everything that is complete. Returns how many were read.
    pub(super) fn read(
        &mut self,
        socket: &mut impl Read,
        most: usize,
        (scratch, pool): (&mut [u8], &mut Pool),
        to: &mut impl Listener,
    ) -> Result<usize, Fault> {
        let left = self.reader.data_left();
        let landing = self.landing.as_mut().and_then(|landing| Some((landing.span, landing.data.as_mut()?)));
        let (count, of_block) = match landing {
            Some((span, buffer)) => {
                let start = span.length as usize - left;
                let now = left.min(most);
                let behind = BEHIND.min(most - now);
                let mut slots = [
                    IoSliceMut::new(&mut buffer[start..start + now]),
                    IoSliceMut::new(&mut scratch[..behind]),
                ];
                let count = socket.read_vectored(&mut slots)?;
                (count, count.min(now))
            }
            None => {
                let most = scratch.len().min(most);
                (socket.read(&mut scratch[..most])?, 0)
            }
        };
        if count == 0 {
            return Err(Fault::Ended);
        }
        self.reader.data_taken(of_block);
        self.understand(&scratch[..count - of_block], pool, to)?;
        Ok(count)
    }

    /// Takes what was read with the handshake, or behind a block.
    pub(super) fn understand(
        &mut self,
        mut input: &[u8],
        pool: &mut Pool,
        to: &mut impl Listener,
    ) -> Result<(), WireError> {
        loop {
            if let Some(landing) = &mut self.landing {
                let start = landing.span.length as usize - self.reader.data_left();
                let data = self.reader.take_data(&mut input);
                if let Some(buffer) = &mut landing.data {
                    buffer[start..start + data.len()].copy_from_slice(data);
                }
                if self.reader.data_left() > 0 {
                    return Ok(());
                }
                if let Some(Landing { span, data: Some(data) }) = self.landing.take() {
                    to.receive(span, data, pool);
                }
            }
            match self.reader.read(&mut input)? {
                None => return Ok(()),
                Some(Incoming::Message(message)) => to.hear(message),
                Some(Incoming::Block(span)) => {
                    let data = to.wants(span).then(|| pool.take());
                    self.landing = Some(Landing { span, data });
                }
            }
        }
    }

    /// Gives back the buffer of a block that will not be complete. Nothing is read any more.
    pub(super) fn give_up(&mut self, pool: &mut Pool) {
        if let Some(buffer) = self.landing.take().and_then(|landing| landing.data) {
            pool.give(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;
    use crate::wire::piece_header;

    #[derive(Default)]
    struct Heard {
        all: Vec<String>,
        unwanted: Option<u32>,
    }

    impl Listener for Heard {
        fn hear(&mut self, message: Message) {
            self.all.push(format!("{message:?}"));
        }

        fn wants(&mut self, span: Span) -> bool {
            self.unwanted != Some(span.piece)
        }

        fn receive(&mut self, span: Span, data: Buffer, _: &mut Pool) {
            assert!(data[..span.length as usize].iter().all(|byte| u32::from(*byte) == span.piece));
            self.all.push(format!("block {}", span.piece));
        }
    }

    /// Gives at most so many bytes at a time.
    struct Dripping<'a>(&'a [u8], usize);

    impl Read for Dripping<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }

        fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            let first = slots.iter_mut().find(|slot| !slot.is_empty());
            first.map_or(Ok(0), |slot| self.read(slot))
        }
    }

    fn stream() -> Vec<u8> {
        let mut bytes = Vec::new();
        Message::Unchoke.encode(&mut bytes);
        for piece in 1..=3 {
            bytes.extend(piece_header(Span { piece, begin: 0, length: BLOCK }));
            bytes.extend(vec![piece as u8; BLOCK as usize]);
            Message::Have(piece).encode(&mut bytes);
        }
        bytes
    }

    #[test]
    fn any_chunking_gives_the_same() {
        let bytes = stream();
        for (drip, most) in
            [(1, usize::MAX), (13, usize::MAX), (5000, 700), (usize::MAX, 100), (usize::MAX, usize::MAX)]
        {
            let (mut pool, mut scratch) = (Pool::default(), vec![0; 4096]);
            let mut heard = Heard { unwanted: Some(2), ..Heard::default() };
            let (mut intake, mut socket) = (Intake::new(Limits::default()), Dripping(&bytes, drip));
            let fault = loop {
                match intake.read(&mut socket, most, (&mut scratch, &mut pool), &mut heard) {
                    Ok(_) => {}
                    Err(fault) => break fault,
                }
            };
            assert!(matches!(fault, Fault::Ended));
            let expected = ["Unchoke", "block 1", "Have(1)", "Have(2)", "block 3", "Have(3)"];
            assert_eq!(heard.all, expected, "{drip} {most}");
        }
    }

    #[test]
    fn what_is_no_message_is_a_fault() {
        let (mut pool, mut scratch) = (Pool::default(), vec![0; 4096]);
        let (mut intake, mut heard) = (Intake::new(Limits::default()), Heard::default());
        let fault = intake.read(&mut &[0xff; 64][..], 4096, (&mut scratch, &mut pool), &mut heard);
        assert!(matches!(fault, Err(Fault::Wire(_))));
    }
}
