//! PROTOCOL.md tells the truth: its examples are the vectors, its limits and codes are the library's.

use lantorrent_core::wire::{Code, limits};

use super::vectors::vectors;

const TEXT: &str = include_str!("../../PROTOCOL.md");

/// The fenced blocks of `kind`, without what is around them.
fn blocks(kind: &str) -> Vec<&'static str> {
    let open = format!("```{kind}\n");
    TEXT.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn each_example_in_hex_is_a_vector() {
    let vectors = vectors();
    let mut known =
        vec![vectors.transfer.to_string(), vectors.nonce.to_string(), vectors.challenge.to_string()];
    known.extend(vectors.keys.values().cloned());
    known.extend([
        vectors.node_id,
        vectors.key,
        vectors.signer.to_string(),
        vectors.signed,
        vectors.signature,
    ]);
    for frame in &vectors.frames {
        known.push(if frame.name == "data" {
            // Its 4,096 bytes of data are described, not printed.
            format!("{}{}", frame.head, frame.tag)
        } else {
            format!("{}{}{}", frame.head, frame.data, frame.tag)
        });
        if !frame.data.is_empty() {
            known.push(frame.h.clone());
        }
    }
    let mut shown: Vec<String> = blocks("hex")
        .iter()
        .map(|block| block.chars().filter(|character| !character.is_whitespace()).collect())
        .collect();
    known.sort();
    shown.sort();
    assert_eq!(shown, known);
}

#[test]
fn each_example_in_text_is_a_vector() {
    let vectors = vectors();
    let mut known = vec![vectors.header.replace("\r\n", "\n")];
    known.extend(vectors.lines.into_iter().map(|line| line.text));
    // In the order in which they are said: the proof answers the challenge.
    known.insert(2, vectors.proof);
    known.extend([vectors.growth.header.replace("\r\n", "\n"), vectors.growth.accepted]);
    assert_eq!(blocks("text"), known);
    assert!(TEXT.contains(&format!("`{}`", vectors.password)));
}

#[test]
fn codes_and_limits_are_those_of_the_library() {
    for code in Code::ALL {
        assert!(TEXT.contains(&format!("| {} | {} |", code.0, code.meaning())), "{code} {}", code.meaning());
    }
    for (what, value) in [
        ("bytes of a header, signature line included", limits::HEADER_BYTES),
        ("lines of a header before its EOH line", limits::HEADER_LINES),
        ("bytes of the EOH line, line end included", limits::SIGNATURE_LINE_BYTES),
        ("destinations in one header", limits::DESTINATIONS),
        ("requests of one endpoint", limits::REQUESTS),
        ("requests in one header, all endpoints together", limits::REQUESTS_TOTAL),
        ("bytes of a file name", limits::FILENAME_BYTES),
        ("bytes of a host", limits::HOST_BYTES),
        ("bytes of a request's or a source's id", limits::ID_BYTES),
        ("bytes of a message", limits::MESSAGE_BYTES),
        ("greatest degree", limits::DEGREE as usize),
        ("depth of JSON", limits::JSON_DEPTH),
        ("bytes of one line, or of one report of wire 1", limits::LINE_BYTES),
        ("bytes of the wire 1 footer", limits::FOOTER_BYTES),
        ("smallest block of wire 2", limits::BLOCK_MIN as usize),
        ("largest block of wire 2", limits::BLOCK_MAX as usize),
        ("blocks of one HOLE", limits::HOLE_BLOCKS as usize),
        ("bytes of an ABORT's data", limits::CONTROL_BYTES),
        ("bytes of the data of a frame of a type from 0x80 on", limits::EXTENSION_BYTES),
        ("features in a list", limits::FEATURES),
        ("bytes of a feature's name", limits::FEATURE_BYTES),
        ("nodes that one `progress` line names", limits::PROGRESS_CHANGES),
    ] {
        assert!(TEXT.contains(&format!("| {what} | {value} |")), "{what}: {value}");
    }
    assert!(TEXT.contains("262,144") && limits::EXTENSION_RATE == 262_144);
    assert!(TEXT.contains("2^63 - 1") && limits::FILE_BYTES == (1 << 63) - 1);
}

#[test]
fn sections_that_the_source_names_are_there() {
    for section in [
        "Limits",
        "Codes",
        "Keys",
        "Header of wire 1",
        "Header of wire 2",
        "Challenge and proof",
        "Frames",
        "Growth",
        "Root",
        "Payload of wire 1",
        "Lines",
        "Becoming a child",
        "Check",
        "Cancel",
        "Claims",
        "Repair",
        "Slow nodes",
        "Progress",
        "Results",
        "Worked examples",
    ] {
        assert!(TEXT.contains(&format!("## {section}\n")), "{section}");
    }
}
