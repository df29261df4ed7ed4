//! The end of a connection, as the data plane sees it.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};

use lantorrent_core::wire::TAG_BYTES;

use crate::later::{Frames, is_extension};

use super::link::{self, ConnId, Side};
use super::net::Net;
use crate::forger::Forger;

pub(crate) struct Socket<'a> {
    pub(crate) net: &'a mut Net,
    pub(crate) conn: ConnId,
    pub(crate) side: Side,
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let most = slots.iter().map(|slot| slot.len()).sum();
        match self.net.take(self.conn, self.side, most) {
            link::Read::Bytes(bytes) => (&bytes[..]).read_vectored(slots),
            link::Read::Nothing => Err(ErrorKind::WouldBlock.into()),
            link::Read::Eof => Ok(0),
            link::Read::Reset => Err(ErrorKind::ConnectionReset.into()),
        }
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // As one, as a socket takes them.
        let mut bytes = Vec::with_capacity(slices.iter().map(|slice| slice.len()).sum());
        for slice in slices {
            bytes.extend_from_slice(slice);
        }
        match self.net.write(self.conn, self.side, &bytes) {
            0 => Err(ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a relay that changes what it sends.
pub(crate) struct Forging<'a, 'b> {
    pub(crate) socket: Socket<'a>,
    pub(crate) forger: &'b mut Forger,
}

impl Write for Forging<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut forged = bytes.to_vec();
        self.forger.clone().pass(&mut forged);
        let count = self.socket.write(&forged)?;
        self.forger.pass(&mut bytes[..count].to_vec());
        Ok(count)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write(&slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<u8>>())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes note of the frames that no node of this version knows.
pub(crate) struct Overheard<'a, R> {
    pub(crate) from: R,
    pub(crate) frames: &'a mut Frames,
    pub(crate) heard: &'a mut Vec<Vec<u8>>,
}

impl<R: Read> Read for Overheard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = self.from.read_vectored(slots)?;
        let bytes: Vec<u8> = slots.iter().flat_map(|slot| slot.iter()).copied().take(count).collect();
        let frames = self.frames.push(&bytes).into_iter().filter(|frame| is_extension(frame));
        self.heard.extend(frames.map(|frame| frame[..frame.len() - TAG_BYTES].to_vec()));
        Ok(count)
    }
}

/// As 0.2 does: what is behind the payload of wire 1 counts when nothing can follow it.
pub(crate) struct ToTheEnd<'a, R> {
    pub(crate) from: R,
    /// Bytes of the payload that are still to come.
    pub(crate) payload: &'a mut u64,
    /// What came behind the payload, until the connection ends.
    pub(crate) held: &'a mut Vec<u8>,
    pub(crate) ended: &'a mut bool,
}

impl<R: Read> Read for ToTheEnd<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room: usize = slots.iter().map(|slot| slot.len()).sum();
        while *self.payload == 0 && !*self.ended {
            let mut bytes = [0; 256];
            match self.from.read(&mut bytes)? {
                0 => *self.ended = true,
                count => self.held.extend(&bytes[..count]),
            }
        }
        if *self.payload == 0 {
            let count = (&self.held[..]).read_vectored(slots)?;
            self.held.drain(..count);
            return Ok(count);
        }
        let most = room.min(usize::try_from(*self.payload).unwrap_or(usize::MAX));
        let mut bytes = vec![0; most];
        let count = self.from.read(&mut bytes)?;
        *self.payload -= count as u64;
        (&bytes[..count]).read_vectored(slots)
    }
}
