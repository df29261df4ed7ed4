//! What one peer is still to be sent: messages from memory, blocks from the file by the kernel.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::net::SendFlags;

use crate::Span;
use crate::wire::{Message, piece_header};

/// Messages that nobody reads may take so much memory.
const MOST: usize = 1 << 20;

/// Bytes that are written already are forgotten when they are so many.
const WRITTEN: usize = 64 << 10;

/// Where blocks are read from.
pub(super) trait Origin {
    /// Where the first bytes of that span stand. Behind them the span goes on elsewhere.
    fn part(&self, span: Span) -> io::Result<Part>;
}

/// So many bytes in one place.
pub(super) enum Part {
    File { file: Arc<File>, offset: u64, length: u64 },
    Zeros { length: u64 },
}

/// How writing went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// So many bytes were written, and no more may be, or there are no more.
    Written(usize),
    /// So many bytes were written, and the socket takes no more for now.
    Full(usize),
    /// A block could not be read, of which the peer has got the beginning.
    Unreadable(Span, io::Error),
    /// The connection is of no use any more.
    Broken(io::Error),
}

impl Outcome {
    pub(super) fn written(&self) -> usize {
        match self {
            Self::Written(count) | Self::Full(count) => *count,
            Self::Unreadable(..) | Self::Broken(_) => 0,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    queue: VecDeque<Item>,
    /// Bytes of messages in it.
    bytes: usize,
}

#[derive(Debug)]
enum Item {
    /// Messages, and how much of them is written.
    Bytes(Vec<u8>, usize),
    /// A block, and how much is written of its header and of itself.
    Block(Span, usize),
}

/// Why an item is not written.
enum Stop {
    Unreadable(io::Error),
    Socket(io::Error),
}

impl Outgoing {
    /// Whether it still has room for this message.
    #[must_use]
    pub(super) fn push(&mut self, message: &Message) -> bool {
        // What peers know of each other is not to wait for blocks. One whose sending has begun cannot be parted.
        let waits = |item: &Item| matches!(item, Item::Block(_, 0));
        let place = self.queue.iter().position(waits).unwrap_or(self.queue.len());
        if !matches!(place.checked_sub(1).map(|last| &self.queue[last]), Some(Item::Bytes(..))) {
            self.queue.insert(place, Item::Bytes(Vec::new(), 0));
        }
        let last = self.queue.iter_mut().take(place + 1).rfind(|item| matches!(item, Item::Bytes(..)));
        if let Some(Item::Bytes(data, _)) = last {
            let before = data.len();
            message.encode(data);
            self.bytes += data.len() - before;
        }
        self.bytes <= MOST
    }

    pub(super) fn push_raw(&mut self, data: &[u8]) {
        self.bytes += data.len();
        self.queue.push_back(Item::Bytes(data.to_vec(), 0));
    }

    pub(super) fn push_block(&mut self, span: Span) {
        self.queue.push_back(Item::Block(span, 0));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Writes at most so many bytes. Blocks that are through are added to `sent`.
    pub(super) fn write(
        &mut self,
        socket: &impl AsFd,
        most: usize,
        content: Option<&dyn Origin>,
        sent: &mut Vec<Span>,
    ) -> Outcome {
        let mut written = 0;
        while written < most {
            let Some(item) = self.queue.front_mut() else { break };
            let before = written;
            let result = match item {
                Item::Bytes(data, done) => write_bytes(socket, data, done, most - written),
                Item::Block(span, done) => write_block(socket, *span, done, most - written, content),
            };
            match result {
                Ok(count) => written += count,
                Err(Stop::Socket(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Outcome::Full(written);
                }
                Err(Stop::Socket(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(Stop::Socket(error)) => return Outcome::Broken(error),
                Err(Stop::Unreadable(error)) => {
                    let Item::Block(span, _) = item else { return Outcome::Broken(error) };
                    return Outcome::Unreadable(*span, error);
                }
            }
            match item {
                Item::Bytes(data, done) => {
                    self.bytes -= written - before;
                    // Somebody who never reads all that there is must not make it grow for ever.
                    if *done >= WRITTEN {
                        data.drain(..*done);
                        *done = 0;
                    }
                    if *done == data.len() {
                        self.queue.pop_front();
                    }
                }
                Item::Block(span, done) => {
                    if *done == HEADER + span.length as usize {
                        sent.push(*span);
                        self.queue.pop_front();
                    }
                }
            }
        }
        Outcome::Written(written)
    }
}

/// Bytes before a block.
const HEADER: usize = 13;
static ZEROS: [u8; 4096] = [0; 4096];

fn write_bytes(socket: &impl AsFd, data: &[u8], done: &mut usize, most: usize) -> Result<usize, Stop> {
    let rest = &data[*done..];
    let rest = &rest[..rest.len().min(most)];
    let count =
        rustix::net::send(socket, rest, SendFlags::NOSIGNAL).map_err(|error| Stop::Socket(error.into()))?;
    *done += count;
    Ok(count)
}

fn write_block(
    socket: &impl AsFd,
    span: Span,
    done: &mut usize,
    most: usize,
    content: Option<&dyn Origin>,
) -> Result<usize, Stop> {
    if *done < HEADER {
        // It leaves with the data that follows at once.
        let header = &piece_header(span)[*done..];
        let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
        let count = rustix::net::send(socket, header, flags).map_err(|error| Stop::Socket(error.into()))?;
        *done += count;
        return Ok(count);
    }
    let from = (*done - HEADER) as u32;
    let rest = Span { begin: span.begin + from, length: span.length - from, ..span };
    let gone = || Stop::Unreadable(io::Error::other("the files are gone"));
    let part = content.ok_or_else(gone)?.part(rest).map_err(Stop::Unreadable)?;
    let count = match part {
        Part::File { file, offset, length } => copy(socket, &file, offset, length.min(most as u64) as usize)?,
        Part::Zeros { length } => {
            let zeros = &ZEROS[..(ZEROS.len() as u64).min(length).min(most as u64) as usize];
            rustix::net::send(socket, zeros, SendFlags::NOSIGNAL)
                .map_err(|error| Stop::Socket(error.into()))?
        }
    };
    *done += count;
    Ok(count)
}

/// Sends bytes of a file, without looking at them where the kernel can.
fn copy(socket: &impl AsFd, file: &File, offset: u64, length: usize) -> Result<usize, Stop> {
    use rustix::io::Errno as E;

    let mut place = offset;
    match rustix::fs::sendfile(socket, file, Some(&mut place), length) {
        Ok(0) => Err(Stop::Unreadable(io::ErrorKind::UnexpectedEof.into())),
        Ok(count) => Ok(count),
        // Not from this kind of file, or not in this sandbox.
        Err(E::INVAL | E::NOSYS | E::OPNOTSUPP | E::PERM | E::ACCESS) => {
            let mut data = vec![0; length];
            file.read_exact_at(&mut data, offset).map_err(Stop::Unreadable)?;
            rustix::net::send(socket, &data, SendFlags::NOSIGNAL).map_err(|error| Stop::Socket(error.into()))
        }
        Err(E::IO) => Err(Stop::Unreadable(E::IO.into())),
        Err(error) => Err(Stop::Socket(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::BLOCK;

    /// As many bytes as are asked for, all of them zero.
    struct Zeros;

    impl Origin for Zeros {
        fn part(&self, span: Span) -> io::Result<Part> {
            Ok(Part::Zeros { length: span.length.into() })
        }
    }

    fn pair() -> (UnixStream, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        theirs.set_nonblocking(true).unwrap();
        (ours, theirs)
    }

    fn span(piece: u32) -> Span {
        Span { piece, begin: 0, length: BLOCK }
    }

    fn encoded(message: &Message) -> Vec<u8> {
        let mut data = Vec::new();
        message.encode(&mut data);
        data
    }

    #[test]
    fn messages_overtake_blocks_that_have_not_begun() {
        let (ours, mut theirs) = pair();
        let (mut outgoing, mut sent) = (Outgoing::default(), Vec::new());
        outgoing.push_block(span(1));
        outgoing.push_block(span(2));
        // The header of the first, and one byte.
        assert_eq!(outgoing.write(&ours, HEADER + 1, Some(&Zeros), &mut sent).written(), HEADER + 1);
        assert!(outgoing.push(&Message::Have(7)) && outgoing.push(&Message::Unchoke));
        while !outgoing.is_empty() {
            outgoing.write(&ours, 1 << 20, Some(&Zeros), &mut sent);
        }
        let mut got = vec![0; 1 << 20];
        let length = theirs.read(&mut got).unwrap();
        let block = |piece| [&piece_header(span(piece))[..], &[0; BLOCK as usize]].concat();
        let expected = [block(1), encoded(&Message::Have(7)), encoded(&Message::Unchoke), block(2)].concat();
        assert!(got[..length] == expected);
        assert_eq!(sent, [span(1), span(2)]);
    }

    #[test]
    fn who_never_reads_all_of_it_does_not_make_it_grow() {
        let (ours, mut theirs) = pair();
        let (mut outgoing, mut sent) = (Outgoing::default(), Vec::new());
        let length = encoded(&Message::Have(0)).len();
        let mut got = vec![0; 1 << 20];
        assert!(outgoing.push(&Message::Have(0)));
        for number in 1..500_000 {
            assert!(outgoing.push(&Message::Have(number)));
            // One message is left each time.
            assert_eq!(outgoing.write(&ours, length, None, &mut sent).written(), length);
            assert_eq!(theirs.read(&mut got).unwrap(), length);
        }
        let kept: usize = outgoing
            .queue
            .iter()
            .map(|item| if let Item::Bytes(data, _) = item { data.capacity() } else { 0 })
            .sum();
        assert!(kept <= 4 * WRITTEN, "{kept} bytes");
    }

    #[test]
    fn who_reads_nothing_is_told_from_others() {
        let mut outgoing = Outgoing::default();
        let room = (0..MOST as u32).take_while(|number| outgoing.push(&Message::Have(*number))).count();
        assert_eq!(room, MOST / encoded(&Message::Have(0)).len());
    }
}
