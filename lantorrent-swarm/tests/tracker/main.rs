//! Trackers, from both sides.

mod announcer;
