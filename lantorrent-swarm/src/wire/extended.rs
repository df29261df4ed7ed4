//! The handshake of the extension protocol (BEP 10).

use std::net::IpAddr;

use crate::bencode::{BencodeError, Dict, Item, Value, dict};

/// The number by which peers have to call lists of peers (BEP 11) when they send them to us.
pub const EXCHANGE_ID: u8 = 1;
/// The number by which peers have to call parts of the metadata (BEP 9) when they send them to us.
pub const METADATA_ID: u8 = 2;

/// Characters of a client's name that are kept.
const LONGEST_NAME: usize = 64;

/// What a peer says about itself in the extension protocol. It may say so again; what it leaves out stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtendedHandshake {
    /// The number for lists of peers (`ut_pex`, BEP 11); 0 if it wants none.
    pub exchange_id: Option<u8>,
    /// The number for parts of the metadata (`ut_metadata`, BEP 9); 0 if it wants none.
    pub metadata_id: Option<u8>,
    /// Bytes of the metadata, from a peer that has it (BEP 9).
    pub metadata_size: Option<u32>,
    /// The TCP port where it takes connections (`p`).
    pub port: Option<u16>,
    /// The name of the client and its version (`v`), without anything that would harm a terminal.
    pub client: Option<String>,
    /// How many requests may wait at it (`reqq`).
    pub requests: Option<u32>,
    /// The address of the receiver, as the sender sees it.
    pub your_ip: Option<IpAddr>,
    /// It wants no data any more (BEP 21).
    pub upload_only: Option<bool>,
}

impl ExtendedHandshake {
    /// Reads the payload of such a message. What is in it but has another form than it should is passed over.
    pub fn read(payload: &[u8]) -> Result<Self, BencodeError> {
        let (value, _) = Value::read(payload)?;
        let Some(fields) = value.dict() else { return Ok(Self::default()) };
        let names = fields.get("m").and_then(Value::dict);
        let id = |name| names.as_ref().and_then(|names| integer::<u8>(names, name));
        Ok(Self {
            exchange_id: id("ut_pex"),
            metadata_id: id("ut_metadata"),
            metadata_size: integer(&fields, "metadata_size"),
            port: integer(&fields, "p").filter(|&port| port != 0),
            client: fields.get("v").and_then(Value::bytes).map(clean),
            requests: integer(&fields, "reqq"),
            your_ip: fields.get("yourip").and_then(Value::bytes).and_then(address),
            upload_only: fields.get("upload_only").and_then(Value::integer).map(|value| value != 0),
        })
    }

    /// The payload of such a message.
    pub fn encode(&self) -> Vec<u8> {
        let names = [("ut_metadata", self.metadata_id), ("ut_pex", self.exchange_id)];
        let names = names.into_iter().filter_map(|(name, id)| Some((name, Item::from(i64::from(id?)))));
        let ip = self.your_ip.map(|ip| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        });
        let fields = [
            ("m", Some(dict(names))),
            ("metadata_size", self.metadata_size.map(|size| i64::from(size).into())),
            ("p", self.port.map(|port| i64::from(port).into())),
            ("reqq", self.requests.map(|count| i64::from(count).into())),
            ("upload_only", self.upload_only.map(|only| i64::from(only).into())),
            ("v", self.client.as_deref().map(Item::from)),
            ("yourip", ip.map(Item::from)),
        ];
        dict(fields.into_iter().filter_map(|(key, item)| Some((key, item?)))).encode()
    }
}

fn integer<N: TryFrom<i64>>(fields: &Dict<'_>, key: &str) -> Option<N> {
    fields.get(key).and_then(Value::integer).and_then(|number| N::try_from(number).ok())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn clean(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    text.chars().filter(|char| !char.is_control()).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let full = ExtendedHandshake {
            exchange_id: Some(EXCHANGE_ID),
            metadata_id: Some(METADATA_ID),
            metadata_size: Some(31_235),
            port: Some(6881),
            client: Some("LANTorrent 0.1".into()),
            requests: Some(500),
            your_ip: Some("10.0.0.7".parse().unwrap()),
            upload_only: Some(true),
        };
        assert_eq!(ExtendedHandshake::read(&full.encode()), Ok(full.clone()));
        let v6 = ExtendedHandshake { your_ip: Some("fe80::1".parse().unwrap()), ..full };
        assert_eq!(ExtendedHandshake::read(&v6.encode()), Ok(v6));
        assert_eq!(ExtendedHandshake::default().encode(), b"d1:mdee");
    }

    #[test]
    fn as_other_clients_write_it() {
        let read = |bytes: &[u8]| ExtendedHandshake::read(bytes).unwrap();
        let found = read(
            b"d12:complete_agoi-1e1:md11:upload_onlyi3e6:ut_pexi1ee13:metadata_sizei5e4:reqqi512e1:v5:aria2e...",
        );
        assert_eq!((found.exchange_id, found.metadata_id, found.requests), (Some(1), None, Some(512)));
        assert_eq!((found.metadata_size, found.client.as_deref()), (Some(5), Some("aria2")));
    }

    #[test]
    fn what_has_a_wrong_form_is_passed_over() {
        let read = |bytes: &[u8]| ExtendedHandshake::read(bytes).unwrap();
        let found = read(b"d1:mi1e13:metadata_sizei-5e1:pi70000e4:reqq1:x1:vi1e6:yourip3:abce");
        assert_eq!(found, ExtendedHandshake::default());
        assert_eq!(read(b"le"), ExtendedHandshake::default());
        assert!(ExtendedHandshake::read(b"d").is_err());
    }

    #[test]
    fn a_name_does_no_harm() {
        let mut bytes = b"d1:v90:\x1b[2Jbad\r\n\xff".to_vec();
        bytes.extend([b'x'; 90 - 10]);
        bytes.push(b'e');
        let name = ExtendedHandshake::read(&bytes).unwrap().client.unwrap();
        assert!(name.starts_with("[2Jbad\u{fffd}xx") && name.chars().count() == LONGEST_NAME, "{name}");
    }
}
