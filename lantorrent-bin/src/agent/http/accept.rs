//! The loop that lets clients in, which waits for none of them.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::answer::{Answer, Form, Next};
use super::connection;
use super::dispatch::Caller;
use super::listen::Listener;
use super::service::Service;
use super::stream::Stream;
use crate::time::Timestamp;

/// For descriptors to become free, where there are none.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a client that was turned away may take to read that.
const REMEMBERED: Duration = Duration::from_secs(2);
/// How many of those are waited for.
const TURNED_AWAY: usize = 64;

/// Lets clients in until the service closes.
pub(super) fn run(listener: &Listener, service: &Arc<Service>) {
    let mut turned_away = VecDeque::new();
    loop {
        let accepted = listener.accept();
        if service.guests.is_closing() {
            return;
        }
        match accepted {
            Ok((stream, peer)) => {
                forget(&mut turned_away, Instant::now());
                if let Err(stream) = let_in(stream, Caller { peer, access: listener.access }, service) {
                    turn_away(&stream, service);
                    turned_away.push_back((Instant::now(), stream));
                }
            }
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                log::error!("cannot accept a connection of HTTP: {error}");
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Gives the stream back where there are too many.
fn let_in(stream: Stream, caller: Caller, service: &Arc<Service>) -> Result<(), Stream> {
    let guest = service.guests.admit(stream)?;
    let service = Arc::clone(service);
    let serve = move || connection::serve(&guest, caller, &service);
    if let Err(error) = thread::Builder::new().name("http".into()).spawn(serve) {
        log::error!("no thread for the connection of {}: {error}", caller.peer);
    }
    Ok(())
}

fn turn_away(stream: &Stream, service: &Service) {
    service.app.metrics.turned_away.add(1);
    let answer = Answer::problem(503, "there are too many connections to the agent; try again in a moment");
    let answer = answer.with("Retry-After", "1");
    stream.write_at_once(&answer.encode(Timestamp::now(), Form::Whole, Next::Close));
    stream.shutdown(Shutdown::Write);
}

/// Closes those that have had their time. To close them at once would reset them, and they might not get to read what
/// they were told.
fn forget(turned_away: &mut VecDeque<(Instant, Stream)>, now: Instant) {
    let is_old = |(since, _): &(Instant, Stream)| now.duration_since(*since) >= REMEMBERED;
    while turned_away.len() >= TURNED_AWAY || turned_away.front().is_some_and(is_old) {
        turned_away.pop_front();
    }
}

/// Whether the client was gone before it was let in.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}
