//! What the tests of the data plane have in common.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use super::ring::Ring;
use super::wake::Local;
use crate::wire::{Destination, Header, Keyring, Password, Request};

pub(super) type Cell = Local<Ring<u32>>;

/// A connection with so many bytes to read, or so much room to write.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) bytes: VecDeque<u8>,
    pub(super) room: usize,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.bytes.read(buffer) }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.bytes.extend(&bytes[..count]);
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn keys() -> Keyring {
    Keyring::new(Password::new("2").unwrap()).with_wire_1(Password::new("1").unwrap()).unwrap()
}

/// Of wire 1, for these files.
pub(super) fn header(block_size: u32, length: u64, files: &[&str]) -> Header {
    let request = |(id, name): (usize, &&str)| Request {
        filename: (*name).to_owned(),
        id: id.to_string(),
        rename: true,
    };
    let requests = files.iter().enumerate().map(request).collect();
    let node = Destination { host: "h".into(), port: 1, index: 0, requests, degree: None, block_size: None };
    Header { node, length: Some(length), block_size, degree: 1, destinations: Vec::new(), envelope: None }
}
