//! What the tests of the data plane have in common.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use super::ring::Ring;
use super::wake::{Shared, Wake};
use crate::wire::{Destination, Header, Keyring, Password, Request};

/// A ring, and what it has woken.
pub(super) struct Cell {
    ring: RefCell<Ring<u32>>,
    pub(super) woken: RefCell<Wake>,
}

impl Cell {
    pub(super) fn new(ring: Ring<u32>) -> Self {
        Self { ring: RefCell::new(ring), woken: RefCell::default() }
    }
}

impl Shared<Ring<u32>> for Cell {
    fn with<R>(&self, change: impl FnOnce(&mut Ring<u32>) -> (R, Wake)) -> R {
        let (result, wake) = change(&mut self.ring.borrow_mut());
        self.woken.borrow_mut().merge(wake);
        result
    }
}

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
    Keyring::new(Password::new("2")).with_wire_1(Password::new("1"))
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
