//! Bytes in a URL.

/// Appends the bytes, all but the unreserved ones as `%XX` (RFC 3986).
pub(crate) fn encode(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])),
            );
        }
    }
}

/// The bytes that this text stands for in a form, or in the query of a tracker: `+` is a space.
pub(crate) fn decode_form(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    decode(&spaced)
}

/// The bytes that this text stands for. A `%` that no two digits follow is taken as it stands.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        bytes.push(match (first, behind) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            (byte, _) => *byte,
        });
    }
    bytes
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_there_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        encode(&all, &mut text);
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"%-._~".contains(&byte)));
        assert_eq!(decode(text.as_bytes()), all);
    }

    #[test]
    fn what_others_write() {
        for (text, bytes) in
            [("a%2fb%2F", &b"a/b/"[..]), ("a+b", b"a+b"), ("%", b"%"), ("%1", b"%1"), ("%zz%41", b"%zzA")]
        {
            assert_eq!(decode(text.as_bytes()), bytes, "{text}");
        }
        assert_eq!(decode_form(b"a+b%2B%20"), b"a b+ ");
    }
}
