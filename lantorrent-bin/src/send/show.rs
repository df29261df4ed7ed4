//! What is shown while a transfer runs.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lantorrent_core::TransferEvent;
use lantorrent_core::wire::{NodeState, Progress, Report};

use crate::size;
use crate::terminal;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A bar on a terminal, lines elsewhere, or nothing.
pub(crate) struct Show {
    how: How,
    started: Instant,
}

enum How {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Show {
    /// On standard error, in the way that suits it.
    pub(crate) fn progress() -> Self {
        let started = Instant::now();
        let how = if terminal::is_interactive() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(spinner());
            // A stream gives no other sign of life while it waits for its input.
            terminal::keep_moving(&bar, Duration::from_millis(250));
            terminal::show_bar(bar.clone());
            How::Bar(bar)
        } else {
            How::Lines { last: started }
        };
        Self { how, started }
    }

    pub(crate) fn nothing() -> Self {
        Self { how: How::Nothing, started: Instant::now() }
    }

    pub(crate) fn event(&mut self, event: &TransferEvent) {
        match event {
            TransferEvent::Progress(progress) => {
                self.progressed(progress.size, progress.sent, &progress.nodes);
            }
            TransferEvent::Ended(ended) => self.reported(ended.report()),
            TransferEvent::Bypassed(report) => self.bypassed(report),
            _ => {}
        }
    }

    fn progressed(&mut self, size: Option<u64>, sent: u64, nodes: &Progress) {
        match &mut self.how {
            How::Bar(bar) => {
                if let Some(size) = size
                    && bar.length() != Some(size)
                {
                    bar.set_length(size);
                    bar.set_style(whole());
                }
                bar.set_position(sent);
                bar.set_message(standing(nodes));
            }
            How::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let elapsed = self.started.elapsed();
                terminal::note(&line(size, sent, nodes, elapsed));
            }
            How::Lines { .. } | How::Nothing => {}
        }
    }

    /// A failure is worth knowing before the end; who wants no progress is told at the end.
    fn reported(&self, report: &Report) {
        if !report.code.is_success() && !matches!(self.how, How::Nothing) {
            terminal::note(&format!(
                "{}: {}",
                super::results::place(report),
                super::results::outcome(report)
            ));
        }
    }
}

impl Show {
    fn bypassed(&self, report: &Report) {
        if !matches!(self.how, How::Nothing) {
            terminal::note(&format!("bypassed: {}", super::results::bypass(report)));
        }
    }
}

fn line(size: Option<u64>, sent: u64, nodes: &Progress, elapsed: Duration) -> String {
    let of = size.map(|size| format!(" of {}", size::bytes(size))).unwrap_or_default();
    let rate = size::rate(sent, elapsed);
    format!("sent {}{of} in {:.0} s ({rate}), {}", size::bytes(sent), elapsed.as_secs_f64(), standing(nodes))
}

/// Where the nodes stand, in a few words.
fn standing(nodes: &Progress) -> String {
    let total: u64 = nodes.states.values().map(|&count| u64::from(count)).sum();
    let mut parts = vec![format!("{} of {total} nodes done", nodes.count(NodeState::Done))];
    let failed = nodes.count(NodeState::Failed);
    if failed > 0 {
        parts.push(format!("{failed} failed"));
    }
    if nodes.count(NodeState::Receiving) > 0 {
        parts.push(format!("last at {}", size::bytes(nodes.least)));
    }
    parts.join(", ")
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and tested.
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("=> ")
}

/// Of something whose size is known.
pub(crate) fn whole() -> ProgressStyle {
    style(
        "{percent:>3}% [{bar:25}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta} {wide_msg}",
    )
}

fn spinner() -> ProgressStyle {
    style("{spinner} {decimal_bytes} {decimal_bytes_per_sec} {wide_msg}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_are_valid() {
        let _ = (whole(), spinner());
    }

    #[test]
    fn a_line_says_where_it_stands() {
        let mut nodes = Progress::of_node(NodeState::Receiving, 10_000_000);
        nodes.merge(&Progress::of_node(NodeState::Failed, 0));
        nodes.merge(&Progress::of_node(NodeState::Done, 90_000_000));
        let text = line(Some(90_000_000), 45_000_000, &nodes, Duration::from_secs(3));
        assert_eq!(
            text,
            "sent 45.0 MB of 90.0 MB in 3 s (15.0 MB/s), 1 of 3 nodes done, 1 failed, last at 0 bytes"
        );
    }
}
