//! The command line as types.

// Most doc comments here are help texts, and no Markdown.
#![allow(clippy::doc_markdown)]

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use argh::FromArgs;
use lantorrent_core::Dscp;
use lantorrent_core::wire::{Wire, limits};

use crate::argv::STDIN;
use crate::config::value;
use crate::size;
use crate::swarm::{Get, Seed};
use crate::torrent::Torrent;

/// Copies one large file to many machines of a LAN at the speed of one copy.
#[derive(FromArgs)]
#[argh(
    name = "lantorrent",
    help_triggers("-h", "--help", "help"),
    note = "These options go before or after the command.",
    error_code(0, "Every request succeeded."),
    error_code(1, "Some requests did not succeed."),
    error_code(2, "The command line or the configuration is wrong.")
)]
pub(crate) struct Arguments {
    /// the configuration (default: etc/lt.ini under $LANTORRENT_HOME, or under ~/.lantorrent)
    #[argh(option, arg_name = "file")]
    pub(crate) config: Option<PathBuf>,

    /// print the version
    #[argh(switch)]
    pub(crate) version: bool,

    /// say more on standard error; twice: all there is to say
    #[argh(switch, short = 'v')]
    pub(crate) verbose: u8,

    /// accept a password that can be guessed: "nimbus", or one under 16 bytes
    #[argh(switch)]
    pub(crate) weak_password: bool,

    #[argh(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
pub(crate) enum Command {
    Init(Init),
    Serve(Serve),
    Send(Send),
    Check(Check),
    Agent(Agent),
    Request(Request),
    Status(Status),
    Cancel(Cancel),
    Limit(Limit),
    Links(Links),
    Demo(Demo),
    Torrent(Torrent),
    Tracker(Tracker),
    Get(Get),
    Seed(Seed),
}

/// Write the configuration of a new group of nodes, with a random password.
#[derive(FromArgs)]
#[argh(subcommand, name = "init", help_triggers("-h", "--help"))]
pub(crate) struct Init {
    /// a folder that may be written (again for more; default: `files` under $LANTORRENT_HOME)
    #[argh(option, arg_name = "dir")]
    pub(crate) root: Vec<PathBuf>,
}

/// Run a node: receive files, write them, and pass them on.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "serve",
    help_triggers("-h", "--help"),
    note = "SIGHUP opens the log again and reads lt.ini again: `limit` and `[log]` hold at once, and the log names the rest."
)]
pub(crate) struct Serve {
    /// where to listen, port 0 for any that is free (default: `listen` in `[node]`, or 0.0.0.0:2893)
    #[argh(option, arg_name = "addr:port")]
    pub(crate) listen: Option<Listen>,

    /// a folder that may be written (again for more; replaces `roots` in `[node]`)
    #[argh(option, arg_name = "dir")]
    pub(crate) root: Vec<PathBuf>,

    /// serve the one connection that is standard input, as xinetd hands it over
    #[argh(switch)]
    pub(crate) inetd: bool,

    /// serve all connections on one thread: for thousands of them at the same time
    #[argh(switch)]
    pub(crate) event_loop: bool,

    /// stop when standard input ends: for a parent whose children must not outlive it
    #[argh(switch, hidden_help)]
    pub(crate) until_eof: bool,
}

/// Send a file to nodes.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "send",
    help_triggers("-h", "--help"),
    note = "A destination is HOST[:PORT]/PATH, as in 10.0.0.7:2893/srv/img/a.img, [::1]/srv/a.img or [fe80::1%eth0]/srv/a.img.",
    note = "Ctrl-C interrupts it, and the same command resumes it; not so a stream, --in-place or --wire 1, of which nothing is kept."
)]
#[allow(clippy::struct_excessive_bools)] // Switches are yes or no.
pub(crate) struct Send {
    /// the file to send, or - for standard input
    #[argh(positional, arg_name = "file")]
    pub(crate) file: Input,

    /// who is to write it, and where
    #[argh(positional, arg_name = "dest")]
    pub(crate) destinations: Vec<String>,

    /// a file with one destination on each line, or - for standard input
    #[argh(option, arg_name = "file")]
    pub(crate) nodes: Option<Input>,

    /// the wire to speak: 2, or 1 for nodes of version 0.2 (default: 2)
    #[argh(option, arg_name = "1|2", default = "Wire::Two", from_str_fn(wire))]
    pub(crate) wire: Wire,

    /// how many nodes each node sends to (default: 1, a chain)
    #[argh(option, arg_name = "n", default = "1", from_str_fn(degree))]
    pub(crate) degree: u32,

    /// write into the files themselves, such as devices, and not beside them first
    #[argh(switch)]
    pub(crate) in_place: bool,

    /// send zeros as holes wherever they are, not only where the file has holes
    #[argh(switch)]
    pub(crate) detect_zeros: bool,

    /// begin at once, without asking all nodes first
    #[argh(switch)]
    pub(crate) no_check: bool,

    /// bypass a node that holds up others at less than so many bytes a second, such as 5M, and serve it at the end
    #[argh(option, arg_name = "rate", from_str_fn(rate))]
    pub(crate) min_rate: Option<u64>,

