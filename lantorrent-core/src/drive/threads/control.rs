//! Runs a session: what happens goes in, what it asks for is carried out.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

pub(super) use super::super::clock::{now, unix_millis};
use crate::session::{
    FeedInput, LinkId, LinkInput, NodeInput, NodeOutput, NodeSession, Now, SourceInput, SourceOutput,
    SourceSession, Standing,
};

/// Something that happened, on its way from the thread that saw it. `I` is the session's input.
#[derive(Debug)]
pub(super) enum Happening<I> {
    Input(I),
    Bytes(LinkId, Vec<u8>),
}

impl<I> From<I> for Happening<I> {
    fn from(input: I) -> Self {
        Self::Input(input)
    }
}

pub(super) type ToNode = SyncSender<Happening<NodeInput<'static>>>;
pub(super) type ToSource = SyncSender<Happening<SourceInput<'static>>>;

/// What both sessions have in common.
pub(super) trait Machine {
    type Input: From<LinkInput<'static>> + From<FeedInput> + Send + 'static;
    type Output;

    const TICK: Self::Input;

    fn handle(&mut self, now: Now, input: Self::Input);
    fn hear(&mut self, now: Now, link: LinkId, bytes: &[u8]);
    /// The next thing to do, or None if that is to wait; an error when the session is over.
    fn poll(&mut self) -> Result<Option<Self::Output>, Done>;
    fn deadline(&self) -> Option<Instant>;

    /// How it stands to those that ask for its transfer or its files.
    fn standing(&self) -> Standing {
        Standing::Served
    }
}

/// The session is over.
pub(super) struct Done;

macro_rules! machine {
    ($($session:ty, $input:ident, $output:ident $(, $standing:item)?);*) => {$(
        impl Machine for $session {
            type Input = $input<'static>;
            type Output = $output;

            const TICK: Self::Input = $input::Tick;

            $($standing)?

            fn handle(&mut self, now: Now, input: Self::Input) {
                self.handle(now, input);
            }

            fn hear(&mut self, now: Now, link: LinkId, bytes: &[u8]) {
                self.handle(now, LinkInput::Bytes(link, bytes));
            }

            fn poll(&mut self) -> Result<Option<$output>, Done> {
                let output = self.poll();
                if output == Some($output::Done) { Err(Done) } else { Ok(output) }
            }

            fn deadline(&self) -> Option<Instant> {
                self.deadline()
            }
        }
    )*};
}

machine!(
    NodeSession, NodeInput, NodeOutput, fn standing(&self) -> Standing { self.standing(now()) };
    SourceSession, SourceInput, SourceOutput
);

/// Carries out what a session asks for.
pub(super) trait Hands<M: Machine> {
    fn carry_out(&mut self, output: M::Output);

    /// Does what is not the session's business. Returns how soon it wants to be called again.
    fn attend(&mut self, standing: Standing) -> Option<Duration>;

    /// What goes before all that waits to be dealt with, once.
    fn urgent(&mut self) -> Option<M::Input> {
        None
    }
}

/// Runs `machine` until it is done.
pub(super) fn run<M: Machine>(
    machine: &mut M,
    hands: &mut impl Hands<M>,
    happenings: &Receiver<Happening<M::Input>>,
) {
    loop {
        loop {
            match machine.poll() {
                Ok(Some(output)) => hands.carry_out(output),
                Ok(None) => break,
                Err(Done) => return,
            }
        }
        if let Some(input) = hands.urgent() {
            machine.handle(now(), input);
            continue;
        }
        let soon = hands.attend(machine.standing());
        let patience = machine.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let wait = [soon, patience].into_iter().flatten().min().unwrap_or(Duration::from_secs(1));
        match happenings.recv_timeout(wait) {
            Ok(Happening::Input(input)) => machine.handle(now(), input),
            Ok(Happening::Bytes(link, bytes)) => machine.hear(now(), link, &bytes),
            Err(RecvTimeoutError::Timeout) => {}
            // Whoever runs a session also holds a sender; without any, only time can still change something.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(wait),
        }
        // Also after a happening: those may come faster than the deadline, and must not postpone it for ever.
        if machine.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            machine.handle(now(), M::TICK);
        }
    }
}
