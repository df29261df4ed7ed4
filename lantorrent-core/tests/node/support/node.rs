//! A node with a folder of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lantorrent_core::store::Durability;
use lantorrent_core::{Error, Node, NodeConfig, NodeHandle, Target};
use tempfile::TempDir;

use super::apart::Apart;
use super::proxy::{Proxy, Tap, Way};
use super::{Gate, keys, patient, target};

pub(crate) struct TestNode {
    /// Where peers connect to: the node's own address, or that of the proxy before it.
    pub(crate) address: SocketAddr,
    /// The node's own.
    pub(crate) own: SocketAddr,
    folder: TempDir,
    serving: Serving,
}

enum Serving {
    Together(NodeHandle, Option<JoinHandle<Result<(), Error>>>),
    /// With the folder for its results.
    Apart(Apart, TempDir),
}

impl TestNode {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn with(change: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), tempfile::tempdir().unwrap(), change)
    }

    /// A node that is reached through a proxy, and knows it.
    pub(crate) fn behind(tap: Tap, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let proxy = Proxy::new();
        let address = proxy.address;
        let mut node = Self::with(|config| {
            config.also.push(address);
            change(config);
        });
        proxy.run(node.own, tap);
        node.address = address;
        node
    }

    pub(crate) fn at(listen: SocketAddr, folder: TempDir, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut config = config(&folder);
        change(&mut config);
        let node = Node::bind(listen, config).unwrap();
        let own = node.local_addr().unwrap();
        let handle = node.handle().unwrap();
        let thread = Some(thread::spawn(|| node.run()));
        Self { address: own, own, folder, serving: Serving::Together(handle, thread) }
    }

    /// A node that serves each connection as if it knew of no other.
    pub(crate) fn apart(change: impl FnOnce(&mut NodeConfig)) -> Self {
        Self::apart_at(tempfile::tempdir().unwrap(), change)
    }

    /// The same, reached through a proxy.
    pub(crate) fn apart_behind(tap: Tap) -> Self {
        let proxy = Proxy::new();
        let address = proxy.address;
        let mut node = Self::apart(|config| config.also.push(address));
        proxy.run(node.own, tap);
        node.address = address;
        node
    }

    pub(crate) fn apart_at(folder: TempDir, change: impl FnOnce(&mut NodeConfig)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut config = config(&folder);
        config.state = Some(state.path().join("state"));
        change(&mut config);
        let apart = Apart::start(([127, 0, 0, 1], 0).into(), config);
        let own = apart.address();
        Self { address: own, own, folder, serving: Serving::Apart(apart, state) }
    }

    /// The results that a node keeps that serves each connection by itself.
    pub(crate) fn kept(&self) -> Vec<PathBuf> {
        let Serving::Apart(_, state) = &self.serving else { panic!("its results are in memory") };
        let entries = fs::read_dir(state.path().join("state")).into_iter().flatten();
        let kept = entries.map(|entry| entry.unwrap().path());
        // Beside them stand keys, and when old partial files were last looked for.
        let is_word = |path: &PathBuf| path.extension().is_some_and(|extension| extension != "key");
        kept.filter(is_word).collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn target(&self, name: &str) -> Target {
        target(self.address, self.path(name).to_str().unwrap())
    }

    pub(crate) fn handle(&self) -> NodeHandle {
        let Serving::Together(handle, _) = &self.serving else { panic!("there is one for each connection") };
        handle.clone()
    }

    /// The names of all files in the folder, in order. A partial file and its journal are one.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let all: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        let of_partial = |name: &str| {
            name.strip_suffix("-journal").is_some_and(|partial| all.iter().any(|name| name == partial))
        };
        let mut names: Vec<String> = all.iter().filter(|name| !of_partial(name)).cloned().collect();
        names.sort();
        names
    }

    /// Panics unless the file is there with that content. Does not print it.
    #[track_caller]
    pub(crate) fn assert_has(&self, name: &str, content: &[u8]) {
        let found = fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found == content, "{name} has other content than was sent: {} bytes", found.len());
    }

    /// Ends everything that is under way; after this nothing changes any more.
    pub(crate) fn stop(&mut self) {
        match &mut self.serving {
            Serving::Together(handle, thread) => {
                handle.stop(Duration::ZERO);
                if let Some(thread) = thread.take() {
                    thread.join().unwrap().unwrap();
                }
            }
            Serving::Apart(apart, _) => apart.stop(),
        }
    }

    /// Stops, and leaves the folder to somebody else.
    pub(crate) fn into_folder(mut self) -> TempDir {
        self.stop();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        match &mut self.serving {
            Serving::Together(handle, thread) => {
                handle.stop(Duration::ZERO);
                // A panic of the test itself is the better message.
                let _ = thread.take().map(JoinHandle::join);
            }
            Serving::Apart(..) if thread::panicking() => {}
            Serving::Apart(apart, _) => apart.stop(),
        }
    }
}

fn config(folder: &TempDir) -> NodeConfig {
    let mut config = NodeConfig::new(keys(), vec![folder.path().to_owned()]).unwrap();
    // Nobody cuts the power in these tests.
    config.durability = Durability::NoSync;
    config.driver = crate::DRIVER;
    config.timing = patient();
    config
}

/// A node that lets `bytes` of each connection through, and the rest when the gate opens.
pub(crate) fn gated(bytes: usize) -> (TestNode, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    let tap = move |_, way, offset, _: &mut [u8]| {
        if way == Way::Down && offset > bytes {
            pass.pass();
        }
    };
    // Behind the gate there is silence, for as long as the test takes.
    let patient = |config: &mut NodeConfig| config.timing.dead_after = Duration::from_secs(600);
    (TestNode::behind(Arc::new(tap), patient), gate)
}
