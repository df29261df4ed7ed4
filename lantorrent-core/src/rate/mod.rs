//! Rate limits: how fast bytes may go, over all connections that share a limit. The time is passed in.

pub(crate) mod limit;
pub(crate) mod pace;

pub use limit::Limit;
pub use pace::Pace;
