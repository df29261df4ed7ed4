//! `lantorrent agent` with real nodes.

mod batches;
mod cancel;
mod fixture;
mod killed;
mod retry;
mod sources;
mod stops;
