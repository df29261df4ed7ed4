//! What time it is: the only clock of the drivers, whose sessions have none.

use std::time::{Duration, Instant, SystemTime};

use crate::session::Now;

/// The time.
pub(super) fn now() -> Now {
    Now { instant: Instant::now(), unix: unix_time().as_secs() }
}

/// Since the Unix epoch.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The same in milliseconds, as transfers say when they began.
pub(super) fn unix_millis() -> Option<u64> {
    u64::try_from(unix_time().as_millis()).ok()
}
