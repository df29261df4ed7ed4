//! The requests on the disk. What [`Book::commit`] has taken survives whatever comes.
//!
//! A redb database with two tables: one for the format's version and a count of commits, one for the requests as JSON,
//! by ticket. Each commit is whole on the disk before the header names it (redb's two-phase commit). So if the commit
//! that is named cannot be read, the file is damaged; without that, redb would take it for a crash and go back to the
//! commit before.

mod disk;
mod overlay;
mod place;
mod reading;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lantorrent_core::store::Lock;
use redb::{Builder, Database, ReadableTable, TableDefinition};

use self::disk::Disk;
pub(crate) use self::place::Whereabouts;
use super::queue::Ticket;
use super::request::{Record, State};
use crate::exit::Failure;

/// What this version writes.
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
/// Of two commits, the one where this is greater is the later one.
const META_COMMITS: &str = "commits";
const REQUESTS: TableDefinition<'_, Ticket, &[u8]> = TableDefinition::new("requests");

/// The agent's memory has the requests as well, so little needs to be kept of the file.
const CACHE_BYTES: usize = 16 << 20;

/// Why something did not become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BookError {
    /// The disk is full.
    NoSpace(String),
    /// The disk fails in another way.
    Broken(String),
}

impl std::fmt::Display for BookError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::NoSpace(what) | Self::Broken(what)) = self;
        f.write_str(what)
    }
}

/// The database, locked for as long as this lives.
#[derive(Debug)]
pub(crate) struct Book {
    path: PathBuf,
    file: Arc<File>,
    _lock: Lock,
    /// None after an error, until [`reopen`](Self::reopen).
    database: Option<Database>,
}

impl Book {
    /// Opens the database, or makes it where there is no file, and reads all requests. What is there and is no database
    /// of this program, or is damaged, is left as it is.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<(Ticket, Record)>), Failure> {
        let (file, lock) = place::open(path)?;
        let file = Arc::new(file);
        let reading::Content { records, latest } =
            reading::read(&file).map_err(|unreadable| unreadable.failure(path))?;
        let database = open_database(Disk { file: Arc::clone(&file), latest }).map_err(|error| {
            let what = format_args!("cannot open the queue {}: {error}", path.display());
            Failure::local(what, "look at the disk that it is on")
        })?;
        Ok((Self { path: path.to_owned(), file, _lock: lock, database: Some(database) }, records))
    }

    /// Where it is.
    pub(crate) fn whereabouts(&self) -> Whereabouts {
        Whereabouts::of(&self.path, &self.file)
    }

    /// Whether the last commit failed, so that there has to be a [`reopen`](Self::reopen) before the next.
    pub(crate) fn is_shut(&self) -> bool {
        self.database.is_none()
    }

    /// Takes all of it, or nothing: None removes a request. After an error nobody knows which of both it is on the disk.
    pub(crate) fn commit<'a>(
        &mut self,
        writes: impl IntoIterator<Item = (Ticket, Option<&'a Record>)>,
    ) -> Result<(), BookError> {
        let Some(database) = &self.database else {
            return Err(BookError::Broken(format!("the queue {} is not open", self.path.display())));
        };
        let written = write(database, writes).map_err(|error| self.error(&error));
        // Durable is what the next start finds.
        let written = written.and_then(|()| self.whereabouts().check().map_err(BookError::Broken));
        if written.is_err() {
            // redb does not take another commit either.
            self.database = None;
        }
        written
    }

    /// Makes commits possible again after one has failed.
    pub(crate) fn reopen(&mut self) -> Result<(), BookError> {
        self.database = None;
        self.whereabouts().check().map_err(BookError::Broken)?;
        disk::refresh(&self.file).map_err(|error| self.error(&error.into()))?;
        let content = reading::read(&self.file)
            .map_err(|unreadable| BookError::Broken(unreadable.failure(&self.path).to_string()))?;
        let disk = Disk { file: Arc::clone(&self.file), latest: content.latest };
        self.database = Some(open_database(disk).map_err(|error| self.error(&error))?);
        Ok(())
    }

    fn error(&self, error: &redb::Error) -> BookError {
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};

        let path = self.path.display();
        match error {
            redb::Error::Io(cause) if matches!(cause.kind(), StorageFull | QuotaExceeded | FileTooLarge) => {
                BookError::NoSpace(format!("there is no space for the queue {path}: {cause}"))
            }
            error => BookError::Broken(format!("cannot write the queue {path}: {error}")),
        }
    }
}

fn open_database(backend: impl redb::StorageBackend) -> Result<Database, redb::Error> {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(backend)?)
}

fn write<'a>(
    database: &Database,
    writes: impl IntoIterator<Item = (Ticket, Option<&'a Record>)>,
) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_two_phase_commit(true);
    {
        let mut meta = transaction.open_table(META)?;
        let commits = meta.get(META_COMMITS)?.map_or(0, |commits| commits.value());
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_COMMITS, commits.wrapping_add(1))?;
        let mut requests = transaction.open_table(REQUESTS)?;
        for (ticket, record) in writes {
            match record {
                Some(record) => requests.insert(ticket, encode(record).as_slice())?,
                None => requests.remove(ticket)?,
            };
        }
    }
    Ok(transaction.commit()?)
}

/// What is being sent is not written down as such: after a restart it waits.
fn encode(record: &Record) -> Vec<u8> {
    let encoded = match record.state {
        State::Sending => serde_json::to_vec(&Record { state: State::Waiting, ..record.clone() }),
        _ => serde_json::to_vec(record),
    };
    // Only maps with keys that are no text, and writers that fail, make this fail: here is neither.
    encoded.expect("a record is JSON")
}

#[cfg(test)]
mod tests;
