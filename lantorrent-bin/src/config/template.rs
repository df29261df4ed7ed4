//! Writing a new lt.ini.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use lantorrent_core::store::sync_file;

use super::Sync;
use super::secret::new_password;
use crate::exit::Failure;

/// What a new lt.ini says besides its password.
pub(crate) struct Template<'a> {
    /// `[node] roots`, as they are to stand there.
    pub(crate) roots: &'a [String],
    pub(crate) sync: Sync,
}

/// Writes `file` with a new random password, and never over one that is there.
pub(crate) fn write_new(file: &Path, template: &Template<'_>) -> Result<(), Failure> {
    let cannot = |error: std::io::Error| {
        if error.kind() == ErrorKind::AlreadyExists {
            return Failure::usage(
                format_args!("{} is there already and stays as it is", file.display()),
                "use it, or move it away first",
            );
        }
        Failure::usage(
            format_args!("cannot write {}: {error}", file.display()),
            "give another path with --config",
        )
    };
    let text = render(template, &new_password()?);
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(cannot)?;
    }
    // The mode holds from the first byte on, and an existing file, or a link, is an error.
    let mut open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(cannot)?;
    open.write_all(text.as_bytes()).and_then(|()| sync_file(&open)).map(|_| ()).map_err(|error| {
        // A half-written file would be in the way of the next attempt.
        let _ = std::fs::remove_file(file);
        cannot(error)
    })
}

fn render(template: &Template<'_>, password: &str) -> String {
    let roots = template.roots.join(", ");
    let sync = match template.sync {
        Sync::Yes => "yes",
        Sync::No => "no",
    };
    format!(
        "\
# LANTorrent. Every node and every sender of one group has the same password.
# Who has it may write into the folders of every node: keep this file to yourself (mode 0600).

[security]
password = {password}
# For nodes and senders of version 0.2. Wire 1 is off without it; its password must be another one.
#wire_1_password =

[log]
file = @LANTORRENT_HOME@/log/@PGM@.log
# debug, info, warning, error or critical
level = info

[node]
# The folders that may be written, with commas between them.
roots = {roots}
#listen = 0.0.0.0:2893
# Addresses and ports under which senders reach this node, where those are not its own (address translation).
#also =
# Whether a file is made durable before it counts as written.
sync = {sync}
# Connections at the same time, and how many of them may be of strangers who have not shown the password yet.
#connections = 256
#greetings = 32
# Seconds of silence after which a neighbour in the chain counts as dead.
#dead_after = 3
# How long what is left of a transfer that broke off is kept, for another one to go on with.
#keep_partial = 24h
# Bytes a second that come in at most, and again that are sent on, over all transfers; or 800Mbit, or none.
#limit = none
# How packets are marked that this node sends: a DSCP, as a number up to 63 or a name such as CS1.
#dscp =

[agent]
# The folders whose files may be asked for, with commas between them. Only for the machine that runs the agent.
#repository = /srv/images
# Where HTTP is served; elsewhere than on this machine it takes a token of 16 signs or more.
#listen = 127.0.0.1:2894
#token =
# Where `lantorrent request` finds the agent, if that is another machine.
#url = http://10.0.0.1:2894
# A file's requests are sent when so many wait, or so long after the last one.
#batch = 64
#wait = 5
# Files sent at the same time.
#sends = 2
# Bytes a second that all of them together send at most; `lantorrent limit` changes it while they are sent.
#limit = none
# How what they send is marked.
#dscp =
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Home, Strength};

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/lt.ini");
        let roots = ["/srv/img".to_owned(), "/srv/b c".to_owned()];
        write_new(&file, &Template { roots: &roots, sync: Sync::No }).unwrap();
        let config = Config::load(&file, &Home::find().unwrap()).unwrap();
        assert_eq!(config.roots, [Path::new("/srv/img"), Path::new("/srv/b c")]);
        assert_eq!(config.sync, Some(Sync::No));
        assert!(config.unknown.is_empty() && config.keyring(Strength::Required).is_ok());
    }
}
