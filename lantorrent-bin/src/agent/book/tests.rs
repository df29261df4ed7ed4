use std::fs;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::*;
use crate::agent::testing::{Random, numbered, system};

fn put(book: &mut Book, numbers: Range<u64>) {
    let records: Vec<Record> = numbers.clone().map(numbered).collect();
    book.commit(numbers.zip(records.iter().map(Some))).unwrap();
}

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    (folder, path)
}

/// Everything that can be seen of a file: its bytes, and when they were last changed.
#[derive(PartialEq)]
struct Look(Vec<u8>, i64, i64);

fn look(path: &Path) -> Look {
    let metadata = fs::metadata(path).unwrap();
    Look(fs::read(path).unwrap(), metadata.mtime(), metadata.mtime_nsec())
}

/// Why the file is not opened, after a look that nothing has happened to it or beside it.
fn refused(path: &Path) -> String {
    let (before, files) = (look(path), fs::read_dir(path.parent().unwrap()).unwrap().count());
    let Err(failure) = Book::open(path) else { panic!("{} was opened", path.display()) };
    assert!(look(path) == before, "{} was touched", path.display());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), files);
    let message = failure.to_string();
    assert!(message.contains(&path.display().to_string()), "{message}");
    message
}

/// What is in a file after so many commits of ten requests each, as a process leaves it that is killed, or one that is
/// not.
fn contents(path: &Path, commits: u64) -> [Vec<u8>; 2] {
    let (mut book, _) = Book::open(path).unwrap();
    for commit in 0..commits {
        put(&mut book, commit * 10..commit * 10 + 10);
    }
    let killed = fs::read(path).unwrap();
    drop(book);
    let closed = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    [killed, closed]
}

#[test]
fn what_is_committed_is_there_again() {
    let (_folder, path) = folder();
    let (mut book, records) = Book::open(&path).unwrap();
    assert!(records.is_empty());
    put(&mut book, 0..100);
    let sending = Record { state: State::Sending, ..numbered(3) };
    book.commit([(3, Some(&sending)), (4, None), (1_000, None)]).unwrap();
    drop(book);
    let (_book, records) = Book::open(&path).unwrap();
    assert_eq!(records.len(), 99);
    for (ticket, found) in records {
        let state = if ticket == 3 { State::Waiting } else { State::Failed };
        assert_eq!(found, Record { state, ..numbered(ticket) });
    }
}

#[test]
fn it_can_be_opened_again_without_letting_go_of_it() {
    let (_folder, path) = folder();
    let (mut book, _) = Book::open(&path).unwrap();
    put(&mut book, 0..10);
    book.database = None;
    assert!(book.is_shut());
    let record = numbered(10);
    assert!(matches!(book.commit([(10, Some(&record))]), Err(BookError::Broken(_))));
    assert!(Book::open(&path).is_err(), "another agent has it");
    book.reopen().unwrap();
    put(&mut book, 10..20);
    drop(book);
    assert_eq!(Book::open(&path).unwrap().1.len(), 20);
}

/// One byte is changed, anywhere that means something: then either everything is there nevertheless, or the file is
/// refused and left as it was. In the header, every bit is turned that has no checksum.
#[test]
fn a_changed_byte_loses_nothing() {
    let (_folder, path) = folder();
    for content in contents(&path, 20) {
        let mut random = Random(7);
        let fields = (0..64).flat_map(|place| (0..8).map(move |bit| (place, 1 << bit)));
        let slots = (64..320).map(|place| (place, 1 << (place % 8)));
        let rest: Vec<(usize, u8)> =
            (0..content.len()).filter(|&place| content[place] != 0).map(|place| (place, 0x55)).collect();
        let some = (0..300).map(|_| rest[random.below(rest.len() as u64) as usize]);
        let mut damaged = 0;
        for (place, mask) in fields.chain(slots).chain(some) {
            let mut bytes = content.clone();
            bytes[place] ^= mask;
            damaged += usize::from(!is_whole(&path, &bytes, 200, &format!("byte {place} ^ {mask}")));
        }
        // Those that are told must be told.
        assert!(damaged > 300, "{damaged}");
    }
}

/// Cut, filled with zeros or with noise in any place, or grown.
#[test]
fn larger_damage_loses_nothing() {
    let (_folder, path) = folder();
    for content in contents(&path, 20) {
        let mut random = Random(9);
        let mut damaged = 0;
        for round in 0..200 {
            let mut bytes = content.clone();
            let place = random.below(content.len() as u64) as usize;
            let len = (1 + random.below(20_000) as usize).min(content.len() - place);
            match round % 4 {
                0 => bytes.truncate(place),
                1 => bytes[place..place + len].fill(0),
                2 => bytes[place..place + len].iter_mut().for_each(|byte| *byte = random.next() as u8),
                _ => bytes.resize(content.len() + len, 0),
            }
            damaged += usize::from(!is_whole(&path, &bytes, 200, &format!("round {round}")));
        }
        assert!(damaged > 50, "{damaged}");
    }
}

