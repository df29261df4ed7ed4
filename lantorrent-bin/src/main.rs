//! The command `lantorrent`: a thin layer over the library.

mod agent;
mod api;
mod args;
mod argv;
mod check;
mod client;
mod config;
mod demo;
mod exit;
mod get;
mod init;
mod legacy;
mod lines;
mod links;
mod logger;
mod seed;
mod send;
mod serve;
mod signals;
mod size;
mod swarm;
mod table;
mod terminal;
mod text;
mod time;
mod torrent;
mod tracker;

use std::ffi::OsString;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use log::LevelFilter;

use args::{Arguments, Command};
use argv::Asked;
use config::{Config, Home, Strength, absolute};
use exit::{Failure, Status};
use legacy::Program;
use legacy::ltclient::LtClient;
use logger::{Shown, Sinks};

/// What a sender shows: of the library only what is not in the results.
const SENDER: Shown = Shown { own: LevelFilter::Warn, library: LevelFilter::Error };

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next();
    let before: &[&str] = match Program::called(name.as_deref()) {
        Some(Program::Request) => return legacy::ltrequest::main(words),
        Some(Program::Client) => return end(ltclient(words), Errors::Shown),
        Some(Program::Server) => &["serve", "--inetd"],
        Some(Program::Daemon) => &["agent"],
        None => &[],
    };
    match argv::parse(before.iter().map(OsString::from).chain(words)) {
        Ok(Asked::Help(text)) => end(Ok(help(&text)), Errors::Shown),
        Ok(Asked::Run(arguments)) => end(run(&arguments), Errors::of(&arguments)),
        Err(failure) => end(Err(failure), Errors::Shown),
    }
}

fn end(outcome: Result<Status, Failure>, errors: Errors) -> ExitCode {
    terminal::hide_bar();
    let status = outcome.unwrap_or_else(|failure| {
        match errors {
            Errors::Shown => terminal::note(&format!("lantorrent: {failure}")),
            Errors::Logged => log::error!("{failure}"),
        }
        failure.status
    });
    status.into()
}

fn help(text: &str) -> Status {
    terminal::print_line(text.trim_end());
    Status::Success
}

fn ltclient(words: impl Iterator<Item = OsString>) -> Result<Status, Failure> {
    let client = match argv::parse_as::<LtClient>("ltclient", words)? {
        Asked::Help(text) => return Ok(help(&text)),
        Asked::Run(client) => client,
    };
    let shared = client.shared();
    let config = configure(&shared, SENDER)?;
    client.run(&config, strength(&shared))
}

/// Where the message goes that ends the program.
#[derive(Clone, Copy)]
enum Errors {
    Shown,
    Logged,
}

impl Errors {
    fn of(arguments: &Arguments) -> Self {
        match &arguments.command {
            // What xinetd starts has the peer's socket for standard error.
            Some(Command::Serve(serve)) if serve.inetd && is_socket(&std::io::stderr()) => Self::Logged,
            _ => Self::Shown,
        }
    }
}

fn is_socket(stream: &impl AsFd) -> bool {
    let stream = stream.as_fd().try_clone_to_owned().map(TcpStream::from);
    stream.and_then(|stream| stream.local_addr()).is_ok()
}

