//! A proven connection of a node whose other connections have processes of their own, until this process knows what they do.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Instant;

use super::super::outbox::LINGER;
use super::connection::{self, Channel};
use super::doorbell::{Arrival, Doorbell, Knock};
use super::handover::Handover;
use super::listeners::Asked;
use super::node::Shared;
use super::siblings::{Held, Siblings};
use super::upstreams::say_last;
use crate::flow::admission::{Attempt, Follower, Holder, Name, Rendezvous, Step};
use crate::session::Ask;
use crate::wire::Nonce;

/// What comes of it.
pub(super) enum Met {
    /// This process knows as much of the arrival's transfer as any other.
    Known(Arrival),
    /// It has had its answer, or is another process's.
    Served,
}

/// Asks the other processes of the node what they know of an arrival's transfer.
pub(super) fn meet(
    shared: &Arc<Shared>,
    siblings: &Siblings,
    arrival: Arrival,
    challenge: Nonce,
    attempt: &mut Attempt,
    channel: &mut Channel,
) -> Met {
    let Some(mut rendezvous) = Rendezvous::new(Instant::now(), &arrival.proven.header) else {
        return Met::Known(arrival);
    };
    let until = rendezvous.deadline();
    let mut finishing = None;
    loop {
        let holder = match rendezvous.step(Instant::now()) {
            Step::Take(name, ask) => match take(shared, siblings, &name, &ask, until, channel) {
                Ok(()) => Holder::Gone,
                Err(Held { holder, stream }) => {
                    finishing = stream;
                    holder
                }
            },
            Step::GiveWay(name, ask) => siblings.give_way(&name, &ask, until),
            Step::HandOver(name) => {
                let handover = Handover { arrival: &arrival, challenge, keys: &shared.site.gate.keys };
                siblings.hand_over(&name, &handover, until)
            }
            Step::Meet(name) => siblings.meet(&name),
            Step::Record => {
                siblings.archive.record_cancel(&arrival.proven.header);
                rendezvous.recorded();
                continue;
            }
            Step::Erase => {
                siblings.archive.erase_cancel(&arrival.proven.header);
                rendezvous.erased();
                continue;
            }
            Step::Recall => {
                let kept = siblings.archive.recall(&arrival.proven.header, &shared.site.placed);
                shared.transfers.recalled(&mut rendezvous, kept);
                continue;
            }
            Step::Wait(at) => {
                shared.live.stops_by(at);
                continue;
            }
            Step::Admit => return Met::Known(arrival),
            Step::Leave => return Met::Served,
            Step::Follow => {
                if let Some(sibling) = finishing
                    && let Err(error) = follow(shared, siblings, arrival, &sibling)
                {
                    log::info!("cannot say how the transfer ended: {error}");
                }
                return Met::Served;
            }
            Step::Close(words) => {
                connection::close(shared, arrival, words);
                return Met::Served;
            }
        };
        rendezvous.met(Instant::now(), holder, attempt);
    }
}

/// Takes a name, and is asked there from now on.
fn take(
    shared: &Arc<Shared>,
    siblings: &Siblings,
    name: &Name,
    ask: &Ask,
    until: Instant,
    channel: &mut Channel,
) -> Result<(), Held> {
    let listener = siblings.take(name, ask, until)?;
    let (shared, doorbell) = (Arc::clone(shared), Arc::clone(&channel.doorbell));
    channel.listeners.open(listener, siblings.user, move |asked| hear(&shared, &doorbell, asked));
    Ok(())
}

/// Another process asks this one.
fn hear(shared: &Arc<Shared>, doorbell: &Doorbell, asked: Asked) {
    match asked {
        Asked::ToGiveWay(ask, stream) => doorbell.ring(Knock::Ask(ask, stream)),
        Asked::ToTakeOver(received) => {
            if let Err(error) = received.serve(shared) {
                log::warn!("cannot take over a connection from another process of this node: {error}");
            }
        }
    }
}

/// Waits for another process to end, and says what it has found.
fn follow(
    shared: &Shared,
    siblings: &Siblings,
    arrival: Arrival,
    mut sibling: &UnixStream,
) -> io::Result<()> {
    let Arrival { guest, proven, .. } = arrival;
    let Some((mut follower, accepted)) = Follower::new(*proven) else { return Ok(()) };
    guest.socket.set_write_timeout(Some(LINGER))?;
    (&guest.socket).write_all(&accepted)?;
    sibling.set_read_timeout(Some(shared.site.gate.timing.alive))?;
    // It has nothing more to say, and is gone when the results are known.
    while let Err(error) = sibling.read(&mut [0]) {
        if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            break;
        }
        (&guest.socket).write_all(&follower.alive())?;
    }
    let kept = siblings.archive.recall(follower.header(), &shared.site.placed);
    if let Some((_, results)) = kept.ended {
        let found = shared.site.look(follower.header());
        (&guest.socket).write_all(&follower.results(&shared.site.gate.keys, results, &found))?;
    }
    say_last(&guest, &[]);
    Ok(())
}
