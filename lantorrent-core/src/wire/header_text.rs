//! The text of a header: JSON of both wires, and its signature line.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use core::net::SocketAddr;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::bounded::{self, Number};
use super::error::HeaderError;
use super::features::Features;
use super::header::{Destination, Envelope, Header, Request, SourceHint, Verb, Wire};
use super::id::{Nonce, TransferId};
use super::json::{self, Object};
use super::keys::Keyring;
use super::limits;
use super::signature::Signer;

/// A header as JSON. Every key is optional here, so that a missing one can be named. Its destinations are of the type `D`:
/// text when it is read, since what is wrong with one of them has a code of its own.
#[derive(Serialize, Deserialize)]
#[serde(bound(deserialize = "D: Deserialize<'de>"))]
struct HeaderText<D> {
    #[serde(skip_serializing_if = "Option::is_none")]
    wire: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verb: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signer: Option<Signer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<Nonce>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<SocketAddr>,
    #[serde(default, deserialize_with = "object", skip_serializing_if = "Option::is_none")]
    source: Option<SourceText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_rate: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse: Option<bool>,
    #[serde(default, skip_serializing_if = "Features::is_empty")]
    features: Features,
    #[serde(default, rename = "use", skip_serializing_if = "Features::is_empty")]
    features_in_use: Features,
    // The node's own values, not flattened: serde would buffer everything that it does not know, without a limit.
    host: Option<String>,
    port: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<Number>,
    length: Option<Number>,
    degree: Option<Number>,
    block_size: Option<Number>,
    #[serde(default, deserialize_with = "requests")]
    requests: Option<Vec<RequestText>>,
    #[serde(default, deserialize_with = "destinations")]
    destinations: Option<Vec<D>>,
}

#[derive(Serialize, Deserialize)]
struct SourceText {
    size: Option<Number>,
    mtime: Option<Number>,
    id: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct DestinationText {
    host: Option<String>,
    port: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degree: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block_size: Option<Number>,
    #[serde(default, deserialize_with = "requests")]
    requests: Option<Vec<RequestText>>,
}

#[derive(Serialize, Deserialize)]
struct RequestText {
    #[serde(deserialize_with = "bounded::string::<_, { limits::FILENAME_BYTES }>")]
    filename: String,
    #[serde(deserialize_with = "bounded::string::<_, { limits::ID_BYTES }>")]
    id: String,
    rename: bool,
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

fn destinations<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    bounded::list::<_, _, { limits::DESTINATIONS }>(deserializer)
}

fn requests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<RequestText>>, D::Error> {
    let list = bounded::list::<_, Object<RequestText>, { limits::REQUESTS }>(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|Object(request)| request).collect()))
}

fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(deserializer).map(|object: Option<Object<T>>| object.map(|Object(value)| value))
}

impl<D> HeaderText<D> {
    /// What the header says of the node itself, taken out.
    fn take_node(&mut self) -> DestinationText {
        DestinationText {
            host: self.host.take(),
            requests: self.requests.take(),
            port: self.port,
            index: self.index,
            length: self.length,
            degree: self.degree,
            block_size: self.block_size,
        }
    }
}

pub(super) fn parse(wire: Wire, text: &[u8]) -> Result<Header, HeaderError> {
    let text: HeaderText<&RawValue> = json::parse(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => HeaderError::Invalid(error.to_string()),
        _ => HeaderError::NotJson(error.to_string()),
    })?;
    let stated = text.wire.map_or(1, |wire| wire.0);
    if stated != u64::from(wire.number()) {
        return Err(HeaderError::Unsupported(format!(
            "the header says wire {stated}, its signature is of wire {}",
            wire.number()
        )));
    }
    let header = match wire {
        Wire::One => wire_1(text)?,
        Wire::Two => wire_2(text)?,
    };
    check_requests(&header)?;
    Ok(header)
}

fn missing(key: &str) -> HeaderError {
    HeaderError::Invalid(format!("'{key}' is missing"))
}

fn required<T>(value: Option<T>, key: &str) -> Result<T, HeaderError> {
    value.ok_or_else(|| missing(key))
}

/// Reads the destination at that place of the list. `read` makes of its text what its wire wants.
fn listed(
    place: usize,
    text: &RawValue,
    read: impl FnOnce(DestinationText) -> Result<Destination, HeaderError>,
) -> Result<Destination, HeaderError> {
    let bad = |why: String| HeaderError::Destination(format!("number {place}: {why}"));
    let Object(text) = serde_json::from_str(text.get()).map_err(|error| bad(error.to_string()))?;
    read(text).map_err(|error| bad(error.to_string()))
}

