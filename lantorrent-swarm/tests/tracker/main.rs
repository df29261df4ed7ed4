//! Trackers, from both sides.

mod announcer;
#[cfg(feature = "tracker")]
mod service;
