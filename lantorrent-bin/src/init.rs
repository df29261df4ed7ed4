//! `lantorrent init`.

use std::path::{Path, PathBuf};

use crate::args::Init;
use crate::config::{Home, Sync, Template, absolute, write_new};
use crate::exit::{Failure, Status};
use crate::terminal::print;
use crate::text::{clean, shell_word};

/// The folder for files where none is named. It stays right when lt.ini is copied to a node with another home.
const FILES: &str = "@LANTORRENT_HOME@/files";

pub(crate) fn run(init: &Init, file: &Path, home: &Home) -> Result<Status, Failure> {
    let roots = if init.root.is_empty() {
        vec![FILES.to_owned()]
    } else {
        init.root.iter().map(|root| root_text(root)).collect::<Result<_, _>>()?
    };
    write_new(file, &Template { roots: &roots, sync: Sync::Yes })?;
    if init.root.is_empty() {
        let files = home.path()?.join("files");
        std::fs::create_dir_all(&files).map_err(|error| {
            Failure::local(
                format_args!("cannot make the folder {}: {error}", files.display()),
                "make it yourself",
            )
        })?;
    }
    print(&next_steps(file, home.known().unwrap_or(Path::new("/")), &roots));
    Ok(Status::Success)
}

/// The root as it can stand in a list with commas.
fn root_text(root: &Path) -> Result<String, Failure> {
    let path = absolute(root)?;
    let is_taken =
        |text: &str| text.contains(',') || text.contains("@LANTORRENT_HOME@") || text.contains("@PGM@");
    let usable = |text: &str| !is_taken(text) && !text.chars().any(char::is_control) && text.trim() == text;
    match path.to_str() {
        Some(text) if usable(text) => Ok(text.to_owned()),
        _ => Err(Failure::usage(
            format_args!("the folder {} cannot stand in lt.ini", clean(&path.to_string_lossy())),
            "use a path in UTF-8 without commas, placeholders, line ends and blanks at its end",
        )),
    }
}

fn next_steps(file: &Path, home: &Path, roots: &[String]) -> String {
    let shown = |path: &Path| clean(&shell_word(&path.to_string_lossy())).into_owned();
    let folders: Vec<PathBuf> = roots
        .iter()
        .map(|root| if root == FILES { home.join("files") } else { PathBuf::from(root) })
        .collect();
    let places = folders.iter().map(|folder| {
        let missing = if folder.is_dir() { "" } else { " (which does not exist on this machine)" };
        format!("Files may be written under {}{missing}.", shown(folder))
    });
    let places = places.collect::<Vec<_>>().join("\n");
    let file_name = shown(file);
    let etc = file.parent().map(shown).unwrap_or_default();
    let target = folders.first().map(|folder| shown(folder)).unwrap_or_default();
    format!(
        "\
Wrote {file_name} (mode 0600) with a new random password.
{places}

Copy it to every other node:
  ssh NODE 'mkdir -p -m 700 {etc}; mkdir -p {target}'
  scp -p {file_name} NODE:{file_name}
Start each node:
  lantorrent serve
Send a file from here:
  lantorrent send FILE NODE{target}/NAME
"
    )
}
