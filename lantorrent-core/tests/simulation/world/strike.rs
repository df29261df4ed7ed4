//! Faults as they happen, and as they end.

use lantorrent_core::session::SourceInput;

use super::fault::{Fault, When, off};
use super::host::Manner;
use super::link::{ConnId, Side};
use super::net::{ActorId, Event};
use super::route::Cut;
use super::{Role, World};

impl World {
    pub(super) fn schedule_mishaps(&mut self) {
        for (number, mishap) in self.mishaps.iter().enumerate() {
            if let When::After(delay) = mishap.when {
                self.net.after(delay, Event::Fault(number));
            }
        }
    }

    /// Faults that wait for the payload to come so far.
    pub(super) fn strike_when_due(&mut self) {
        for number in 0..self.mishaps.len() {
            let due = match self.mishaps[number].when {
                When::After(_) => false,
                When::Has(host, bytes) => self.hosts[host].received >= bytes && bytes > 0,
                When::Ended(host) => self.hosts[host].ended,
            };
            if due && self.struck[number].is_none() {
                self.strike(number);
            }
        }
    }

    pub(super) fn strike(&mut self, number: usize) {
        self.struck[number] = Some(self.net.elapsed());
        let mishap = self.mishaps[number];
        self.net.note(self.home, || format!("*** {:?} for {:?}", mishap.fault, mishap.ends));
        if let Some(time) = mishap.ends {
            self.net.after(time, Event::FaultEnds(number));
        }
        match mishap.fault {
            Fault::Kill(at) => self.kill(at, false),
            Fault::PowerCut(at) => self.kill(at, true),
            Fault::Freeze(at) => self.freeze(at),
            Fault::Silence { cut, both } => {
                self.net.cut(cut);
                if both {
                    self.net.cut(Cut { from: cut.to, to: cut.from });
                }
            }
            Fault::Again => {
                if self.source().is_some_and(|source| !source.machine.done) && !self.hosts[self.home].frozen {
                    self.start_source();
                }
            }
            Fault::Suspend => self.suspend(),
            Fault::Cancel(node, file) => self.cancel(format!("{node}/{file}")),
            Fault::Reset(at) => self.reset(at),
            Fault::Damage(at, bits) => self.net.damage[at] += bits,
            Fault::Fill(at) => self.hosts[at].disk.full = true,
            Fault::Break(at) => self.hosts[at].disk.broken = true,
            Fault::Stall(at) => self.hosts[at].disk.stalled = true,
            Fault::Stop(at, grace) => {
                self.hosts[at].stopping = Some(grace);
                for id in 0..self.actors.len() {
                    if self.actors[id].at == at && !self.hosts[at].frozen && !self.actors[id].asleep {
                        self.drive(ActorId(id), |driver, _, _| driver.stop(grace));
                    }
                }
            }
        }
    }

    pub(super) fn relieve(&mut self, number: usize) {
        let fault = self.mishaps[number].fault;
        self.net.note(self.home, || format!("*** over: {fault:?}"));
        match fault {
            Fault::Kill(at) => self.restart(at),
            Fault::PowerCut(at) => {
                for cut in &off(at) {
                    self.net.mend(cut);
                }
                self.restart(at);
            }
            Fault::Freeze(at) => {
                self.hosts[at].frozen = false;
                self.actors.iter_mut().filter(|actor| actor.at == at).for_each(|actor| actor.asleep = false);
                self.catch_up(at);
            }
            Fault::Silence { cut, both } => {
                self.net.mend(&cut);
                if both {
                    self.net.mend(&Cut { from: cut.to, to: cut.from });
                }
            }
            Fault::Fill(at) => self.hosts[at].disk.full = false,
            Fault::Stall(at) => {
                self.hosts[at].disk.stalled = false;
                self.catch_up(at);
            }
            Fault::Suspend => {
                if std::mem::take(&mut self.suspended) {
                    self.start_source();
                }
            }
            Fault::Again
            | Fault::Cancel(..)
            | Fault::Break(_)
            | Fault::Reset(_)
            | Fault::Damage(..)
            | Fault::Stop(..) => {}
        }
    }

    fn suspend(&mut self) {
        if let Some(source) = self.live_source() {
            self.suspended = true;
            self.drive(source, |driver, _, _| driver.tell(SourceInput::Suspend));
        }
    }

    fn cancel(&mut self, id: String) {
        if let Some(source) = self.live_source() {
            self.drive(source, |driver, _, _| driver.tell(SourceInput::Cancel(id.clone())));
        }
        self.cancelled.insert(id);
    }

    /// The last source, if it can be told something.
    fn live_source(&self) -> Option<ActorId> {
        let live = self.source().is_some_and(|source| !source.machine.done);
        self.sources.last().copied().filter(|_| live && !self.hosts[self.home].frozen)
    }

    fn freeze(&mut self, at: usize) {
        if !self.hosts[at].solo {
            self.hosts[at].frozen = true;
            return;
        }
        // Those that are there; others may come.
        self.actors.iter_mut().filter(|actor| actor.at == at).for_each(|actor| actor.asleep = true);
    }

    /// What was missed happens now, in any order.
    fn catch_up(&mut self, at: usize) {
        for event in std::mem::take(&mut self.hosts[at].missed) {
            self.net.soon(event);
        }
        // Children may have waited for the disk.
        for id in (0..self.actors.len()).filter(|&id| self.actors[id].at == at) {
            self.net.soon(Event::Nudge(ActorId(id)));
        }
    }

    fn kill(&mut self, at: usize, vanishes: bool) {
        if vanishes {
            for cut in off(at) {
                self.net.cut(cut);
            }
        }
        for actor in self.actors.iter_mut().filter(|actor| actor.at == at) {
            // What a source has said before it ended stays said.
            let said = at == self.home && matches!(&actor.role, Role::Driver(driver) if driver.machine.done);
            if !said {
                actor.role = Role::Gone;
            }
        }
        for number in 0..self.net.conns.len() {
            for side in Side::BOTH {
                let conn = &self.net.conns[number];
                // One that only the kernel has accepted is nobody's yet.
                let backlog = side == Side::Acceptor && conn.dialed.is_some() && !conn.is_closed(side);
                let ours = conn.hosts[side as usize] == Some(at)
                    && (conn.owners[side as usize].is_some() || backlog);
                match (ours, vanishes) {
                    (true, true) => self.net.vanish(ConnId(number), side),
                    (true, false) => {
                        let lose = self.net.random.chance(50);
                        self.net.close(ConnId(number), side, lose);
                    }
                    (false, _) => {}
                }
            }
        }
        self.hosts[at].crash();
        if self.hosts[at].solo && !vanishes {
            // Whoever starts a process for each connection is still there.
            self.hosts[at].manner = Manner::Node;
        }
    }

    fn restart(&mut self, at: usize) {
        if at == self.home {
            if self.source().is_none() {
                self.start_source();
            }
        } else {
            self.hosts[at].manner = Manner::Node;
        }
    }

    fn reset(&mut self, at: usize) {
        for number in 0..self.net.conns.len() {
            let conn = &self.net.conns[number];
            let alive = conn.owners.iter().all(Option::is_some);
            if alive && conn.hosts.contains(&Some(at)) && self.net.random.chance(50) {
                self.net.sever(ConnId(number));
            }
        }
    }
}
