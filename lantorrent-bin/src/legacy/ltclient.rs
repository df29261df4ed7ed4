//! `ltclient FILE`: sends a file to the nodes on standard input.

// The doc comments of arguments are help texts, and no Markdown.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use argh::FromArgs;
use lantorrent_core::wire::Wire;
use lantorrent_core::{Outcome, Target, Transfer};

use crate::args::{Arguments, Input, wire};
use crate::config::{Config, Strength};
use crate::exit::{Failure, Status};
use crate::send;
use crate::send::destinations;
use crate::send::results::outcome;
use crate::terminal;
use crate::text::clean;

/// Send a file to the nodes on standard input, one HOST:PORT/PATH on each line, as version 0.2 did. Exits with 0 if
/// all was tried, whatever came of it: that is in the lines it prints.
#[derive(FromArgs)]
#[argh(name = "ltclient", help_triggers("-h", "--help"))]
pub(crate) struct LtClient {
    /// the file to send
    #[argh(positional, arg_name = "file")]
    file: Input,

    /// the wire to speak: 2, or 1 for nodes of version 0.2 (default: 2)
    #[argh(option, arg_name = "1|2", default = "Wire::Two", from_str_fn(wire))]
    wire: Wire,

    /// the configuration (default: etc/lt.ini under $LANTORRENT_HOME, or under ~/.lantorrent)
    #[argh(option, arg_name = "file")]
    config: Option<PathBuf>,

    /// say more on standard error; twice: all there is to say
    #[argh(switch, short = 'v')]
    verbose: u8,

    /// accept a password that can be guessed: "nimbus", or one under 16 bytes
    #[argh(switch)]
    weak_password: bool,
}

impl LtClient {
    /// The arguments that all commands share.
    pub(crate) fn shared(&self) -> Arguments {
        Arguments {
            config: self.config.clone(),
            version: false,
            verbose: self.verbose,
            weak_password: self.weak_password,
            command: None,
        }
    }

    pub(crate) fn run(&self, config: &Config, strength: Strength) -> Result<Status, Failure> {
        let Input::File(file) = &self.file else {
            return Err(Failure::usage(
                "standard input is the list of nodes",
                "give the path of a file to send",
            ));
        };
        let keys = send::keys(config, strength, self.wire)?;
        let mut targets = Vec::new();
        destinations::from_list(&mut targets, std::io::stdin().lock(), "standard input")?;
        let mut transfer = send::timed(Transfer::from_file(file, keys)?.wire(self.wire), config);
        for target in &targets {
            terminal::print_line(&clean(&heading(target)));
            transfer = transfer.to(target.clone());
        }
        if targets.is_empty() {
            terminal::print_line(&summary(0));
            return Ok(Status::Success);
        }
        send::interrupt_on_signal(&transfer, self.wire == Wire::Two)?;
        print(&targets, &transfer.send()?);
        Ok(Status::Success)
    }
}

fn heading(target: &Target) -> String {
    let node = Target { path: String::new(), ..target.clone() };
    format!("{node} {}", target.path)
}

/// The reports are in the order of their targets.
fn print(targets: &[Target], results: &Outcome) {
    for (target, report) in targets.iter().zip(results.reports()) {
        if !report.code.is_success() {
            terminal::print_line(&clean(&format!("ERROR: {target} {}", outcome(report))));
        }
    }
    terminal::print_line(&summary(results.succeeded().count()));
}

/// Misspelt as it always was: scripts look for it.
fn summary(succeeded: usize) -> String {
    format!("Succesfully sent to {succeeded}")
}
