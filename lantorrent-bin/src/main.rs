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
mod limits;
mod lines;
mod links;
mod logger;
mod seed;
mod send;
mod serve;
mod setup;
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
use std::process::ExitCode;

use log::LevelFilter;

use args::{Arguments, Command};
use argv::Asked;
use config::Strength;
use exit::{Failure, Status};
use legacy::Program;
use legacy::ltclient::LtClient;
use logger::Shown;
use setup::{SENDER, Setup};

fn main() -> ExitCode {
    limits::prepare();
    if let Err(failure) = signals::prepare() {
        return end(Err(failure), Errors::Shown);
    }
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
    let status = outcome.and_then(delivered).unwrap_or_else(|failure| {
        match errors {
            Errors::Shown => terminal::note(&format!("lantorrent: {failure}")),
            Errors::Logged => log::error!("{failure}"),
        }
        failure.status
    });
    status.into()
}

/// Results that were not written are no success.
fn delivered(status: Status) -> Result<Status, Failure> {
    match terminal::lost() {
        Some(error) => Err(Failure::local(
            format_args!("cannot write all of the results to standard output: {error}"),
            "give it a place with room, and ask again",
        )),
        None => Ok(status),
    }
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
    let config = Setup::of(&shared, SENDER)?.read()?;
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
            let (home, file) = setup::places(arguments)?;
            init::run(init, &file, &home)
        }
        Command::Serve(serve) if serve.inetd => {
            let setup = Setup::of(arguments, Shown::all(LevelFilter::Off))?;
            serve::inetd(serve, &setup, strength(arguments))
        }
        Command::Serve(serve) => {
            let setup = Setup::of(arguments, Shown::all(LevelFilter::Info))?;
            serve::run(serve, setup, strength(arguments))
        }
        Command::Send(send) => {
            let config = Setup::of(arguments, SENDER)?.read()?;
            send::run(send, &config, strength(arguments))
        }
        Command::Check(check) => {
            let config = Setup::of(arguments, SENDER)?.read()?;
            check::run(check, &config, strength(arguments))
        }
        Command::Agent(agent) => {
            let setup = Setup::of(arguments, Shown::all(LevelFilter::Info))?;
            agent::run(agent, &setup, strength(arguments))
        }
        Command::Request(request) => {
            let (config, home) = setup::of_client(arguments)?;
            client::request::run(request, &config, &home)
        }
        Command::Status(status) => {
            let (config, home) = setup::of_client(arguments)?;
            client::status::run(status, &config, &home)
        }
        Command::Cancel(cancel) => {
            let (config, home) = setup::of_client(arguments)?;
            client::cancel::run(cancel, &config, &home)
        }
        Command::Limit(limit) => {
            let (config, home) = setup::of_client(arguments)?;
            client::limit::run(limit, &config, &home)
        }
        Command::Links(links) => links::run(links),
        Command::Demo(demo) => {
            // Its nodes have a configuration of their own.
            setup::on_stderr(arguments, SENDER)?;
            demo::run(demo)
        }
        Command::Torrent(torrent) => {
            setup::on_stderr(arguments, SENDER)?;
            torrent::run(torrent)
        }
        Command::Tracker(tracker) => {
            setup::on_stderr(arguments, Shown::all(LevelFilter::Info))?;
            tracker::run(tracker)
        }
        Command::Get(get) => {
            setup::on_stderr(arguments, SENDER)?;
            get::run(get)
        }
        Command::Seed(seed) => {
            setup::on_stderr(arguments, SENDER)?;
            seed::run(seed)
        }
    }
}

fn strength(arguments: &Arguments) -> Strength {
    if arguments.weak_password { Strength::Waived } else { Strength::Required }
}
