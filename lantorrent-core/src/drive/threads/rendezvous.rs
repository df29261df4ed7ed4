//! A proven connection of a node whose other connections have processes of their own, until this process knows what they do.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
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
    let Some(rendezvous) = Rendezvous::new(Instant::now(), &arrival.proven.header) else {
        return Met::Known(arrival);
    };
    siblings.archive.keep_key(&arrival.proven);
    let mut meeting =
        Meeting { shared, siblings, arrival, challenge, attempt, channel, rendezvous, held: None };
    loop {
        match meeting.rendezvous.step(Instant::now()) {
            Step::Admit => return Met::Known(meeting.arrival),
            Step::Leave => return Met::Served,
            Step::Follow => {
                if let Err(error) = meeting.follow() {
                    log::info!("cannot say how the transfer ended: {error}");
                }
                return Met::Served;
            }
            Step::Close(words) => {
                connection::close(shared, meeting.arrival, words);
                return Met::Served;
            }
            step => meeting.carry_out(step),
        }
    }
}

struct Meeting<'a> {
    shared: &'a Arc<Shared>,
    siblings: &'a Siblings,
    arrival: Arrival,
    challenge: Nonce,
    attempt: &'a mut Attempt,
    channel: &'a mut Channel,
    rendezvous: Rendezvous,
    /// The connection to the process that has the transfer.
    held: Option<UnixStream>,
}

impl Meeting<'_> {
    fn carry_out(&mut self, step: Step) {
        let (archive, header) = (&self.siblings.archive, &self.arrival.proven.header);
        match step {
            Step::Take(name, ask) => self.take(&name, &ask),
            Step::GiveWay(name, ask) => {
                let holder = self.siblings.give_way(&name, &ask, self.rendezvous.deadline());
                self.met(holder);
            }
            Step::HandOver(name) => {
                let (arrival, challenge, keys) = (&self.arrival, self.challenge, &self.shared.site.gate.keys);
                let handover = Handover { arrival, challenge, keys };
                let holder = self.siblings.hand_over(&name, &handover, self.rendezvous.deadline());
                self.met(holder);
            }
            Step::Meet(name) => self.met(self.siblings.meet(&name)),
            Step::Record => {
                archive.record_cancel(header);
                self.rendezvous.recorded();
            }
            Step::Erase => {
                archive.erase_cancel(header);
                self.rendezvous.erased();
            }
            Step::Recall => {
                let kept = archive.recall(header, &self.shared.site.placed);
                self.shared.transfers.recalled(&mut self.rendezvous, kept);
            }
            Step::Wait(at) => thread::sleep(at.saturating_duration_since(Instant::now())),
            Step::Admit | Step::Leave | Step::Follow | Step::Close(_) => {}
        }
    }

    fn met(&mut self, holder: Holder) {
        self.rendezvous.met(Instant::now(), holder, self.attempt);
    }

    /// Takes a name, and is asked there from now on.
    fn take(&mut self, name: &Name, ask: &Ask) {
        match self.siblings.take(name, ask, self.rendezvous.deadline()) {
            Ok(listener) => {
                let (shared, doorbell) = (Arc::clone(self.shared), Arc::clone(&self.channel.doorbell));
                let hear = move |asked| hear(&shared, &doorbell, asked);
                self.channel.listeners.open(listener, self.siblings.user, hear);
                self.met(Holder::Gone);
            }
            Err(Held { holder, stream }) => {
                self.held = stream;
                self.met(holder);
            }
        }
    }

    /// Waits for another process to end, and says what it has found.
    fn follow(self) -> io::Result<()> {
        let Self { shared, siblings, arrival, held, .. } = self;
        let Arrival { guest, proven, .. } = arrival;
        let (Some(mut sibling), Some((mut follower, accepted))) = (held, Follower::new(*proven)) else {
            return Ok(());
        };
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
