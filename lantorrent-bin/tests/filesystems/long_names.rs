//! Names in torrents that have no room for what is added to them, or that a file system does not take.

use std::fs;

use crate::common::{content, names};
use crate::odd::{Names, Odd, Oddity};
use crate::place::{Place, plain};
use crate::swarms::Running;

const LENGTH: usize = 100_000;

/// What is whole needs no partial file.
#[test]
fn whole_files_are_served_under_any_name() {
    for (longest, length) in [(255, 240), (255, 255), (143, 130), (143, 143)] {
        let Some(odd) = Odd::mount(Oddity { longest: Some(longest), ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let (name, data) = ("n".repeat(length), content(LENGTH));
        let file = odd.path().join(&name);
        fs::write(&file, &data).unwrap();
        place.lab.run(["torrent", "create", file.to_str().unwrap(), "-o", "t.torrent"]).expect(0);
        let (_seed, address) = Running::seed(&place.lab, odd.path().to_str().unwrap(), &["t.torrent"]);
        assert_eq!(names(odd.path()), [name.as_str()]);
        let elsewhere = Place::new(&place.lab.path().join("elsewhere"));
        let torrent = place.lab.path().join("t.torrent");
        let got = elsewhere.get(torrent.to_str().unwrap(), &address, plain);
        if length > 236 {
            assert!(got.expect(1).stderr.contains("236 bytes"));
            assert!(!elsewhere.root.join("got").join(&name).exists());
        } else {
            got.expect(0);
            assert!(fs::read(elsewhere.root.join("got").join(&name)).unwrap() == data);
        }
    }
}

/// Below the folder of a torrent nothing is added to names.
#[test]
fn long_names_in_a_folder() {
    let Some(odd) = Odd::mount(Oddity::default()) else { return };
    let place = Place::new(odd.path());
    let (tree, name) = (place.lab.path().join("tree"), "n".repeat(255));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join(&name), content(LENGTH)).unwrap();
    place.lab.run(["torrent", "create", "tree"]).expect(0);
    let (_seed, address) = Running::seed(&place.lab, ".", &["tree.torrent"]);
    place.get("tree.torrent", &address, plain).expect(0);
    assert!(fs::read(odd.path().join("got/tree").join(name)).unwrap() == content(LENGTH));
}

/// Where the file has room for what is added to its name, and the journal has not.
#[test]
fn torrents_whose_journal_has_no_name() {
    let Some(odd) = Odd::mount(Oddity { longest: Some(143), ..Oddity::default() }) else { return };
    let place = Place::new(odd.path());
    let name = "n".repeat(130);
    fs::write(place.lab.path().join(&name), content(LENGTH)).unwrap();
    place.lab.run(["torrent", "create", &name, "-o", "t.torrent"]).expect(0);
    let (_seed, address) = Running::seed(&place.lab, ".", &["t.torrent"]);
    let finished = place.get("t.torrent", &address, plain).expect(1);
    assert!(finished.stderr.contains("ask for a shorter one"), "{}", finished.stderr);
    assert!(!odd.path().join("got").join(&name).exists());
}

/// The sign, or the length, that is at fault is told.
#[test]
fn torrents_with_names_that_are_not_taken() {
    let windows = || Oddity { names: Names::Windows, ..Oddity::default() };
    let short = || Oddity { longest: Some(143), ..Oddity::default() };
    let cases = [
        ("a:b".to_owned(), windows(), "':'"),
        ("end.".to_owned(), windows(), "'.'"),
        ("n".repeat(200), short(), "200 bytes"),
    ];
    for (name, oddity, told) in cases {
        let Some(odd) = Odd::mount(oddity) else { return };
        let place = Place::new(odd.path());
        // A file of a folder, a folder in it, and a file alone.
        for (number, path) in
            [format!("tree/{name}"), format!("tree/{name}/z"), name.clone()].iter().enumerate()
        {
            let folder = format!("{number}");
            let file = place.lab.path().join(&folder).join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content(LENGTH)).unwrap();
            let top = path.split('/').next().unwrap();
            let torrent = format!("{number}.torrent");
            place.lab.run(["torrent", "create", &format!("{folder}/{top}"), "-o", &torrent]).expect(0);
            let (_seed, address) = Running::seed(&place.lab, &folder, &[&torrent]);
            let finished = place.get(&torrent, &address, plain).expect(1);
            // With what is added to the name of a file alone.
            let told = if told.ends_with("bytes") && number == 2 { "211 bytes" } else { told };
            assert!(finished.stderr.contains(told), "{path:?}: {}", finished.stderr);
            assert!(!odd.path().join("got").join(top).exists());
        }
    }
}
