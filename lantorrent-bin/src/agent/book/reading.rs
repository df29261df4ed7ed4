//! Reads a database without changing a byte of its file, and finds out whether it is whole.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, StorageError, TableError};

use super::disk::Latest;
use super::overlay::Overlay;
use super::{FORMAT, META, META_COMMITS, META_FORMAT, REQUESTS, open_database};
use crate::agent::queue::Ticket;
use crate::agent::request::Record;
use crate::exit::Failure;

/// What is in a database.
pub(super) struct Content {
    /// By ticket.
    pub(super) records: Vec<(Ticket, Record)>,
    /// The commit that they are from.
    pub(super) latest: Latest,
}

/// Why a file is no database that can be used.
pub(super) enum Unreadable {
    Empty,
    /// Version 0.2 kept its requests in such a database.
    Sqlite,
    Foreign(&'static str),
    Later(u64),
    Damaged(String),
    /// The disk does not give it.
    Unread(String),
}

impl Unreadable {
    pub(super) fn failure(self, path: &Path) -> Failure {
        let path = path.display();
        let aside = "move it away, and a new one is made, or name another in `[db] file` of lt.ini";
        match self {
            Self::Empty => Failure::local(format_args!("the queue {path} is an empty file"), aside),
            Self::Sqlite => Failure::local(
                format_args!("the queue {path} is an SQLite database, as version 0.2 kept"),
                format_args!("its requests are not taken over: {aside}"),
            ),
            Self::Foreign(what) => Failure::local(format_args!("the queue {path} is {what}"), aside),
            Self::Later(format) => Failure::local(
                format_args!(
                    "the queue {path} was written by a later version, in format {format}; this one knows format \
                     {FORMAT}"
                ),
                "start that version again, or move the file away, and a new one is made",
            ),
            Self::Damaged(how) => Failure::local(
                format_args!("the queue {path} is damaged, and was left as it is: {how}"),
                "put a copy in its place, or move it away, and a new one is made, without any request",
            ),
            Self::Unread(error) => Failure::local(
                format_args!("cannot read the queue {path}: {error}"),
                "look at the disk that it is on",
            ),
        }
    }
}

/// All of redb's errors, where a file that is read is no database that redb could have written.
impl<E: Into<redb::Error>> From<E> for Unreadable {
    fn from(error: E) -> Self {
        use std::io::ErrorKind::{InvalidData, UnexpectedEof};

        match error.into() {
            // What redb finds wrong, and a place that points behind the end, are no errors of the disk.
            redb::Error::Io(error) if !matches!(error.kind(), InvalidData | UnexpectedEof) => {
                Self::Unread(error.to_string())
            }
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// Reads the database in the file at its latest commit.
pub(super) fn read(file: &Arc<File>) -> Result<Content, Unreadable> {
    look_at_start(file)?;
    let named = Reader::open(file, Latest::Named)?;
    // If the one flag that names a commit is turned, the one before is named, which is whole as well. It is the same
    // when a commit was cut off in the instant before it was named: nobody was told that it was durable then, and
    // nobody minds if it is.
    let reader = match Reader::open(file, Latest::Whole) {
        Ok(whole) if whole.commits > named.commits => whole,
        _ => named,
    };
    Ok(Content { records: reader.records()?, latest: reader.latest })
}

/// Says what a file is that is no database of redb.
fn look_at_start(file: &File) -> Result<(), Unreadable> {
    let mut start = [0; 16];
    let unread = |error: std::io::Error| Unreadable::Unread(error.to_string());
    let len = file.metadata().map_err(unread)?.len();
    if len == 0 {
        return Err(Unreadable::Empty);
    }
    let there = len.min(start.len() as u64) as usize;
    file.read_exact_at(&mut start[..there], 0).map_err(unread)?;
    if start.starts_with(b"SQLite format 3") {
        return Err(Unreadable::Sqlite);
    }
    if !start.starts_with(b"redb") {
        return Err(Unreadable::Foreign("no database of this program"));
    }
    Ok(())
}

/// The database at one of its commits, checked from end to end.
struct Reader {
    database: Database,
    latest: Latest,
    commits: u64,
}

impl Reader {
    fn open(file: &Arc<File>, latest: Latest) -> Result<Self, Unreadable> {
        let overlay =
            Overlay::new(Arc::clone(file), latest).map_err(|error| Unreadable::Unread(error.to_string()))?;
        let database = open_database(overlay)?;
        let commits = commits(&database)?;
        Ok(Self { database, latest, commits })
    }

    fn records(&self) -> Result<Vec<(Ticket, Record)>, Unreadable> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(REQUESTS)?;
        let mut records = Vec::new();
        let mut ids = HashSet::new();
        for entry in table.range::<Ticket>(..)? {
            let (ticket, text) = entry?;
            let ticket = ticket.value();
            let record: Record = serde_json::from_slice(text.value())
                .map_err(|error| Unreadable::Damaged(format!("request number {ticket} is none: {error}")))?;
            if !ids.insert(record.id.clone()) {
                let id = crate::text::clean(&record.id).into_owned();
                return Err(Unreadable::Damaged(format!("the request {id} is there twice")));
            }
            records.push((ticket, record));
        }
        Ok(records)
    }
}

/// How many commits there were, in a database of this program and format.
fn commits(database: &Database) -> Result<u64, Unreadable> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(Unreadable::Foreign("a database of another program")),
    };
    let number =
        |key| -> Result<Option<u64>, StorageError> { Ok(meta.get(key)?.map(|number| number.value())) };
    match (number(META_FORMAT)?, number(META_COMMITS)?) {
        (Some(FORMAT), Some(commits)) => Ok(commits),
        (Some(FORMAT), None) | (None, _) => Err(Unreadable::Foreign("a database of another program")),
        (Some(format), _) => Err(Unreadable::Later(format)),
    }
}
