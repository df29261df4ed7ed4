//! How a request stands, for people and for programs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::agent::request::State;
use crate::api::Request;
use crate::send::results::reason;
use crate::send::whole;
use crate::terminal;
use crate::text::clean_json;

/// What came of a request that has ended, in one line.
pub(super) fn outcome(request: &Request) -> String {
    let record = &request.record;
    let tries = record.attempts.len();
    match (record.state, &request.outcome) {
        (State::Failed, Some(outcome)) => {
            let reason = reason(outcome.code, &outcome.reason);
            let times = if tries == 1 { "attempt" } else { "attempts" };
            format!("failed: {reason}, after {tries} {times}")
        }
        (state, _) => state.name().to_owned(),
    }
}

/// Where a request stands that may not have ended, in a few words.
pub(super) fn standing(request: &Request) -> String {
    let record = &request.record;
    if record.state.is_final() {
        return match &request.outcome {
            Some(outcome) if !outcome.code.is_success() => reason(outcome.code, &outcome.reason),
            _ => String::new(),
        };
    }
    if record.cancelled_at.is_some() {
        return "being cancelled".into();
    }
    if let Some(progress) = &request.progress {
        let percent = u128::from(progress.offset) * 100 / u128::from(progress.size.max(1));
        return format!("{percent}% of {}", crate::size::bytes(progress.size));
    }
    match record.attempts.last() {
        Some(last) => {
            let tries = record.attempts.len();
            format!("attempt {} to come: {}", tries + 1, reason(last.code, &last.reason))
        }
        None => String::new(),
    }
}

/// The request as JSON, on one line.
pub(super) fn json(request: &Request) -> String {
    // Strings, numbers and times: nothing in it can fail to become JSON.
    let json = serde_json::to_string(request).expect("a request is plain JSON");
    clean_json(&json).into_owned()
}

/// A bar on a terminal, nothing elsewhere.
pub(super) struct Watch {
    bar: Option<ProgressBar>,
}

impl Watch {
    pub(super) fn new() -> Self {
        let bar = terminal::is_interactive().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(waiting());
            terminal::keep_moving(&bar, Duration::from_millis(250));
            terminal::show_bar(bar.clone());
            bar
        });
        Self { bar }
    }

    /// How often there should be something new to show.
    pub(super) fn every(&self) -> Duration {
        Duration::from_secs(if self.bar.is_some() { 1 } else { 60 })
    }

    pub(super) fn update(&self, request: &Request) {
        let Some(bar) = &self.bar else { return };
        match &request.progress {
            Some(progress) => {
                if bar.length() != Some(progress.size) {
                    bar.set_length(progress.size);
                    bar.set_style(whole());
                }
                bar.set_position(progress.offset);
                bar.set_message("");
            }
            None => {
                bar.set_style(waiting());
                bar.unset_length();
                let text = format!("{} {}", request.record.state.name(), standing(request));
                bar.set_message(crate::text::clean(&text).into_owned());
            }
        }
    }
}

fn waiting() -> ProgressStyle {
    // The template is a constant, and tested.
    ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}").expect("a valid template")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A request as the agent tells of it, with more or other keys than usual.
    pub(in crate::client) fn request(more: &str) -> Request {
        let mut json: serde_json::Value = serde_json::from_str(
            r#"{"id":"a","source":"/s","destination":"/d","host":"h","port":1,"state":"waiting",
            "submitted":"2026-11-22T03:04:05.678Z","ended":null,"retry_at":null,"cancelled_at":null,
            "attempts":[],"progress":null,"outcome":null}"#,
        )
        .unwrap();
        let more: serde_json::Map<_, _> = serde_json::from_str(more).unwrap();
        json.as_object_mut().unwrap().extend(more);
        serde_json::from_value(json).unwrap()
    }

    const ATTEMPT: &str = r#"{"transfer":null,"started":"2026-11-22T03:04:05.678Z",
        "ended":"2026-11-22T03:04:05.678Z","code":505,"reason":"no route"}"#;

    #[test]
    fn outcomes() {
        assert_eq!(outcome(&request(r#"{"state":"done","outcome":{"code":0,"reason":"Success"}}"#)), "done");
        assert_eq!(
            outcome(&request(r#"{"state":"cancelled","outcome":{"code":524,"reason":"x"}}"#)),
            "cancelled"
        );
        let failed = |attempts: &str| {
            format!(
                r#"{{"state":"failed","outcome":{{"code":505,"reason":"no route"}},"attempts":[{attempts}]}}"#
            )
        };
        assert_eq!(
            outcome(&request(&failed(&format!("{ATTEMPT},{ATTEMPT}")))),
            "failed: 505 cannot connect to next: no route, after 2 attempts"
        );
        assert!(outcome(&request(&failed(ATTEMPT))).ends_with("after 1 attempt"));
    }

    #[test]
    fn standings() {
        assert_eq!(standing(&request("{}")), "");
        assert_eq!(
            standing(&request(&format!(r#"{{"attempts":[{ATTEMPT}]}}"#))),
            "attempt 2 to come: 505 cannot connect to next: no route"
        );
        let sending = |offset: u64, size: u64| {
            standing(&request(&format!(
                r#"{{"state":"sending","progress":{{"transfer":"t","offset":{offset},"size":{size}}}}}"#
            )))
        };
        assert_eq!(sending(370, 1000), "37% of 1.0 kB");
        assert_eq!(sending(0, 0), "0% of 0 bytes");
        assert!(sending(u64::MAX, u64::MAX).starts_with("100% of"));
        let taken_back = r#"{"state":"sending","cancelled_at":"2026-11-22T03:04:05.678Z"}"#;
        assert_eq!(standing(&request(taken_back)), "being cancelled");
    }

    #[test]
    fn styles_are_valid() {
        let _ = waiting();
    }
}
