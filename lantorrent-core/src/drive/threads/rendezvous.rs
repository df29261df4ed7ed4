//! A proven connection of a node whose other connections have processes of their own.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::super::outbox::LINGER;
use super::connection;
use super::counter::Counter;
use super::doorbell::{Arrival, Doorbell};
use super::node::Shared;
use super::siblings::{Siblings, Turn};
use super::upstreams::say_last;
use crate::flow::admission;
use crate::session::{self, Ask};
use crate::wire::{Code, Line, LineWriter};

/// Sees to it that no other process holds what the arrival wants. Returns it if it is to go on here, and where others
/// can ask for its session; otherwise it has had its answer.
pub(super) fn admit(
    shared: &Shared,
    siblings: &Siblings,
    arrival: Arrival,
    doorbell: &Arc<Doorbell>,
) -> Option<(Arrival, Counter)> {
    match siblings.make_room(&arrival.proven.header, doorbell) {
        Turn::Ours(counter) => return Some((arrival, counter)),
        Turn::Over(kept) => {
            let Arrival { guest, proven, .. } = arrival;
            let results = shared.site.confirm_files(&proven.header, kept.results, &kept.files);
            say_last(&guest, &admission::retell(*proven, &shared.site.gate.keys, &results));
        }
        Turn::Taken => {
            let Arrival { guest, proven, .. } = arrival;
            let left = proven.lines.map(|mut lines| lines.encode(&Line::Left));
            say_last(&guest, &left.unwrap_or_default());
        }
        Turn::Finishing(sibling) => {
            if let Err(error) = relay_results(shared, siblings, arrival, &sibling) {
                log::info!("cannot say how the transfer ended: {error}");
            }
        }
        Turn::Elsewhere(place) => connection::refuse_second(shared, arrival, place),
        Turn::Outdated => connection::refuse(shared, arrival, Code::SUPERSEDED, session::SUPERSEDED),
        // Nothing that is known now would be true if it wakes up.
        Turn::Silent => {}
    }
    None
}

/// Waits for another process to end, and says what it has found.
fn relay_results(
    shared: &Shared,
    siblings: &Siblings,
    arrival: Arrival,
    mut sibling: &UnixStream,
) -> io::Result<()> {
    let Arrival { guest, mut proven, .. } = arrival;
    let Some(mut lines) = proven.lines.take() else { return Ok(()) };
    guest.socket.set_write_timeout(Some(LINGER))?;
    let say = |lines: &mut LineWriter, line: &Line| (&guest.socket).write_all(&lines.encode(line));
    say(&mut lines, &Line::Accepted)?;
    sibling.set_read_timeout(Some(shared.site.gate.timing.alive))?;
    // It has nothing more to say, and is gone when the results are known.
    while let Err(error) = sibling.read(&mut [0]) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            break;
        }
        say(&mut lines, &Line::Alive)?;
    }
    let kept = Ask::for_header(&proven.header).and_then(|ask| siblings.archive.results(&ask));
    if let Some(kept) = kept {
        let results = shared.site.confirm_files(&proven.header, kept.results, &kept.files);
        let foreign = admission::foreign_to_finished(&proven.header, &shared.site.gate.keys, &results);
        for sealed in results.into_iter().chain(foreign) {
            say(&mut lines, &Line::Result(sealed))?;
        }
    }
    say_last(&guest, &[]);
    Ok(())
}
