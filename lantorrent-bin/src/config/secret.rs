//! Passwords: which are good enough, and making a new one.

use std::fmt;

use lantorrent_core::wire::{Keyring, Password, PasswordError};

use super::Config;
use crate::exit::Failure;

/// The password that version 0.2 came with.
const KNOWN_TO_ALL: &str = "nimbus";
/// What takes longer to guess than anybody has, if it is random.
const LEAST_BYTES: usize = 16;

/// A password or a token. It is in no message, whoever writes one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn get(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What is asked of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    /// That nobody can guess it.
    Required,
    /// Nothing but that there is one.
    Waived,
}

impl Config {
    /// The passwords, if they are good enough.
    pub(crate) fn keyring(&self, strength: Strength) -> Result<Keyring, Failure> {
        let file = self.file.display();
        let password = self.password.as_ref().map_or("", Secret::get);
        if password.is_empty() {
            return Err(Failure::usage(
                format_args!("there is no password in {file}"),
                "set `password` in [security] to that of the other nodes, or move the file away and run \
                 `lantorrent init`",
            ));
        }
        let wire_1 = self.wire_1_password.as_ref().map(Secret::get).filter(|password| !password.is_empty());
        if strength == Strength::Required {
            refuse_weak(password).map_err(|what| {
                Failure::usage(
                    format_args!("the password in {file} {what}"),
                    "use one of `lantorrent init`, or --weak-password",
                )
            })?;
            if let Some(wire_1) = wire_1 {
                refuse_weak(wire_1).map_err(|what| {
                    Failure::usage(
                        format_args!("wire_1_password in {file} {what}"),
                        "change it, or use --weak-password",
                    )
                })?;
            }
        }
        let unusable = |error: PasswordError| {
            Failure::usage(
                format_args!("{file}: {error}"),
                "change `password` or `wire_1_password` in [security]",
            )
        };
        let keys = Keyring::new(Password::new(password).map_err(unusable)?);
        let Some(wire_1) = wire_1 else { return Ok(keys) };
        Password::new(wire_1).and_then(|wire_1| keys.with_wire_1(wire_1)).map_err(unusable)
    }
}

fn refuse_weak(password: &str) -> Result<(), String> {
    if password == KNOWN_TO_ALL {
        return Err(format!("is `{KNOWN_TO_ALL}`, which everybody knows"));
    }
    if password.len() < LEAST_BYTES {
        return Err(format!("is shorter than {LEAST_BYTES} bytes and can be guessed"));
    }
    Ok(())
}

/// 256 random bits in hex: nothing in it means anything in an ini file.
pub(crate) fn new_password() -> Result<String, Failure> {
    use std::fmt::Write;
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::local(format_args!("the system gives no random bytes: {error}"), "try again")
    })?;
    Ok(bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(password: Option<&str>, wire_1: Option<&str>) -> Config {
        let (password, wire_1_password) = (password.map(Secret::new), wire_1.map(Secret::new));
        Config { password, wire_1_password, ..Config::default() }
    }

    #[test]
    fn rules() {
        let good = "0123456789abcdef";
        let other = "fedcba9876543210";
        let refused = |password, wire_1, strength| config(password, wire_1).keyring(strength).is_err();
        assert!(!refused(Some(good), None, Strength::Required));
        assert!(!refused(Some(good), Some(other), Strength::Required));
        assert!(!refused(Some(good), Some(""), Strength::Required));
        assert!(refused(Some("nimbus"), None, Strength::Required));
        assert!(refused(Some(&good[1..]), None, Strength::Required));
        assert!(refused(Some(good), Some("nimbus"), Strength::Required));
        assert!(refused(Some(good), Some(good), Strength::Required));
        assert!(!refused(Some("nimbus"), Some("guess"), Strength::Waived));
        assert!(refused(Some("nimbus"), Some("nimbus"), Strength::Waived));
        assert!(refused(None, None, Strength::Waived));
        assert!(refused(Some(""), Some(other), Strength::Waived));
    }

    #[test]
    fn new_passwords_are_long_and_differ() {
        let (one, other) = (new_password().unwrap(), new_password().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, other);
    }
}
