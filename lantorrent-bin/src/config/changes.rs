//! In what two configurations differ.

use super::Config;

impl Config {
    /// What a node is started with, by name, that another configuration has otherwise.
    pub(crate) fn differences_for_node(&self, other: &Self) -> Vec<&'static str> {
        let differs = [
            ("[security] password", self.password != other.password),
            ("[security] wire_1_password", self.wire_1_password != other.wire_1_password),
            ("[node] roots", self.roots != other.roots),
            ("[node] listen", self.listen != other.listen),
            ("[node] also", self.also != other.also),
            ("[node] sync", self.sync != other.sync),
            ("[node] connections", self.connections != other.connections),
            ("[node] greetings", self.greetings != other.greetings),
            ("[node] dead_after", self.dead_after != other.dead_after),
            ("[node] keep_partial", self.keep_partial != other.keep_partial),
            ("[node] dscp", self.dscp != other.dscp),
        ];
        differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}
