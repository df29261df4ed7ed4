//! `lantorrent status`: what the agent has to do.

use std::fmt::Write;
use std::time::Duration;

use lantorrent_core::Target;

use super::agent::{Agent, Trouble};
use super::patience::Stamina;
use super::show::{json, standing};
use crate::api::Request;
use crate::args::Status;
use crate::config::{Config, Home};
use crate::exit::{Failure, Status as Exit};
use crate::send::results::reason;
use crate::size;
use crate::table::Table;
use crate::terminal;
use crate::text::clean;
use crate::time::Timestamp;

pub(crate) fn run(status: &Status, config: &Config, home: &Home) -> Result<Exit, Failure> {
    let mut agent = Agent::find(status.agent.as_deref(), config, home, Stamina::Brief)?;
    let shown = match &status.id {
        Some(id) => agent.show(id).map(|request| {
            if status.json {
                terminal::print_line(&json(&request));
            } else {
                terminal::print(&details(&request, Timestamp::now()));
            }
        }),
        None => show_all(&mut agent, status.json),
    };
    shown.map_err(|trouble| agent.failure(trouble))?;
    Ok(Exit::Success)
}

/// Page by page: there may be very many.
fn show_all(agent: &mut Agent, as_json: bool) -> Result<(), Trouble> {
    let mut after = None;
    loop {
        let page = agent.list(after.as_deref())?;
        if as_json {
            page.requests.iter().for_each(|request| terminal::print_line(&json(request)));
        } else if !page.requests.is_empty() {
            terminal::print(&table(&page.requests, Timestamp::now()));
        } else if after.is_none() {
            terminal::print_line("no requests");
        }
        match page.next.filter(|_| !terminal::is_left()) {
            None => return Ok(()),
            // Whoever goes round in circles never ends.
            next if next == after => return Err(Trouble::Strange("its list goes on with itself".into())),
            next => after = next,
        }
    }
}

fn table(requests: &[Request], now: Timestamp) -> String {
    let mut table = Table::new(["request", "state", "source", "destination", "standing", "age"]);
    for request in requests {
        let record = &request.record;
        let age = span(now.since(record.submitted));
        let (source, target) = (record.wanted.source.clone(), record.wanted.target().to_string());
        table.row([record.id.clone(), record.state.name().into(), source, target, standing(request), age]);
    }
    table.render()
}

/// All that is known of one request.
fn details(request: &Request, now: Timestamp) -> String {
    let record = &request.record;
    let at = |time: Timestamp| format!("{time} ({} ago)", span(now.since(time)));
    let Target { host, port, path } = record.wanted.target();
    let mut lines = Lines::default();
    lines.add("request", &record.id);
    lines.add("state", record.state.name());
    lines.add("source", &record.wanted.source);
    lines.add("node", &Target { host, port, path: String::new() }.to_string());
    lines.add("file", &path);
    lines.add("submitted", &at(record.submitted));
    if let Some(time) = record.ended {
        lines.add("ended", &at(time));
    }
    if let Some(time) = record.retry_at.filter(|time| *time > now) {
        lines.add("tried again", &format!("{time} (in {})", span(time.since(now))));
    }
    let standing = standing(request);
    if !standing.is_empty() {
        lines.add("standing", &standing);
    }
    if let Some(progress) = &request.progress {
        lines.add("transfer", &progress.transfer);
    }
    lines.text + &attempts(request)
}

fn attempts(request: &Request) -> String {
    if request.record.attempts.is_empty() {
        return String::new();
    }
    let mut table = Table::new(["attempt", "started", "took", "transfer", "outcome"]);
    for (number, attempt) in (1..).zip(&request.record.attempts) {
        let outcome =
            if attempt.code.is_success() { "ok".into() } else { reason(attempt.code, &attempt.reason) };
        let transfer = attempt.transfer.clone().unwrap_or_else(|| "-".into());
        let took = size::seconds(attempt.ended.since(attempt.started));
        table.row([number.to_string(), attempt.started.to_string(), took, transfer, outcome]);
    }
    format!("\n{}", table.render())
}

/// Names and values below each other.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, name: &str, value: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{name:11}  {}", clean(value));
    }
}

/// A time span in its largest whole unit.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::show::tests::request;
    use super::*;

    /// 2026-11-22T03:05:05.678Z, a minute after the request came.
    const NOW: Timestamp = Timestamp(1_795_316_705_678);

    #[test]
    fn a_table() {
        let sending = request(
            r#"{"id":"b\u001b[m","state":"sending","progress":{"transfer":"t","offset":1,"size":2}}"#,
        );
        let text = table(&[request("{}"), sending], NOW);
        assert_eq!(
            text,
            "request    state    source  destination  standing        age\n\
             a          waiting  /s      h:1/d                        60 s\n\
             b\\u{1b}[m  sending  /s      h:1/d        50% of 2 bytes  60 s\n"
        );
    }

    #[test]
    fn all_about_one() {
        let text = details(
            &request(
                r#"{"host":"::1","state":"failed","ended":"2026-11-22T03:04:06.678Z",
                "outcome":{"code":505,"reason":"no\u001broute"},
                "attempts":[{"transfer":"f00","started":"2026-11-22T03:04:05.678Z",
                "ended":"2026-11-22T03:04:06.178Z","code":505,"reason":"no\u001broute"}]}"#,
            ),
            NOW,
        );
        assert_eq!(
            text,
            "request      a\n\
             state        failed\n\
             source       /s\n\
             node         [::1]:1\n\
             file         /d\n\
             submitted    2026-11-22T03:04:05.678Z (60 s ago)\n\
             ended        2026-11-22T03:04:06.678Z (59 s ago)\n\
             standing     505 cannot connect to next: no\\u{1b}route\n\
             \n\
             attempt  started                   took    transfer  outcome\n\
             1        2026-11-22T03:04:05.678Z  0.50 s  f00       505 cannot connect to next: no\\u{1b}route\n"
        );
    }

    #[test]
    fn when_it_is_tried_again() {
        let waiting = request(r#"{"retry_at":"2026-11-22T03:05:35.678Z"}"#);
        assert!(details(&waiting, NOW).contains("tried again  2026-11-22T03:05:35.678Z (in 30 s)\n"));
    }

    #[test]
    fn spans() {
        let span = |seconds| span(Duration::from_secs(seconds));
        assert_eq!([span(0), span(119), span(120), span(7200)], ["0 s", "119 s", "2 min", "2 h"]);
        assert_eq!(span(172_800), "2 days");
    }
}
