//! Web seeds (BEP 19): pieces from plain HTTP servers, in threads beside the loop.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::http;
use super::paced::{Paced, Tempo};
use super::paces::Paces;
use super::pool::Buffer;
use crate::metainfo::{Info, Kind};
use crate::swarm::WebKey;
use crate::{BLOCK, Span};

/// Blocks of one fetch that may wait for the loop.
const AHEAD: usize = 64;

/// The web seeds of one torrent.
#[derive(Default)]
pub(super) struct Webs {
    pub(super) urls: Vec<String>,
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
    Done,
    Failed(Option<Duration>, String),
    Useless(String),
}

impl Webs {
    pub(super) fn new(urls: Vec<String>) -> Self {
        Self { under_way: urls.iter().map(|_| None).collect(), urls }
    }

    /// Begins a fetch, instead of the one before.
    pub(super) fn begin(&mut self, web: WebKey) -> Option<(String, Fetch)> {
        let url = self.urls.get(web.0 as usize)?.clone();
        let shared =
            Shared { stopped: AtomicBool::new(false), waiting: Mutex::new(0), changed: Condvar::new() };
        let fetch = Fetch { shared: Arc::new(shared) };
        self.stop(web);
        *self.under_way.get_mut(web.0 as usize)? = Some(fetch.clone());
        Some((url, fetch))
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
    Failed(Option<Duration>, String),
    Useless(String),
}

/// Where pieces are fetched, and how fast that may be.
pub(super) struct Server {
    pub(super) agent: ureq::Agent,
    pub(super) url: String,
    pub(super) paces: Paces,
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
    let result = runs(info, pieces).try_for_each(|(file, offset, length)| {
        // It may have waited for its turn for long.
        if fetch.is_stopped() {
            return Err(Stop::Asked);
        }
        let entry = &info.layout().files()[file];
        if entry.kind == Kind::Padding {
            return blocks.take_all(&mut std::io::repeat(0).take(length), length);
        }
        let url = url_of(&server.url, info, file);
        let body = open(&server.agent, &url, offset, length)?;
        let mut body = Paced { body, paces: &mut server.paces, tempo: &mut tempo, fetch };
        blocks.take_all(&mut body, length)
    });
    match result {
        Ok(()) => tell(WebNews::Done),
        Err(Stop::Asked) => {}
        Err(Stop::Failed(retry_after, why)) => tell(WebNews::Failed(retry_after, why)),
        Err(Stop::Useless(why)) => tell(WebNews::Useless(why)),
    }
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
fn url_of(url: &str, info: &Info, file: usize) -> String {
    let layout = info.layout();
    if !layout.is_folder() && !url.ends_with('/') {
        return url.to_owned();
    }
    let mut whole = url.trim_end_matches('/').to_owned();
    for component in layout.files()[file].path.components() {
        whole.push('/');
        crate::percent::encode(component.as_os_str().as_encoded_bytes(), &mut whole);
    }
    whole
}

/// Asks for so many bytes of a file from an offset on.
fn open(agent: &ureq::Agent, url: &str, offset: u64, length: u64) -> Result<impl Read, Stop> {
    let range = format!("bytes={offset}-{}", offset + length - 1);
    let failed = |error: ureq::Error| Stop::Failed(None, format!("{url}: {}", http::explain(&error)));
    let response = agent.get(url).header("Range", range).call().map_err(failed)?;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(encoding) = http::packed(&response) {
        return Err(Stop::Useless(format!("{url}: the server sends it packed ({encoding})")));
    }
    match response.status().as_u16() {
        206 if header("content-range").is_none_or(|range| begins_at(range, offset)) => {}
        // Who knows no ranges sends all of it.
        200 if offset == 0 => {}
        200 | 206 => return Err(Stop::Useless(format!("{url}: the server cannot send parts of a file"))),
        status @ (404 | 410 | 416 | 401 | 403) => {
            return Err(Stop::Useless(format!("{url}: the server answers {status}")));
        }
        status => {
            let retry_after = header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
            let retry_after = retry_after.map(Duration::from_secs);
            return Err(Stop::Failed(retry_after, format!("{url}: the server answers {status}")));
        }
    }
    Ok(response.into_body().into_reader())
}

/// Whether a `Content-Range` begins there.
fn begins_at(range: &str, offset: u64) -> bool {
    let begin =
        range.trim().strip_prefix("bytes").map(str::trim_start).and_then(|rest| rest.split('-').next());
    begin.is_some_and(|begin| begin.trim().parse() == Ok(offset))
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
