//! What is said while torrents are fetched and served: a bar or lines for people, JSON for programs.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};
use lantorrent_swarm::{Phase, Status};
use serde_json::{Value, json};

use crate::send::whole;
use crate::size;
use crate::terminal;
use crate::text::clean_json;

/// Between two lines for people where there is no terminal, and two for programs.
const LINE_EVERY: Duration = Duration::from_secs(5);
const JSON_EVERY: Duration = Duration::from_secs(1);

/// Who is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    People,
    Programs,
}

impl To {
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Programs } else { Self::People }
    }

    /// An event for programs.
    pub(crate) fn event(self, name: &str, mut event: Value) {
        if self == Self::Programs
            && let Some(fields) = event.as_object_mut()
        {
            fields.insert("event".into(), name.into());
            terminal::print_line(&clean_json(&event.to_string()));
        }
    }

    /// Something wrong that it can live with.
    pub(crate) fn warn(self, message: &str) {
        match self {
            Self::People => terminal::note(&format!("lantorrent: {message}")),
            Self::Programs => self.event("warning", json!({ "message": message })),
        }
    }
}

/// How far something is.
pub(crate) struct Far {
    pub(crate) what: &'static str,
    pub(crate) done: u64,
    pub(crate) of: Option<u64>,
    /// What else there is to know, for people.
    pub(crate) more: String,
}

impl Far {
    pub(crate) fn of(status: &Status) -> Self {
        let (what, done) = match status.phase {
            Phase::Checking => ("checked", status.hashed),
            _ => ("fetched", status.have),
        };
        let more = match status.phase {
            Phase::Metadata if status.progress.peers == 0 => "no peers yet who could say what it is".into(),
            Phase::Metadata => format!("{}, asking what it is", peers(status)),
            Phase::Finishing => "finishing".into(),
            _ => peers(status),
        };
        Self { what, done, of: status.length, more }
    }
}

fn peers(status: &Status) -> String {
    match status.progress.peers {
        0 => "no peers yet".into(),
        1 => "1 peer".into(),
        peers => format!("{peers} peers"),
    }
}

/// Tells it, as often as it is worth it.
pub(crate) struct Teller {
    to: To,
    bar: Option<ProgressBar>,
    what: &'static str,
    last: Instant,
    last_done: u64,
}

impl Teller {
    pub(crate) fn new(to: To) -> Self {
        let bar = (to == To::People && terminal::is_interactive()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            terminal::show_bar(bar.clone());
            bar.with_style(whole())
        });
        Self { to, bar, what: "", last: Instant::now(), last_done: 0 }
    }

    pub(crate) fn tell(&mut self, far: &Far, fields: impl FnOnce() -> Value) {
        if self.what != far.what {
            // What is there from before was not fetched just now.
            self.what = far.what;
            self.last_done = far.done;
            if let Some(bar) = &self.bar {
                bar.set_position(far.done);
                bar.reset_eta();
            }
        }
        if let Some(bar) = &self.bar {
            if let Some(of) = far.of {
                bar.set_length(of);
            }
            bar.set_position(far.done);
            bar.set_message(far.more.clone());
            return;
        }
        let every = if self.to == To::People { LINE_EVERY } else { JSON_EVERY };
        let elapsed = self.last.elapsed();
        if elapsed < every {
            return;
        }
        let new = far.done.saturating_sub(self.last_done);
        match self.to {
            To::People => terminal::note(&line(far, new, elapsed)),
            To::Programs => self.to.event("progress", fields()),
        }
        (self.last, self.last_done) = (Instant::now(), far.done);
    }

    pub(crate) fn hide(&self) {
        if self.bar.is_some() {
            terminal::hide_bar();
        }
    }
}

fn line(far: &Far, new: u64, elapsed: Duration) -> String {
    let of = far.of.map(|of| format!(" of {}", size::bytes(of))).unwrap_or_default();
    let left = far.of.and_then(|of| left(of.saturating_sub(far.done), new, elapsed));
    let left = left.map(|left| format!(", {left} s left")).unwrap_or_default();
    let rate = size::rate(new, elapsed);
    let more = if far.more.is_empty() { String::new() } else { format!(", {}", far.more) };
    format!("{} {}{of} ({rate}){left}{more}", far.what, size::bytes(far.done))
}

/// Seconds for that many bytes, at the pace of those that were new.
fn left(bytes: u64, new: u64, elapsed: Duration) -> Option<u128> {
    (new > 0).then(|| u128::from(bytes) * elapsed.as_millis() / u128::from(new) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_it_stands() {
        let mut far = Far { what: "fetched", done: 45_000_000, of: Some(90_000_000), more: "3 peers".into() };
        let text = line(&far, 15_000_000, Duration::from_secs(5));
        assert_eq!(text, "fetched 45.0 MB of 90.0 MB (3.0 MB/s), 15 s left, 3 peers");
        (far.of, far.more) = (None, String::new());
        assert_eq!(line(&far, 0, Duration::from_secs(5)), "fetched 45.0 MB (0.0 MB/s)");
    }
}
