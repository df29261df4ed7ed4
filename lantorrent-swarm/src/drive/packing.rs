//! Answers that are packed on the way, although they were not asked to be.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// What that is, unpacked; none for a way of packing that is not known.
pub(super) fn unpack(coding: &str, body: impl Read + Send + 'static) -> Option<Box<dyn Read + Send>> {
    let body = BufReader::new(body);
    match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => Some(Box::new(MultiGzDecoder::new(body))),
        "deflate" => Some(Box::new(Inflated::Unknown(Some(body)))),
        _ => None,
    }
}

/// All of it, which is bencoded, unpacked where it is packed, as its first bytes or the head say; an error beyond so many
/// bytes.
pub(super) fn read_all(
    coding: Option<&str>,
    mut body: impl Read + Send + 'static,
    most: u64,
) -> io::Result<Vec<u8>> {
    let mut first = Vec::new();
    body.by_ref().take(2).read_to_end(&mut first)?;
    // Front ends forget to say so, or say so of what they have unpacked, or of what they have not packed.
    let coding = match first[..] {
        [0x1f, 0x8b] if coding.is_none_or(|coding| coding.trim().eq_ignore_ascii_case("deflate")) => {
            Some("gzip")
        }
        [b'd', digit] if digit.is_ascii_digit() => None,
        _ => coding,
    };
    let body = io::Cursor::new(first).chain(body);
    let body: Box<dyn Read + Send> = match coding {
        Some(coding) => unpack(coding, body).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, format!("the answer is packed ({coding})"))
        })?,
        None => Box::new(body),
    };
    let mut all = Vec::new();
    body.take(most + 1).read_to_end(&mut all)?;
    if all.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the answer is longer than {most} bytes"),
        ));
    }
    Ok(all)
}

/// What is called deflate: with the head of zlib, as it should be, or without.
enum Inflated<R> {
    Unknown(Option<R>),
    Zlib(ZlibDecoder<R>),
    Raw(DeflateDecoder<R>),
}

impl<R: BufRead> Read for Inflated<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self {
                Self::Unknown(body) => {
                    let Some(mut body) = body.take() else { return Ok(0) };
                    // The first byte of a head says which method, and for how large a window.
                    let is_zlib = body.fill_buf()?.first().is_some_and(|first| first & 0x8f == 8);
                    *self = if is_zlib {
                        Self::Zlib(ZlibDecoder::new(body))
                    } else {
                        Self::Raw(DeflateDecoder::new(body))
                    };
                }
                Self::Zlib(body) => return body.read(into),
                Self::Raw(body) => return body.read(into),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn packed<W: Write>(mut encoder: W, finish: impl Fn(W) -> io::Result<Vec<u8>>) -> Vec<u8> {
        encoder.write_all(b"d8:intervali1800e5:peers0:e").unwrap();
        finish(encoder).unwrap()
    }

    #[test]
    fn however_it_is_packed() {
        let usual = Compression::default();
        let gzip = packed(GzEncoder::new(Vec::new(), usual), GzEncoder::finish);
        let zlib = packed(ZlibEncoder::new(Vec::new(), usual), ZlibEncoder::finish);
        let raw = packed(DeflateEncoder::new(Vec::new(), usual), DeflateEncoder::finish);
        let cases = [
            (Some("gzip"), &gzip),
            (Some(" X-GZIP "), &gzip),
            (None, &gzip),
            (Some("deflate"), &zlib),
            (Some("deflate"), &raw),
        ];
        for (coding, bytes) in cases {
            let plain = read_all(coding, io::Cursor::new(bytes.clone()), 27).unwrap();
            assert_eq!(plain, b"d8:intervali1800e5:peers0:e", "{coding:?}");
            assert!(read_all(coding, io::Cursor::new(bytes.clone()), 26).is_err(), "longer than that");
            let cut = bytes[..bytes.len() / 2].to_vec();
            assert!(read_all(coding, io::Cursor::new(cut), 27).is_err(), "{coding:?}");
        }
        let wrongly = |coding, bytes: &[u8]| read_all(Some(coding), io::Cursor::new(bytes.to_vec()), 27);
        assert_eq!(wrongly("deflate", &gzip).unwrap(), b"d8:intervali1800e5:peers0:e");
        for coding in ["gzip", "deflate", "br", "gzip, gzip"] {
            assert_eq!(
                wrongly(coding, b"d8:intervali1800e5:peers0:e").unwrap(),
                b"d8:intervali1800e5:peers0:e"
            );
        }
        assert!(wrongly("gzip", b"<html>").is_err());
        assert!(read_all(Some("br"), io::empty(), 27).unwrap_err().to_string().contains("(br)"));
        assert_eq!(read_all(None, &b"plain"[..], 27).unwrap(), b"plain");
        assert_eq!(read_all(None, io::empty(), 27).unwrap(), b"");
    }
}
