//! The arguments of `lantorrent torrent`.

// Most doc comments here are help texts, and no Markdown.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;

use argh::FromArgs;
use lantorrent_swarm::{Url, UrlError};

use crate::argv::STDIN;
use crate::size;

/// Make torrents, show what is in them, and check files against them.
#[derive(FromArgs)]
#[argh(subcommand, name = "torrent", help_triggers("-h", "--help"))]
pub(crate) struct Torrent {
    #[argh(subcommand)]
    pub(super) command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
pub(super) enum Command {
    Create(Create),
    Show(Show),
    Verify(Verify),
}

/// Make a torrent of a file, or of a folder with all that is in it.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "create",
    help_triggers("-h", "--help"),
    note = "The same files and options make the same torrent, whenever and wherever that is. Symlinks and devices in a \
            folder are refused; folders without files are left out."
)]
pub(super) struct Create {
    /// the file or folder
    #[argh(positional, arg_name = "path")]
    pub(super) path: PathBuf,

    /// where peers are found: http://HOST:PORT/announce or udp://HOST:PORT (again for more, which are asked when the ones
    /// before do not answer; with commas between them, those that are as good as each other)
    #[argh(option, arg_name = "url", from_str_fn(tier))]
    pub(super) tracker: Vec<Vec<String>>,

    /// where the files are on the web, too: the URL of the file, or of the folder that it is in, with a / at the end
    #[argh(option, arg_name = "url", from_str_fn(any_web_seed))]
    pub(super) web_seed: Vec<String>,

    /// how long pieces are, a power of two from 16K to 64M (default: by the size, so that there are up to 1000)
    #[argh(option, arg_name = "size", from_str_fn(piece_size))]
    pub(super) piece_size: Option<u32>,

    /// have peers be found by the trackers alone
    #[argh(switch)]
    pub(super) private: bool,

    /// what there is to say about it
    #[argh(option, arg_name = "text")]
    pub(super) comment: Option<String>,

    /// the torrent (default: the name of the file or folder, with .torrent)
    #[argh(option, short = 'o', arg_name = "file", from_str_fn(file))]
    pub(super) output: Option<PathBuf>,

    /// print what was made as JSON
    #[argh(switch)]
    pub(super) json: bool,
}

/// Show what is in a torrent.
#[derive(FromArgs)]
#[argh(subcommand, name = "show", help_triggers("-h", "--help"))]
pub(super) struct Show {
    /// the torrent
    #[argh(positional, arg_name = "file.torrent", from_str_fn(file))]
    pub(super) torrent: PathBuf,

    /// print it as JSON
    #[argh(switch)]
    pub(super) json: bool,
}

/// Read files and say whether they are those of a torrent. Nothing is changed.
#[derive(FromArgs)]
#[argh(subcommand, name = "verify", help_triggers("-h", "--help"))]
pub(super) struct Verify {
    /// the torrent
    #[argh(positional, arg_name = "file.torrent", from_str_fn(file))]
    pub(super) torrent: PathBuf,

    /// the folder that its file or folder is in (default: the present one)
    #[argh(option, arg_name = "dir", default = "PathBuf::from(\".\")")]
    pub(super) dir: PathBuf,

    /// print the outcome as JSON
    #[argh(switch)]
    pub(super) json: bool,
}

pub(crate) fn tier(text: &str) -> Result<Vec<String>, String> {
    text.split(',').map(|url| url_of(url).map(|_| url.trim().to_owned())).collect()
}

pub(crate) fn web_seed(text: &str) -> Result<String, String> {
    web_url(text).map(|_| text.trim().to_owned())
}

/// Other programs know FTP.
fn any_web_seed(text: &str) -> Result<String, String> {
    match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ftp") => {
            web_url(&format!("http://{rest}")).map(|_| text.trim().to_owned())
        }
        _ => web_seed(text),
    }
}

/// The URL of something on the web.
pub(crate) fn web_url(text: &str) -> Result<Url, String> {
    url_of(text)?.http().map_err(|error| error.to_string())
}

fn url_of(text: &str) -> Result<Url, String> {
    text.parse().map_err(|error: UrlError| error.to_string())
}

fn piece_size(text: &str) -> Result<u32, String> {
    let size = size::parse(text).ok().and_then(|size| u32::try_from(size).ok());
    let fits = |size: &u32| size.is_power_of_two() && (16 << 10..=64 << 20).contains(size);
    size.filter(fits).ok_or_else(|| "not a power of two from 16K to 64M".to_owned())
}

pub(crate) fn file(text: &str) -> Result<PathBuf, String> {
    if text == STDIN { Err("not a file".to_owned()) } else { Ok(text.into()) }
}
