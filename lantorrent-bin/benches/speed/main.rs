//! How far from the limits a chain is: against relays that touch no byte, against one copy over the same links, and
//! what its parts cost. Real processes, medians, one table.
//!
//! `cargo bench -p lantorrent-bin --bench speed` (with `-- tmpfs lab --size 1024 --runs 5 --json`; the parts are `codec`,
//! `idle`, `tmpfs`, `disk`, `sparse`, `limits`, `many`, `thousand`, which needs 16 GiB of disk, `copies`, which needs root and
//! xfsprogs, `lab`, `small` and `swarm-lab`, which need root and iproute2, `swarm`, which is at its best beside libtorrent
//! and aria2, and `model`)

mod codec;
mod copies;
mod crowd;
#[allow(dead_code)] // The tests of the lab have more to ask of it.
#[path = "../../tests/lab/harness/mod.rs"]
mod harness;
mod idle;
mod lab;
mod limits;
mod loopback;
mod many;
mod model;
mod process;
mod relay;
mod small;
mod swarm;
mod swarm_lab;
mod table;

use std::path::Path;

use loopback::Bench;
use table::{Section, json, print};

const PARTS: [&str; 14] = [
    "codec",
    "idle",
    "tmpfs",
    "disk",
    "copies",
    "sparse",
    "limits",
    "many",
    "thousand",
    "lab",
    "small",
    "swarm",
    "swarm-lab",
    "model",
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["relay", rest @ ..] = &arguments[..] {
        return relay::main(rest).expect("the relay failed");
    }
    if let ["many", driver @ ("threads" | "event-loop"), rest @ ..] = &arguments[..] {
        return many::main(driver, rest).expect("the nodes failed");
    }
    let option = |name: &str, default: usize| {
        let place = arguments.iter().position(|argument| *argument == name);
        place.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(default)
    };
    let asked: Vec<&str> = PARTS.into_iter().filter(|part| arguments.contains(part)).collect();
    let parts = if asked.is_empty() { PARTS.to_vec() } else { asked };
    let (size, runs) = (option("--size", 1024) << 20, option("--runs", 5));
    let sections = measure(&parts, size, runs);
    if arguments.contains(&"--json") {
        println!("{}", json(&sections));
    } else {
        println!("{} processors, medians of {runs}", processors());
        print(&sections);
    }
}

fn measure(parts: &[&str], size: usize, runs: usize) -> Vec<Section> {
    let memory = Path::new("/dev/shm");
    // What Cargo builds into is on a disk.
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut sections = Vec::new();
    for part in parts {
        eprintln!("{part} ...");
        match *part {
            "codec" => sections.push(codec::measure(runs)),
            "idle" => sections.push(idle::measure(&Bench::new(memory, 0), runs)),
            "tmpfs" => sections.push(loopback::measure("tmpfs", &Bench::new(memory, size), runs)),
            "disk" => sections.push(loopback::measure("disk", &Bench::new(disk, size), runs)),
            "copies" => sections.extend(copies::measure(memory, size, runs)),
            "sparse" => sections.push(copies::sparse(memory, runs)),
            "many" => sections.extend(many::measure(memory, runs)),
            "thousand" => sections.push(many::chain(disk)),
            "limits" => sections.push(limits::measure(memory)),
            "swarm" => sections.extend(swarm::measure(memory, size, runs)),
            "swarm-lab" => sections.extend(swarm_lab::measure(runs)),
            "small" => sections.extend(small::measure(runs)),
            "lab" => sections.extend(lab::measure(runs).into_iter().flatten()),
            _ => {
                let (large, small) = (Bench::new(memory, 64 << 20), Bench::new(memory, 4 << 10));
                sections.push(model::measure(&large, &small, runs));
            }
        }
    }
    sections
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
