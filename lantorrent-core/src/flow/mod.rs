//! The data plane: what stands between the sessions and the drivers. Like the sessions it touches no socket, file, clock
//! or randomness; time is an argument.

pub mod admission;
