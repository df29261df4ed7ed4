//! Commands that ask the agent.

pub(crate) mod cancel;
pub(crate) mod request;
pub(crate) mod status;