fn wire_1(mut text: HeaderText<&RawValue>) -> Result<Header, HeaderError> {
    let length = Some(length(text.length)?.ok_or_else(|| missing("length"))?);
    let block_size = required(text.block_size, "block_size")?;
    let degree = required(text.degree, "degree")?;
    let node = destination(text.take_node(), 0)?;
    let mut destinations = Vec::new();
    for (place, entry) in required(text.destinations, "destinations")?.into_iter().enumerate() {
        destinations.push(listed(place, entry, |entry| {
            if entry.length.is_some_and(|own| Some(own.0) != length) {
                return Err(HeaderError::Invalid("another 'length' than the header's".into()));
            }
            destination(entry, place as u32 + 1)
        })?);
    }
    Ok(Header {
        length,
        block_size: wire_1_block_size(block_size),
        degree: checked_degree(degree)?,
        node: Destination { degree: None, block_size: None, ..node },
        destinations,
        envelope: None,
    })
}

fn wire_2(mut text: HeaderText<&RawValue>) -> Result<Header, HeaderError> {
    let length = length(text.length)?;
    let block_size = required(text.block_size, "block_size")?.0;
    let block_range = u64::from(limits::BLOCK_MIN)..=u64::from(limits::BLOCK_MAX);
    if !block_size.is_power_of_two() || !block_range.contains(&block_size) {
        return Err(HeaderError::Invalid(format!("a block_size of {block_size}")));
    }
    let degree = checked_degree(text.degree.unwrap_or(Number(1)))?;
    let index = index(text.index)?;
    let envelope = Envelope {
        verb: Verb::named(&required(text.verb.take(), "verb")?)
            .ok_or_else(|| HeaderError::Unsupported("the verb of the header".into()))?,
        transfer: required(text.transfer, "transfer")?,
        signer: text.signer,
        nonce: required(text.nonce, "nonce")?,
        expires: required(text.expires, "expires")?.0,
        to: required(text.to, "to")?,
        source: text.source.take().map(source).transpose()?,
        begun: text.begun.map(|begun| begun.0),
        from: text.from.map(|from| self::index(Some(from))).transpose()?,
        min_rate: text.min_rate.map(|rate| rate.0).filter(|&rate| rate > 0),
        sparse: text.sparse.unwrap_or(false),
        features: std::mem::take(&mut text.features),
        features_in_use: std::mem::take(&mut text.features_in_use),
    };
    check_signer(&envelope)?;
    let node = destination(text.take_node(), index)?;
    let mut destinations: Vec<Destination> = Vec::new();
    for (place, entry) in text.destinations.unwrap_or_default().into_iter().enumerate() {
        let before = destinations.last().map_or(index, |last| last.index);
        destinations.push(listed(place, entry, |mut entry| {
            // A transfer has one block size; only wire 1 repeats it for each destination.
            entry.block_size = None;
            let own_index = self::index(entry.index)?;
            if own_index <= before {
                return Err(HeaderError::Invalid("'index' does not grow along the list".into()));
            }
            destination(entry, own_index)
        })?);
    }
    let node = Destination { degree: None, block_size: None, ..node };
    Ok(Header { node, length, block_size: block_size as u32, degree, destinations, envelope: Some(envelope) })
}

/// A payload has a signer, and nothing but the source's own key goes with its transfer.
fn check_signer(envelope: &Envelope) -> Result<(), HeaderError> {
    match envelope.signer {
        None if envelope.verb == Verb::Send => Err(missing("signer")),
        Some(signer) if signer.transfer() != envelope.transfer => {
            Err(HeaderError::Invalid("'transfer' is not that of 'signer'".into()))
        }
        _ => Ok(()),
    }
}

fn source(text: SourceText) -> Result<SourceHint, HeaderError> {
    let id = required(text.id, "id").map_err(|_| HeaderError::Invalid("'source' has no 'id'".into()))?;
    if id.is_empty() || id.len() > limits::ID_BYTES {
        return Err(HeaderError::Invalid(format!("'source' has an 'id' of {} bytes", id.len())));
    }
    Ok(SourceHint { size: text.size.map(|size| size.0), mtime: text.mtime.map(|mtime| mtime.0), id })
}

fn length(length: Option<Number>) -> Result<Option<u64>, HeaderError> {
    match length {
        Some(Number(length)) if length > limits::FILE_BYTES => {
            Err(HeaderError::Invalid(format!("a length of {length} bytes, more than a file can have")))
        }
        other => Ok(other.map(|length| length.0)),
    }
}

/// A hint there, so that any number will do; what is handed on is bounded just the same.
fn wire_1_block_size(size: Number) -> u32 {
    size.0.clamp(limits::BLOCK_MIN.into(), limits::BLOCK_MAX.into()) as u32
}

fn index(index: Option<Number>) -> Result<u32, HeaderError> {
    let index = required(index, "index")?.0;
    u32::try_from(index).map_err(|_| HeaderError::Invalid(format!("an index of {index}")))
}

fn checked_degree(degree: Number) -> Result<u32, HeaderError> {
    match degree.0 {
        other @ 1.. if other <= u64::from(limits::DEGREE) => Ok(other as u32),
        other => {
            Err(HeaderError::Invalid(format!("a degree of {other}, not within 1 to {}", limits::DEGREE)))
        }
    }
}

