//! What a header asks for, in the words of the store, and what the store says to it, in those of the wire.

use crate::session::FileFault;
use crate::store::{Durability, Placement, Resume, StoreError, Target};
use crate::wire::{Code, Header, Request};

/// What tells the version of a file from every other one. None where nobody knows, as with a stream: nothing is gone
/// on with then.
pub(super) fn version(header: &Header) -> Option<Vec<u8>> {
    header.length?;
    source_version(header)
}

/// The same, whatever its length.
pub(super) fn source_version(header: &Header) -> Option<Vec<u8>> {
    let source = header.envelope.as_ref()?.source.as_ref()?;
    serde_json::to_vec(source).ok()
}

/// How a file is to get to its path.
pub(super) fn placement(request: &Request) -> Placement {
    if request.rename { Placement::Rename } else { Placement::InPlace }
}

/// What to ask the store for: the file of `request` at `path`. `version` is the header's.
pub(super) fn target<'a>(
    header: &Header,
    request: &Request,
    path: &'a str,
    version: Option<&'a [u8]>,
    durability: Durability,
) -> Target<'a> {
    let block_size = header.block_size;
    Target {
        path,
        placement: placement(request),
        length: header.length,
        resume: version.map(|version| Resume { version, block_size, durability }),
    }
}

/// A code of the wire for what the store says. The message is the store's own.
pub(super) fn fault(error: &StoreError) -> FileFault {
    let code = match error {
        StoreError::NotAllowed { .. } => Code::NOT_ALLOWED,
        StoreError::InUse { .. } => Code::IN_USE,
        StoreError::NotWanted { .. } => Code::STOPPED,
        StoreError::NoSpace { .. } | StoreError::TooLarge { .. } => Code::NO_SPACE,
        StoreError::CannotWrite { .. } | StoreError::Elsewhere { .. } => Code::CANNOT_WRITE,
        StoreError::TooLong { .. }
        | StoreError::NotAFile { .. }
        | StoreError::OtherName { .. }
        | StoreError::CannotOpen { .. }
        | StoreError::NoRoot { .. }
        | StoreError::BadRoot { .. } => Code::CANNOT_OPEN,
    };
    FileFault { code, message: error.to_string() }
}
