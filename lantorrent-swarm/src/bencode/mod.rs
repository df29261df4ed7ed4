//! Bencoding, as BEP 3 defines it: integers, byte strings, lists and dictionaries.
//!
//! [`Value`] reads in place: what is checked once is a slice that answers questions, so that no input can make it
//! allocate, and the bytes of every value are at hand (an info hash is a hash of them). [`Item`] is for writing.
//!
//! Read leniently, where other clients are: unsorted and repeated keys (the first counts) and needless zeros before a
//! number are taken as they stand. Written in the one canonical form.
//!
//! ```
//! use lantorrent_swarm::bencode::{Item, Value, dict};
//!
//! let bytes = dict([("port", 6881.into()), ("id", "abc".into())]).encode();
//! assert_eq!(bytes, b"d2:id3:abc4:porti6881ee");
//! let value = Value::read_whole(&bytes)?;
//! let answer = value.dict().ok_or("a dictionary was expected")?;
//! assert_eq!(answer.get("port").and_then(Value::integer), Some(6881));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod item;
mod value;

pub use item::{Item, dict};
pub use value::{BencodeError, DEPTH, Dict, List, Reason, Value};
