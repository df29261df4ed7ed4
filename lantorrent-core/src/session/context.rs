//! What all parts of one session share: its outputs, its results, and what it knows of its transfer.

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::entropy::{Entropy, Seed};
use super::exchange::{DirectExchange, Proof, Word};
use super::io::{Asks, LinkId, LinkOutput, Now};
use super::links::{Links, Owner};
use super::results::{News, Results};
use super::timing::{LATE, Timing};
use crate::wire::{
    Code, Destination, Features, Header, HeaderLink, Keyring, Line, LineError, Nonce, Report, ResultKey,
    SealedReport, Verb, Wire,
};

/// A report on its way to the source.
#[derive(Debug)]
pub(super) struct Relayed {
    pub(super) report: Report,
    /// As its maker tagged it, where that was another node of wire 2.
    pub(super) sealed: Option<SealedReport>,
    pub(super) news: News,
}

#[derive(Debug)]
pub(super) struct Context<O> {
    pub(super) keys: Keyring,
    pub(super) timing: Timing,
    pub(super) header: Header,
    /// What this side can do, which it says to each neighbour.
    pub(super) features: Features,
    /// The key for results that every node of the transfer has.
    pub(super) result_key: Option<ResultKey>,
    /// What this node's own reports are sealed with.
    pub(super) seal_key: Option<ResultKey>,
    /// What the source has by speaking with nodes directly; none where this is no source.
    pub(super) exchange: Option<DirectExchange>,
    pub(super) entropy: Entropy,
    pub(super) results: Results,
    pub(super) out: VecDeque<O>,
    pub(super) links: Links,
    /// What has to be told towards the source.
    pub(super) relayed: VecDeque<Relayed>,
    /// What was told towards the source, for whoever takes the place of who heard it; by request.
    pub(super) told: BTreeMap<String, SealedReport>,
    /// When something was last dealt with.
    pub(super) handled: Option<Instant>,
    /// Whether children may be sought. Not by a node without upstream: it may be the one that was left behind.
    pub(super) adopting: bool,
}

