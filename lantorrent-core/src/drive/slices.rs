//! Writing several slices as one.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

/// Takes so many bytes from the beginning of what the parts make up together.
pub(super) fn split_off_start<'a>(parts: &mut [&'a [u8]; 3], mut count: usize) -> [&'a [u8]; 3] {
    parts.each_mut().map(|part| {
        let (start, rest) = part.split_at(count.min(part.len()));
        count -= start.len();
        *part = rest;
        start
    })
}

/// Writes all of all slices, in order.
pub(super) fn write_all(mut socket: &TcpStream, parts: [&[u8]; 3]) -> io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut rest = &mut slices[..];
    // Leading empty slices would make a write of nothing look like the end.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match socket.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut rest, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_split_off_in_pieces_is_all_of_it() {
        for size in 1..12 {
            let mut rest: [&[u8]; 3] = [b"abc", b"", b"defgh"];
            let mut all = Vec::new();
            while rest.iter().any(|part| !part.is_empty()) {
                let piece = split_off_start(&mut rest, size).concat();
                assert!(piece.len() == size || rest.concat().is_empty());
                all.extend(piece);
            }
            assert_eq!(all, b"abcdefgh", "{size}");
        }
    }
}
