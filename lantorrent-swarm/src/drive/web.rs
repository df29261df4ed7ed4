//! Web seeds (BEP 19): pieces from plain HTTP servers, in threads beside the loop.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use ureq::http::header::RANGE;

use super::http::{Ask, Client, HttpError};
use super::paced::{Paced, Tempo};
use super::paces::Paces;
use super::pool::Buffer;
use super::web_answer::Part;
use super::web_name::is_packed_itself;
use crate::metainfo::{Info, Kind};
use crate::swarm::WebKey;
use crate::url::Url;
use crate::{BLOCK, Span};

/// Blocks of one fetch that may wait for the loop.
const AHEAD: usize = 64;

/// Bytes that are passed over before the loop hears of it.
const SKIPPED: u64 = 256 << 10;
/// The shortest part of what was asked for that is worth another question.
const SHORTEST: u64 = 16 << 10;

/// The web seeds of one torrent.
#[derive(Default)]
pub(super) struct Webs {
    pub(super) urls: Vec<Url>,
    /// What those that know no ranges are sending.
    streams: Vec<Arc<Mutex<Stream>>>,
    /// What is being fetched, by place.
    under_way: Vec<Option<Fetch>>,
}

/// One fetch under way.
#[derive(Clone)]
pub(super) struct Fetch {
    shared: Arc<Shared>,
}

struct Shared {
    stopped: AtomicBool,
    waiting: Mutex<usize>,
    changed: Condvar,
}

/// What a fetch has to say.
pub(super) enum WebNews {
    Block(Span, Buffer),
    /// It sends, but what comes before the pieces.
    Skipped,
    /// It sends files from their beginning alone.
    NoRanges,
    Done,
    Failed(Option<Duration>, String),
    Useless(String),
}

impl Webs {
    pub(super) fn new(urls: Vec<Url>) -> Self {
        let streams = urls.iter().map(|_| Arc::default()).collect();
        Self { under_way: urls.iter().map(|_| None).collect(), streams, urls }
    }

    /// Begins a fetch, instead of the one before.
    pub(super) fn begin(&mut self, web: WebKey) -> Option<(Url, Arc<Mutex<Stream>>, Fetch)> {
        let url = self.urls.get(web.0 as usize)?.clone();
        let stream = Arc::clone(self.streams.get(web.0 as usize)?);
        let shared =
            Shared { stopped: AtomicBool::new(false), waiting: Mutex::new(0), changed: Condvar::new() };
        let fetch = Fetch { shared: Arc::new(shared) };
        self.stop(web);
        *self.under_way.get_mut(web.0 as usize)? = Some(fetch.clone());
        Some((url, stream, fetch))
    }

    pub(super) fn stop(&mut self, web: WebKey) {
        if let Some(fetch) = self.under_way.get_mut(web.0 as usize).and_then(Option::take) {
            // Who has just looked, and is going to wait, would miss it otherwise.
            let _waiting = fetch.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            fetch.shared.stopped.store(true, Ordering::Relaxed);
            fetch.shared.changed.notify_all();
        }
    }

    pub(super) fn stop_all(&mut self) {
        for web in 0..self.urls.len() as u32 {
            self.stop(WebKey(web));
        }
    }

    /// Whether that is the fetch that is under way.
    pub(super) fn is_current(&self, web: WebKey, fetch: &Fetch) -> bool {
        let current = self.under_way.get(web.0 as usize).and_then(Option::as_ref);
        current.is_some_and(|current| Arc::ptr_eq(&current.shared, &fetch.shared))
    }
}

impl Fetch {
    pub(super) fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::Relaxed)
    }

    /// Waits until the loop has taken enough of what it was given.
    fn wait_for_room(&self) {
        let waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |waiting: &mut usize| *waiting >= AHEAD && !self.is_stopped();
        let mut waiting =
            self.shared.changed.wait_while(waiting, full).unwrap_or_else(PoisonError::into_inner);
        *waiting += 1;
    }

    /// The loop has taken a block.
    pub(super) fn taken(&self) {
        let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_sub(1);
        self.shared.changed.notify_all();
    }
}

/// Why a fetch has ended early.
enum Stop {
    Asked,
    NoRanges,
    Failed(Option<Duration>, String),
    Useless(String),
}

