//! What comes from a web server: as fast as it may, and not too slowly to be waited for.

use std::io::{self, Read};
use std::thread;
use std::time::{Duration, Instant};

use super::paces::Paces;
use super::web::Fetch;

/// So many bytes have to come while so much time was spent waiting for them. A link for which that is too much is of no use
/// to anybody, and the thread is, to others.
const LEAST: usize = 64 << 10;
const WITHIN: Duration = Duration::from_secs(60);

/// How fast a server sends. Only the time counts in which it was waited for.
#[derive(Debug, Default)]
pub(super) struct Tempo {
    waited: Duration,
    bytes: usize,
}

impl Tempo {
    /// So many bytes came after it was waited for so long. Whether that is fast enough.
    fn came(&mut self, waited: Duration, bytes: usize) -> bool {
        self.waited += waited;
        self.bytes += bytes;
        if self.bytes >= LEAST {
            *self = Self::default();
        }
        self.waited < WITHIN
    }
}

/// The body of an answer.
pub(super) struct Paced<'a, R> {
    pub(super) body: R,
    pub(super) paces: &'a mut Paces,
    pub(super) tempo: &'a mut Tempo,
    pub(super) fetch: &'a Fetch,
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.fetch.is_stopped() {
            let now = Instant::now();
            match self.paces.allowance(now, into.len()) {
                Ok(most) => {
                    let count = self.body.read(&mut into[..most])?;
                    self.paces.went(count);
                    let fast_enough = self.tempo.came(now.elapsed(), count);
                    return if fast_enough { Ok(count) } else { Err(too_slow()) };
                }
                Err(at) => thread::sleep(at.saturating_duration_since(now)),
            }
        }
        Ok(0)
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the server sends too slowly to be waited for")
}

#[cfg(test)]
mod tests {
    use lantorrent_core::Limit;

    use super::super::web::Webs;
    use super::*;
    use crate::swarm::WebKey;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn slow_links_are_waited_for_and_those_that_trickle_are_not() {
        let mut tempo = Tempo::default();
        assert!((0..600).all(|_| tempo.came(SECOND, 2 << 10)), "2 KiB a second");
        assert!((0..10).all(|_| tempo.came(50 * SECOND, LEAST)), "in one go");
        let mut tempo = Tempo::default();
        assert_eq!((0..1000).take_while(|_| tempo.came(SECOND, 1000)).count(), 59);
        let mut tempo = Tempo::default();
        assert!(tempo.came(59 * SECOND, LEAST - 1) && !tempo.came(SECOND, 0));
    }

    #[test]
    fn a_body_that_trickles_ends_with_an_error() {
        let none = Limit::default();
        let (_, _, fetch) = Webs::new(vec!["http://a/".parse().unwrap()]).begin(WebKey(0)).unwrap();
        let mut tempo = Tempo { waited: WITHIN, bytes: LEAST - 2 };
        let paces = &mut Paces::new(&none, &none);
        let mut paced = Paced { body: io::repeat(7), paces, tempo: &mut tempo, fetch: &fetch };
        let error = paced.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(paced.read(&mut [0; 10]).unwrap(), 10, "it has caught up");
    }
}
