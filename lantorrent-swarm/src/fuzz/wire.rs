//! The target for `peer_wire`.

use crate::wire::{
    Exchange, ExtendedHandshake, Handshake, Incoming, Limits, Message, MetadataMessage, Reader, WireError,
    piece_header,
};

/// What was read, with the data of blocks.
#[derive(Debug, PartialEq)]
struct Heard {
    incoming: Vec<Incoming>,
    data: Vec<u8>,
    error: Option<WireError>,
}

/// Any bytes as what comes behind a handshake, and as each thing that can be inside of it. However it is cut, the outcome is
/// the same; and what is written of it is read as the same.
pub fn peer_wire(input: &[u8]) {
    let _ = Handshake::read(input).map(|handshake| handshake.map(|handshake| handshake.encode()));
    let heard = read(input, usize::MAX);
    for size in [1, 7] {
        assert_eq!(read(input, size), heard);
    }
    let mut written = Vec::new();
    let mut data = &heard.data[..];
    for incoming in &heard.incoming {
        match incoming {
            Incoming::Message(message) => message.encode(&mut written),
            Incoming::Block(span) => {
                let (of_it, rest) = data.split_at(data.len().min(span.length as usize));
                data = rest;
                written.extend(piece_header(*span));
                written.extend(of_it);
            }
        }
        if let Incoming::Message(Message::Extended { payload, .. }) = incoming {
            extended(payload);
        }
    }
    assert_eq!(read(&written, usize::MAX), Heard { error: None, ..heard });
    extended(input);
}

fn read(bytes: &[u8], size: usize) -> Heard {
    let mut reader = Reader::new(Limits::default());
    let mut heard = Heard { incoming: Vec::new(), data: Vec::new(), error: None };
    for mut chunk in bytes.chunks(size) {
        loop {
            heard.data.extend(reader.take_data(&mut chunk));
            match reader.read(&mut chunk) {
                Ok(Some(incoming)) => heard.incoming.push(incoming),
                Ok(None) if reader.data_left() > 0 && !chunk.is_empty() => {}
                Ok(None) => break,
                Err(error) => {
                    heard.error = Some(error);
                    return heard;
                }
            }
        }
    }
    heard
}

fn extended(payload: &[u8]) {
    if let Ok(handshake) = ExtendedHandshake::read(payload) {
        assert_eq!(ExtendedHandshake::read(&handshake.encode()), Ok(handshake));
    }
    if let Some(message) = MetadataMessage::read(payload) {
        assert_eq!(MetadataMessage::read(&message.encode()), Some(message));
    }
    if let Some(exchange) = Exchange::read(payload, 50) {
        assert!(exchange.added.len() <= 100 && exchange.dropped.len() <= 100);
        assert_eq!(Exchange::read(&exchange.encode(), 50), Some(exchange));
    }
}
