//! Runs a session: what happens goes in, what it asks for is carried out.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub(super) use super::super::clock::{now, unix_millis};
use crate::session::{Input, LinkId, NodeSession, Now, Output, PreflightSession, SourceSession};

/// Something that happened, on its way from the thread that saw it.
#[derive(Debug)]
pub(super) enum Happening {
    Input(Input<'static>),
    Bytes(LinkId, Vec<u8>),
}

impl From<Input<'static>> for Happening {
    fn from(input: Input<'static>) -> Self {
        Self::Input(input)
    }
}

/// What all sessions have in common.
pub(super) trait Machine {
    fn handle(&mut self, now: Now, input: Input<'_>);
    fn poll(&mut self) -> Option<Output>;
    fn deadline(&self) -> Option<Instant>;

    /// Whether it has nobody to go on with it.
    fn is_orphan(&self) -> bool {
        false
    }
}

macro_rules! machine {
    ($($session:ty $(, $orphan:item)?);*) => {$(
        impl Machine for $session {
            $($orphan)?

            fn handle(&mut self, now: Now, input: Input<'_>) {
                self.handle(now, input);
            }

            fn poll(&mut self) -> Option<Output> {
                self.poll()
            }

            fn deadline(&self) -> Option<Instant> {
                self.deadline()
            }
        }
    )*};
}

machine!(
    NodeSession, fn is_orphan(&self) -> bool { self.is_orphan(now()) };
    SourceSession;
    PreflightSession
);

/// Carries out what a session asks for.
pub(super) trait Hands {
    fn carry_out(&mut self, output: Output);

    /// Does what is not the session's business. Returns how soon it wants to be called again.
    fn attend(&mut self, is_orphan: bool) -> Option<Duration>;

    /// What goes before all that waits to be dealt with, once.
    fn urgent(&mut self) -> Option<Input<'static>> {
        None
    }
}

/// Runs `machine` until it is done.
pub(super) fn run(machine: &mut impl Machine, hands: &mut impl Hands, happenings: &Receiver<Happening>) {
    loop {
        while let Some(output) = machine.poll() {
            if output == Output::Done {
                return;
            }
            hands.carry_out(output);
        }
        if let Some(input) = hands.urgent() {
            machine.handle(now(), input);
            continue;
        }
        let soon = hands.attend(machine.is_orphan());
        let patience = machine.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = [soon, patience].into_iter().flatten().min().unwrap_or(Duration::from_secs(1));
        match happenings.recv_timeout(wait) {
            Ok(Happening::Input(input)) => machine.handle(now(), input),
            Ok(Happening::Bytes(link, bytes)) => machine.handle(now(), Input::Bytes(link, &bytes)),
            Err(RecvTimeoutError::Timeout) => {}
            // Whoever runs a session also holds a sender; without any, only time can still change something.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
        }
        // Also after a happening: those may come faster than the deadline, and must not postpone it for ever.
        if machine.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            machine.handle(now(), Input::Tick);
        }
    }
}
