//! Rate limits: how fast bytes may go, over all connections that share a limit. The time is passed in.

pub(crate) mod limit;
pub(crate) mod limiter;

pub use limit::Limit;
pub use limiter::RateLimiter;
