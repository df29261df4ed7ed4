//! Lines: what a node says towards the source on wire 2. PROTOCOL.md, "Lines".

use serde::{Deserialize, Serialize};

use super::error::LineError;
use super::features::Features;
use super::id::{Nonce, hex};
use super::json;
use super::keys::{KeyId, ResultKey};
use super::progress::Progress;
use super::report::Report;

/// One line. All but `Progress` and `Result` are for the neighbour only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "line", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Line {
    /// The header is good; prove that you made it.
    Challenge {
        /// What the proof must cover.
        challenge: Nonce,
    },
    /// Header and proof are good.
    Accepted {
        /// What the node can do.
        #[serde(skip_serializing_if = "Features::is_empty")]
        features: Features,
    },
    /// Files are open: send the payload from `offset`.
    Ready {
        /// In bytes, a multiple of the block size or the length of the file.
        offset: u64,
    },
    /// Still there.
    Alive,
    /// Another upstream has taken your place.
    Left,
    /// This node cannot go on serving: adopt its child.
    Aside,
    /// A frame was damaged on its way: send again, from a fresh connection.
    Damaged {
        /// How far the payload is good, in bytes.
        offset: u64,
    },
    /// How far the node and all behind it are.
    Progress(Progress),
    /// What became of one request.
    Result(SealedReport),
    /// Something that this version does not know: a sign of life, and no more. PROTOCOL.md, "Growth".
    #[serde(untagged)]
    Unknown {
        /// What kind of line it says it is.
        #[serde(rename = "line")]
        kind: String,
    },
}

#[derive(Deserialize)]
struct Kind {
    line: String,
}

#[derive(Deserialize)]
struct Challenge {
    challenge: Nonce,
}

#[derive(Deserialize)]
struct Accepted {
    #[serde(default)]
    features: Features,
}

#[derive(Deserialize)]
struct Offset {
    offset: u64,
}

impl Line {
    /// What a node says that has no feature.
    pub const ACCEPTED: Self = Self::Accepted { features: Features::SUPPORTED };

    /// Reads the JSON object of a line: only the keys of its kind are looked at.
    ///
    /// # Errors
    /// [`LineError::NotJson`].
    pub(super) fn parse(text: &[u8]) -> Result<Self, LineError> {
        let kind: Kind = values(text)?;
        Ok(match kind.line.as_str() {
            "challenge" => Self::Challenge { challenge: values::<Challenge>(text)?.challenge },
            "accepted" => Self::Accepted { features: values::<Accepted>(text)?.features },
            "ready" => Self::Ready { offset: values::<Offset>(text)?.offset },
            "alive" => Self::Alive,
            "left" => Self::Left,
            "aside" => Self::Aside,
            "damaged" => Self::Damaged { offset: values::<Offset>(text)?.offset },
            "progress" => Self::Progress(values(text)?),
            "result" => Self::Result(values(text)?),
            _ => Self::Unknown { kind: kind.line },
        })
    }
}

/// Reads those of the values in `text` that `T` has.
pub(super) fn values<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, LineError> {
    json::parse(text).map_err(|error| LineError::NotJson(error.to_string()))
}

/// A report as its maker wrote it, with the tag that only the holder of the password can make. It is relayed as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedReport {
    /// The JSON object, byte for byte.
    result: String,
    #[serde(with = "hex")]
    tag: [u8; 32],
    /// The node key that the tag was made with. None: that of the transfer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    key: Option<KeyId>,
}

impl SealedReport {
    /// Writes a report down and tags it.
    pub fn seal(report: &Report, key: &ResultKey) -> Self {
        let result = report.encode();
        let tag = key.sign(result.as_bytes());
        Self { result, tag, key: key.id() }
    }

    /// Verifies the tag and reads the report.
    ///
    /// # Errors
    /// [`LineError::BadMac`] for a wrong tag or one of another key, [`LineError::NotJson`] for an authentic one that is no
    /// report.
    pub fn open(&self, key: &ResultKey) -> Result<Report, LineError> {
        if self.key != key.id() || !key.verifies(self.result.as_bytes(), &self.tag) {
            return Err(LineError::BadMac);
        }
        self.read()
    }

    /// Reads the report without verifying the tag, as a node does that has not the key.
    ///
    /// # Errors
    /// [`LineError::NotJson`] and [`LineError::Malformed`] for what is no report.
    pub fn read(&self) -> Result<Report, LineError> {
        Report::parse(self.result.as_bytes())
    }

    /// The same under `key`, where the node at `index` made it, whose key that is.
    pub(crate) fn sealed_again(&self, index: u32, key: &ResultKey) -> Self {
        match self.read() {
            Ok(report) if report.by == Some(index) => Self::seal(&report, key),
            _ => self.clone(),
        }
    }

    /// Names the node key that the tag was made with; none for the key of the transfer.
    pub fn key_id(&self) -> Option<KeyId> {
        self.key
    }
}
