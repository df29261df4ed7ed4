//! What every module needs: keys, signatures made without the library, chunkings, and readers driven to their end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use lantorrent_core::wire::{
    Frame, FromNode, Header, HeaderError, HeaderReader, Keyring, LineError, LineReader, Nonce, Password,
    PayloadError, PayloadReader, Report, ReportReader,
};
use sha2::Sha256;

use super::random::Random;

pub(crate) const PASSWORD: &str = "a password of these tests";
pub(crate) const NIMBUS: &str = "nimbus";

/// Both wires on, each under its own password.
pub(crate) fn keys() -> Keyring {
    Keyring::new(Password::new(PASSWORD).unwrap()).with_wire_1(Password::new(NIMBUS).unwrap()).unwrap()
}

pub(crate) fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Signs any text as a header of wire 1, well-formed or not.
pub(crate) fn signed_1(text: &[u8]) -> Vec<u8> {
    let bare: Vec<u8> = text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    let mut mac = <Hmac<md5::Md5> as KeyInit>::new_from_slice(NIMBUS.as_bytes()).unwrap();
    mac.update(&bare);
    [text, format!("EOH : {}\r\n", base64(&mac.finalize().into_bytes())).as_bytes()].concat()
}

/// Signs any text as a header of wire 2, well-formed or not.
pub(crate) fn signed_2(text: &[u8]) -> Vec<u8> {
    let key = hmac_sha256(PASSWORD.as_bytes(), b"lantorrent 2 header\0");
    [text, format!("EOH : {}\r\n", base64(&hmac_sha256(&key, text))).as_bytes()].concat()
}

/// Lists of chunk sizes for `len` bytes: whole, byte by byte, each split point, and seeded random ones.
pub(crate) fn chunkings(len: usize) -> impl Iterator<Item = Vec<usize>> {
    let splits = (1..len).map(move |at| vec![at, len - at]);
    let random = (0..100).map(move |seed| {
        let mut random = Random::new(seed);
        let mut left = len;
        let mut sizes = Vec::new();
        while left > 0 {
            let most = if random.below(2) == 0 { 4 } else { 200 };
            let size = (random.below(most) + 1).min(left);
            sizes.push(size);
            left -= size;
        }
        sizes
    });
    [vec![len], vec![1; len]].into_iter().chain(splits).chain(random)
}

fn chunks<'a>(bytes: &'a [u8], sizes: &[usize]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    sizes.iter().map(move |&size| {
        let (chunk, behind) = rest.split_at(size);
        rest = behind;
        chunk
    })
}

/// What a header reader made of a stream: the verified header and the number of bytes that it used.
pub(crate) type HeaderOutcome = Result<Option<(Header, usize)>, HeaderError>;

pub(crate) fn read_header(bytes: &[u8], sizes: &[usize]) -> HeaderOutcome {
    let mut reader = HeaderReader::default();
    let mut used = 0;
    for chunk in chunks(bytes, sizes) {
        let (count, header) = reader.push(chunk)?;
        used += count;
        if let Some(header) = header {
            return header.verify(&keys()).map(|header| Some((header, used)));
        }
        assert_eq!(count, chunk.len(), "without a header every byte is used");
    }
    Ok(None)
}

/// The header in `bytes`, read in one go, or why there is none.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, HeaderError> {
    read_header(bytes, &[bytes.len()]).map(|found| found.expect("a complete header").0)
}

/// The frames of a payload, each with its data, and how the payload ended.
#[derive(Debug, PartialEq)]
pub(crate) struct Payload {
    pub(crate) frames: Vec<(Frame, Vec<u8>)>,
    pub(crate) end: Result<(), PayloadError>,
}

/// How bytes are put into the reader.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Feed {
    /// By [`PayloadReader::push`].
    Push,
    /// Into both slots at once, as a vectored read does.
    Slots,
}

pub(crate) fn read_payload(
    mut reader: PayloadReader,
    block_size: usize,
    bytes: &[u8],
    sizes: &[usize],
    feed: Feed,
) -> Payload {
    let mut block = vec![0xAA; block_size];
    let mut frames = Vec::new();
    for mut chunk in chunks(bytes, sizes) {
        while !chunk.is_empty() {
            let result = match feed {
                Feed::Push => reader.push(chunk, &mut block),
                Feed::Slots => {
                    let [first, second] = reader.slots(&mut block);
                    assert!(!(first.is_empty() && second.is_empty()), "there is always room");
                    let in_first = first.len().min(chunk.len());
                    first[..in_first].copy_from_slice(&chunk[..in_first]);
                    let in_second = second.len().min(chunk.len() - in_first);
                    second[..in_second].copy_from_slice(&chunk[in_first..in_first + in_second]);
                    let count = in_first + in_second;
                    reader.filled(count, &block).map(|frame| (count, frame))
                }
            };
            match result {
                Ok((used, frame)) => {
                    chunk = &chunk[used..];
                    if let Some(frame) = frame {
                        let len = if let Frame::Data { len, .. } = frame { len as usize } else { 0 };
                        frames.push((frame, block[..len].to_vec()));
                    }
                }
                Err(error) => {
                    assert_eq!(reader.filled(0, &block), Err(error.clone()), "errors stick");
                    assert_eq!(reader.push(b"more", &mut block), Err(error.clone()), "errors stick");
                    assert_eq!(reader.finish(), Err(error.clone()), "errors stick");
                    return Payload { frames, end: Err(error) };
                }
            }
        }
    }
    Payload { frames, end: reader.finish() }
}

/// What nodes said, and why the reading ended, if it did before the bytes were used up.
#[derive(Debug, PartialEq)]
pub(crate) struct Said<T> {
    pub(crate) all: Vec<T>,
    pub(crate) end: Result<(), LineError>,
}

fn read_all<T>(
    bytes: &[u8],
    sizes: &[usize],
    mut push: impl FnMut(&[u8]) -> Result<(usize, Option<T>), LineError>,
) -> Said<T> {
    let mut all = Vec::new();
    for mut chunk in chunks(bytes, sizes) {
        while !chunk.is_empty() {
            match push(chunk) {
                Ok((used, said)) => {
                    chunk = &chunk[used..];
                    all.extend(said);
                }
                Err(error) => return Said { all, end: Err(error) },
            }
        }
    }
    Said { all, end: Ok(()) }
}

pub(crate) fn read_lines(nonce: Nonce, bytes: &[u8], sizes: &[usize]) -> Said<FromNode> {
    let mut reader = LineReader::new(keys(), nonce);
    read_all(bytes, sizes, |chunk| reader.push(chunk))
}

pub(crate) fn read_reports(bytes: &[u8], sizes: &[usize]) -> Said<Report> {
    let mut reader = ReportReader::default();
    read_all(bytes, sizes, |chunk| reader.push(chunk))
}
