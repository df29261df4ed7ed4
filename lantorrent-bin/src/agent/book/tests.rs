use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::agent::request::{Attempt, Wanted};
use crate::time::Timestamp;
use lantorrent_core::wire::Code;

/// A request that says by its number what must be in it.
fn record(number: u64) -> Record {
    let attempt = Attempt {
        transfer: Some(format!("{number:032x}")),
        started: Timestamp(number),
        ended: Timestamp(number + 1),
        code: Code::CANNOT_CONNECT,
        reason: "x".repeat((number % 977) as usize),
    };
    Record {
        id: format!("request-{number}"),
        wanted: Wanted {
            source: format!("/srv/{}.img", number % 7),
            destination: format!("/dst/{number}"),
            host: format!("10.77.0.{}", number % 251),
            port: 2893,
        },
        state: State::Failed,
        submitted: Timestamp(number),
        ended: Some(Timestamp(number + 1)),
        retry_at: None,
        cancelled_at: None,
        attempts: vec![attempt; (number % 3) as usize],
    }
}

fn put(book: &mut Book, numbers: std::ops::Range<u64>) {
    let records: Vec<Record> = numbers.clone().map(record).collect();
    book.commit(numbers.zip(records.iter().map(Some))).unwrap();
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    (folder, path)
}

#[test]
fn what_is_committed_is_there_again() {
    let (_folder, path) = folder();
    let (mut book, records) = Book::open(&path).unwrap();
    assert!(records.is_empty());
    put(&mut book, 0..100);
    let sending = Record { state: State::Sending, ..record(3) };
    book.commit([(3, Some(&sending)), (4, None), (1_000, None)]).unwrap();
    drop(book);
    let (_book, records) = Book::open(&path).unwrap();
    assert_eq!(records.len(), 99);
    for (ticket, found) in records {
        let state = if ticket == 3 { State::Waiting } else { State::Failed };
        assert_eq!(found, Record { state, ..record(ticket) });
    }
}
