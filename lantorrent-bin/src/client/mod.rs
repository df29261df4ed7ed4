//! Commands that ask the agent.

mod agent;
pub(crate) mod cancel;
mod http;
pub(crate) mod limit;
mod patience;
mod place;
pub(crate) mod request;
mod show;
mod socket;
pub(crate) mod status;

pub(crate) use agent::{Agent, Trouble};
pub(crate) use patience::Stamina;
