//! A file from the web, for who has no torrent of it: with what there was of it before, and whatever the connection does.

use std::io::{self, Cursor, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_core::Limit;
use lantorrent_core::runtime::RateLimiter;
use lantorrent_core::store::{Durability, Output, Placement, Resume, Roots, Target, digest};

use super::SessionError;
use super::http::Client;
use super::packing;
use super::web_answer::{Answer, Version, WebError};
use crate::metainfo::{METAINFO, Metainfo};
use crate::url::Url;

/// Bytes that are written at once, and that one line of the journal is about.
const BLOCK: u32 = 256 << 10;
/// How often a server that sends nothing is tried again, and how long after the first failure.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest time for which a server can ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How often a file that changes, or of which the server cannot say whether it has, is begun anew.
const ANEW: u32 = 3;
/// How long it may go unnoticed that nobody wants the file any more.
const GLANCE: Duration = Duration::from_millis(50);

/// Asks web servers for torrents and files, one after the other. Clones are the same.
#[derive(Clone, Debug)]
pub struct Web {
    client: Client,
    download: Limit,
}

/// What a URL leads to.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller has to tell torrents from files")]
pub enum Page {
    /// A torrent, whatever it is called there.
    Torrent(Box<Metainfo>),
    /// Anything else.
    File(Box<WebFile>),
}

/// A file on the web, of which the first bytes have come.
pub struct WebFile {
    web: Web,
    url: Url,
    /// Where redirects led: what has begun on one mirror goes on there.
    mirror: Url,
    name: Option<String>,
    version: Option<Version>,
    length: Option<u64>,
    body: Box<dyn Read + Send>,
}

/// What is told of the bytes that are there: how many, and of how many. `Break` ends it with [`WebError::Stopped`].
pub type WebProgress<'a> = &'a dyn Fn(u64, Option<u64>) -> ControlFlow<()>;

impl std::fmt::Debug for WebFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebFile")
            .field("url", &self.url)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Web {
    /// Through that proxy, a URL, or as the environment says, by the rules of curl; as fast as the limit allows.
    pub fn new(proxy: Option<&str>, download: Limit) -> Result<Self, SessionError> {
        Ok(Self { client: Client::new(proxy)?, download })
    }

    /// Asks for what is at that URL. Redirects are followed, but not from HTTPS to HTTP.
    pub fn open(&self, url: &Url) -> Result<Page, WebError> {
        let answer = Answer::ask(&self.client, url, None)?;
        if let Some(coding) = answer.packed {
            // A torrent tells itself whether it was unpacked as it should be. Of anything else nobody could.
            let unpacked = packing::read_all(Some(&coding), answer.body, METAINFO as u64);
            let torrent = unpacked.ok().and_then(|bytes| Metainfo::read(&bytes).ok());
            let packed = || WebError::Packed { url: url.to_string(), encoding: coding };
            return torrent.map(|torrent| Page::Torrent(Box::new(torrent))).ok_or_else(packed);
        }
        let (start, rest) = beginning(answer.body).map_err(|error| lost(url, &error))?;
        match Metainfo::read(&start) {
            Ok(torrent) => Ok(Page::Torrent(Box::new(torrent))),
            Err(_) => Ok(Page::File(Box::new(WebFile {
                web: self.clone(),
                url: url.clone(),
                mirror: answer.url,
                name: answer.name,
                version: answer.version,
                length: answer.length,
                body: Box::new(Cursor::new(start).chain(rest)),
            }))),
        }
    }

    /// Ends all that waits for a server, in other threads too, with an error. Nothing can be asked for after that.
    pub fn shut_down(&self) {
        self.client.shut_down();
    }
}

/// The first bytes: all, if they may be those of a torrent.
fn beginning<R: Read>(mut body: R) -> io::Result<(Vec<u8>, R)> {
    let mut start = Vec::new();
    body.by_ref().take(2).read_to_end(&mut start)?;
    // A dictionary whose first key is a text of some length.
    if matches!(start[..], [b'd', digit] if digit.is_ascii_digit()) {
        body.by_ref().take(METAINFO as u64).read_to_end(&mut start)?;
    }
    Ok((start, body))
}

fn lost(url: &Url, error: &dyn std::fmt::Display) -> WebError {
    WebError::Lost { url: url.to_string(), why: error.to_string() }
}

impl WebFile {
    /// What the server calls it, or else the last name in the path of the URL, if a file can have it: not to be trusted,
    /// but one name alone.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its bytes, if the server says so.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Writes it to that name in the folder, which is there: under another name beside it (`<name>.lantorrent`), until
    /// it is whole. What there is already of the same version of the file is gone on with; it stays when this fails.
    /// A file that has the name is replaced at the end. Returns how many bytes it has.
    pub fn save(
        mut self,
        folder: &Path,
        name: &str,
        durability: Durability,
        progress: WebProgress<'_>,
    ) -> Result<u64, WebError> {
        let folder = std::path::absolute(folder)
            .map_err(|cause| WebError::Folder { path: folder.to_owned(), cause })?;
        let path = folder.join(name);
        let mut begun = 0;
        loop {
            let error = match self.save_version(&folder, &path, durability, progress) {
                Err(Stopped::Anew(error)) => error,
                Err(Stopped::For(error)) => return Err(error),
                Ok(bytes) => return Ok(bytes),
            };
            begun += 1;
            if begun > ANEW {
                return Err(error);
            }
            log::warn!("{error}; it is fetched anew");
            self.begin_anew()?;
        }
    }

    fn save_version(
        &mut self,
        folder: &Path,
        path: &Path,
        durability: Durability,
        progress: WebProgress<'_>,
    ) -> Result<u64, Stopped> {
        let version = self.version.as_ref().map(Version::to_bytes);
        let target = Target {
            path: path.to_str().ok_or_else(|| WebError::Encoding { path: path.to_owned() })?,
            placement: Placement::Rename,
            length: self.length,
            resume: version.as_ref().map(|version| Resume { version, block_size: BLOCK, durability }),
        };
        let output = Roots::open(&[folder.to_owned()])?.create(&target)?;
        output.begin(output.resumed());
        let mut taking =
            Taking { at: output.resumed(), pace: RateLimiter::new(self.web.download.clone()), progress };
        match self.take(&output, &mut taking) {
            Ok(()) => {
                output.finish(taking.at, durability)?;
                Ok(taking.at)
            }
            // What there is of another version is of no use.
            Err(Stopped::Anew(error)) => Err(Stopped::Anew(error)),
            Err(error) => {
                output.keep();
                Err(error)
            }
        }
    }

    /// Takes all of it, from one answer after the other if need be.
    fn take(&mut self, output: &Output, taking: &mut Taking<'_>) -> Result<(), Stopped> {
        let mut failures = 0;
        // The answer that is there is of use if nothing else is.
        let mut next = if taking.at == 0 {
            Ok(std::mem::replace(&mut self.body, Box::new(io::empty())))
        } else {
            self.go_on(taking.at)
        };
        loop {
            let before = taking.at;
            let error = match next {
                Ok(mut body) => match taking.all(&self.url, &mut body, output, self.length)? {
                    Ended::Whole => return Ok(()),
                    Ended::Lost(why) => lost(&self.url, &why),
                },
                Err(error @ (WebError::Changed { .. } | WebError::Parts { .. })) => {
                    return Err(Stopped::Anew(error));
                }
                Err(error) if !error.may_pass() => return Err(error.into()),
                Err(error) => error,
            };
            failures = if taking.at > before { 1 } else { failures + 1 };
            if failures >= TRIES {
                return Err(error.into());
            }
            log::warn!("{error}; it is tried again");
            let wait = FIRST_WAIT * (1 << (failures - 1));
            taking.wait(wait.max(error.retry_after().unwrap_or_default()).min(LONGEST_WAIT), self.length)?;
            if self.version.is_none() && taking.at > 0 {
                return Err(Stopped::Anew(error));
            }
            next = self.go_on(taking.at);
        }
    }

    /// Asks for the rest, where it has begun if that is still there. A server that cannot send parts sends all again, and
    /// what is there is passed over.
    fn go_on(&mut self, at: u64) -> Result<Box<dyn Read + Send>, WebError> {
        if self.length == Some(at) && self.version.is_some() {
            return Ok(Box::new(io::empty()));
        }
        let from = self.version.as_ref().map(|version| (at, version));
        let mut answer = match Answer::ask(&self.web.client, &self.mirror, from) {
            Err(_) if self.mirror != self.url => Answer::ask(&self.web.client, &self.url, from)?,
            answer => answer?,
        };
        let differs = |length: u64| answer.length.is_some_and(|other| other != length);
        if answer.packed.is_some() || answer.version != self.version || self.length.is_some_and(differs) {
            return Err(WebError::Changed { url: self.url.to_string() });
        }
        if answer.from < at {
            let skipped = io::copy(&mut answer.body.by_ref().take(at - answer.from), &mut io::sink());
            skipped.map_err(|error| lost(&self.url, &error))?;
        }
        self.length = self.length.or(answer.length);
        self.mirror = answer.url;
        Ok(answer.body)
    }

    /// Asks for all of it once more, whatever it is by now.
    fn begin_anew(&mut self) -> Result<(), WebError> {
        let answer = Answer::ask(&self.web.client, &self.url, None)?;
        if let Some(encoding) = answer.packed {
            return Err(WebError::Packed { url: self.url.to_string(), encoding });
        }
        self.mirror = answer.url;
        (self.version, self.length, self.body) = (answer.version, answer.length, answer.body);
        Ok(())
    }
}

/// Why it does not go on as it has begun.
enum Stopped {
    /// What is there is of no use, and all of it may be fetched again.
    Anew(WebError),
    For(WebError),
}

impl<E: Into<WebError>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::For(error.into())
    }
}