/// What a server is sending that knows no ranges, for the next pieces.
#[derive(Default)]
pub(super) struct Stream {
    /// It was found to be one.
    is_one: bool,
    body: Option<Body>,
}

/// A body, and where in which file its next byte is.
struct Body {
    file: usize,
    at: u64,
    bytes: Box<dyn Read + Send>,
}

/// Where pieces are fetched, and how fast that may be.
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) url: Url,
    pub(super) paces: Paces,
    pub(super) stream: Arc<Mutex<Stream>>,
}

/// Fetches the pieces, and tells of each block, and of the end.
pub(super) fn fetch(
    mut server: Server,
    info: &Info,
    pieces: Range<u32>,
    fetch: &Fetch,
    tell: &dyn Fn(WebNews),
) {
    let mut tempo = Tempo::default();
    let mut blocks = Blocks { info, fetch, tell, at: (pieces.start, 0), block: None };
    let result = runs(info, pieces).try_for_each(|(file, mut offset, mut length)| {
        if info.layout().files()[file].kind == Kind::Padding {
            return blocks.take_all(&mut io::repeat(0).take(length), length);
        }
        while length > 0 {
            // It may have waited for its turn for long.
            if fetch.is_stopped() {
                return Err(Stop::Asked);
            }
            let (mut body, count) = server.body(info, file, offset, length)?;
            let mut paced =
                Paced { body: &mut body.bytes, paces: &mut server.paces, tempo: &mut tempo, fetch };
            skip(&mut paced, offset - body.at, fetch, tell)?;
            blocks.take_all(&mut paced, count)?;
            (offset, length) = (offset + count, length - count);
            body.at = offset;
            server.keep(body);
        }
        Ok(())
    });
    match result {
        Ok(()) => tell(WebNews::Done),
        Err(Stop::Asked) => {}
        Err(Stop::NoRanges) => tell(WebNews::NoRanges),
        Err(Stop::Failed(retry_after, why)) => tell(WebNews::Failed(retry_after, why)),
        Err(Stop::Useless(why)) => tell(WebNews::Useless(why)),
    }
}

/// Passes over what comes before the pieces.
fn skip(body: &mut impl Read, mut bytes: u64, fetch: &Fetch, tell: &dyn Fn(WebNews)) -> Result<(), Stop> {
    while bytes > 0 {
        let most = bytes.min(SKIPPED);
        let count = io::copy(&mut body.take(most), &mut io::sink())
            .map_err(|error| Stop::Failed(None, error.to_string()))?;
        if fetch.is_stopped() {
            return Err(Stop::Asked);
        }
        if count < most {
            return Err(Stop::Failed(None, "the server has sent less than it was asked for".into()));
        }
        tell(WebNews::Skipped);
        bytes -= count;
    }
    Ok(())
}

/// The parts of files that the pieces are, each as long as it can be: file, offset, length.
fn runs(info: &Info, pieces: Range<u32>) -> impl Iterator<Item = (usize, u64, u64)> {
    let mut runs: Vec<(usize, u64, u64)> = Vec::new();
    let parts = |piece| info.layout().parts(&info.layout().piece(piece)).collect::<Vec<_>>();
    for part in pieces.flat_map(parts) {
        match runs.last_mut() {
            Some((file, offset, length)) if *file == part.file && *offset + *length == part.offset => {
                *length += part.length;
            }
            _ => runs.push((part.file, part.offset, part.length)),
        }
    }
    runs.into_iter()
}

/// The URL of a file: of a single one the web seed's own, unless that ends with a slash.
fn url_of(url: &Url, info: &Info, file: usize) -> Url {
    let layout = info.layout();
    if !layout.is_folder() && !url.target().ends_with('/') {
        return url.clone();
    }
    let mut target = url.target().trim_end_matches('/').to_owned();
    for component in layout.files()[file].path.components() {
        target.push('/');
        crate::percent::encode(component.as_os_str().as_encoded_bytes(), &mut target);
    }
    url.with_target(target)
}