impl<O> Context<O> {
    /// For the transfer that `header` belongs to, knowing the requests of `nodes`.
    pub(super) fn new<'a>(
        header: Header,
        nodes: impl IntoIterator<Item = &'a Destination>,
        keys: Keyring,
        timing: Timing,
        seed: Seed,
    ) -> Self {
        let mut results = Results::default();
        nodes.into_iter().for_each(|node| results.add(node));
        let result_key = header.envelope.as_ref().and_then(|envelope| keys.result_key(&envelope.transfer));
        Self {
            keys,
            timing,
            seal_key: result_key.clone(),
            result_key,
            exchange: None,
            entropy: Entropy::new(seed),
            results,
            header,
            features: Features::default(),
            out: VecDeque::new(),
            links: Links::default(),
            relayed: VecDeque::new(),
            told: BTreeMap::new(),
            handled: None,
            adopting: true,
        }
    }

    pub(super) fn wire(&self) -> Wire {
        self.header.wire()
    }

    /// What a node says when header and proof are good.
    pub(super) fn accepted(&self) -> Line {
        Line::Accepted { features: self.features.clone() }
    }

    /// How much more time others are to have, where this side stood still for long before now, and something was due at
    /// `deadline`: what they said meanwhile is still to be read. What comes right behind is not late any more.
    pub(super) fn lateness(&mut self, now: Now, deadline: Option<Instant>) -> Option<Duration> {
        let since = self.handled.replace(now.instant).max(deadline);
        let late = now.instant.saturating_duration_since(deadline.and(since)?);
        (late >= LATE).then_some(late + LATE)
    }

    /// A header for a node, with `rest` behind it, and its nonce. None where there is no password for the wire.
    pub(super) fn header_for(
        &mut self,
        now: Now,
        node: &Destination,
        rest: Vec<Destination>,
        verb: Verb,
        from: Option<u32>,
        to: SocketAddr,
    ) -> Option<(Vec<u8>, Nonce)> {
        let nonce = self.entropy.nonce();
        let expires = now.unix + self.timing.validity.as_secs();
        let features = self.features.clone();
        let link = HeaderLink { verb, from, to: without_zone(to), nonce, expires, features };
        let header = self.header.for_child(node.clone(), rest, link).sign(&self.keys)?;
        Some((header, nonce))
    }

    /// What a result is worth that came from a node. A node passes on what it cannot verify.
    ///
    /// # Errors
    /// It is no report, or has a wrong tag under the key that every node has.
    pub(super) fn weigh(&self, sealed: &SealedReport) -> Result<Word, LineError> {
        let Some(transfer) = &self.result_key else { return Err(LineError::BadMac) };
        let known = |report| Word { report, proof: Proof::Given };
        match &self.exchange {
            Some(keys) => {
                let word = keys.weigh(sealed, transfer)?;
                let is_other = word.report.is_own() && self.results.names_another_file(&word.report);
                // A relay has asked the node for that.
                Ok(if is_other { Word { proof: Proof::Forged, ..word } } else { word })
            }
            None if sealed.key_id().is_some() => sealed.read().map(known),
            None => sealed.open(transfer).map(known),
        }
    }

    /// The source has the key of the node at that place by a connection of its own.
    pub(super) fn meet(&mut self, index: u32, key: Option<ResultKey>) {
        if let (Some(known), Some(key)) = (&mut self.exchange, key) {
            known.add(index, key);
        }
    }

    /// The node at that place has told the source what it can do.
    pub(super) fn hear_features(&mut self, index: u32, features: Features) {
        if let Some(exchange) = &mut self.exchange {
            exchange.add_features(index, features);
        }
    }

    /// A node's own word that proves nothing yet waits for the node to say it directly.
    pub(super) fn hold(&mut self, report: Report) {
        let news = self.results.hold(&report);
        if news == News::Held {
            self.relayed.push_back(Relayed { report, sealed: None, news });
        }
    }

    /// Takes note of a report, and hands it on if it is news.
    pub(super) fn report(&mut self, report: Report, sealed: Option<SealedReport>) {
        let news = self.results.record(&report);
        if news == News::Nothing {
            log::debug!("dropped a report that is no news: {report:?}");
        } else {
            self.relayed.push_back(Relayed { report, sealed, news });
        }
    }

    /// Takes note of a node's own report that is not final yet.
    pub(super) fn defer(&mut self, report: &Report) {
        if self.results.defer(report) != News::Nothing {
            log::warn!("deferred until its node is asked again: {report:?}");
        }
    }

    /// Somebody before those nodes was let in and is lost, and may have served them: what others said of them is not
    /// certain any more.
    pub(super) fn lose_sight<'a>(
        &mut self,
        nodes: impl IntoIterator<Item = &'a Destination>,
        by: Option<u32>,
    ) {
        let reports: Vec<Report> = self.results.hearsay(nodes).map(|said| doubtful(said, by)).collect();
        for report in reports {
            self.report(report, None);
        }
    }

    /// Reports, in place of their nodes, the requests of `nodes` that nobody said anything of.
    pub(super) fn report_for<'a>(
        &mut self,
        nodes: impl IntoIterator<Item = &'a Destination>,
        by: Option<u32>,
        code: Code,
        message: &str,
    ) {
        let reports: Vec<Report> =
            self.results.unheard(nodes).filter_map(|id| self.results.about(id, code, message)).collect();
        for report in reports {
            let report = match self.header.wire() {
                // Wire 1 knows neither places nor hearsay.
                Wire::One => Report { index: None, by: None, ..report },
                Wire::Two => Report { by, ..report },
            };
            self.report(report, None);
        }
    }
}

impl<O: Asks> Context<O> {
    pub(super) fn push(&mut self, output: impl Into<O>) {
        self.out.push_back(output.into());
    }

    /// Asks for a connection, which belongs to that part of the session.
    pub(super) fn connect(&mut self, owner: Owner, to: SocketAddr) -> LinkId {
        let link = self.links.open(owner);
        self.push(LinkOutput::Connect { link, to });
        link
    }

    /// As [`connect`](Self::connect), for the addresses of a name.
    pub(super) fn look_up(&mut self, owner: Owner, host: String, port: u16) -> LinkId {
        let link = self.links.open(owner);
        self.push(LinkOutput::LookUp { link, host, port });
        link
    }

    pub(super) fn close(&mut self, link: LinkId) {
        self.links.close(link);
        self.push(LinkOutput::Close(link));
    }
}

/// A zone names an interface of this host, and means nothing to another.
fn without_zone(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port())
}

/// What another said of a node, by somebody who has lost sight of those before that node.
pub(super) fn doubtful(said: &Report, by: Option<u32>) -> Report {
    Report { code: Code::LOST, by, ..said.clone() }
}
