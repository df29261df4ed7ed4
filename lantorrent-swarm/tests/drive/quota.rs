//! Disks that are shared out by a quota: who has to go, and who never does.

use std::fs;
use std::path::Path;

use lantorrent_swarm::InfoHash;
use lantorrent_swarm::drive::{Alert, Bounds, Existing, Session, TorrentError, TorrentWarning};
use lantorrent_swarm::metainfo::{Draft, Metainfo};
use tempfile::TempDir;

use crate::support::{LONG, add_torrent, address, content, expect_whole, settings, torrent};

const LENGTH: usize = 100_000;

/// A session that has torrents of these names, all of one length, and one that is to keep some of them.
struct Case {
    here: TempDir,
    there: TempDir,
    torrents: Vec<Metainfo>,
    seeder: Session,
    keeper: Session,
}

impl Case {
    /// `quota` in torrents.
    fn new(names: &[&str], quota: u64) -> Self {
        let here = tempfile::tempdir().unwrap();
        let mut seeder = Session::start(settings()).unwrap();
        let make = |(number, name): (usize, &&str)| {
            let path = here.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("data"), content(LENGTH - number)).unwrap();
            fs::write(path.join("more"), vec![0; number]).unwrap();
            torrent(&path, 32 << 10, &Draft::default())
        };
        let torrents: Vec<Metainfo> = names.iter().enumerate().map(make).collect();
        for torrent in &torrents {
            let _ = seeder.add(add_torrent(torrent, here.path()).existing(Existing::Serve));
            expect_whole(&mut seeder, torrent.info.hash());
        }
        let keeper = Session::start(settings().bounds(quota_of(quota))).unwrap();
        Self { here, there: tempfile::tempdir().unwrap(), torrents, seeder, keeper }
    }

    fn hash(&self, number: usize) -> InfoHash {
        self.torrents[number].info.hash()
    }

    fn add(&self, number: usize) {
        let peers = vec![address(&self.seeder)];
        let _ = self.keeper.add(add_torrent(&self.torrents[number], self.there.path()).peers(peers));
    }

    fn fetch(&mut self, number: usize) {
        self.add(number);
        expect_whole(&mut self.keeper, self.torrents[number].info.hash());
    }

    /// The next thing that happens to one of the torrents.
    fn next_alert(&mut self) -> Alert {
        self.keeper.next_alert(LONG).unwrap()
    }

    #[track_caller]
    fn assert_kept(&self, names: &[&str]) {
        assert_eq!(names_in(self.there.path()), names);
    }
}

fn quota_of(torrents: u64) -> Bounds {
    Bounds::default().quota(Some(torrents * LENGTH as u64))
}

fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn who_was_not_used_for_longest_makes_room() {
    let mut case = Case::new(&["a", "b", "c"], 2);
    case.fetch(0);
    case.fetch(1);
    // The first is of use to somebody.
    let other = tempfile::tempdir().unwrap();
    let mut leecher = Session::start(settings()).unwrap();
    let _ = leecher.add(add_torrent(&case.torrents[0], other.path()).peers(vec![address(&case.keeper)]));
    expect_whole(&mut leecher, case.hash(0));
    case.add(2);
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(1)));
    assert_eq!(case.next_alert(), Alert::Finished(case.hash(2)));
    case.assert_kept(&["a", "c"]);
    assert_eq!(case.keeper.statuses().len(), 2);
    // Adding what is there counts as use, too.
    case.add(0);
    assert_eq!(case.next_alert(), Alert::Warning(case.hash(0), TorrentWarning::AlreadyAdded));
    case.add(1);
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(2)));
    assert_eq!(case.next_alert(), Alert::Finished(case.hash(1)));
    case.assert_kept(&["a", "b"]);
}

#[test]
fn what_has_to_stay_stays_and_nobody_goes_in_vain() {
    let mut case = Case::new(&["a", "b", "c"], 2);
    case.keeper.handle(case.hash(0)).pin();
    case.fetch(0);
    case.fetch(1);
    case.add(2);
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(1)), "although it was used later");
    assert_eq!(case.next_alert(), Alert::Finished(case.hash(2)));
    case.keeper.adjust(quota_of(1));
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(2)));
    case.add(1);
    let Alert::Failed(hash, error) = case.next_alert() else { panic!("there is no room") };
    assert_eq!(hash, case.hash(1));
    let TorrentError::QuotaExceeded { needed, quota, taken, .. } = error else { panic!("{error:?}") };
    assert_eq!((needed, quota, taken), (100_000, 100_000, 100_000));
    case.assert_kept(&["a"]);
    case.keeper.adjust(quota_of(2));
    case.fetch(1);
    case.assert_kept(&["a", "b"]);
    case.keeper.adjust(quota_of(0));
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(1)));
    case.keeper.handle(case.hash(0)).unpin();
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(0)));
    case.assert_kept(&[]);
}

#[test]
fn what_is_not_ours_neither_counts_nor_goes() {
    let mut case = Case::new(&["a", "b"], 1);
    let served = add_torrent(&case.torrents[0], case.here.path()).existing(Existing::Serve);
    let _ = case.keeper.add(served);
    expect_whole(&mut case.keeper, case.torrents[0].info.hash());
    case.fetch(1);
    case.keeper.adjust(quota_of(0));
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(1)));
    assert_eq!(case.keeper.statuses().len(), 1);
    assert_eq!(names_in(case.here.path()), ["a", "b"]);
}

#[test]
fn what_somebody_has_changed_is_not_deleted() {
    let mut case = Case::new(&["a", "b"], 1);
    case.fetch(0);
    fs::write(case.there.path().join("a/data"), "mine").unwrap();
    case.add(1);
    let Alert::Warning(hash, TorrentWarning::NotDeleted(_)) = case.next_alert() else {
        panic!("it is not ours")
    };
    assert_eq!(hash, case.hash(0));
    assert_eq!(case.next_alert(), Alert::Evicted(case.hash(0)));
    assert_eq!(case.next_alert(), Alert::Finished(case.hash(1)));
    assert_eq!(fs::read(case.there.path().join("a/data")).unwrap(), b"mine");
}

#[test]
fn who_is_wanted_again_at_once_comes_back() {
    let mut case = Case::new(&["a", "b", "c"], 2);
    case.fetch(0);
    case.fetch(1);
    for _ in 0..20 {
        // The first goes for the third, and then the second for the first.
        case.add(2);
        case.add(0);
        let mut whole = 0;
        while whole < 2 {
            whole += match case.next_alert() {
                Alert::Finished(_) => 1,
                Alert::Evicted(_) => 0,
                other => panic!("{other:?}"),
            };
        }
        case.assert_kept(&["a", "c"]);
        case.keeper.handle(case.hash(2)).remove();
        assert_eq!(case.next_alert(), Alert::Removed(case.hash(2)));
        fs::remove_dir_all(case.there.path().join("c")).unwrap();
        case.fetch(1);
        case.assert_kept(&["a", "b"]);
    }
}
