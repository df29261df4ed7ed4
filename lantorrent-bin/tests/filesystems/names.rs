//! Names that are one where others tell them apart, and names that cannot be.

use std::fs;
use std::path::Path;

use crate::common::names;
use crate::odd::{Names, Odd, Oddity};
use crate::place::{DRIVERS, Place, plain};
use crate::swarms::Running;

const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

fn pairs() -> [(Names, &'static str, &'static str); 2] {
    [(Names::IgnoreCase, "image", "Image"), (Names::IgnoreForm, COMPOSED, DECOMPOSED)]
}

/// Of two requests for one file one is refused, and the file is whole.
fn two_requests_for_one_file(root: &Path, one: &str, other: &str) {
    let place = Place::new(root);
    for driver in DRIVERS {
        let node = place.node(driver, plain);
        let (source, bytes) = place.source();
        let to = [node.destination(one), node.destination(other)];
        let finished = place.lab.send(&source, &to, &["--json"]).expect(1);
        let succeeded = finished.codes().iter().filter(|code| **code == 0).count();
        assert_eq!(succeeded, 1, "{}", finished.stdout);
        assert!(fs::read(node.file(one)).unwrap() == bytes);
        assert_eq!(names(root).len(), 1);
        // Nor is the file replaced by what is asked for under a name that it has not.
        let there = names(root);
        let own = usize::from(!there[0].contains(one));
        place.lab.send(&source, &to[own..=own], &[]).expect(0);
        let again = place.lab.send(&source, &to[1 - own..=1 - own], &["--json"]);
        if one.is_ascii() {
            assert_eq!(again.codes(), [503], "{}", again.stdout);
            assert_eq!(names(root), there);
        } else {
            // Which form is listed is the file system's own affair.
            assert_eq!(again.codes(), [0], "{}", again.stdout);
            assert!(place.warnings().iter().any(|line| line.contains("takes both names for one")));
        }
        assert!(fs::read(node.file(one)).unwrap() == bytes);
        fs::remove_file(node.file(one)).unwrap();
    }
}

#[test]
fn two_requests_that_differ_by_case_or_form() {
    for (kind, one, other) in pairs() {
        let Some(odd) = Odd::mount(Oddity { names: kind, ..Oddity::default() }) else { return };
        two_requests_for_one_file(odd.path(), one, other);
    }
}

/// A torrent that names one file twice does not fit, and nothing wrong gets a final name.
#[test]
fn two_files_of_a_torrent_that_are_one() {
    for (kind, one, other) in pairs() {
        let Some(odd) = Odd::mount(Oddity { names: kind, ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let tree = place.lab.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fs::write(tree.join(one), vec![1; 100_000]).unwrap();
        fs::write(tree.join(other), vec![2; 100_000]).unwrap();
        place.lab.run(["torrent", "create", "tree"]).expect(0);
        let (_seed, address) = Running::seed(&place.lab, ".", &["tree.torrent"]);
        let finished = place.get("tree.torrent", &address, plain);
        assert_ne!(finished.status, Some(0), "{}", finished.stdout);
        let told = format!("{}{}", finished.stdout, finished.stderr);
        assert!(told.contains(one) || told.contains(other), "{told}");
        for name in [one, other] {
            let path = odd.path().join("got/tree").join(name);
            let Ok(bytes) = fs::read(path) else { continue };
            assert!(bytes.iter().all(|byte| *byte == bytes[0]) && bytes.len() == 100_000, "it is mixed");
        }
    }
}

#[test]
fn names_that_are_too_long() {
    for longest in [60, 143, 255] {
        let Some(odd) = Odd::mount(Oddity { longest: Some(longest), ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let node = place.node(&[], plain);
        let (source, bytes) = place.source();
        for length in [longest + 1, longest] {
            let finished = place.lab.send(&source, &[node.destination(&"x".repeat(length))], &[]).expect(1);
            // The limits of the node itself are another message.
            let told = if longest == 255 { "at most 255" } else { "its name has" };
            assert!(finished.stdout.contains(told), "{}", finished.stdout);
            assert_eq!(names(odd.path()), [""; 0]);
        }
        // With room for what is added to it until it is whole.
        let name = "y".repeat(longest - ".lantorrent-journal".len());
        place.lab.send(&source, &[node.destination(&name)], &[]).expect(0);
        assert!(fs::read(node.file(&name)).unwrap() == bytes);
        assert_eq!(names(odd.path()), [name]);
    }
}

#[test]
fn names_that_windows_has_not() {
    let Some(odd) = Odd::mount(Oddity { names: Names::Windows, ..Oddity::default() }) else { return };
    let place = Place::new(odd.path());
    let node = place.node(&[], plain);
    let (source, bytes) = place.source();
    for (name, sign) in [("a:b", "':'"), ("dot.", "'.'")] {
        let to = [node.destination(name), node.destination("c")];
        let finished = place.lab.send(&source, &to, &["--json"]).expect(1);
        assert_eq!(finished.codes()[1], 0);
        assert!([503, 504].contains(&finished.codes()[0]), "{}", finished.stdout);
        assert!(finished.stdout.contains(sign), "{}", finished.stdout);
    }
    assert_eq!(names(odd.path()), ["c"]);
    assert!(fs::read(node.file("c")).unwrap() == bytes);
}
