//! What a web server answers when it is asked for a file.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::store::StoreError;
use thiserror::Error;

use super::http;
use crate::percent;

/// Why a file cannot be had from the web.
#[derive(Debug, Error)]
pub enum WebError {
    /// The server cannot be asked, or the connection is lost again and again.
    #[error("{url}: {why}")]
    Lost {
        /// What was asked for.
        url: String,
        /// What happened.
        why: String,
    },
    /// The server does not send it.
    #[error("{url}: the server answers {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// How long the server wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The server does not send it as it is.
    #[error("{url}: the server sends it packed ({encoding}), and would not send it as it is")]
    Packed {
        /// What was asked for.
        url: String,
        /// How it is packed.
        encoding: String,
    },
    /// It is another file than it was when its first bytes came.
    #[error("{url} has changed while it was fetched; fetch it again")]
    Changed {
        /// What was asked for.
        url: String,
    },
    /// It cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder has no absolute path.
    #[error("cannot use the folder {path:?}: {cause}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The path is not UTF-8.
    #[error("the path {path:?} is not UTF-8; give another folder")]
    Encoding {
        /// The path.
        path: PathBuf,
    },
    /// Who asked for it wants it no more.
    #[error("stopped")]
    Stopped,
}

impl WebError {
    /// Whether it may go well the next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Lost { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// What tells one version of a file from the others: a strong entity tag, or else the time of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version(String);

impl Version {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }
}

/// The answer, and where in the file it begins.
pub(super) struct Answer {
    pub(super) from: u64,
    /// Of the whole file.
    pub(super) length: Option<u64>,
    pub(super) version: Option<Version>,
    pub(super) body: Box<dyn Read + Send>,
}

impl Answer {
    /// Asks for all of it, or for the rest if it is that version still.
    pub(super) fn ask(
        agent: &ureq::Agent,
        url: &str,
        from: Option<(u64, &Version)>,
    ) -> Result<Self, WebError> {
        let mut request = agent.get(url);
        if let Some((at, version)) = from {
            request = request.header("Range", format!("bytes={at}-")).header("If-Range", &version.0);
        }
        let response = request
            .call()
            .map_err(|error| WebError::Lost { url: url.to_owned(), why: http::explain(&error) })?;
        if let Some(encoding) = http::packed(&response) {
            return Err(WebError::Packed { url: url.to_owned(), encoding });
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let tag = header("etag").filter(|tag| !tag.starts_with("W/"));
        let version = tag.or_else(|| header("last-modified")).map(|text| Version(text.to_owned()));
        let (from, length) = match response.status().as_u16() {
            200 => (0, header("content-length").and_then(|length| length.trim().parse().ok())),
            206 => header("content-range")
                .and_then(range)
                .filter(|(begin, _)| from.is_some_and(|(at, _)| *begin == at))
                .ok_or_else(|| WebError::Lost {
                    url: url.to_owned(),
                    why: "the server sends another part than it was asked for".into(),
                })?,
            416 => return Err(WebError::Changed { url: url.to_owned() }),
            status => {
                let retry_after = header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
                let retry_after = retry_after.map(Duration::from_secs);
                return Err(WebError::Refused { url: url.to_owned(), status, retry_after });
            }
        };
        Ok(Self { from, length, version, body: Box::new(response.into_body().into_reader()) })
    }
}

/// The first byte and the length of the whole in a `Content-Range`.
fn range(text: &str) -> Option<(u64, Option<u64>)> {
    let (span, whole) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let begin = span.split_once('-')?.0.trim().parse().ok()?;
    Some((begin, whole.trim().parse().ok()))
}

/// The last name in the path of a URL, if a file can have it.
pub(super) fn name_of(url: &str) -> Option<String> {
    let path = url.split_once("://")?.1.split(['?', '#']).next()?.split_once('/')?.1;
    let last = path.rsplit('/').next()?.replace('+', "%2B");
    let name = String::from_utf8(percent::decode(last.as_bytes())).ok()?;
    let is_one = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    is_one.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_urls() {
        for (url, name) in [
            ("http://a/b/tool-1.0.tar.gz", Some("tool-1.0.tar.gz")),
            ("http://a/b%20c+d?x=/y#z", Some("b c+d")),
            ("http://a", None),
            ("http://a/", None),
            ("http://a/b/", None),
            ("http://a/..", None),
            ("http://a/%2e%2e", None),
            ("http://a/b%2fc", None),
            ("http://a/%00", None),
            ("http://a/%ff", None),
        ] {
            assert_eq!(name_of(url).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn ranges_as_servers_write_them() {
        for (text, parsed) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-0/*", Some((0, None))),
            (" bytes  7-8/ 9 ", Some((7, Some(9)))),
            ("bytes */10", None),
            ("bits 1-2/3", None),
            ("", None),
        ] {
            assert_eq!(range(text), parsed, "{text}");
        }
    }
}
