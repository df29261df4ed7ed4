//! `lantorrent serve`.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::drive::DEFAULT_PORT;
use lantorrent_core::store::Durability;
use lantorrent_core::{Driver, Limit, Node, NodeConfig};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Serve;
use crate::config::{Config, Home, Strength, Sync, absolute};
use crate::exit::{Failure, Status};
use crate::signals::{self, Request};
use crate::terminal::print;

/// For transfers that run when the node is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A node that serves until it is told to stop.
pub(crate) fn run(serve: &Serve, config: &Config, strength: Strength) -> Result<Status, Failure> {
    let listen = serve.listen.map(|listen| listen.0).or(config.listen);
    let listen = listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)));
    let mut node = node_config(serve, config, strength)?;
    if serve.event_loop {
        node.driver = Driver::EventLoop;
    }
    raise_descriptor_limit();
    let node = Node::bind(listen, node)?;

    stop_on_signal(&node)?;
    let address = node.local_addr().unwrap_or(listen);
    print(&format!("listening on {address}\n"));
    if config.log_file.is_some() {
        log::info!("listening on {address}");
    }
    if serve.until_eof {
        let handle = node.handle()?;
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            handle.stop(Duration::ZERO);
        });
    }

    node.run()?;
    log::info!("stopped");
    Ok(Status::Success)
}

/// One connection, handed over on standard input.
pub(crate) fn inetd(
    serve: &Serve,
    config: &Config,
    home: &Home,
    strength: Strength,
) -> Result<Status, Failure> {
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
    let mut node = node_config(serve, config, strength)?;
    node.state = Some(home.path().join("state"));
    let node = Node::for_connection(stream, node)?;
    stop_on_signal(&node)?;
    node.run()?;
    Ok(Status::Success)
}

/// A transfer takes a few descriptors. What a process may have at first is meant for programs that `select`.
fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        log::warn!("the limit of {current:?} file descriptors stays: {error}");
    }
}

fn stop_on_signal(node: &Node) -> Result<(), Failure> {
    let handle = node.handle()?;
    signals::on_stop(move |request| match request {
        Request::First => {
            log::info!("stopping: running transfers have {} s to end", GRACE.as_secs());
            handle.stop(GRACE);
        }
        Request::Again => handle.stop(Duration::ZERO),
    })
}

fn node_config(serve: &Serve, config: &Config, strength: Strength) -> Result<NodeConfig, Failure> {
    let mut node = NodeConfig::new(config.keyring(strength)?, roots(serve, config)?);
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
    if let Some(missing) = roots.iter().find(|root| !root.exists()) {
        return Err(Failure::usage(
            format_args!("{} does not exist, or cannot be reached", missing.display()),
            "make it, or name another with --root",
        ));
    }
    Ok(roots)
}
