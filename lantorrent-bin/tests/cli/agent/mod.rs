//! `lantorrent agent` with real nodes.

mod batches;
mod cancel;
mod clients;
mod fixture;
mod killed;
mod limit;
mod resources;
mod retry;
mod scale;
mod sources;
mod stops;
