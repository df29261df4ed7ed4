//! What children say.

use super::Downstream;
use crate::session::child::{Child, Stage};
use crate::session::connection::{Said, refused};
use crate::session::context::{Context, doubtful};
use crate::session::exchange::{Proof, Word};
use crate::session::io::{Feeds, LinkId, Now};
use crate::session::outgoing::OUT_OF_TURN;
use crate::wire::{Code, Line, Report, SealedReport, Wire};

/// What is said of a node in whose name another has spoken.
const FORGED: &str = "its result came with a tag that is not its own";

impl Downstream {
    pub(super) fn bytes(&mut self, ctx: &mut Context<impl Feeds>, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            // What the node said last may have been its last word.
            let Some((at, child)) = self.find(ctx, link) else {
                let read = self.step(ctx, now, link, |candidate, _, ctx| {
                    candidate.handshake.bytes(ctx, now, link, &mut input)
                });
                if read {
                    continue;
                }
                return;
            };
            match child.connection.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(ctx, now, at, said);
                    }
                }
                Err(error) => return self.lose(ctx, now, at, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, said: Said) {
        let Some(Child { stage, node, place, .. }) = self.runs[at].child() else { return };
        match said {
            Said::Bare(report) => self.bare(ctx, now, at, report),
            Said::Line(Line::Ready { offset }) if *stage == Stage::Opening => {
                self.ready(ctx, now, at, offset);
            }
            Said::Line(Line::Result(sealed)) => match ctx.weigh(&sealed) {
                Ok(word) => self.reported(ctx, now, at, word, Some(sealed)),
                Err(error) => self.lose(ctx, now, at, Code::from(&error), &error.to_string()),
            },
            Said::Line(Line::Progress(progress)) => self.progressed(at, progress),
            Said::Line(Line::Alive | Line::Unknown { .. }) => {}
            Said::Line(Line::Left) if self.by.is_some() => {
                let (node, place) = (node.clone(), *place);
                self.left(ctx, now, at, &node, place);
            }
            Said::Line(Line::Aside) => self.stepped_aside(ctx, now, at),
            Said::Line(Line::Damaged { offset }) => {
                let why = format!("the connection damaged what came behind offset {offset}");
                self.lose(ctx, now, at, Code::BAD_FRAME, &why);
            }
            Said::Line(_) => self.lose(ctx, now, at, Code::PROTOCOL, OUT_OF_TURN),
        }
    }

    /// A report without authentication: what wire 1 has, and on wire 2 the refusal of a header.
    fn bare(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, report: Report) {
        match ctx.wire() {
            Wire::Two => self.refused(ctx, now, at, &report),
            Wire::One if report.id.is_some() => {
                let report = Report { index: None, by: None, root: None, ..report };
                self.reported(ctx, now, at, Word { report, proof: Proof::Given }, None);
            }
            // 0.2 relays what nodes behind it say: only the end of the connection makes it a refusal.
            Wire::One => {
                if let Some(child) = self.runs[at].child_mut() {
                    child.refusal = Some(report);
                }
            }
        }
    }

    /// A child has ended its connection, or on wire 2 is about to, with a report that is about no request.
    pub(super) fn refused(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, report: &Report) {
        let run = &mut self.runs[at];
        let Some(child) = run.child() else { return };
        let (code, why) = refused(report);
        if ctx.wire() == Wire::One && ctx.results.heard_of_all([&child.node]) {
            // It was not about the child, but about somebody behind it.
            return self.lose(ctx, now, at, Code::CONNECTION_LOST, &why);
        }
        // Wire 1 has no `ready`: a node is sent the payload before it can refuse. Where nothing was heard from it or
        // from behind it, it has not gone on to the next.
        let next =
            ctx.wire() == Wire::One && self.aborting.is_none() && ctx.results.heard_of_none(run.rest());
        let Some(child) = run.take_child_if(|_| next) else {
            return self.lose(ctx, now, at, code, &why);
        };
        ctx.close(child.link());
        run.resume_at(child.place + 1);
        self.skip(ctx, at, child.place, &child.node, code, &why);
        self.seek(ctx, now, at);
    }

    /// A child brings a report, its own or one from behind it.
    fn reported(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        word: Word,
        sealed: Option<SealedReport>,
    ) {
        let Word { mut report, mut proof } = word;
        let run = &mut self.runs[at];
        let about = report.id.as_deref().and_then(|id| ctx.results.index(id));
        // It has no say in what becomes of this node, or of another run.
        if !about.is_some_and(|index| run.places.contains(&index)) {
            log::debug!("dropped a report about somebody who is not behind its sender: {report:?}");
            return;
        }
        if let Some(child) = run.child_mut() {
            child.reported(now.instant);
        }
        if ctx.wire() == Wire::Two && report.index.is_none() {
            // One that does not say whom it is about is not the node's own for that.
            report.index = about;
            report.by = report.by.filter(|_| report.by != about);
        }
        if self.by.is_some() && report.by == self.by {
            // Nothing that this node says comes from behind it.
            proof = Proof::Forged;
        }
        match proof {
            Proof::Forged => {
                log::warn!("a result of node {about:?} is not its own: asking it directly");
                ctx.report(doubtful(&Report { message: FORGED.into(), ..report }, self.by), None);
            }
            _ if self.is_doubtful_sum(at, &report) => ctx.defer(&report),
            Proof::Missing => ctx.hold(report),
            Proof::Given => self.record(ctx, at, report, sealed),
        }
        if let Some(index) = about {
            self.note_fate(ctx, at, index);
        }
        self.close_if_complete(ctx, now, at);
    }

    /// Whether a node says of itself that its content is not the source's, and this is the source, which has not served it
    /// all of that: a relay that lies must not fail an honest node. PROTOCOL.md, "Results".
    fn is_doubtful_sum(&self, at: usize, report: &Report) -> bool {
        let served = self.runs[at]
            .child()
            .is_some_and(|child| report.index == Some(child.node.index) && child.began == Some(0));
        self.by.is_none() && report.is_own() && report.code == Code::WRONG_CHECKSUM && !served
    }

    fn record(&self, ctx: &mut Context<impl Feeds>, at: usize, report: Report, sealed: Option<SealedReport>) {
        let certain = !report.is_own() && !report.code.is_success() && !report.code.is_provisional();
        if certain && self.may_be_whole(at) {
            ctx.report(doubtful(&report, self.by), None);
        } else {
            ctx.report(report, sealed);
        }
    }
}
