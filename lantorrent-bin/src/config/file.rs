//! Reading lt.ini.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ini::{self, Entry};
use super::{Config, Home, Secret, value};
use crate::exit::Failure;
use crate::lines;
use crate::text::shell_word;

/// What is longer is something else.
const MOST_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads `file`, which nobody but its owner may be able to read.
    pub(crate) fn load(file: &Path, home: &Home) -> Result<Self, Failure> {
        let text = read(file)?;
        let mut config = Self::parse(&text, home.known())
            .map_err(|what| Failure::usage(format_args!("{}: {what}", file.display()), "correct the file"))?;
        file.clone_into(&mut config.file);
        Ok(config)
    }

    /// The usual file, for a client that can do without: if it is not there, or belongs to another user, nothing is
    /// configured.
    pub(crate) fn of_client(home: &Home) -> Result<Self, Failure> {
        let Ok(file) = home.config() else { return Ok(Self::default()) };
        match File::open(&file).map_err(|error| error.kind()) {
            Err(ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory) => {
                Ok(Self { file, ..Self::default() })
            }
            _ => Self::load(&file, home),
        }
    }

    fn parse(text: &[u8], home: Option<&Path>) -> Result<Self, String> {
        let mut config = Self::default();
        let mut seen: Vec<(String, usize)> = Vec::new();
        for Entry { line, section, key, value } in ini::read(text)? {
            let Some(key) = key else {
                config.unknown.extend(unknown_section(line, section));
                continue;
            };
            if !is_known(section) {
                continue;
            }
            let name = if section.is_empty() { key.clone() } else { format!("[{section}] {key}") };
            match config.set(section, &key, value, home) {
                Ok(true) => {}
                Ok(false) => {
                    config.unknown.push(unknown_key(line, section, &key));
                    continue;
                }
                Err(error) => return Err(format!("line {line}: {name}: {error}")),
            }
            // Which of the two counts would be a guess.
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == name) {
                return Err(format!("line {line}: {name} stands there twice, first in line {first}"));
            }
            seen.push((name, line));
        }
        Ok(config)
    }

    /// Takes one value over. False if there is no such key.
    fn set(&mut self, section: &str, key: &str, text: &str, home: Option<&Path>) -> Result<bool, String> {
        match (section, key) {
            ("security", "password") => self.password = Some(Secret::new(text)),
            ("security", "wire_1_password") => self.wire_1_password = Some(Secret::new(text)),
            ("log", "file") => self.log_file = optional_path(text, home)?,
            ("log", "level") => self.log_level = Some(value::level(text)?),
            ("db", "file") => self.db = optional_path(text, home)?,
            ("node", "roots") => self.roots = value::roots(text, home)?,
            ("node", "listen") => self.listen = Some(value::address(text)?),
            ("node", "also") => self.also = value::addresses(text)?,
            ("node", "sync") => self.sync = Some(value::sync(text)?),
            ("node", "connections") => self.connections = Some(value::connections(text)?),
            ("node", "greetings") => self.greetings = Some(value::connections(text)?),
            ("node", "dead_after") => self.dead_after = Some(value::dead_after(text)?),
            ("node", "keep_partial") => self.keep_partial = Some(value::time(text)?),
            ("node", "limit") => self.limit = Some(value::limit(text)?),
            ("node", "dscp") => self.dscp = Some(value::dscp(text)?),
            ("agent", _) => return self.agent.set(key, text, home),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// All sections and their keys.
const KNOWN: [(&str, &[&str]); 5] = [
    ("security", &["password", "wire_1_password"]),
    ("log", &["file", "level"]),
    ("db", &["file"]),
    (
        "node",
        &[
            "roots",
            "listen",
            "also",
            "sync",
            "connections",
            "greetings",
            "dead_after",
            "keep_partial",
            "limit",
            "dscp",
        ],
    ),
    (
        "agent",
        &[
            "listen",
            "socket",
            "token",
            "url",
            "repository",
            "topology",
            "batch",
            "wait",
            "sends",
            "limit",
            "dscp",
            "attempts",
            "retry",
            "keep",
        ],
    ),
];

fn is_known(section: &str) -> bool {
    section.is_empty() || KNOWN.iter().any(|(known, _)| *known == section)
}

/// What to say of a section that this version does not know. Its name is shown only where it is nearly that of a known one:
/// anything else may be a secret that has lost its place.
fn unknown_section(line: usize, section: &str) -> Option<String> {
    if is_known(section) && !section.is_empty() {
        return None;
    }
    let word = section.to_ascii_lowercase();
    Some(match lines::nearest(&word, KNOWN.map(|(known, _)| known)) {
        Some(known) => {
            format!("line {line}: the section [{section}] is unknown and ignored; the nearest is [{known}]")
        }
        None => format!("line {line}: this section is unknown, and ignored with all that is in it"),
    })
}

/// The same for a key.
fn unknown_key(line: usize, section: &str, key: &str) -> String {
    let keys = KNOWN.iter().find(|(known, _)| *known == section).map_or(&[][..], |(_, keys)| keys);
    let elsewhere = KNOWN.iter().find(|(_, keys)| keys.contains(&key));
    match (elsewhere, lines::nearest(key, keys.iter().copied())) {
        (Some((other, _)), _) => format!("line {line}: {key} is ignored, as it belongs in [{other}]"),
        (None, Some(known)) => {
            format!("line {line}: [{section}] {key} is unknown and ignored; the nearest is {known}")
        }
        (None, None) => format!("line {line}: this key is unknown and ignored"),
    }
}

fn optional_path(text: &str, home: Option<&Path>) -> Result<Option<PathBuf>, String> {
    if text.is_empty() { Ok(None) } else { value::path(text, home).map(Some) }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let cannot = |error: std::io::Error| {
        let advice = if error.kind() == ErrorKind::NotFound {
            "run `lantorrent init`, or copy lt.ini from a node that has it"
        } else {
            "run as the user who owns it, or give another with --config"
        };
        Failure::usage(format_args!("cannot read {}: {error}", file.display()), advice)
    };
    let mut open = File::open(file).map_err(cannot)?;
    let mode = open.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let word = file.to_string_lossy();
        return Err(Failure::usage(
            format_args!("{} holds a password and others may use it (mode {mode:03o})", file.display()),
            format_args!("run `chmod 600 {}`", shell_word(&word)),
        ));
    }
    let mut text = Vec::new();
    open.by_ref().take(MOST_BYTES + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > MOST_BYTES {
        return Err(Failure::usage(
            format_args!("{} is longer than 1 MiB", file.display()),
            "correct the file",
        ));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sync;
    use lantorrent_core::Dscp;
    use log::LevelFilter;
    use std::time::Duration;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text.as_bytes(), Some("/home/lt".as_ref()))
    }

    fn secret(config: &Config) -> Option<&str> {
        config.password.as_ref().map(Secret::get)
    }

    #[test]
    fn the_file_of_version_0_2() {
        let config = parse(
            "[security]\npassword=nimbus\n\n[log]\nfile=@LANTORRENT_HOME@/log/lantorrent.@PGM@.log\n\
             level=debug\n[db]\nfile=@LANTORRENT_HOME@/etc/req.db\n",
        )
        .unwrap();
        assert_eq!(secret(&config), Some("nimbus"));
        assert_eq!(config.log_file.as_deref(), Some("/home/lt/log/lantorrent.lantorrent.log".as_ref()));
        assert_eq!(config.log_level, Some(LevelFilter::Debug));
        assert!(config.unknown.is_empty());
    }

    #[test]
    fn our_sections() {
        let config = parse(
            "[node]\nroots = /srv/img, @LANTORRENT_HOME@/files ,\nlisten = [::]:1\nalso = 10.0.0.7:2893,10.0.1.7:1\n\
             Sync = no\nconnections = 7\ngreetings = 5\ndead_after = 1.5\nkeep_partial = 2d\nlimit = 100M\n\
             dscp = AF11\n",
        )
        .unwrap();
        assert_eq!(config.roots, [Path::new("/srv/img"), Path::new("/home/lt/files")]);
        assert_eq!(config.also.len(), 2);
        assert_eq!((config.sync, config.connections, config.greetings), (Some(Sync::No), Some(7), Some(5)));
        assert_eq!(config.dead_after, Some(Duration::from_millis(1500)));
        assert_eq!(config.keep_partial, Some(Duration::from_secs(172_800)));
        assert_eq!((config.limit, config.dscp), (Some(100 << 20), Dscp::new(10)));
        assert!(config.unknown.is_empty());
    }

    #[test]
    fn the_agent() {
        let config = parse(
            "[db]\nfile = /var/lib/lt/req.db\n[agent]\nlisten = 10.0.0.1:2894\nsocket = @LANTORRENT_HOME@/a.sock\n\
             token = 0123456789abcdef\nurl = http://10.0.0.1:2894\nrepository = /srv/images, /srv/more\n\
             topology = /etc/racks\nbatch = 100\nwait = 1.5\nsends = 3\nattempts = 5\nretry = 1m\nkeep = 2d\n\
             limit = 800Mbit\ndscp = 8\n",
        )
        .unwrap();
        let agent = config.agent;
        assert_eq!(config.db.as_deref(), Some("/var/lib/lt/req.db".as_ref()));
        assert_eq!(agent.listen, Some("10.0.0.1:2894".parse().unwrap()));
        assert_eq!(agent.socket.as_deref(), Some("/home/lt/a.sock".as_ref()));
        assert_eq!(agent.token.as_ref().map(Secret::get), Some("0123456789abcdef"));
        assert_eq!(agent.url.as_deref(), Some("http://10.0.0.1:2894"));
        assert_eq!(agent.repository, [Path::new("/srv/images"), Path::new("/srv/more")]);
        assert_eq!(agent.topology.as_deref(), Some("/etc/racks".as_ref()));
        assert_eq!((agent.batch, agent.sends, agent.attempts), (Some(100), Some(3), Some(5)));
        assert_eq!(agent.wait, Some(Duration::from_millis(1500)));
        assert_eq!((agent.limit, agent.dscp), (Some(100_000_000), Dscp::new(8)));
        assert_eq!(agent.retry, Some(Duration::from_secs(60)));
        assert_eq!(agent.keep, Some(Duration::from_secs(172_800)));
        assert!(config.unknown.is_empty());
    }

    #[test]
    fn passwords_come_through_as_they_stand() {
        for password in
            [r"back\slash", r"ends in \", "\"quoted\"", "it's;#=:,@PGM@", "%(x)s", "ä€", r"\x41\n"]
        {
            for end in ["\n", "\r\n", ""] {
                let text = format!("[security]{end}\npassword = {password}{end}");
                let config = parse(&text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
                assert_eq!(secret(&config), Some(password), "{text:?}");
            }
            let config = parse(&format!("[security]\npassword={password}\n[node]\nsync=yes\n")).unwrap();
            assert_eq!((secret(&config), config.sync), (Some(password), Some(Sync::Yes)));
        }
    }

    #[test]
    fn unknown_names_are_told_with_the_nearest_known_one() {
        let config = parse(
            "stray = 1\npassword = s3cret\n[security]\npasword = s3cret\ns3cret = s3cret\nroots = /\n[nodes]\nroots = /\n\
             [s3cret]\n[Agent]\n[agent]\nx = 1\nkeep_partial = 1\n[]\n",
        );
        let unknown = config.unwrap().unknown;
        for (said, line, part) in [
            (0, 1, "unknown and ignored"),
            (1, 2, "belongs in [security]"),
            (2, 4, "[security] pasword is unknown and ignored; the nearest is password"),
            (3, 5, "this key is unknown"),
            (4, 6, "roots is ignored, as it belongs in [node]"),
            (5, 7, "[nodes] is unknown and ignored; the nearest is [node]"),
            (6, 9, "this section is unknown"),
            (7, 10, "the nearest is [agent]"),
            (8, 12, "this key is unknown"),
            (9, 13, "belongs in [node]"),
            (10, 14, "this section is unknown"),
        ] {
            let text = &unknown[said];
            assert!(text.starts_with(&format!("line {line}: ")) && text.contains(part), "{text}");
            assert!(!text.contains("s3cret"), "{text}");
        }
        assert_eq!(unknown.len(), 11);
    }

    #[test]
    fn every_key_is_on_the_list_of_the_known_ones() {
        for (section, keys) in KNOWN {
            for key in keys {
                let known = Config::default().set(section, key, "", Some("/".as_ref()));
                assert!(!matches!(known, Ok(false)), "[{section}] {key}");
            }
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = parse(
            "[security]\npassword = s3cret\nwire_1_password = s3cret\n[agent]\ntoken = s3cret-s3cret-s3cret\n",
        );
        let config = config.unwrap();
        assert!(!format!("{config:?} {config:#?}").contains("s3cret"));
        for text in ["[agent]\ntoken = s3cret\n", "[security]\npassword = s3cret\npassword = s3cret\n"] {
            let error = parse(text).map(drop).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, part) in [
            ("[log]\nlevel = loud\n", "[log] level"),
            ("[node]\nroots = srv\n", "begins with /"),
            ("[node]\nlisten = 2893\n", "[node] listen"),
            ("[node]\nalso = 10.0.0.1:1,host:2\n", "host:2"),
            ("[node]\nsync = maybe\n", "yes or no"),
            ("[node]\nconnections = 0\n", "at least 1"),
            ("[node]\ngreetings = 0\n", "at least 1"),
            ("[node]\ndead_after = 0.1\n", "from 1 s"),
            ("[node]\ndead_after = soon\n", "a time such as"),
            ("[node]\nkeep_partial = -1h\n", "a time such as"),
            ("[node]\nkeep_partial = 1e9h\n", "a time such as"),
            ("[node]\nlimit = slow\n", "not a rate such as"),
            ("[agent]\nlimit = 10\n", "at least 1024"),
            ("[node]\ndscp = 64\n", "0 to 63"),
            ("[agent]\nbatch = 0\n", "1 to 10000"),
            ("[agent]\ntoken = short\n", "16 or more"),
            ("[agent]\nwait = soon\n", "a time such as"),
            ("[security]\npassword = a\npassword = b\n", "twice"),
            ("[security]\nhello\npassword = b\n", "line 2"),
            ("[security]\npassword\n", "line 2: it is no `key = value`"),
            ("[security\npassword = x", "line 1: the bracket"),
        ] {
            let error = parse(text).map(drop).expect_err(text);
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
