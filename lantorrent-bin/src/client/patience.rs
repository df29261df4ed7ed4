//! How long a client tries to get its answer: pure, so that no test has to wait.

use std::time::Duration;

/// How often one who was never heard of is tried.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause that an agent can ask for.
const LONGEST: Duration = Duration::from_secs(60);

/// Whether somebody waits who wants to be told soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamina {
    /// A few tries, whatever happens.
    Brief,
    /// An agent that was there once will be there again.
    Endless,
}

/// What to do after a question without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask again after a pause, and say so if nobody did yet.
    Again {
        pause: Duration,
        say: bool,
    },
    GiveUp,
}

#[derive(Debug)]
pub(super) struct Patience {
    stamina: Stamina,
    was_there: bool,
    /// In vain, since the last answer.
    tries: u32,
}

impl Patience {
    pub(super) fn new(stamina: Stamina) -> Self {
        Self { stamina, was_there: false, tries: 0 }
    }

    /// There was an answer.
    pub(super) fn answered(&mut self) {
        self.was_there = true;
        self.tries = 0;
    }

    /// There was none.
    pub(super) fn away(&mut self) -> Next {
        self.next(PAUSE)
    }

    /// The agent is there and asks for time.
    pub(super) fn busy(&mut self, pause: Option<Duration>) -> Next {
        self.was_there = true;
        self.next(pause.unwrap_or(PAUSE).clamp(PAUSE, LONGEST))
    }

    fn next(&mut self, pause: Duration) -> Next {
        self.tries = self.tries.saturating_add(1);
        let endless = self.stamina == Stamina::Endless && self.was_there;
        if !endless && self.tries >= TRIES {
            return Next::GiveUp;
        }
        Next::Again { pause, say: endless && self.tries == 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again(seconds: u64, say: bool) -> Next {
        Next::Again { pause: Duration::from_secs(seconds), say }
    }

    #[test]
    fn nobody_was_ever_there() {
        for stamina in [Stamina::Brief, Stamina::Endless] {
            let mut patience = Patience::new(stamina);
            assert_eq!([patience.away(), patience.away()], [again(1, false); 2]);
            assert_eq!(patience.away(), Next::GiveUp);
        }
    }

    #[test]
    fn an_agent_that_was_there_comes_back() {
        let mut patience = Patience::new(Stamina::Endless);
        patience.answered();
        for _ in 0..2 {
            assert_eq!(patience.away(), again(1, true), "said once for each time it is away");
            for _ in 0..1000 {
                assert_eq!(patience.away(), again(1, false));
            }
            patience.answered();
        }
    }

    #[test]
    fn who_is_in_a_hurry_gives_up_on_it_all_the_same() {
        let mut patience = Patience::new(Stamina::Brief);
        for _ in 0..2 {
            patience.answered();
            assert_eq!([patience.away(), patience.away()], [again(1, false); 2]);
            assert_eq!(patience.away(), Next::GiveUp);
        }
        let mut patience = Patience::new(Stamina::Brief);
        let pause = Some(Duration::from_secs(2));
        assert_eq!([patience.busy(pause), patience.busy(pause)], [again(2, false); 2]);
        assert_eq!(patience.busy(pause), Next::GiveUp);
    }

    #[test]
    fn a_busy_agent_says_when_to_come_again_within_reason() {
        let mut patience = Patience::new(Stamina::Endless);
        assert_eq!(patience.busy(None), again(1, true));
        assert_eq!(patience.busy(Some(Duration::ZERO)), again(1, false));
        assert_eq!(patience.busy(Some(Duration::from_secs(7))), again(7, false));
        assert_eq!(patience.busy(Some(Duration::MAX)), again(60, false));
    }
}
