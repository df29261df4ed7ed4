//! Nothing that is not there is ever claimed, whatever happens to what lies on the disk.

use std::fs::{self, File};

use crate::bench::{Bench, PIECE};

/// A torrent of which pieces 0 to 3 are proven.
fn begun(bench: &Bench) {
    let content = bench.open().unwrap();
    bench.write_all(&content, 0..2);
    content.sync().unwrap();
    bench.write_all(&content, 2..4);
    content.sync().unwrap();
}

#[test]
fn without_a_journal_nothing_is_known() {
    let changes: [fn(&Bench); 5] = [
        |bench| fs::remove_file(bench.journal()).unwrap(),
        |bench| fs::write(bench.journal(), "").unwrap(),
        |bench| fs::write(bench.journal(), vec![0xff; 10_000]).unwrap(),
        |bench| {
            fs::remove_file(bench.journal()).unwrap();
            std::os::unix::fs::symlink(bench.at("elsewhere"), bench.journal()).unwrap();
        },
        |bench| {
            // The journal of another torrent.
            let other = Bench::folder();
            begun(&other);
            fs::copy(other.journal(), bench.journal()).unwrap();
        },
    ];
    for change in changes {
        let bench = Bench::file(100_000);
        begun(&bench);
        assert_eq!(bench.open().unwrap().proven(), [0..4]);
        change(&bench);
        let content = bench.open().unwrap();
        assert_eq!(content.proven(), []);
        bench.complete(&content);
        bench.assert_whole();
        assert!(!bench.at("elsewhere").exists());
    }
}

#[test]
fn each_byte_of_the_journal_matters() {
    let bench = Bench::file(100_000);
    begun(&bench);
    let journal = fs::read(bench.journal()).unwrap();
    for at in 0..journal.len() {
        let mut damaged = journal.clone();
        damaged[at] ^= 0x40;
        for bytes in [&damaged[..], &journal[..at]] {
            fs::write(bench.journal(), bytes).unwrap();
            let content = bench.open().unwrap();
            let proven = content.proven();
            assert!([vec![], vec![0..2]].contains(&proven), "{at}: {proven:?}");
            assert!(proven.into_iter().flatten().all(|piece| content.verify(piece).unwrap()));
        }
    }
}

#[test]
fn another_file_is_not_the_one_that_was_written() {
    let bench = Bench::file(100_000);
    begun(&bench);
    let mut bytes = fs::read(bench.partial()).unwrap();
    bytes[PIECE as usize] ^= 1;
    fs::write(bench.at("copy"), bytes).unwrap();
    fs::rename(bench.at("copy"), bench.partial()).unwrap();
    // Some file systems number files anew: what the journal says is read again.
    assert_eq!(bench.open().unwrap().proven(), [0..1, 2..4]);

    let bench = Bench::folder();
    begun(&bench);
    fs::rename(bench.partial(), bench.at("away")).unwrap();
    assert_eq!(bench.open().unwrap().proven(), []);
}

#[test]
fn what_was_cut_off_is_missing() {
    let bench = Bench::file(100_000);
    begun(&bench);
    File::options().write(true).open(bench.partial()).unwrap().set_len(20_000).unwrap();
    assert_eq!(bench.open().unwrap().proven(), []);

    // Of a folder only what was in that file.
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    bench.write_all(&content, 0..bench.pieces());
    content.sync().unwrap();
    drop(content);
    fs::remove_file(bench.partial().join("lib/z")).unwrap();
    fs::remove_file(bench.partial().join("empty")).unwrap();
    assert_eq!(bench.open().unwrap().proven(), [0..4]);
    let content = bench.open().unwrap();
    assert_eq!(content.proven(), [0..4], "and it is not forgotten again");
    bench.write_all(&content, 4..bench.pieces());
    content.finish().unwrap();
    bench.assert_whole();
}
