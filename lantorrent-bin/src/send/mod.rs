//! `lantorrent send`.

pub(crate) mod destinations;
pub(crate) mod results;
mod show;

use lantorrent_core::session::Timing;
use lantorrent_core::store::Placement;
use lantorrent_core::wire::{Keyring, Wire};
use lantorrent_core::{Limit, Transfer};

use crate::args::{Input, Send};
use crate::config::{Config, Strength};
use crate::exit::{Failure, Status};
use crate::signals::{self, Request};
use crate::terminal;
pub(crate) use show::{Show, whole};

pub(crate) fn run(send: &Send, config: &Config, strength: Strength) -> Result<Status, Failure> {
    if send.file == Input::Stdin && send.nodes == Some(Input::Stdin) {
        return Err(Failure::usage(
            "standard input cannot be both the file and the list of nodes",
            "put one of the two into a file",
        ));
    }
    if send.file == Input::Stdin && send.wire == Wire::One {
        return Err(Failure::usage(
            "wire 1 has to know how long the file is, and standard input does not say",
            "send a file, or use wire 2",
        ));
    }
    let keys = keys(config, strength, send.wire)?;
    let targets = destinations::collect(&send.destinations, send.nodes.as_ref())?;

    let mut transfer = match &send.file {
        Input::Stdin => Transfer::from_stream(std::io::stdin(), keys)?,
        Input::File(path) => Transfer::from_file(path, keys)?,
    };
    transfer = transfer.wire(send.wire).degree(send.degree);
    if send.in_place {
        transfer = transfer.placement(Placement::InPlace);
    }
    if let Some(rate) = send.min_rate {
        transfer = transfer.min_rate(rate);
    }
    if let Some(rate) = send.limit {
        transfer = transfer.limit(Limit::new(Some(rate)));
    }
    if send.detect_zeros {
        transfer = transfer.detect_zeros();
    }
    if let Some(dscp) = send.dscp {
        transfer = transfer.dscp(dscp);
    }
    if send.no_check {
        transfer = transfer.no_check();
    }
    transfer = timed(transfer, config);
    for target in targets {
        transfer = transfer.to(target);
    }
    let mut show = if send.quiet { Show::nothing() } else { Show::progress() };
    let transfer = transfer.on_event(move |event| show.event(event));
    let can_resume = send.file != Input::Stdin && !send.in_place && send.wire == Wire::Two;
    interrupt_on_signal(&transfer, can_resume)?;

    let outcome = transfer.send();
    terminal::hide_bar();
    let outcome = outcome?;
    results::write_log(&outcome);
    if send.json {
        results::print_json(&outcome);
    } else if send.quiet {
        results::note_failures(&outcome);
    } else {
        results::print_table(&outcome);
    }
    Ok(if outcome.all_succeeded() { Status::Success } else { Status::Incomplete })
}

/// The passwords, with one for the wire that is to be spoken.
pub(crate) fn keys(config: &Config, strength: Strength, wire: Wire) -> Result<Keyring, Failure> {
    let keys = config.keyring(strength)?;
    if wire == Wire::One && !keys.has_wire_1() {
        return Err(Failure::usage(
            "there is no password for wire 1",
            format_args!("set `wire_1_password` in [security] of {}", config.file.display()),
        ));
    }
    Ok(keys)
}

/// The transfer with the times that lt.ini sets.
pub(crate) fn timed(transfer: Transfer, config: &Config) -> Transfer {
    let mut timing = Timing::default();
    timing.dead_after = config.dead_after.unwrap_or(timing.dead_after);
    transfer.timing(timing)
}

/// The first signal ends the transfer in an orderly way, the next one the process. What can be resumed is suspended: the nodes
/// keep what they have, as they do when the sender is killed. Partial files of anything else would be of no use, so they go.
pub(crate) fn interrupt_on_signal(transfer: &Transfer, can_resume: bool) -> Result<(), Failure> {
    let handle = transfer.handle();
    signals::on_stop(move |request| match request {
        Request::First if can_resume => {
            terminal::note(
                "lantorrent: interrupting the transfer, which the same command resumes; once more to leave without the \
                 results",
            );
            handle.suspend();
        }
        Request::First => {
            terminal::note(
                "lantorrent: stopping the transfer, which cannot be resumed; once more to leave without the results",
            );
            handle.stop();
        }
        Request::Again => {
            terminal::hide_bar();
            Status::Incomplete.exit()
        }
    })
}
