// What is tested on every driver. Each crate that includes this says which one by `DRIVER`.

mod support;

mod addresses;
mod cancelling;
mod cancels;
mod chains;
mod checks;
mod children;
mod claims;
mod clocks;
mod copies;
mod devices;
mod files;
#[path = "../common/forger.rs"]
mod forger;
mod forgers;
mod headers;
mod growth;
mod holes;
mod hooks;
#[path = "../common/later.rs"]
mod later;
mod liars;
mod limits;
mod mixed;
mod moved;
mod nimbus;
#[path = "../common/nimbus.rs"]
mod recorded;
mod protocol;
mod queries;
#[path = "../common/random.rs"]
mod random;
mod repair;
mod replay;
mod resume;
mod serving;
mod solo;
mod sources;
mod suspend;
mod sweeps;
#[path = "../common/system.rs"]
mod system;
#[path = "../common/with.rs"]
mod with;