/// How far it is.
struct Taking<'a> {
    /// Bytes that are written: whole blocks, until the end.
    at: u64,
    pace: RateLimiter,
    progress: WebProgress<'a>,
}

enum Ended {
    Whole,
    Lost(String),
}

impl Taking<'_> {
    fn all(
        &mut self,
        url: &Url,
        body: &mut dyn Read,
        output: &Output,
        length: Option<u64>,
    ) -> Result<Ended, WebError> {
        let mut block = vec![0; BLOCK as usize];
        loop {
            let room = length.map_or(u64::from(BLOCK), |length| length - self.at).min(BLOCK.into());
            // At most a block.
            let wanted = room as usize;
            let filled = match self.fill(&mut block[..wanted], body, length)? {
                Ok(filled) => filled,
                Err(error) => return Ok(Ended::Lost(error.to_string())),
            };
            if filled < wanted && length.is_some() {
                return Ok(Ended::Lost("the server has sent less than it has announced".into()));
            }
            if filled > 0 {
                output.write_at(&block[..filled], self.at)?;
                output.note(&digest(&block[..filled]), 1);
                self.at += filled as u64;
                self.tell(length)?;
            }
            let is_over = length.map_or(filled < wanted, |length| self.at == length);
            if is_over {
                log::debug!("{url} is there, {} bytes", self.at);
                return Ok(Ended::Whole);
            }
        }
    }

    /// Fills the block, as far as it goes.
    fn fill(
        &mut self,
        block: &mut [u8],
        body: &mut dyn Read,
        length: Option<u64>,
    ) -> Result<io::Result<usize>, WebError> {
        let mut filled = 0;
        while filled < block.len() {
            let now = Instant::now();
            let most = match self.pace.allowance(now, block.len() - filled) {
                Ok(most) => most,
                Err(at) => {
                    thread::sleep(at.saturating_duration_since(now));
                    self.tell(length)?;
                    continue;
                }
            };
            match body.read(&mut block[filled..filled + most]) {
                Ok(0) => break,
                Ok(count) => {
                    self.pace.went(count);
                    filled += count;
                    self.tell(length)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(filled))
    }

    fn tell(&self, length: Option<u64>) -> Result<(), WebError> {
        match (self.progress)(self.at, length) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(WebError::Stopped),
        }
    }

    fn wait(&self, time: Duration, length: Option<u64>) -> Result<(), WebError> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.tell(length)?;
            thread::sleep(GLANCE);
        }
        Ok(())
    }
}
