//! The payload, as the data plane of a source sends it.

use std::io;

use super::{BLOCK, LENGTH, keys, transfer_key};
use crate::flow::{Content, Local, Pool, Ring, SendStep, Sender, Shared, Supply, SupplyStep, Tell, Zeros};
use crate::rate::Limit;
use crate::session::{LinkId, Now, SourceInput};
use crate::wire::{Extension, Header, PayloadWriter, Wire};

/// The link on which a source sends it.
const LINK: LinkId = LinkId(0);

/// What every transfer of this target sends: each block is different, and two in a row are zeros.
pub(super) fn content() -> Vec<u8> {
    const ZEROS: std::ops::Range<usize> = 2 * BLOCK as usize..4 * BLOCK as usize;
    let byte = |place: usize| if ZEROS.contains(&place) { 0 } else { (place + place / BLOCK as usize) as u8 };
    (0..LENGTH).map(byte).collect()
}

struct Bytes<'a>(&'a [u8]);

impl Content for Bytes<'_> {
    fn hole(&mut self, _offset: u64, _most: u64) -> u64 {
        0
    }

    fn is_stream(&self) -> bool {
        false
    }

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        io::Read::read(&mut &self.0[offset as usize..], buffer)
    }

    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of the payload behind that header, from the offset `from` on.
pub(super) fn payload(
    Now { instant: now, .. }: Now,
    header: &Header,
    content: &[u8],
    from: u64,
    tell: &mut Tell<'_, SourceInput<'static>>,
) -> Vec<u8> {
    let ring = Local::new(Ring::for_source(LENGTH.div_ceil(BLOCK as usize), ()));
    ring.quietly(|ring| ring.add_link(LINK));
    ring.change(|ring| ring.feed(LINK, from));
    extend(&ring, header);
    let pool = Pool::new(BLOCK, 1);
    let key = (header.wire() == Wire::Two).then(transfer_key);
    let mut supply = Supply::new(now, Bytes(content), Zeros::Detected, key, BLOCK, pool);
    while supply.step(now, &ring, tell) != SupplyStep::Over {}
    let writer = PayloadWriter::new(header, &keys()).expect("both wires are on");
    let mut sender = Sender::new(now, LINK, writer, Limit::default());
    let mut bytes = Vec::new();
    while let SendStep::Moved(_) = sender.step(now, &mut bytes, &ring, &mut |input| tell(input.into())) {}
    extend(&ring, header);
    while let SendStep::Moved(_) = sender.step(now, &mut bytes, &ring, &mut |input| tell(input.into())) {}
    bytes
}

/// Frames of a later version go in between, and behind the end.
fn extend(ring: &Local<Ring<()>>, header: &Header) {
    for kind in [0x80, 0xc0].into_iter().filter(|_| header.wire() == Wire::Two) {
        let extension =
            Extension::new(kind, ([1, 2, 3], 4, u64::MAX), b"later").expect("a type to be ignored");
        ring.change(|ring| ring.extend(&extension));
    }
}
