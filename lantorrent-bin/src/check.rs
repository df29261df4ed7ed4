//! `lantorrent check`.

use lantorrent_core::store::Placement;
use lantorrent_core::{Check, Outcome};

use crate::args::Check as Arguments;
use crate::config::{Config, Strength};
use crate::exit::{Failure, Status};
use crate::send::destinations;
use crate::send::results::{node, outcome};
use crate::table::Table;
use crate::terminal;
use crate::text::clean_json;

/// Asks all nodes at once, and shows what each says.
pub(crate) fn run(check: &Arguments, config: &Config, strength: Strength) -> Result<Status, Failure> {
    let keys = config.keyring(strength)?;
    let mut asked = Check::new(keys).length(check.size);
    if check.in_place {
        asked = asked.placement(Placement::InPlace);
    }
    for target in destinations::collect(&check.destinations, check.nodes.as_ref())? {
        asked = asked.to(target);
    }
    let outcome = asked.run()?;
    if check.json {
        for report in outcome.reports() {
            terminal::print_line(&clean_json(&report.encode()));
        }
    } else {
        print_table(&outcome);
    }
    Ok(if outcome.all_succeeded() { Status::Success } else { Status::Incomplete })
}

fn print_table(answers: &Outcome) {
    let mut table = Table::new(["node", "file", "answer"]);
    for report in answers.reports() {
        table.row([node(report), report.file.clone().unwrap_or_else(|| "-".into()), outcome(report)]);
    }
    terminal::print(&table.render());
    let (good, all) = (answers.succeeded().count(), answers.targets().len());
    terminal::print_line(&format!("{good} of {all} could be written"));
}
