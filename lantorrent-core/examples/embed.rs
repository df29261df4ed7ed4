//! A node and a sender inside one program, with progress and events: all that a provisioning tool needs.
//!
//! `cargo run --example embed`, or on an event loop `cargo run --example embed -- --event-loop`

use lantorrent_core::wire::{Keyring, Password};
use lantorrent_core::{Driver, Node, NodeConfig, NodeEvent, Target, Transfer, TransferEvent};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::temp_dir().join(format!("lantorrent-embed-{}", std::process::id()));
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("image"), vec![7; 10_000_000])?;
    let keys = Keyring::new(Password::new("a secret that both sides know")?);

    let mut config = NodeConfig::new(keys.clone(), [&folder])?.on_event(|event| {
        if let NodeEvent::Arrived { path, bytes, elapsed, .. } = event {
            println!("the node has {path}: {bytes} bytes in {elapsed:?}");
        }
    });
    config.driver = driver()?;
    let node = Node::bind(([127, 0, 0, 1], 0).into(), config)?;
    let port = node.local_addr().ok_or("no address")?.port();
    let stop = node.handle()?;
    let serving = std::thread::spawn(|| node.run());

    let path = folder.join("copy").display().to_string();
    let outcome = Transfer::from_file(folder.join("image"), keys)?
        .to(Target { host: "127.0.0.1".into(), port, path })
        .on_event(|event| match event {
            TransferEvent::Begun { nodes, .. } => println!("sending to {} nodes", nodes.len()),
            TransferEvent::Progress(progress) => println!("{} bytes sent", progress.sent),
            TransferEvent::Ended(ended) => println!("{}: {:?}", ended.target, ended.result),
            _ => {}
        })
        .send()?;

    stop.stop(std::time::Duration::ZERO);
    serving.join().map_err(|_| "the node panicked")??;
    std::fs::remove_dir_all(folder)?;
    outcome.into_result()?;
    Ok(())
}

/// What is to serve the node: a few threads for each transfer, or one thread for all of them.
fn driver() -> Result<Driver, String> {
    match std::env::args().nth(1).as_deref() {
        None => Ok(Driver::Threads),
        #[cfg(feature = "event")]
        Some("--event-loop") => Ok(Driver::EventLoop),
        Some(other) => Err(format!("{other} is unknown here; without it, threads serve the node")),
    }
}
