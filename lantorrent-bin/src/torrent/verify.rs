//! `lantorrent torrent verify`.

use std::ops::Range;
use std::sync::Arc;

use lantorrent_core::store::{Found, What};
use lantorrent_swarm::files::{Content, State, Tree};
use lantorrent_swarm::metainfo::{FileEntry, Info, Kind};
use serde::Serialize;

use super::args::Verify;
use super::broken;
use super::hashing::Hashing;
use crate::exit::{Failure, Status};
use crate::table::Table;
use crate::terminal;
use crate::text::{clean, clean_json};

pub(super) fn run(verify: &Verify) -> Result<Status, Failure> {
    let info = Arc::new(super::read(&verify.torrent)?.info);
    let tree = Tree::open(&verify.dir)
        .map_err(|error| Failure::usage(error, "give the folder that the files are in with --dir"))?;
    let tree = Arc::new(tree);
    let content = Content::look(Arc::clone(&tree), Arc::clone(&info)).map_err(|error| broken(&error))?;
    let hashing = Hashing::begin(info.geometry().length())?;
    let good = content.recheck(&|bytes| hashing.add(bytes));
    terminal::hide_bar();
    let good = good.map_err(|error| broken(&error))?;

    let is_whole = content.state() == State::Whole;
    let outcome = Outcome::of(&info, &tree, &good, is_whole)?;
    if verify.json {
        // Strings and numbers: nothing in it can fail to become JSON.
        let json = serde_json::to_string(&outcome).expect("an outcome is plain JSON");
        terminal::print_line(&clean_json(&json));
    } else {
        terminal::print(&outcome.text());
    }
    Ok(if is_whole { Status::Success } else { Status::Incomplete })
}

#[derive(Serialize)]
struct Outcome {
    name: String,
    whole: bool,
    pieces: u32,
    good: u32,
    /// The files with something wrong.
    files: Vec<Wrong>,
}

#[derive(Serialize)]
struct Wrong {
    path: String,
    why: String,
}

impl Outcome {
    fn of(info: &Info, tree: &Tree, good: &[Range<u32>], whole: bool) -> Result<Self, Failure> {
        let mut right = vec![false; info.geometry().pieces() as usize];
        for run in good {
            right[run.start as usize..run.end as usize].fill(true);
        }
        let mut files = Vec::new();
        for file in info.layout().files().iter().filter(|file| file.kind != Kind::Padding) {
            let found = tree.find(&file.path).map_err(|error| broken(&error.into()))?;
            if let Some(why) = wrong(info, file, found, &right) {
                files.push(Wrong { path: file.path.to_string_lossy().into_owned(), why });
            }
        }
        let name = info.layout().name().to_string_lossy().into_owned();
        let sum = good.iter().map(|run| run.end - run.start).sum();
        Ok(Self { name, whole, pieces: info.geometry().pieces(), good: sum, files })
    }

    fn text(&self) -> String {
        let mut table = Table::new(["file", "outcome"]);
        for file in &self.files {
            table.row([file.path.clone(), file.why.clone()]);
        }
        let rows = if self.files.is_empty() { String::new() } else { table.render() };
        let outcome = if self.whole { "whole" } else { "NOT whole" };
        format!("{rows}{}: {outcome}, {} of {} pieces are right\n", clean(&self.name), self.good, self.pieces)
    }
}

/// What is wrong with a file, if anything is.
fn wrong(info: &Info, file: &FileEntry, found: Option<Found>, right: &[bool]) -> Option<String> {
    let found = match found {
        None => return Some("missing".into()),
        Some(found) if found.what != What::File => return Some("no file".into()),
        Some(found) => found,
    };
    if found.length != file.length {
        return Some(format!("{} bytes instead of {}", found.length, file.length));
    }
    let pieces = info.layout().pieces_of(file);
    let (all, bad) = (pieces.len(), pieces.filter(|&piece| !right[piece as usize]).count());
    (bad > 0).then(|| format!("{bad} of the {all} pieces that it is in are wrong"))
}
