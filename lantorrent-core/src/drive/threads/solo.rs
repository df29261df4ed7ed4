//! A proven connection of a node whose other connections have processes of their own.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use super::doorbell::Arrival;
use super::node::Shared;
use super::siblings::{Siblings, Turn};
use super::upstreams::{LINGER, say_last};
use crate::session;
use crate::wire::{Line, LineWriter};

/// Sees to it that no other process holds what the arrival wants. Returns it if it is to go on here; otherwise it has had
/// its answer.
pub(super) fn admit(shared: &Shared, siblings: &Siblings, arrival: Arrival) -> Option<Arrival> {
    let header = &arrival.proven.header;
    if let Some(results) = siblings.results(header) {
        say_last(&arrival.guest, &session::retell(*arrival.proven, &results));
        return None;
    }
    match siblings.make_room(header) {
        Turn::Free => return Some(arrival),
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
    sibling.set_read_timeout(Some(shared.gate.timing.alive))?;
    // It has nothing more to say, and is gone when the results are known.
    while let Err(error) = sibling.read(&mut [0]) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            break;
        }
        say(&mut lines, &Line::Alive)?;
    }
    for sealed in siblings.results(&proven.header).unwrap_or_default() {
        say(&mut lines, &Line::Result(sealed))?;
    }
    say_last(&guest, &[]);
    Ok(())
}