fn run(arguments: &Arguments) -> Result<Status, Failure> {
    if arguments.version {
        terminal::print(concat!("lantorrent ", env!("CARGO_PKG_VERSION"), "\n"));
        return Ok(Status::Success);
    }
    let Some(command) = &arguments.command else {
        return Err(Failure::usage(
            "there is no command",
            "give init, serve, send, check, agent, request, status, cancel, limit, links, demo, torrent, tracker, get or seed, or see `lantorrent --help`",
        ));
    };
    match command {
        Command::Init(init) => {
            let (home, file) = places(arguments)?;
            init::run(init, &file, &home)
        }
        Command::Serve(serve) if serve.inetd => {
            let config = configure(arguments, Shown::all(LevelFilter::Off))?;
            serve::inetd(serve, &config, &Home::find()?, strength(arguments))
        }
        Command::Serve(serve) => {
            let config = configure(arguments, Shown::all(LevelFilter::Info))?;
            serve::run(serve, &config, strength(arguments))
        }
        Command::Send(send) => {
            let config = configure(arguments, SENDER)?;
            send::run(send, &config, strength(arguments))
        }
        Command::Check(check) => {
            let config = configure(arguments, SENDER)?;
            check::run(check, &config, strength(arguments))
        }
        Command::Agent(agent) => {
            let config = configure(arguments, Shown::all(LevelFilter::Info))?;
            agent::run(agent, &config, &Home::find()?, strength(arguments))
        }
        Command::Request(request) => {
            let (config, home) = configure_client(arguments)?;
            client::request::run(request, &config, &home)
        }
        Command::Status(status) => {
            let (config, home) = configure_client(arguments)?;
            client::status::run(status, &config, &home)
        }
        Command::Cancel(cancel) => {
            let (config, home) = configure_client(arguments)?;
            client::cancel::run(cancel, &config, &home)
        }
        Command::Limit(limit) => {
            let (config, home) = configure_client(arguments)?;
            client::limit::run(limit, &config, &home)
        }
        Command::Links(links) => links::run(links),
        Command::Demo(demo) => {
            // Its nodes have a configuration of their own.
            logger::install(&Sinks { file: None, stderr: shown(arguments, SENDER) })?;
            demo::run(demo)
        }
        Command::Torrent(torrent) => {
            logger::install(&Sinks { file: None, stderr: shown(arguments, SENDER) })?;
            torrent::run(torrent)
        }
        Command::Tracker(tracker) => {
            let usual = Shown::all(LevelFilter::Info);
            logger::install(&Sinks { file: None, stderr: shown(arguments, usual) })?;
            tracker::run(tracker)
        }
        Command::Get(get) => {
            logger::install(&Sinks { file: None, stderr: shown(arguments, SENDER) })?;
            get::run(get)
        }
        Command::Seed(seed) => {
            logger::install(&Sinks { file: None, stderr: shown(arguments, SENDER) })?;
            seed::run(seed)
        }
    }
}

/// Where things are, and lt.ini among them.
fn places(arguments: &Arguments) -> Result<(Home, PathBuf), Failure> {
    let home = Home::find()?;
    let file = match &arguments.config {
        Some(file) => absolute(file)?,
        None => home.config(),
    };
    Ok((home, file))
}

/// Reads lt.ini and starts logging, with `usual` on standard error unless more is asked for.
fn configure(arguments: &Arguments, usual: Shown) -> Result<Config, Failure> {
    let (home, file) = places(arguments)?;
    let config = Config::load(&file, &home)?;
    let level = config.log_level.unwrap_or(LevelFilter::Info);
    let log_file = config.log_file.as_deref().map(|file| (file, level));
    // What is in the file need not be on standard error as well, unless it is serious.
    let most = if log_file.is_some() { LevelFilter::Warn } else { LevelFilter::Trace };
    let usual = Shown { own: usual.own.min(most), library: usual.library.min(most) };
    // A peer may be at the other end of standard error.
    let stderr = if usual == Shown::all(LevelFilter::Off) { usual } else { shown(arguments, usual) };
    logger::install(&Sinks { file: log_file, stderr })?;
    warn_of_unknown(&config);
    Ok(config)
}

/// The same for who asks an agent, maybe from a machine that has nothing of ours but this program. What such a client
/// does is in the agent's log.
fn configure_client(arguments: &Arguments) -> Result<(Config, Home), Failure> {
    let (home, file) = places(arguments)?;
    let config = match arguments.config {
        Some(_) => Config::load(&file, &home)?,
        None => Config::load_if_readable(&file, &home)?,
    };
    logger::install(&Sinks { file: None, stderr: shown(arguments, SENDER) })?;
    warn_of_unknown(&config);
    Ok((config, home))
}

fn warn_of_unknown(config: &Config) {
    for what in &config.unknown {
        log::warn!("{}: {what}", config.file.display());
    }
}

fn strength(arguments: &Arguments) -> Strength {
    if arguments.weak_password { Strength::Waived } else { Strength::Required }
}

fn shown(arguments: &Arguments, usual: Shown) -> Shown {
    match arguments.verbose {
        0 => usual,
        1 => Shown::all(LevelFilter::Debug),
        _ => Shown::all(LevelFilter::Trace),
    }
}
