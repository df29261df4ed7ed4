//! `lantorrent check`.

use lantorrent_core::Check;
use lantorrent_core::store::Placement;
use lantorrent_core::wire::Report;

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
    let reports = asked.run()?;
    if check.json {
        for report in &reports {
            terminal::print_line(&clean_json(&report.encode()));
        }
    } else {
        print_table(&reports);
    }
    let all = reports.iter().all(|report| report.code.is_success());
    Ok(if all { Status::Success } else { Status::Incomplete })
}

fn print_table(reports: &[Report]) {
    let mut table = Table::new(["node", "file", "answer"]);
    for report in reports {
        table.row([node(report), report.file.clone().unwrap_or_else(|| "-".into()), outcome(report)]);
    }
    terminal::print(&table.render());
    let good = reports.iter().filter(|report| report.code.is_success()).count();
    terminal::print_line(&format!("{good} of {} could be written", reports.len()));
}
