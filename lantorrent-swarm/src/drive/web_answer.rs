//! What a web server answers when it is asked for a file.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::store::StoreError;
use thiserror::Error;
use ureq::http::header::{
    CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE,
};

use super::http::{self, Ask, Client, HttpError};
use super::web_name::{is_packed_itself, name_in, name_of};
use crate::url::Url;

/// Why a file cannot be had from the web.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WebError {
    /// The server cannot be asked, or the connection is lost again and again.
    #[error("{url}: {why}")]
    Lost {
        /// What was asked for.
        url: String,
        /// What happened.
        why: String,
    },
    /// It is at no place where it can be fetched.
    #[error("{url}: {why}")]
    Useless {
        /// What was asked for.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The server, or a proxy on the way to it, does not send it.
    #[error("{url}: {told}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// Who answers what.
        told: String,
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
    /// The rest cannot be had by itself.
    #[error("{url}: the server sends another part than it was asked for")]
    Parts {
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
    /// Where redirects have led.
    pub(super) url: Url,
    pub(super) from: u64,
    /// Of the whole file.
    pub(super) length: Option<u64>,
    pub(super) version: Option<Version>,
    /// What the server calls it.
    pub(super) name: Option<String>,
    /// How it is packed, although it was to be sent as it is.
    pub(super) packed: Option<String>,
    pub(super) body: Box<dyn Read + Send>,
}

impl Answer {
    /// Asks for all of it, or for the rest if it is that version still.
    pub(super) fn ask(client: &Client, url: &Url, from: Option<(u64, &Version)>) -> Result<Self, WebError> {
        let headers = from.map_or_else(Vec::new, |(at, version)| {
            vec![(RANGE, format!("bytes={at}-")), (IF_RANGE, version.0.clone())]
        });
        let shown = url.to_string();
        let lost = |why: &str| WebError::Lost { url: shown.clone(), why: why.to_owned() };
        let answer = client.get(&Ask { url, headers, patience: None, is_verified: false }).map_err(
            |error| match error {
                HttpError::Wrong(why) => WebError::Useless { url: shown.clone(), why },
                error => lost(&error.to_string()),
            },
        )?;
        let (begin, length) = match answer.status {
            200 => (0, answer.length()),
            206 => match (Part::of(&answer), from) {
                (Some(part), Some((at, _))) if part.begin == at => (at, part.whole),
                // All of it, which is what was asked for.
                (Some(part), None) if part.begin == 0 && part.whole == Some(part.length) => (0, part.whole),
                // A server that cannot say which part it sends has to send all again.
                (_, Some(_)) => return Err(WebError::Parts { url: shown }),
                _ => return Err(lost("the server sends another part than it was asked for")),
            },
            416 => return Err(WebError::Changed { url: shown }),
            status => {
                let (told, retry_after) = (answer.told(), answer.retry_after());
                return Err(WebError::Refused { url: shown, status, told, retry_after });
            }
        };
        let packed = answer.coding().filter(|coding| !is_packed_itself(&answer.url, coding));
        let tag = answer.header(ETAG).filter(|tag| !tag.starts_with("W/"));
        let version = tag.or_else(|| answer.header(LAST_MODIFIED)).map(|text| Version(text.to_owned()));
        let named = answer.headers.get(CONTENT_DISPOSITION).and_then(name_in);
        let name = named.or_else(|| name_of(url)).or_else(|| name_of(&answer.url));
        let length = length.filter(|_| packed.is_none());
        Ok(Self { from: begin, length, version, name, packed, url: answer.url, body: answer.body })
    }
}

/// Which part of a file an answer has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) begin: u64,
    pub(super) length: u64,
    /// Bytes of the whole file, if the server says so.
    pub(super) whole: Option<u64>,
}

impl Part {
    /// None if it is not said, or if there are several.
    pub(super) fn of(answer: &http::Answer) -> Option<Self> {
        let kind = answer.header(CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        answer.header(CONTENT_RANGE).filter(|_| !kind.starts_with("multipart/")).and_then(Self::read)
    }

    fn read(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_at_checked(5)?;
        let (span, whole) = rest.trim_start_matches(['=', ' ', '\t']).split_once('/')?;
        let (begin, end) = span.split_once('-')?;
        let (begin, end): (u64, u64) = (begin.trim().parse().ok()?, end.trim().parse().ok()?);
        let whole = whole.trim().parse().ok();
        let fits =
            unit.eq_ignore_ascii_case("bytes") && begin <= end && whole.is_none_or(|whole| end < whole);
        if !fits {
            return None;
        }
        Some(Self { begin, length: (end - begin).checked_add(1)?, whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_servers_write_them() {
        for (text, parsed) in [
            ("bytes 5-9/10", Some((5, 5, Some(10)))),
            ("bytes 0-0/*", Some((0, 1, None))),
            (" Bytes  7-8/ 9 ", Some((7, 2, Some(9)))),
            ("bytes=7-8/9", Some((7, 2, Some(9)))),
            ("bytes */10", None),
            ("bytes 5-4/10", None),
            ("bytes 5-10/10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bits 1-2/3", None),
            ("", None),
        ] {
            let parsed = parsed.map(|(begin, length, whole)| Part { begin, length, whole });
            assert_eq!(Part::read(text), parsed, "{text}");
        }
    }
}
