//! Signatures made without the library, for headers that it would not write.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use lantorrent_core::wire::Wire;
use sha2::Sha256;

use super::{NIMBUS, PASSWORD};

/// Base64 of HMAC-MD5 over the text without its line ends, as 0.2 signs.
pub(crate) fn signature_1(text: &[u8]) -> String {
    let bare: Vec<u8> = text.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
    let mut mac = <Hmac<md5::Md5> as KeyInit>::new_from_slice(NIMBUS.as_bytes()).unwrap();
    mac.update(&bare);
    BASE64.encode(mac.finalize().into_bytes())
}

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// Any bytes as a header, well signed.
pub(crate) fn sign_bytes(wire: Wire, text: &[u8]) -> Vec<u8> {
    let text = [text, b"\n"].concat();
    let signature = match wire {
        Wire::One => signature_1(&text),
        Wire::Two => {
            let key = hmac_sha256(PASSWORD.as_bytes(), b"lantorrent 2 header\0");
            BASE64.encode(hmac_sha256(&key, &text))
        }
    };
    [&text[..], format!("EOH : {signature}\r\n").as_bytes()].concat()
}

/// Any text as a header, well signed.
pub(crate) fn sign(wire: Wire, text: &str) -> Vec<u8> {
    sign_bytes(wire, text.as_bytes())
}
