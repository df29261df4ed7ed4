//! A node that takes files of up to 100 GiB, and hands each file that arrived to a thread of its own.
//!
//! `LANTORRENT_PASSWORD=... cargo run --example arrivals ADDRESS:PORT FOLDER`

use std::sync::mpsc;

use lantorrent_core::{Decision, Keyring, Node, NodeConfig, NodeEvent, Password};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, folder] = &arguments[..] else { return Err("usage: arrivals ADDRESS:PORT FOLDER".into()) };
    let keys = Keyring::new(Password::new(std::env::var("LANTORRENT_PASSWORD")?)?);
    let (arrived, arrivals) = mpsc::channel();
    let config = NodeConfig::new(keys, [folder])?
        .decide(|offer| match offer.size {
            Some(size) if size > 100 << 30 => Decision::Refuse("larger than 100 GiB".into()),
            _ => Decision::Accept,
        })
        .on_event(move |event| {
            if let NodeEvent::Arrived { path, bytes, upstream, .. } = event {
                // The other end goes away with the process alone.
                let _ = arrived.send((path.clone(), *bytes, *upstream));
            }
        });
    let node = Node::bind(listen.parse()?, config)?;
    println!("listening on {:?}", node.local_addr());
    std::thread::spawn(move || {
        for (path, bytes, upstream) in arrivals {
            println!("{path}: {bytes} bytes from {upstream}");
        }
    });
    Ok(node.run()?)
}
