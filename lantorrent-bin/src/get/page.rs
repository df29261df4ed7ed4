//! A file that is fetched from the web.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::time::Instant;

use lantorrent_swarm::Url;
use lantorrent_swarm::drive::{WebError, WebFile};
use lantorrent_swarm::files::Durability;
use serde_json::json;

use crate::exit::{Failure, Status};
use crate::size;
use crate::swarm::say::{Far, Teller, To};
use crate::swarm::{Get, Stop};
use crate::terminal;
use crate::text::clean;

pub(super) fn save(get: &Get, url: &Url, file: WebFile, stop: &Stop, to: To) -> Result<Status, Failure> {
    let Some(name) = file.name().map(str::to_owned) else {
        return Err(Failure::usage(format_args!("{url} ends in no name for a file"), "give a URL that does"));
    };
    let path = get.output.join(&name);
    if path.symlink_metadata().is_ok() {
        return Err(Failure::usage(
            format_args!("{} is there already", path.display()),
            "move it away, or give another folder with -o",
        ));
    }
    let started = Instant::now();
    let teller = RefCell::new(Teller::new(to));
    let progress = |done, of| {
        let far = Far { what: "fetched", done, of, more: String::new() };
        teller.borrow_mut().tell(&far, || json!({ "phase": "fetching", "have": done, "bytes": of }));
        if stop.is_asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let saved = file.save(&get.output, &name, Durability::Sync, &progress);
    teller.borrow().hide();
    match saved {
        Ok(bytes) => {
            let seconds = started.elapsed();
            match to {
                To::People => {
                    let path = path.display().to_string();
                    let rate = size::rate(bytes, seconds);
                    let text =
                        format!("{path}: {} in {} ({rate})", size::bytes(bytes), size::seconds(seconds));
                    terminal::print_line(&clean(&text));
                }
                To::Programs => {
                    let seconds = seconds.as_secs_f64();
                    to.event("whole", json!({ "path": path, "bytes": bytes, "seconds": seconds }));
                }
            }
            if get.seed || get.seed_for.is_some() || get.seed_ratio.is_some() {
                to.warn("only torrents can be served, and this is none");
            }
            Ok(Status::Success)
        }
        Err(_) if stop.is_asked() => {
            to.warn("stopped; what is there is gone on with by the same command");
            to.event("stopped", json!({ "whole": false }));
            Ok(Status::Incomplete)
        }
        Err(error) => Err(failure(&error)),
    }
}

pub(super) fn failure(error: &WebError) -> Failure {
    match error {
        WebError::Lost { .. } => {
            Failure::local(error, "the same command tries again, and goes on with what is there")
        }
        WebError::Refused { retry_after: Some(time), .. } => {
            Failure::local(error, format_args!("try again in {}", size::seconds(*time)))
        }
        WebError::Refused { status: 408 | 429 | 500.., .. } => Failure::local(error, "try again later"),
        WebError::Refused { .. } => Failure::local(error, "look at the URL"),
        error => Failure::told(Status::Incomplete, error.to_string()),
    }
}
