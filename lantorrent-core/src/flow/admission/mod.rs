//! Admission: what becomes of a connection until a session has it or it has its answer.

mod answer;
mod cancelled;
#[cfg(feature = "threads")]
mod last_words;
mod registry;

pub(crate) use answer::{about, foreign};
pub use answer::{answer_check, foreign_to_finished, retell};
#[cfg(feature = "threads")]
pub(crate) use last_words::{has_place, refuse};
pub use registry::{Entrance, Recall, Registry};
