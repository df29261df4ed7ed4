//! Whether, and when, a request that failed is tried again.

use std::time::Duration;

use lantorrent_core::wire::Code;

/// No pause before an attempt is longer, but for its jitter.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// How failed requests are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Retries {
    /// How often a request is tried in all.
    pub(crate) attempts: usize,
    /// The pause before the second attempt.
    pub(crate) pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 3, pause: Duration::from_secs(10) }
    }
}

impl Retries {
    /// How long to wait for the next attempt at a request of which `made` have failed, the last with `code`. None if
    /// there is none. `chance` is any number, drawn anew each time.
    pub(crate) fn pause(&self, made: usize, code: Code, chance: u64) -> Option<Duration> {
        (made < self.attempts && may_mend(code)).then(|| jittered(self.doubled(made), chance))
    }

    /// The longest that [`pause`](Self::pause) may have said after so many attempts.
    pub(crate) fn longest_pause(&self, made: usize) -> Duration {
        jittered(self.doubled(made), u64::MAX)
    }

    fn doubled(&self, made: usize) -> Duration {
        let times =
            u32::try_from(made.saturating_sub(1)).ok().and_then(|doublings| 1u32.checked_shl(doublings));
        self.pause.saturating_mul(times.unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
    }
}

/// A pause of 75 % to 125 %, so that what failed together does not come back together.
fn jittered(pause: Duration, chance: u64) -> Duration {
    #[allow(clippy::cast_precision_loss)] // A place between two bounds, no count.
    let place = chance as f64 / u64::MAX as f64;
    pause.mul_f64(0.75 + place / 2.0)
}

/// Whether another attempt may come to another end although nobody changes a request or a configuration.
fn may_mend(code: Code) -> bool {
    !matches!(
        code,
        // What is asked for cannot be, on this node or on any.
        Code::VALUE_MISSING
            | Code::BAD_DESTINATION
            | Code::NOT_ALLOWED
            | Code::UNSUPPORTED
            // Passwords differ, or the node goes by another address.
            | Code::ACCESS_DENIED
            | Code::WRONG_NODE
            // Somebody wants it so.
            | Code::CANCELLED
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HALF: u64 = u64::MAX / 2;

    fn pauses(retries: Retries, chance: u64) -> Vec<u128> {
        let pause = |made| retries.pause(made, Code::CANNOT_CONNECT, chance);
        (1..).map_while(pause).map(|pause| (pause.as_millis() + 500) / 1000).collect()
    }

    #[test]
    fn pauses_double_up_to_ten_minutes() {
        let retries = Retries { attempts: 10, pause: 10 * SECOND };
        assert_eq!(pauses(retries, HALF), [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        assert_eq!(pauses(Retries { attempts: 1, ..retries }, HALF), [0; 0]);
        assert_eq!(pauses(Retries { attempts: 100, ..retries }, HALF).len(), 99);
    }

    #[test]
    fn jitter_is_a_quarter_either_way() {
        let retries = Retries { attempts: 2, pause: 100 * SECOND };
        assert_eq!(pauses(retries, 0), [75]);
        assert_eq!(pauses(retries, u64::MAX), [125]);
        let vast = Retries { attempts: 2, pause: Duration::MAX };
        assert_eq!(vast.pause(1, Code::LOST, u64::MAX), Some(LONGEST_PAUSE.mul_f64(1.25)));
        assert_eq!(vast.longest_pause(1), LONGEST_PAUSE.mul_f64(1.25));
        assert_eq!(retries.longest_pause(1), 125 * SECOND);
    }

    #[test]
    fn what_nobody_mends_is_not_tried_again() {
        let retries = Retries { attempts: 2, pause: SECOND };
        for code in [Code::BAD_DESTINATION, Code::NOT_ALLOWED, Code::ACCESS_DENIED, Code::CANCELLED] {
            assert_eq!(retries.pause(1, code, 0), None, "{code}");
        }
        // A disk is cleared, a node comes back; and of what a later version says, nothing is known.
        for code in [Code::NO_SPACE, Code::CANNOT_CONNECT, Code::LOST, Code::TAKING_PART, Code(999)] {
            assert!(retries.pause(1, code, 0).is_some(), "{code}");
        }
    }
}
