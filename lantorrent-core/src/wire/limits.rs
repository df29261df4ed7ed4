//! Every limit of the wire, in one place. Each is checked where the size is declared, before anything is allocated
//! for it. PROTOCOL.md, "Limits".

/// Bytes of a header, signature line included.
pub const HEADER_BYTES: usize = 4 << 20;
/// Lines of a header before its `EOH` line.
pub const HEADER_LINES: usize = 256;
/// Bytes of the `EOH` line, line end included.
pub const SIGNATURE_LINE_BYTES: usize = 128;
/// Destinations in one header.
pub const DESTINATIONS: usize = 10_000;
/// Requests of one endpoint.
pub const REQUESTS: usize = 1_000;
/// Requests in one header, all endpoints together.
pub const REQUESTS_TOTAL: usize = 20_000;
/// Bytes of a file name in a header. What a file system accepts is decided, request by request, by the store.
pub const FILENAME_BYTES: usize = 16 << 10;
/// Bytes of a host name.
pub const HOST_BYTES: usize = 255;
/// Bytes of a request id.
pub const ID_BYTES: usize = 255;
/// Bytes of the message in a result or an abort; longer ones are cut.
pub const MESSAGE_BYTES: usize = 1024;
/// Children that a node may be asked to have.
pub const DEGREE: u32 = 64;
/// How deep JSON may nest.
pub const JSON_DEPTH: usize = 16;
/// Bytes of one line towards the source, line end included. A result escapes its file name twice.
pub const LINE_BYTES: usize = 256 << 10;
/// Bytes of the wire 1 footer.
pub const FOOTER_BYTES: usize = 1024;
/// Smallest block of wire 2, in bytes.
pub const BLOCK_MIN: u32 = 4 << 10;
/// Largest block of wire 2, in bytes.
pub const BLOCK_MAX: u32 = 1 << 20;
/// Largest file, in bytes: what a signed 64-bit file offset can say.
pub const FILE_BYTES: u64 = i64::MAX as u64;
/// Blocks of one HOLE frame.
pub const HOLE_BLOCKS: u64 = 1 << 16;
/// Bytes of the data of a frame that is not DATA.
pub const CONTROL_BYTES: usize = MESSAGE_BYTES + 2;
/// Bytes of the data of a frame that this version does not know and ignores.
pub const EXTENSION_BYTES: usize = 64 << 10;
/// Bytes of such frames, with their heads and tags, that a sender writes to one connection in a second, and at once.
pub const EXTENSION_RATE: u64 = 256 << 10;
/// Names in a list of features.
pub const FEATURES: usize = 64;
/// Bytes of the name of a feature.
pub const FEATURE_BYTES: usize = 32;
/// Nodes that one `progress` line names.
pub const PROGRESS_CHANGES: usize = 32;
