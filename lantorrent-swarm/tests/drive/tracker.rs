//! A tracker on a thread of its own.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Instant;

use lantorrent_swarm::Seed;
use lantorrent_swarm::tracker::{Tracker, TrackerHandle, TrackerService, TrackerSettings};

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    handle: TrackerHandle,
    thread: JoinHandle<Tracker>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let tracker = Tracker::new(TrackerSettings::default(), Seed([1; 32]), Instant::now());
        let service = TrackerService::bind(&["127.0.0.1:0".parse().unwrap()], tracker).unwrap();
        let (address, handle) = (service.addresses()[0], service.handle());
        let thread = std::thread::spawn(move || service.run().unwrap());
        Self { address, handle, thread }
    }

    /// The tracker's URL over `http` or `udp`.
    pub(crate) fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}/announce", self.address)
    }

    pub(crate) fn stop(self) -> Tracker {
        self.handle.stop();
        self.thread.join().unwrap()
    }
}