    /// send no more than so many bytes a second, such as 50M or 800Mbit, to all that this machine sends to together
    #[argh(option, arg_name = "rate", from_str_fn(limit))]
    pub(crate) limit: Option<u64>,

    /// mark what this machine sends with a DSCP, a number up to 63 or a name such as CS1, AF21 or EF
    #[argh(option, arg_name = "n|name")]
    pub(crate) dscp: Option<Dscp>,

    /// print results as JSON, one object on each line
    #[argh(switch)]
    pub(crate) json: bool,

    /// no progress and no table, only what failed
    #[argh(switch)]
    pub(crate) quiet: bool,
}

/// Ask nodes whether they could receive a file: there, same password, path and space.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "check",
    help_triggers("-h", "--help"),
    note = "A destination is HOST[:PORT]/PATH, as in 10.0.0.7:2893/srv/img/a.img, [::1]/srv/a.img or [fe80::1%eth0]/srv/a.img."
)]
pub(crate) struct Check {
    /// who is to be asked, and for which path
    #[argh(positional, arg_name = "dest")]
    pub(crate) destinations: Vec<String>,

    /// a file with one destination on each line, or - for standard input
    #[argh(option, arg_name = "file")]
    pub(crate) nodes: Option<Input>,

    /// how much room there has to be, such as 64M or 10G (default: any)
    #[argh(option, arg_name = "size", from_str_fn(size))]
    pub(crate) size: Option<u64>,

    /// ask for the files themselves, such as devices, and not for files beside them
    #[argh(switch)]
    pub(crate) in_place: bool,

    /// print answers as JSON, one object on each line
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Collect requests for files, and send each file to all that wait for it in one chain.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "agent",
    help_triggers("-h", "--help"),
    note = "SIGHUP opens the log again and reads lt.ini again; `listen`, `socket` and `[db]` take a restart."
)]
pub(crate) struct Agent {
    /// where HTTP is served (default: `listen` in `[agent]`, or 127.0.0.1:2894); elsewhere than on this machine it
    /// takes a `token` in `[agent]`
    #[argh(option, arg_name = "addr:port")]
    pub(crate) listen: Option<Listen>,

    /// where HTTP is served to this machine (default: `socket` in `[agent]`, or agent.sock under $LANTORRENT_HOME)
    #[argh(option, arg_name = "path")]
    pub(crate) socket: Option<PathBuf>,

    /// send as soon as so many requests for a file wait (default: `batch` in `[agent]`, or 64)
    #[argh(option, arg_name = "n", from_str_fn(batch))]
    pub(crate) batch: Option<usize>,

    /// send when nobody asked for a file for so long (default: `wait` in `[agent]`, or 5 s)
    #[argh(option, arg_name = "seconds", from_str_fn(time))]
    pub(crate) wait: Option<Duration>,

    /// how many files are sent at the same time (default: `sends` in `[agent]`, or 2)
    #[argh(option, arg_name = "m", from_str_fn(sends))]
    pub(crate) sends: Option<usize>,
}

/// Ask the agent for a file, and wait for it.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "request",
    help_triggers("-h", "--help"),
    note = "A destination is [HOST[:PORT]]/PATH; without a host it is on the machine that asks.",
    note = "The token of an agent on another machine is `token` in `[agent]`, or $LANTORRENT_TOKEN. No lt.ini is needed."
)]
pub(crate) struct Request {
    /// the file, as the agent's machine has it
    #[argh(positional, arg_name = "source")]
    pub(crate) source: String,

    /// where it is to be written
    #[argh(positional, arg_name = "dest")]
    pub(crate) destination: String,

    /// the agent: http://HOST:PORT, or the path of its socket (default: `url` in `[agent]`, or its socket here)
    #[argh(option, arg_name = "url|path")]
    pub(crate) agent: Option<String>,

    /// a name for this request, by which asking again is the same request (default: a random one)
    #[argh(option, arg_name = "id")]
    pub(crate) id: Option<String>,

    /// only hand it in
    #[argh(switch)]
    pub(crate) no_wait: bool,

    /// print the request as JSON
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Show what the agent has to do, or how one request stands.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "status",
    help_triggers("-h", "--help"),
    note = "The token of an agent on another machine is `token` in `[agent]`, or $LANTORRENT_TOKEN. No lt.ini is needed."
)]
pub(crate) struct Status {
    /// the request (default: all of them)
    #[argh(positional, arg_name = "id")]
    pub(crate) id: Option<String>,

    /// the agent: http://HOST:PORT, or the path of its socket (default: `url` in `[agent]`, or its socket here)
    #[argh(option, arg_name = "url|path")]
    pub(crate) agent: Option<String>,

    /// print requests as JSON, one object on each line
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Take a request back, and remove what was written for it.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "cancel",
    help_triggers("-h", "--help"),
    note = "The token of an agent on another machine is `token` in `[agent]`, or $LANTORRENT_TOKEN. No lt.ini is needed."
)]
pub(crate) struct Cancel {
    /// the request
    #[argh(positional, arg_name = "id")]
    pub(crate) id: String,

