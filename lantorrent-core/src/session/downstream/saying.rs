//! What children say.

use super::Downstream;
use crate::session::child::{Said, Stage};
use crate::session::context::{Context, doubtful};
use crate::session::io::{LinkId, Now, Output};
use crate::wire::{Code, Line, Report, SealedReport, Wire};

impl Downstream {
    pub(in crate::session) fn bytes(&mut self, ctx: &mut Context, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            // What the child said last may have been its last word.
            let Some((_, child)) = self.find(link) else { return };
            match child.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(ctx, now, link, said);
                    }
                }
                Err(error) => return self.lose(ctx, now, link, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, ctx: &mut Context, now: Now, link: LinkId, said: Said) {
        let Some((at, child)) = self.find(link) else { return };
        let stage = child.stage;
        match (said, stage) {
            (Said::Bare(report), _) => self.bare(ctx, now, link, report),
            (Said::Line(Line::Challenge { challenge }), Stage::Greeting) => {
                child.challenge = Some(challenge);
                child.enter(Stage::Challenged, now.instant);
                self.answered(ctx, now, at, link);
                self.seek(ctx, now, at);
            }
            (Said::Line(Line::Accepted), Stage::Proving) => self.accepted(ctx, now, at),
            (Said::Line(Line::Ready { offset }), Stage::Opening) => self.ready(ctx, now, at, offset),
            (Said::Line(Line::Result(sealed)), stage) if stage >= Stage::Opening => {
                let Some(key) = &ctx.result_key else { return };
                match sealed.open(key) {
                    Ok(report) => self.reported(ctx, now, at, report, Some(sealed)),
                    Err(error) => self.lose(ctx, now, link, Code::from(&error), &error.to_string()),
                }
            }
            (Said::Line(Line::Progress(progress)), stage) if stage >= Stage::Opening => {
                self.progressed(at, progress);
            }
            (Said::Line(Line::Alive), stage) if stage >= Stage::Opening => {}
            (Said::Line(Line::Left), stage) if stage >= Stage::Proving && self.by.is_some() => {
                self.left(ctx, now, at);
            }
            (Said::Line(Line::Aside), stage) if stage >= Stage::Opening => self.stepped_aside(ctx, now, at),
            (Said::Line(Line::Damaged { offset }), stage) if stage >= Stage::Opening => {
                let why = format!("the connection damaged what came behind offset {offset}");
                self.lose(ctx, now, link, Code::BAD_FRAME, &why);
            }
            (Said::Line(_), _) => self.lose(ctx, now, link, Code::PROTOCOL, "it sent a line out of turn"),
        }
    }

    /// A node has answered: its other addresses are not needed.
    fn answered(&mut self, ctx: &mut Context, now: Now, at: usize, link: LinkId) {
        if let Some(attempt) = self.runs[at].attempts.iter_mut().find(|attempt| attempt.has(link)) {
            attempt.settle(link, ctx, now.instant);
        }
    }

    /// A report without authentication: what wire 1 has, and on wire 2 the refusal of a header.
    fn bare(&mut self, ctx: &mut Context, now: Now, link: LinkId, report: Report) {
        let Some((at, child)) = self.find(link) else { return };
        match ctx.wire() {
            Wire::Two => self.refused(ctx, now, link, &report),
            Wire::One if report.id.is_some() => {
                let report = Report { index: None, by: None, root: None, ..report };
                self.reported(ctx, now, at, report, None);
            }
            // 0.2 relays what nodes behind it say: only the end of the connection makes it a refusal.
            Wire::One => child.refusal = Some(report),
        }
    }

    /// A child has ended its connection, or on wire 2 is about to, with a report that is about no request.
    pub(super) fn refused(&mut self, ctx: &mut Context, now: Now, link: LinkId, report: &Report) {
        let Some((at, child)) = self.find(link) else { return };
        let place = child.place;
        let code = if report.code.is_success() { Code::PROTOCOL } else { report.code };
        let why = format!("it says {:?}", report.message);
        if ctx.wire() == Wire::One && ctx.results.heard_of_all([&child.node]) {
            // It was not about the child, but about somebody behind it.
            return self.lose(ctx, now, link, Code::CONNECTION_LOST, &why);
        }
        // Wire 1 has no `ready`: a node is sent the payload before it can refuse. Where nothing was heard from it or
        // from behind it, it has not gone on to the next.
        let run = &mut self.runs[at];
        let next = ctx.wire() == Wire::One
            && self.aborting.is_none()
            && run.child.is_some()
            && ctx.results.heard_of_none(run.rest());
        let Some(child) = run.child.take_if(|_| next) else {
            return self.lose(ctx, now, link, code, &why);
        };
        ctx.out.push_back(Output::Close(link));
        run.resume_at(place + 1);
        self.skip(ctx, at, place, &child.node, code, &why);
        self.seek(ctx, now, at);
    }

    /// A child brings a report, its own or one from behind it.
    fn reported(
        &mut self,
        ctx: &mut Context,
        now: Now,
        at: usize,
        mut report: Report,
        sealed: Option<SealedReport>,
    ) {
        let doubted = self.may_be_whole(at);
        let run = &mut self.runs[at];
        let about = report.id.as_deref().and_then(|id| ctx.results.index(id));
        // It has no say in what becomes of this node, or of another run.
        if !about.is_some_and(|index| run.places.contains(&index)) {
            log::debug!("dropped a report about somebody who is not behind its sender: {report:?}");
            return;
        }
        if let Some(child) = &mut run.child {
            child.reported(now.instant);
        }
        if ctx.wire() == Wire::Two {
            // One that does not say whom it is about is not the node's own for that.
            report.index = report.index.or(about);
        }
        let certain = !report.is_own() && !report.code.is_success() && !report.code.is_provisional();
        if certain && doubted {
            ctx.report(doubtful(&report, self.by), None);
        } else {
            ctx.report(report, sealed);
        }
        if let Some(index) = about {
            self.note_fate(ctx, at, index);
        }
        self.close_if_complete(ctx, now, at);
    }
}
