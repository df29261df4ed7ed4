//! SECURITY.md names a test for each promise: they are there.

use std::fs;
use std::path::Path;

const TEXT: &str = include_str!("../../SECURITY.md");

/// The sources below a folder, one behind the other.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path {
        path if path.is_dir() => sources(&path),
        path if path.extension().is_some_and(|extension| extension == "rs") => {
            fs::read_to_string(path).unwrap()
        }
        _ => String::new(),
    };
    entries.map(text).collect()
}

#[test]
fn each_promise_has_the_tests_that_it_names() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = ["src", "tests"].map(|folder| sources(&crate_folder.join(folder))).concat();
    let promises = TEXT.split_once("| Promise | Test |").unwrap().1.split_once("\n## ").unwrap().0;
    let tests: Vec<&str> = promises.split('`').skip(1).step_by(2).collect();
    assert!(tests.len() > 20, "{tests:?}");
    for test in tests {
        assert!(sources.contains(&format!("fn {test}()")), "{test} is no test");
    }
}