fn destination(text: DestinationText, index: u32) -> Result<Destination, HeaderError> {
    let host = required(text.host, "host")?;
    if host.is_empty() || host.len() > limits::HOST_BYTES {
        return Err(HeaderError::Invalid(format!("a host name of {} bytes", host.len())));
    }
    let port = required(text.port, "port")?.0;
    let port = u16::try_from(port)
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| HeaderError::Invalid(format!("a port of {port}")))?;
    let requests: Vec<Request> = required(text.requests, "requests")?
        .into_iter()
        .map(|RequestText { filename, id, rename }| Request { filename, id, rename })
        .collect();
    if requests.is_empty() {
        return Err(missing("requests"));
    }
    let degree = text.degree.map(checked_degree).transpose()?;
    let block_size = text.block_size.map(wire_1_block_size);
    Ok(Destination { host, port, index, requests, degree, block_size })
}

/// A result is found by its request's id: two of the same could not be told apart.
fn check_requests(header: &Header) -> Result<(), HeaderError> {
    let all = std::iter::once(&header.node).chain(&header.destinations);
    let mut ids = HashSet::new();
    for request in all.flat_map(|destination| &destination.requests) {
        if !ids.insert(request.id.as_str()) {
            return Err(HeaderError::Invalid("two requests have the same id".into()));
        }
    }
    if ids.len() > limits::REQUESTS_TOTAL {
        return Err(HeaderError::Invalid(format!("more than {} requests", limits::REQUESTS_TOTAL)));
    }
    Ok(())
}

fn destination_text(destination: &Destination) -> DestinationText {
    DestinationText {
        host: Some(destination.host.clone()),
        port: Some(Number(destination.port.into())),
        degree: destination.degree.map(|degree| Number(degree.into())),
        block_size: destination.block_size.map(|size| Number(size.into())),
        requests: Some(
            destination
                .requests
                .iter()
                .map(|Request { filename, id, rename }| RequestText {
                    filename: filename.clone(),
                    id: id.clone(),
                    rename: *rename,
                })
                .collect(),
        ),
        ..DestinationText::default()
    }
}

fn text(header: &Header) -> HeaderText<DestinationText> {
    let length = header.length.map(Number);
    let degree = Number(header.degree.into());
    let block_size = Number(header.block_size.into());
    let destinations = header.destinations.iter().map(|destination| {
        let mut text = destination_text(destination);
        match header.wire() {
            Wire::One => {
                text.length = length;
                text.degree.get_or_insert(degree);
                text.block_size.get_or_insert(block_size);
            }
            Wire::Two => text.index = Some(Number(destination.index.into())),
        }
        text
    });
    let destinations = Some(destinations.collect());
    let DestinationText { host, port, requests, .. } = destination_text(&header.node);
    let node = HeaderText {
        wire: None,
        verb: None,
        transfer: None,
        signer: None,
        nonce: None,
        expires: None,
        to: None,
        source: None,
        begun: None,
        from: None,
        min_rate: None,
        sparse: None,
        features: Features::default(),
        features_in_use: Features::default(),
        host,
        port,
        index: None,
        length,
        degree: Some(degree),
        block_size: Some(block_size),
        requests,
        destinations,
    };
    let Some(envelope) = &header.envelope else { return node };
    HeaderText {
        wire: Some(Number(2)),
        verb: Some(envelope.verb.name().to_owned()),
        transfer: Some(envelope.transfer),
        signer: envelope.signer,
        nonce: Some(envelope.nonce),
        expires: Some(Number(envelope.expires)),
        to: Some(envelope.to),
        source: envelope.source.as_ref().map(|source| SourceText {
            size: source.size.map(Number),
            mtime: source.mtime.map(Number),
            id: Some(source.id.clone()),
        }),
        begun: envelope.begun.map(Number),
        from: envelope.from.map(|from| Number(from.into())),
        min_rate: envelope.min_rate.map(Number),
        sparse: envelope.sparse.then_some(true),
        features: envelope.features.clone(),
        features_in_use: envelope.features_in_use.clone(),
        index: Some(Number(header.node.index.into())),
        ..node
    }
}

pub(super) fn sign(header: &Header, keys: &Keyring) -> Option<Vec<u8>> {
    // Maps with string keys and numbers: nothing in it can fail to become JSON.
    let mut bytes = serde_json::to_vec(&text(header)).expect("a header is plain JSON");
    bytes.push(b'\n');
    let signature = match header.wire() {
        Wire::One => BASE64.encode(keys.sign_wire_1(&bytes)?),
        Wire::Two => BASE64.encode(keys.sign_wire_2(&bytes)?),
    };
    bytes.extend_from_slice(format!("EOH : {signature}\r\n").as_bytes());
    Some(bytes)
}
