//! The agent's HTTP: a small server of its own, a thread for each connection, and the operations of openapi.yaml.
//!
//! `head`, `query`, `posted`, `route` and `guard` decide, and see nothing but bytes and values; `accept`, `connection`
//! and `input` move the bytes. Nothing that a client sends or leaves out makes anybody wait without an end, or costs
//! memory without a bound: [`Limits`].

mod accept;
mod answer;
#[cfg(test)]
mod chance;
mod connection;
mod dispatch;
mod guard;
mod guests;
mod head;
mod input;
mod limit;
mod listen;
mod operations;
mod posted;
mod query;
mod quota;
mod route;
mod service;
mod stream;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub(crate) use listen::Listener;

use lantorrent_core::Limit;

use super::clerk::Clerk;
use super::metrics::Metrics;
use super::transfers::Transfers;
use crate::exit::Failure;
use guard::Access;
use service::Service;

/// For connections that were cut to end.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Whom the server asks.
pub(crate) struct App {
    pub(crate) clerk: Clerk,
    pub(crate) transfers: Arc<Transfers>,
    pub(crate) metrics: Arc<Metrics>,
    /// Of all that is sent.
    pub(crate) limit: Limit,
}

/// What clients may take up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at the same time. Three quarters of them may wait for requests to end.
    pub(crate) connections: usize,
    /// Bytes of a body. All that are worked on at the same time have eight times that.
    pub(crate) body_bytes: usize,
    /// Bytes of all large answers that clients have not taken yet. Who asks for another is to come again.
    pub(crate) answer_bytes: usize,
    /// From the first byte of a request to the end of its head.
    pub(crate) head: Duration,
    /// For the whole body.
    pub(crate) body: Duration,
    /// For the next request.
    pub(crate) idle: Duration,
    /// For the client to take the answer.
    pub(crate) answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            body_bytes: 8 << 20,
            answer_bytes: 64 << 20,
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            answer: Duration::from_secs(30),
        }
    }
}

/// Serves until it is stopped.
pub(crate) struct Server {
    service: Arc<Service>,
    listeners: Vec<(Arc<Listener>, JoinHandle<()>)>,
}

impl Server {
    pub(crate) fn start(
        listeners: Vec<Listener>,
        app: App,
        token: Option<String>,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let mut server = Self { service: Arc::new(Service::new(app, token, limits)), listeners: Vec::new() };
        for listener in listeners {
            let listener = Arc::new(listener);
            let (accepting, service) = (Arc::clone(&listener), Arc::clone(&server.service));
            let accept = move || accept::run(&accepting, &service);
            match thread::Builder::new().name("http-accept".into()).spawn(accept) {
                Ok(thread) => server.listeners.push((listener, thread)),
                Err(error) => {
                    server.stop(Duration::ZERO);
                    return Err(Failure::local(
                        format_args!("there is no thread to serve HTTP: {error}"),
                        "look at the limits of this machine",
                    ));
                }
            }
        }
        Ok(server)
    }

    /// Where it listens on TCP.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|(listener, _)| listener.address()).collect()
    }

    /// From now on this token counts. Where others than this machine are served there has to be one.
    pub(crate) fn set_token(&self, token: Option<String>) -> Result<(), Failure> {
        let open = self.listeners.iter().find(|(listener, _)| listener.access == Access::Network);
        if let (None, Some((listener, _))) = (&token, open)
            && let Some(address) = listener.address()
        {
            return Err(listen::no_token(address));
        }
        self.service.set_token(token);
        Ok(())
    }

    /// Lets nobody in any more. Those who have asked get their answer, those who wait for a request at once; after
    /// `within` the rest is cut off.
    pub(crate) fn stop(self, within: Duration) {
        self.service.guests.close();
        for (listener, thread) in self.listeners {
            listener.close();
            // Each of them ends without waiting for anybody.
            let _ = thread.join();
        }
        self.service.guests.wait(Instant::now() + within);
        self.service.guests.cut();
        self.service.guests.wait(Instant::now() + AFTERMATH);
    }
}
