//! Headers and results for the tests of admission.

use crate::wire::{
    Code, Destination, Envelope, Features, Header, Keyring, Nonce, Password, Report, Request, SealedReport,
    SourceHint, TransferId, Verb,
};

pub(super) fn keys() -> Keyring {
    Keyring::new(Password::new("p").unwrap())
}

pub(super) fn header(transfer: u8, index: u32, file: &str, source: Option<&str>) -> Header {
    begun_at(7, transfer, index, file, source)
}

pub(super) fn begun_at(begun: u64, transfer: u8, index: u32, file: &str, source: Option<&str>) -> Header {
    let hint = |id: &str| SourceHint { size: None, mtime: None, id: id.into() };
    let request = Request { filename: file.into(), id: "0".into(), rename: true };
    Header {
        node: Destination {
            host: "h".into(),
            port: 1,
            index,
            requests: vec![request],
            degree: None,
            block_size: None,
        },
        length: None,
        block_size: 4096,
        degree: 1,
        destinations: Vec::new(),
        envelope: Some(Envelope {
            verb: Verb::Send,
            transfer: TransferId([transfer; 16]),
            signer: None,
            nonce: Nonce([0; 16]),
            expires: 0,
            to: ([10, 0, 0, 1], 1).into(),
            source: source.map(hint),
            begun: Some(begun),
            from: None,
            min_rate: None,
            sparse: false,
            features: Features::default(),
            features_in_use: Features::default(),
        }),
    }
}

pub(super) fn results(count: usize) -> Vec<SealedReport> {
    let key = keys().result_key(&TransferId([0; 16])).unwrap();
    vec![SealedReport::seal(&Report::refusal(Code::SUCCESS, ""), &key); count]
}

/// Results of the node in that place of a transfer, one for each of the codes.
pub(super) fn own_results(transfer: u8, index: u32, codes: &[Code]) -> Vec<SealedReport> {
    let key = keys().result_key(&TransferId([transfer; 16])).unwrap();
    let report = |code| Report { index: Some(index), by: Some(index), ..Report::refusal(code, "") };
    codes.iter().map(|&code| SealedReport::seal(&report(code), &key)).collect()
}

/// The same as made by that node.
pub(super) fn from(from: Option<u32>, mut header: Header) -> Header {
    if let Some(envelope) = &mut header.envelope {
        envelope.from = from;
    }
    header
}

/// The same with another verb.
pub(super) fn with(verb: Verb, mut header: Header) -> Header {
    if let Some(envelope) = &mut header.envelope {
        envelope.verb = verb;
    }
    header
}
