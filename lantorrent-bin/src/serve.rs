//! `lantorrent serve`.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::DEFAULT_PORT;
use lantorrent_core::store::Durability;
use lantorrent_core::{Driver, Limit, Node, NodeConfig};

use crate::args::Serve;
use crate::config::{Config, Strength, Sync, absolute};
use crate::exit::{Failure, Status};
use crate::logger;
use crate::setup::Setup;
use crate::signals::{Asked, Inbox, Request};
use crate::size;
use crate::terminal;

/// For transfers that run when the node is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A node that serves until it is told to stop.
pub(crate) fn run(serve: &Serve, setup: Setup, strength: Strength) -> Result<Status, Failure> {
    let inbox = Inbox::of_daemon()?;
    let config = setup.read()?;
    let listen = serve.listen.map(|listen| listen.0).or(config.listen);
    let listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)));
    let mut node = node_config(serve, &config, strength)?;
    if serve.event_loop {
        node.driver = Driver::EventLoop;
    }
    let limits = [node.receive_limit.clone(), node.send_limit.clone()];
    let node = Node::bind(listen, node)?;
    let has_log = config.log_file.is_some();
    let reload = Reload { setup, config, limits };
    heed_signals(inbox, &node, move || reload.carry_out())?;
    let address = node.local_addr().unwrap_or(listen);
    terminal::announce(&format!("listening on {address}"));
    if has_log {
        log::info!("listening on {address}");
    }
    if serve.until_eof {
        let handle = node.handle()?;
        let wait = move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            handle.stop(Duration::ZERO);
        };
        std::thread::Builder::new().spawn(wait).map_err(|error| Failure::no_thread(&error))?;
    }

    node.run()?;
    log::info!("stopped");
    Ok(Status::Success)
}

/// One connection, handed over on standard input.
pub(crate) fn inetd(serve: &Serve, setup: &Setup, strength: Strength) -> Result<Status, Failure> {
    let inbox = Inbox::of_daemon()?;
    let config = setup.read()?;
    if serve.event_loop {
        return Err(Failure::usage(
            "--event-loop is for many connections, and --inetd is for one",
            "leave one of them out",
        ));
    }
    let not_a_socket = |error: std::io::Error| {
        Failure::usage(
            format_args!("standard input is no TCP connection: {error}"),
            "--inetd is for xinetd and its like (socat needs `nofork`); leave it out to listen",
        )
    };
    let stream = std::io::stdin().as_fd().try_clone_to_owned().map(TcpStream::from).map_err(not_a_socket)?;
    let peer = stream.peer_addr().map_err(not_a_socket)?;
    log::debug!("serving {peer}");
    let mut node = node_config(serve, &config, strength)?;
    node.state = setup.home.known().map(|home| home.join("state"));
    let node = Node::for_connection(stream, node)?;
    // The next process reads lt.ini anyway.
    heed_signals(inbox, &node, || match logger::reopen() {
        Ok(()) => log::debug!("the log was opened again"),
        Err(failure) => log::error!("{failure}"),
    })?;
    node.run()?;
    Ok(Status::Success)
}

/// Stops the node, at once when asked twice, and calls `reload` when that is asked for.
fn heed_signals(inbox: Inbox, node: &Node, reload: impl Fn() + Send + 'static) -> Result<(), Failure> {
    let handle = node.handle()?;
    inbox.attend(move |asked| match asked {
        Asked::Reload => reload(),
        Asked::Stop(Request::First) => {
            log::info!("stopping: running transfers have {} s to end", GRACE.as_secs());
            handle.stop(GRACE);
        }
        Asked::Stop(Request::Again) => handle.stop(Duration::ZERO),
    })
}

/// Reads lt.ini again for what can be changed while transfers run.
struct Reload {
    setup: Setup,
    /// What the node was started with.
    config: Config,
    limits: [Limit; 2],
}

impl Reload {
    fn carry_out(&self) {
        let config = match self.setup.read_again() {
            Ok(config) => config,
            Err(failure) => return log::error!("everything stays as it was: {failure}"),
        };
        for limit in &self.limits {
            limit.set(config.limit);
        }
        let file = config.file.display();
        let limit = config.limit.filter(|&rate| rate > 0);
        let limit = limit.map_or_else(|| "none".into(), |rate| format!("{}/s", size::bytes(rate)));
        log::info!("{file} was read again, and the log opened again; limit: {limit}");
        let differences = self.config.differences_for_node(&config);
        if !differences.is_empty() {
            log::warn!("{file}: {} changed; that takes a restart", differences.join(", "));
        }
    }
}

fn node_config(serve: &Serve, config: &Config, strength: Strength) -> Result<NodeConfig, Failure> {
    let mut node = NodeConfig::new(config.keyring(strength)?, roots(serve, config)?)?;
    node.also.clone_from(&config.also);
    node.durability = match config.sync {
        Some(Sync::No) => Durability::NoSync,
        Some(Sync::Yes) | None => Durability::Sync,
    };
    if let Some(connections) = config.connections {
        node.connections = connections;
    }
    if let Some(greetings) = config.greetings {
        node.greetings = greetings;
    }
    node.receive_limit = Limit::new(config.limit);
    node.send_limit = Limit::new(config.limit);
    node.dscp = config.dscp;
    if let Some(dead_after) = config.dead_after {
        node.timing.dead_after = dead_after;
    }
    if let Some(keep_partial) = config.keep_partial {
        node.keep_partial = keep_partial;
    }
    Ok(node)
}

fn roots(serve: &Serve, config: &Config) -> Result<Vec<PathBuf>, Failure> {
    let roots = if serve.root.is_empty() {
        config.roots.clone()
    } else {
        serve.root.iter().map(|root| absolute(root)).collect::<Result<_, _>>()?
    };
    if roots.is_empty() {
        return Err(Failure::usage(
            "there is no folder that may be written",
            format_args!("give one with --root, or in `roots` of [node] in {}", config.file.display()),
        ));
    }
    // Of several, one may be on a disk that is broken or comes later; and under inetd every connection is a start.
    if !serve.inetd && roots.iter().all(|root| !root.exists()) {
        return Err(Failure::usage(
            format_args!("{} does not exist, or cannot be reached", roots[0].display()),
            "make it, or name another with --root",
        ));
    }
    Ok(roots)
}