    /// the agent: http://HOST:PORT, or the path of its socket (default: `url` in `[agent]`, or its socket here)
    #[argh(option, arg_name = "url|path")]
    pub(crate) agent: Option<String>,

    /// print the request as JSON
    #[argh(switch)]
    pub(crate) json: bool,
}

/// Show how fast the agent may send, or change it.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "limit",
    help_triggers("-h", "--help"),
    note = "It holds for all transfers of the agent together, at once, and until the agent is told otherwise, restarted, or \
            made to read its lt.ini again, which has `limit` in `[agent]`."
)]
pub(crate) struct Limit {
    /// bytes a second, such as 50M or 800Mbit, or none (default: only show it)
    #[argh(positional, arg_name = "rate", from_str_fn(limit))]
    pub(crate) rate: Option<u64>,

    /// the agent: http://HOST:PORT, or the path of its socket (default: `url` in `[agent]`, or its socket here)
    #[argh(option, arg_name = "url|path")]
    pub(crate) agent: Option<String>,
}

/// Make links by whose names this program takes the arguments of version 0.2: ltserver, ltclient and others.
#[derive(FromArgs)]
#[argh(subcommand, name = "links", help_triggers("-h", "--help"))]
pub(crate) struct Links {
    /// the folder to make them in
    #[argh(positional, arg_name = "dir")]
    pub(crate) folder: PathBuf,
}

/// Show a chain at work on this machine: real nodes, real files, a throw-away password.
#[derive(FromArgs)]
#[argh(subcommand, name = "demo", help_triggers("-h", "--help"))]
pub(crate) struct Demo {
    /// the file to send (default: random bytes)
    #[argh(positional, arg_name = "file")]
    pub(crate) file: Option<PathBuf>,

    /// how many nodes (default: 4)
    #[argh(option, arg_name = "n", default = "4", from_str_fn(nodes))]
    pub(crate) nodes: usize,

    /// how much to send, such as 64M or 1G (default: 256M)
    #[argh(option, arg_name = "size", from_str_fn(size))]
    pub(crate) size: Option<u64>,
}

/// Run a tracker, which tells the peers of a torrent of each other, over HTTP and UDP.
#[derive(FromArgs)]
#[argh(
    subcommand,
    name = "tracker",
    help_triggers("-h", "--help"),
    note = "Torrents name it as http://HOST:6969/announce or udp://HOST:6969/announce. No lt.ini is needed.",
    note = "SIGHUP reads the whitelist again."
)]
pub(crate) struct Tracker {
    /// where to listen, port 0 for any that is free (again for more; default: port 6969 at all addresses)
    #[argh(option, arg_name = "addr:port")]
    pub(crate) listen: Vec<Listen>,

    /// how often clients are to announce, such as 5m (default: 15m)
    #[argh(option, arg_name = "time", from_str_fn(interval))]
    pub(crate) interval: Option<Duration>,

    /// serve only the torrents whose info hashes are in this file, one on each line
    #[argh(option, arg_name = "file")]
    pub(crate) whitelist: Option<PathBuf>,

    /// print where it listens, and its end, as JSON, one object on each line
    #[argh(switch)]
    pub(crate) json: bool,
}

/// A file to read, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    Stdin,
    File(PathBuf),
}

impl FromStr for Input {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" || text == STDIN { Self::Stdin } else { Self::File(text.into()) })
    }
}

/// Where a node listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) std::net::SocketAddr);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        value::address(text).map(Listen)
    }
}

pub(crate) fn wire(text: &str) -> Result<Wire, String> {
    match text {
        "1" => Ok(Wire::One),
        "2" => Ok(Wire::Two),
        _ => Err("there are the wires 1 and 2".into()),
    }
}

fn degree(text: &str) -> Result<u32, String> {
    let degree = text.parse().ok().filter(|degree| (1..=limits::DEGREE).contains(degree));
    degree.ok_or_else(|| format!("it must be 1 to {}", limits::DEGREE))
}

fn batch(text: &str) -> Result<usize, String> {
    value::within(text, &value::BATCH)
}

fn sends(text: &str) -> Result<usize, String> {
    value::within(text, &value::SENDS)
}

fn time(text: &str) -> Result<Duration, String> {
    value::time(text)
}

fn interval(text: &str) -> Result<Duration, String> {
    let interval = value::time(text)?;
    let is_sane = crate::tracker::INTERVALS.contains(&interval);
    if is_sane { Ok(interval) } else { Err("it must be 30s to 24h".into()) }
}

fn nodes(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|nodes| (1..=64).contains(nodes)).ok_or_else(|| "it must be 1 to 64".into())
}

fn rate(text: &str) -> Result<u64, String> {
    let rate = size::parse(text.strip_suffix("/s").unwrap_or(text)).ok().filter(|&rate| rate > 0);
    rate.ok_or_else(|| "not a rate in bytes a second such as 500K or 5M".to_owned())
}

fn limit(text: &str) -> Result<u64, String> {
    size::limit(text)
}

fn size(text: &str) -> Result<u64, String> {
    size::parse(text)
}
