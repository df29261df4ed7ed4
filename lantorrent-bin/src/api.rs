//! The JSON of the agent's HTTP, as the agent writes it and its clients read it. openapi.yaml says the same.

use lantorrent_core::wire::Code;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::agent::request::{Attempt, Record, State};
use crate::time::Timestamp;

/// What is posted to ask for a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRequest {
    pub(crate) source: String,
    pub(crate) destination: String,
    /// Absent: the address that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Absent: the port of a node that says nothing else.
    #[serde(default, deserialize_with = "port", skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    /// Absent: a random one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// Some write every number with a fraction, and to JSON `2893.0` is as whole a number as `2893`.
fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&number);
    #[allow(clippy::cast_sign_loss)] // It is within the range of a port.
    let port = fits.then_some(number as u16);
    port.map(Some)
        .ok_or_else(|| Error::custom(format_args!("{number} is no port, which is a number up to 65535")))
}

/// How fast the agent may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// Bytes a second, all transfers together. None: as fast as it goes. Not to be left out: who puts nothing may have
    /// meant anything.
    #[serde(deserialize_with = "limit")]
    pub(crate) limit: Option<u64>,
}

/// The greatest limit: up to there every whole number is one in JSON, whoever reads it.
const MOST: u64 = (1 << 53) - 1;

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let Some(number) = Option::<f64>::deserialize(deserializer)? else { return Ok(None) };
    #[allow(clippy::cast_precision_loss)] // Both are exact.
    let range = lantorrent_core::Limit::LEAST as f64..=MOST as f64;
    if number.fract() != 0.0 || !range.contains(&number) {
        let least = lantorrent_core::Limit::LEAST;
        return Err(Error::custom(format_args!(
            "{number} is no limit, which is null or a number of bytes a second from {least} to {MOST}"
        )));
    }
    #[allow(clippy::cast_sign_loss)] // It is within the range.
    Ok(Some(number as u64))
}

/// A request, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(flatten)]
    pub(crate) record: Record,
    /// While it is sent.
    pub(crate) progress: Option<Progress>,
    /// What the last attempt came to, once the request has ended.
    pub(crate) outcome: Option<Outcome>,
}

impl Request {
    pub(crate) fn new(record: Record, progress: Option<Progress>) -> Self {
        let outcome = record.state.is_final().then(|| Outcome::of(&record));
        Self { record, progress, outcome }
    }
}

/// How far the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The id of the transfer.
    pub(crate) transfer: String,
    /// Bytes that the node has.
    pub(crate) offset: u64,
    /// Bytes of the file.
    pub(crate) size: u64,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// 0, or why the file is not there.
    pub(crate) code: Code,
    pub(crate) reason: String,
}

impl Outcome {
    fn of(record: &Record) -> Self {
        let last = record.attempts.last();
        let said = last.map(|Attempt { code, reason, .. }| Self { code: *code, reason: reason.clone() });
        match record.state {
            State::Cancelled => Self { code: Code::CANCELLED, reason: Code::CANCELLED.meaning().to_owned() },
            _ => said
                .unwrap_or_else(|| Self { code: Code::UNKNOWN, reason: Code::UNKNOWN.meaning().to_owned() }),
        }
    }
}

/// Requests that fit a filter, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) requests: Vec<Request>,
    /// What to give as `after` for the rest, where there is more.
    pub(crate) next: Option<String>,
}

/// A multicast: one that runs, or one of the latest that have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transfer {
    pub(crate) id: String,
    pub(crate) source: String,
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(crate) started: Timestamp,
    pub(crate) ended: Option<Timestamp>,
    /// How much of the file the first node has been sent, now or by an earlier transfer.
    pub(crate) sent: u64,
    /// How many requests it serves.
    pub(crate) requests: usize,
    /// In the order of the chain. Absent in a list of transfers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) chain: Option<Vec<Node>>,
}

/// A node of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) state: lantorrent_core::wire::NodeState,
    /// Bytes that it has.
    pub(crate) offset: u64,
    /// The requests that it serves, by id.
    pub(crate) requests: Vec<String>,
}

/// The transfers that are known, latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transfers {
    pub(crate) transfers: Vec<Transfer>,
}

/// Why something was refused, as in RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    pub(crate) title: String,
    pub(crate) status: u16,
    /// What happened, to which request and file, and what to do.
    pub(crate) detail: String,
    /// The place in the list of what was posted, where it was a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<usize>,
}