/// Whether the file with these bytes holds all requests. If it does not, it must be refused.
fn is_whole(path: &Path, bytes: &[u8], requests: usize, what: &str) -> bool {
    fs::write(path, bytes).unwrap();
    // Nothing can be written through this.
    let file = Arc::new(File::open(path).unwrap());
    let whole = reading::read(&file).is_ok_and(|content| {
        assert_eq!(content.records.len(), requests, "{what}");
        assert!(content.records.iter().all(|(ticket, record)| *record == numbered(*ticket)), "{what}");
        true
    });
    // What the disk has to say in this takes its time, so not each of them is really opened.
    if bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>() % 40 == 0 {
        if whole {
            assert_eq!(Book::open(path).unwrap().1.len(), requests, "{what}");
        } else {
            refused(path);
        }
    }
    whole
}

#[test]
fn what_is_no_queue_is_not_touched() {
    let (folder, path) = folder();
    for (content, said) in [
        (b"".as_slice(), "is an empty file"),
        (b"SQLite format 3\0\x10\0\x01\x01", "version 0.2"),
        (b"hello", "no database of this program"),
        (b"redb", "damaged"),
        (&[0; 8192], "no database of this program"),
    ] {
        fs::write(&path, content).unwrap();
        assert!(refused(&path).contains(said), "{said}");
    }
    let Err(failure) = Book::open(folder.path()) else { panic!("a folder was opened") };
    assert!(failure.to_string().contains("is a folder"), "{failure}");
    let Err(failure) = Book::open(&folder.path().join("no/such/folder")) else { panic!("it was made") };
    assert!(failure.to_string().contains("make its folder"), "{failure}");
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let Err(failure) = Book::open(&fifo) else { panic!("a FIFO was opened") };
    assert!(failure.to_string().contains("no regular file"), "{failure}");
}

/// Makes a database as another program, or another version of this one, would.
fn foreign(path: &Path, format: Option<u64>, request: &[u8]) {
    let database = Database::create(path).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut requests = transaction.open_table(REQUESTS).unwrap();
        requests.insert(1, request).unwrap();
        if let Some(format) = format {
            let mut meta = transaction.open_table(META).unwrap();
            meta.insert(META_FORMAT, format).unwrap();
            meta.insert(META_COMMITS, 1).unwrap();
        }
    }
    transaction.commit().unwrap();
}

#[test]
fn databases_of_others_are_not_touched() {
    let (_folder, path) = folder();
    let mut twice = serde_json::to_value(numbered(1)).unwrap();
    twice["state"] = "asleep".into();
    for (format, request, said) in [
        (Some(2), "{}", "written by a later version, in format 2"),
        (None, "{}", "a database of another program"),
        (Some(1), "{}", "request number 1 is none"),
        (Some(1), &twice.to_string(), "request number 1 is none"),
    ] {
        foreign(&path, format, request.as_bytes());
        assert!(refused(&path).contains(said), "{said}");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn only_one_agent_has_it() {
    let (_folder, path) = folder();
    let (book, _) = Book::open(&path).unwrap();
    assert!(refused(&path).contains("another agent has the queue"));
    drop(book);
    // One that was begun and not finished does not matter, nor does it that there are two names for it.
    fs::write(path.with_extension("db.new"), "redb, half of it").unwrap();
    symlink(&path, path.with_extension("link")).unwrap();
    let (_book, _) = Book::open(&path.with_extension("link")).unwrap();
    assert!(Book::open(&path).is_err());
}

#[test]
fn of_many_that_make_it_one_has_it() {
    let (_folder, path) = folder();
    let books: Vec<Option<Book>> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Book::open(&path).ok().map(|(book, _)| book))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(books.iter().flatten().count(), 1);
    drop(books);
    assert!(Book::open(&path).unwrap().1.is_empty());
}

#[test]
fn a_disk_that_cannot_be_written_is_said_to_be_one() {
    let Some(disk) = system::SmallDisk::new(4 << 20) else { return };
    let path = disk.path().join("queue.db");
    let absent = disk.path().join("absent.db");
    drop(Book::open(&path).unwrap());
    if system::run("mount", &["-o", "remount,ro", disk.path().to_str().unwrap()]).is_none() {
        return;
    }
    assert!(refused(&path).contains("can be written"));
    let Err(failure) = Book::open(&absent) else { panic!("it was made") };
    assert!(failure.to_string().contains("can be written"), "{failure}");
}

#[test]
fn a_full_disk_leaves_no_queue_that_is_not_whole() {
    let Some(disk) = system::SmallDisk::new(1 << 20) else { return };
    let path = disk.path().join("queue.db");
    let Err(failure) = Book::open(&path) else { panic!("it was made") };
    assert!(failure.to_string().contains("make space"), "{failure}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}
