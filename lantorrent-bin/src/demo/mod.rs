//! `lantorrent demo`: a chain of real nodes on one machine.

mod compare;
mod content;
mod folder;
mod interrupt;
mod node;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lantorrent_core::{Outcome, Target, Transfer};

use crate::args::Demo;
use crate::config::{Config, Home, Strength, Sync, Template, absolute, write_new};
use crate::exit::{Failure, Status};
use crate::send::Show;
use crate::size;
use crate::table::Table;
use crate::terminal;
use compare::Verdict;
use folder::Folder;
use interrupt::Interrupt;
use node::ServeProcess;

const DEFAULT_SIZE: u64 = 256 << 20;
/// The name of the copy on each node.
const COPY: &str = "copy";

pub(crate) fn run(demo: &Demo) -> Result<Status, Failure> {
    if demo.file.is_some() && demo.size.is_some() {
        return Err(Failure::usage("--size is for a generated file", "leave out --size, or the file"));
    }
    let given = demo.file.as_deref().map(regular_file).transpose()?;
    // Dropped after the nodes, whose files are in it.
    let folder = Folder::new()?;
    let interrupt = Interrupt::install(folder.path())?;
    let mut steps = Steps::new();

    let source = match given {
        Some(source) => source,
        None => generate(&folder, demo.size.unwrap_or(DEFAULT_SIZE), &interrupt, &mut steps)?,
    };
    let home = folder.path().join("home");
    // One disk holds all the copies here, and would be asked to make each of them durable.
    let file = home.join("etc/lt.ini");
    write_new(&file, &Template { roots: &[], sync: Sync::No })?;
    let config = Config::load(&file, &Home::at(home.clone()))?;
    let nodes = start(&folder, &home, demo.nodes, &mut steps)?;
    interrupt.check()?;

    let outcome = send(&source, &nodes, &config, &interrupt)?;
    steps.sent(&outcome);
    interrupt.check()?;
    let mut all_identical = outcome.all_succeeded();
    for (number, node) in (1..).zip(&nodes) {
        let started = Instant::now();
        let verdict = compare::files(&source, &node.root().join(COPY), &interrupt)?;
        all_identical &= verdict == Verdict::Identical;
        steps.compared(number, node, outcome.sent(), started.elapsed(), &verdict);
    }
    drop(nodes);
    terminal::print(&steps.table.render());
    Ok(if all_identical { Status::Success } else { Status::Incomplete })
}

fn regular_file(path: &Path) -> Result<PathBuf, Failure> {
    let cannot = |what: String| {
        Failure::usage(format_args!("cannot send {}: {what}", path.display()), "give a file that can be read")
    };
    let data = std::fs::metadata(path).map_err(|error| cannot(error.to_string()))?;
    if data.is_file() { absolute(path) } else { Err(cannot("it is no regular file".into())) }
}

fn generate(
    folder: &Folder,
    bytes: u64,
    interrupt: &Interrupt,
    steps: &mut Steps,
) -> Result<PathBuf, Failure> {
    let started = Instant::now();
    let path = folder.path().join("source");
    content::write(&path, bytes, interrupt)?;
    let outcome = format!("{}, random", size::bytes(bytes));
    steps.add("generate", started.elapsed(), Some(bytes), outcome);
    Ok(path)
}

fn start(
    folder: &Folder,
    home: &Path,
    count: usize,
    steps: &mut Steps,
) -> Result<Vec<ServeProcess>, Failure> {
    let started = Instant::now();
    let start = |number| ServeProcess::start(home, folder.path(), number);
    let nodes = (1..=count).map(start).collect::<Result<Vec<_>, _>>()?;
    steps.add("start", started.elapsed(), None, format!("{} on 127.0.0.1", nodes_in_words(count)));
    Ok(nodes)
}

fn send(
    source: &Path,
    nodes: &[ServeProcess],
    config: &Config,
    interrupt: &Interrupt,
) -> Result<Outcome, Failure> {
    let mut transfer = Transfer::from_file(source, config.keyring(Strength::Required)?)?;
    for node in nodes {
        let path = node.root().join(COPY).to_string_lossy().into_owned();
        let address = node.address();
        transfer = transfer.to(Target { host: address.ip().to_string(), port: address.port(), path });
    }
    let mut show = Show::progress();
    let transfer = transfer.on_event(move |event| show.event(event));
    interrupt.stops(transfer.handle());
    let outcome = transfer.send();
    terminal::hide_bar();
    Ok(outcome?)
}

fn nodes_in_words(count: usize) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}

/// What was done, how long it took, and what came of it.
struct Steps {
    table: Table<4>,
}

impl Steps {
    fn new() -> Self {
        Self { table: Table::new(["step", "time", "rate", "outcome"]) }
    }

    fn add(&mut self, step: &str, time: Duration, bytes: Option<u64>, outcome: String) {
        let rate = bytes.map_or_else(|| "-".into(), |bytes| size::rate(bytes, time));
        self.table.row([step.into(), size::seconds(time), rate, outcome]);
    }

    fn sent(&mut self, outcome: &Outcome) {
        let whole = outcome.succeeded().count();
        let text = format!("{whole} of {} report success", nodes_in_words(outcome.targets().len()));
        self.add("send", outcome.elapsed(), Some(outcome.sent()), text);
    }

    fn compared(
        &mut self,
        number: usize,
        node: &ServeProcess,
        bytes: u64,
        time: Duration,
        verdict: &Verdict,
    ) {
        let step = format!("compare {number}");
        // A rate says nothing about a comparison that ended early.
        let bytes = (*verdict == Verdict::Identical).then_some(bytes);
        self.add(&step, time, bytes, format!("copy of {} is {verdict}", node.address()));
    }
}
