//! The datagram by which a client says that it has a torrent (BEP 14).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::InfoHash;

/// A larger datagram than that is no announcement. Ours have at most 200 bytes, which is all that some clients read.
pub const DATAGRAM_LIMIT: usize = 1500;

/// Where announcements go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "BEP 14 has two groups")]
pub enum Group {
    /// 239.192.152.143:6771.
    V4,
    /// [ff15::efc0:988f]:6771.
    V6,
}

impl Group {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The address and port to send to, and to listen at after joining the group. Send with a TTL of 1, and over IPv6
    /// once on each interface.
    pub fn address(self) -> SocketAddr {
        const PORT: u16 = 6771;
        match self {
            Self::V4 => (Ipv4Addr::new(239, 192, 152, 143), PORT).into(),
            Self::V6 => (Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f), PORT).into(),
        }
    }
}

/// What somebody announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement<'a> {
    /// Where it takes connections.
    pub(super) port: u16,
    pub(super) torrents: Vec<InfoHash>,
    /// By which a client knows its own announcements.
    pub(super) cookie: Option<&'a str>,
}

/// The announcement of one torrent, as every client understands it: one info hash, names as BEP 14 spells them, and
/// three line ends after the last.
pub(super) fn write(group: Group, port: u16, torrent: &InfoHash, cookie: &str) -> Vec<u8> {
    let host = group.address();
    format!(
        "BT-SEARCH * HTTP/1.1\r\nHost: {host}\r\nPort: {port}\r\nInfohash: {torrent}\r\ncookie: {cookie}\r\n\r\n\r\n"
    )
    .into_bytes()
}

/// Reads what others may write: names in any case, lines that end in LF alone, several info hashes, headers that are new.
pub(super) fn read(datagram: &[u8]) -> Option<Announcement<'_>> {
    let text = std::str::from_utf8(datagram).ok().filter(|text| text.len() <= DATAGRAM_LIMIT)?;
    let mut lines = text.lines();
    let method = lines.next()?.split(' ').next()?;
    if !method.eq_ignore_ascii_case("BT-SEARCH") {
        return None;
    }
    let (mut port, mut torrents, mut cookie) = (None, Vec::new(), None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "port" => port = Some(value.parse().ok().filter(|&port| port != 0)?),
            "infohash" => torrents.extend(value.parse::<InfoHash>().ok()),
            "cookie" => cookie = Some(value),
            _ => {}
        }
    }
    Some(Announcement { port: port?, torrents, cookie }).filter(|found| !found.torrents.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f10111213";

    fn torrent() -> InfoHash {
        HEX.parse().unwrap()
    }

    #[test]
    fn an_announcement_byte_for_byte() {
        let expected = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: {HEX}\r\ncookie: c\r\n\r\n\r\n"
        );
        assert_eq!(String::from_utf8(write(Group::V4, 6881, &torrent(), "c")).unwrap(), expected);
        let v6 = write(Group::V6, 65535, &torrent(), "0123456789abcdef");
        assert!(String::from_utf8_lossy(&v6).contains("\r\nHost: [ff15::efc0:988f]:6771\r\n"));
        assert!(v6.len() <= 200, "{}", v6.len());
    }

    #[test]
    fn what_is_written_is_read() {
        for group in Group::ALL {
            let expected = Announcement { port: 1, torrents: vec![torrent()], cookie: Some("c") };
            assert_eq!(read(&write(group, 1, &torrent(), "c")), Some(expected));
        }
    }

    #[test]
    fn leniently() {
        let one = Announcement { port: 6881, torrents: vec![torrent()], cookie: None };
        let base32 = "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT";
        let cases = [
            format!("BT-SEARCH * HTTP/1.1\nhost: x\nPORT:6881\ninfoHash:  {HEX} \n"),
            format!("bt-search * HTTP/1.0\r\nInfohash: {}\r\nPort: 6881", HEX.to_uppercase()),
            format!(
                "BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\nInfohash: {base32}\r\nX-New: y\r\nno header\r\n\r\n"
            ),
            format!("BT-SEARCH\r\n\r\nPort : 6881\r\nInfohash: short\r\nInfohash: {HEX}\r\n"),
        ];
        for text in cases {
            assert_eq!(read(text.as_bytes()), Some(one.clone()), "{text}");
        }
        let many =
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n{}", format!("Infohash: {HEX}\r\n").repeat(99));
        assert_eq!(read(&many.as_bytes()[..DATAGRAM_LIMIT]).unwrap().torrents.len(), 28);
        assert_eq!(read(many.as_bytes()), None, "too long");
    }

    #[test]
    fn what_is_no_announcement() {
        for text in [
            String::new(),
            "NOTIFY * HTTP/1.1\r\nPort: 1\r\n".into(),
            "BT-SEARCH * HTTP/1.1\r\nPort: 6881\r\n\r\n".into(),
            format!("BT-SEARCH * HTTP/1.1\r\nInfohash: {HEX}\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 0\r\nInfohash: {HEX}\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\nInfohash: {HEX}\r\n"),
            format!("BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nPort: x\r\nInfohash: {HEX}\r\n"),
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"BT-SEARCH * HTTP/1.1\r\nPort: 1\r\nX: \xff\r\n"), None);
    }
}