impl Server {
    /// So much of a file from an offset on, or less. What it begins with may have to be passed over.
    fn body(&self, info: &Info, file: usize, offset: u64, length: u64) -> Result<(Body, u64), Stop> {
        let (is_stream, kept) = {
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            (stream.is_one, stream.body.take())
        };
        if let Some(body) = kept.filter(|body| body.file == file && body.at <= offset) {
            return Ok((body, length));
        }
        let whole = info.layout().files()[file].length;
        let (part, bytes) = open(&self.client, &url_of(&self.url, info, file), (offset, length), whole)?;
        let body = Body { file, at: part.begin, bytes };
        if part.begin < offset && !is_stream {
            // From now on it is asked for one piece after the other. This answer serves for them.
            let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
            *stream = Stream { is_one: true, body: Some(body) };
            return Err(Stop::NoRanges);
        }
        Ok((body, part.length.min(length)))
    }

    /// What is behind the pieces may be the next ones.
    fn keep(&self, body: Body) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if stream.is_one {
            stream.body = Some(body);
        }
    }
}

/// Asks for so many bytes of a file from an offset on.
fn open(
    client: &Client,
    url: &Url,
    (offset, length): (u64, u64),
    whole: u64,
) -> Result<(Part, Box<dyn Read + Send>), Stop> {
    let useless = |why: &str| Stop::Useless(format!("{url}: {why}"));
    let headers = vec![(RANGE, format!("bytes={offset}-{}", offset + length - 1))];
    // What comes is compared with the hashes of the torrent.
    let ask = Ask { url, headers, patience: None, is_verified: true };
    let answer = client.get(&ask).map_err(|error| match error {
        HttpError::Wrong(why) => useless(&why),
        error => Stop::Failed(None, format!("{url}: {error}")),
    })?;
    let part = match answer.status {
        206 => Part::of(&answer).filter(|part| part.begin == offset),
        // A server that knows no ranges sends all of it.
        200 => Some(Part { begin: 0, length, whole: answer.length() }),
        404 | 410 | 416 | 401 | 403 => return Err(useless(&answer.told())),
        _ => return Err(Stop::Failed(answer.retry_after(), format!("{url}: {}", answer.told()))),
    };
    if let Some(coding) = answer.coding().filter(|coding| !is_packed_itself(&answer.url, coding)) {
        return Err(useless(&format!("the server sends it packed ({coding})")));
    }
    let part = part.ok_or_else(|| useless("the server sends another part than it was asked for"))?;
    if let Some(other) = part.whole.filter(|other| *other != whole) {
        return Err(useless(&format!(
            "the server has a file of {other} bytes there, and the torrent one of {whole}"
        )));
    }
    if part.length < length.min(SHORTEST) {
        return Err(useless("the server sends less at a time than is worth asking for"));
    }
    Ok((part, answer.body))
}

/// Cuts what comes into blocks.
struct Blocks<'a> {
    info: &'a Info,
    fetch: &'a Fetch,
    tell: &'a dyn Fn(WebNews),
    /// The piece, and the byte in it, that come next.
    at: (u32, u32),
    /// The block that has begun.
    block: Option<Buffer>,
}

impl Blocks<'_> {
    fn take_all(&mut self, from: &mut impl Read, mut length: u64) -> Result<(), Stop> {
        while length > 0 {
            let (piece, begin) = self.at;
            let span = self.info.geometry().block(piece, begin / BLOCK);
            let filled = (begin - span.begin) as usize;
            let buffer = self.block.get_or_insert_with(|| vec![0; BLOCK as usize].into());
            let most = u64::from(span.length - filled as u32).min(length) as usize;
            let count = from
                .read(&mut buffer[filled..filled + most])
                .map_err(|error| Stop::Failed(None, error.to_string()))?;
            if self.fetch.is_stopped() {
                return Err(Stop::Asked);
            }
            if count == 0 {
                return Err(Stop::Failed(None, "the server has sent less than it was asked for".into()));
            }
            length -= count as u64;
            self.advance(span, count);
        }
        Ok(())
    }

    fn advance(&mut self, span: Span, count: usize) {
        self.at.1 += count as u32;
        if self.at.1 < span.begin + span.length {
            return;
        }
        if let Some(block) = self.block.take() {
            self.fetch.wait_for_room();
            (self.tell)(WebNews::Block(span, block));
        }
        if self.at.1 >= self.info.geometry().size(self.at.0) {
            self.at = (self.at.0 + 1, 0);
        }
    }
}
