//! A lab with a node on every host, ready for a transfer.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Scale;
use super::damage::Damage;
use super::folder::Folder;
use super::network::Lab;
use super::node::Node;
use super::program::Program;
use super::scenario::Setting;
use super::sender::Sender;

/// The fields are in the order in which they have to go: processes before what they use.
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    pub(crate) lab: Lab,
    /// What a sender is started from.
    pub(crate) sender: Program,
    setting: Setting,
    pub(crate) damage: Option<Damage>,
    /// Held while the node on it runs.
    small_disk: Option<Folder>,
    folder: Folder,
}

impl Stage {
    /// None after saying that the test is skipped.
    pub(crate) fn set(setting: Setting, scale: Scale) -> Option<Self> {
        let lab = Lab::new(scale.nodes + 1, scale.rate)?;
        let folder = Folder::new(scale)?;
        make_source(folder.path(), scale.size);
        let sender = Program::new(folder.path(), "sender", "");
        let small_disk = match setting {
            Setting::SmallDisk(_, bytes) => Some(folder.small_disk(bytes)?),
            _ => None,
        };
        let damage = match setting {
            Setting::Damage { node, again } => Some(Damage::before(&lab, node, again)),
            _ => None,
        };
        let mut stage = Self { nodes: Vec::new(), lab, sender, setting, damage, small_disk, folder };
        for host in 1..=scale.nodes {
            let node = stage.start(host);
            stage.nodes.push(node);
        }
        if let Setting::Slow { node, rate, .. } = setting {
            stage.lab.rate(node, rate);
        }
        Some(stage)
    }

    fn start(&self, host: usize) -> Node {
        let folder = self.folder.path();
        let root = match &self.small_disk {
            Some(disk) if self.setting.is_about(host) => disk.path().to_owned(),
            _ => folder.join(format!("node-{host}")),
        };
        fs::create_dir_all(&root).expect("a folder for a node");
        let also = self.damage.as_ref().filter(|_| self.setting.is_about(host)).map(|damage| damage.address);
        Node::start(&self.lab, host, &root, folder, also)
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.folder.path().join("source")
    }

    /// Starts a sender to all nodes.
    pub(crate) fn send(&self) -> Sender {
        let options = match self.setting {
            Setting::Slow { floor, .. } => vec!["--min-rate", floor],
            _ => Vec::new(),
        };
        self.send_to(&options, &self.nodes)
    }

    /// Starts a sender to some of the nodes.
    pub(crate) fn send_to(&self, options: &[&str], nodes: &[Node]) -> Sender {
        Sender::start(&self.lab, &self.sender, options, &self.source(), nodes)
    }
}

/// A file of that many random bytes in `folder`.
pub(crate) fn make_source(folder: &Path, size: u64) -> PathBuf {
    let path = folder.join("source");
    let mut random = File::open("/dev/urandom").expect("random bytes").take(size);
    let mut file = File::create(&path).expect("the source");
    io::copy(&mut random, &mut file).expect("writing the source");
    path
}
