//! What a file from the web is called.

use ureq::http::HeaderValue;

use crate::percent;
use crate::url::Url;

/// Bytes that a name may have, with what stands behind it while it is fetched.
const LONGEST: usize = 200;

/// The last name in the path of a URL, if a file can have it.
pub(super) fn name_of(url: &Url) -> Option<String> {
    let path = url.target().split('?').next()?;
    let name = String::from_utf8(percent::decode(path.rsplit('/').next()?.as_bytes())).ok()?;
    is_one(&name).then_some(name)
}

/// The name that the server gives it (RFC 6266), if a file can have it: of a path the last part, and nothing hidden.
pub(super) fn name_in(disposition: &HeaderValue) -> Option<String> {
    let parameters = parameters(disposition.as_bytes());
    let of = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| &value[..]);
    let plain = || of("filename").map(text_of);
    let name = of("filename*").and_then(extended).or_else(plain)?;
    let name = name.rsplit(['/', '\\']).next()?.trim();
    (is_one(name) && !name.starts_with('.')).then(|| name.to_owned())
}

/// Whether a name ends as one does of what is packed in that way: then it is no packing of this answer, as some servers say,
/// but what the file is.
pub(super) fn is_packed_itself(url: &Url, coding: &str) -> bool {
    let endings: &[&str] = match coding.trim().to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => &["gz", "tgz", "svgz", "gzip", "taz"],
        "compress" | "x-compress" => &["z", "taz"],
        "bzip2" | "x-bzip2" => &["bz2", "tbz2", "tbz"],
        "xz" | "x-xz" => &["xz", "txz"],
        "zstd" => &["zst", "zstd"],
        "br" => &["br"],
        _ => &[],
    };
    let name = name_of(url).unwrap_or_default().to_ascii_lowercase();
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.contains(&ending))
}

fn is_one(name: &str) -> bool {
    let is_plain = !name.contains(|c: char| c == '/' || c.is_control());
    is_plain && !name.is_empty() && name != "." && name != ".." && name.len() <= LONGEST
}

/// Names in small letters, and values without quotes.
fn parameters(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut parts: Vec<Vec<u8>> = vec![Vec::new()];
    let (mut is_quoted, mut bytes) = (false, text.iter().copied());
    while let Some(byte) = bytes.next() {
        let last = parts.len() - 1;
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => parts[last].extend(bytes.next()),
            b';' if !is_quoted => parts.push(Vec::new()),
            byte => parts[last].push(byte),
        }
    }
    let pair = |part: &Vec<u8>| {
        let at = part.iter().position(|&byte| byte == b'=')?;
        let name = part[..at].trim_ascii().to_ascii_lowercase();
        Some((String::from_utf8(name).ok()?, part[at + 1..].trim_ascii().to_vec()))
    };
    parts.iter().filter_map(pair).collect()
}

/// UTF-8, or what stood in its place before.
fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect())
}

/// `UTF-8''a%20name` (RFC 8187).
fn extended(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let (charset, rest) = text.split_once('\'')?;
    let bytes = percent::decode(rest.split_once('\'')?.1.as_bytes());
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_urls() {
        for (url, name) in [
            ("http://a/b/tool-1.0.tar.gz", Some("tool-1.0.tar.gz")),
            ("http://a/b%20c+d?x=/y#z", Some("b c+d")),
            ("http://a/My Images/größe 1", Some("größe 1")),
            ("http://a", None),
            ("http://a/", None),
            ("http://a/b/", None),
            ("http://a/..", None),
            ("http://a/%2e%2e", None),
            ("http://a/b%2fc", None),
            ("http://a/%00", None),
            ("http://a/%0a", None),
            ("http://a/%ff", None),
        ] {
            assert_eq!(name_of(&url.parse().unwrap()).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn names_that_servers_give() {
        for (text, name) in [
            (&b"attachment; filename=\"tool 1.0.iso\""[..], Some("tool 1.0.iso")),
            (b"attachment; filename=tool.iso", Some("tool.iso")),
            (b"ATTACHMENT;FileName = tool.iso ; size=3", Some("tool.iso")),
            (b"inline; filename=\"a;b\\\"c\"", Some("a;b\"c")),
            (
                b"attachment; filename=\"x\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%2B.img",
                Some("gr\u{f6}\u{df}e +.img"),
            ),
            (b"attachment; filename*=iso-8859-1'en'%A3.img", Some("\u{a3}.img")),
            (b"attachment; filename*=koi8-r''%A3; filename=x", Some("x")),
            (b"attachment; filename*=UTF-8''%ff; filename=x", Some("x")),
            (b"attachment; filename=\"gr\xc3\xb6\"", Some("gr\u{f6}")),
            (b"attachment; filename=\"gr\xf6\"", Some("gr\u{f6}")),
            (b"attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            (b"attachment; filename=\"C:\\\\x\\\\y.img\"", Some("y.img")),
            (b"attachment; filename*=UTF-8''..%2f..%2fx", Some("x")),
            (b"attachment; filename=\"..\"", None),
            (b"attachment; filename=.bashrc", None),
            (b"attachment; filename=\"x/\"", None),
            (b"attachment; filename=\"\"", None),
            (b"attachment; filename*=UTF-8''a%00b", None),
            (b"attachment; filename*=UTF-8''a%0ab", None),
            (b"attachment", None),
        ] {
            let value = HeaderValue::from_bytes(text).unwrap();
            assert_eq!(name_in(&value).as_deref(), name, "{}", text.escape_ascii());
        }
        let long = HeaderValue::from_str(&format!("attachment; filename={}", "x".repeat(300))).unwrap();
        assert_eq!(name_in(&long), None);
    }

    #[test]
    fn files_that_are_packed_themselves() {
        for (url, coding, is) in [
            ("http://a/tool.tar.gz", "x-gzip", true),
            ("http://a/tool.TGZ?x", "gzip", true),
            ("http://a/tool.tar", "gzip", false),
            ("http://a/tool.gz", "br", false),
            ("http://a/gz", "gzip", false),
        ] {
            assert_eq!(is_packed_itself(&url.parse().unwrap(), coding), is, "{url} {coding}");
        }
    }
}
