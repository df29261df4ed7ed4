//! What a request must look like before anything is asked of the queue or the repository.

use lantorrent_core::Target;
use lantorrent_core::wire::limits;

use super::clerk::{Refusal, RefusalKind, Submission};
use super::repository;
use super::request::Wanted;
use crate::text::clean;

const ID_CHARS: usize = 128;
/// They stand in URLs, logs and shell commands as they are.
const ID_SIGNS: &str = "._~:@+-";

/// The request in the form in which it is kept: with an id, and its source in one form.
pub(crate) fn accept(submission: Submission) -> Result<(String, Wanted), Refusal> {
    let id = match submission.id {
        Some(id) => check_id(&id).map(|()| id)?,
        None => random_id()?,
    };
    let Wanted { source, destination, host, port } = submission.wanted;
    check_node(&host, port)?;
    check_destination(&destination)?;
    Ok((id, Wanted { source: repository::normal(&source)?, destination, host, port }))
}

fn malformed(detail: String) -> Refusal {
    Refusal { kind: RefusalKind::Malformed, detail, index: None }
}

/// The beginning of what somebody gave, to be shown to them.
fn start(text: &str) -> String {
    let start: String = text.chars().take(64).collect();
    clean(&start).into_owned()
}

fn check_id(id: &str) -> Result<(), Refusal> {
    let fits = (1..=ID_CHARS).contains(&id.len())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || ID_SIGNS.contains(c))
        // A URL's path does not end with these.
        && !matches!(id, "." | "..");
    fits.then_some(()).ok_or_else(|| {
        let id = start(id);
        malformed(format!(
            "{id:?} is no id of a request; give 1 to {ID_CHARS} letters, digits or signs of {ID_SIGNS}"
        ))
    })
}

/// 128 bits, in hex.
fn random_id() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let detail = format!("cannot draw a random id: {error}; give the request an id");
        Refusal { kind: RefusalKind::Unavailable, detail, index: None }
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn check_node(host: &str, port: u16) -> Result<(), Refusal> {
    if !Target::is_host(host) {
        let host = start(host);
        let advice = "give a name or an address, an IPv6 address without brackets";
        return Err(malformed(format!("{host:?} is no host; {advice}")));
    }
    if port == 0 {
        return Err(malformed("there is no port 0; give 1 to 65535".into()));
    }
    Ok(())
}

fn check_destination(path: &str) -> Result<(), Refusal> {
    let why = match path {
        _ if path.len() > limits::FILENAME_BYTES => "is longer than any path",
        _ if !path.starts_with('/') => "is not absolute",
        _ if path.ends_with('/') => "is a folder",
        _ if path.contains(char::is_control) => "has a control character in it",
        _ => return Ok(()),
    };
    let path = start(path);
    Err(malformed(format!("the destination {path} {why}; give the absolute path of a file on the node")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Wanted {
        Wanted { source: "/srv/a".into(), destination: "/dst/a".into(), host: "10.77.0.1".into(), port: 2893 }
    }

    fn accepted(id: Option<&str>, wanted: Wanted) -> bool {
        match accept(Submission { id: id.map(Into::into), wanted }) {
            Ok(_) => true,
            Err(refusal) => {
                assert_eq!(refusal.kind, RefusalKind::Malformed);
                assert!(!refusal.detail.chars().any(char::is_control), "{}", refusal.detail);
                false
            }
        }
    }

    #[test]
    fn ids() {
        for id in ["a", "A-b_c", "urn:x@y+z~1", "...", &"x".repeat(128)] {
            assert!(accepted(Some(id), wanted()), "{id}");
        }
        for id in ["", ".", "..", "a b", "a/b", "a\n", "ä", "a%20", &"x".repeat(129)] {
            assert!(!accepted(Some(id), wanted()), "{id}");
        }
    }

    #[test]
    fn without_an_id_each_gets_its_own() {
        let draw = || accept(Submission { id: None, wanted: wanted() }).unwrap().0;
        let (one, other) = (draw(), draw());
        assert_ne!(one, other);
        assert!(one.len() == 32 && check_id(&one).is_ok());
    }

    #[test]
    fn nodes_and_paths() {
        for host in ["vmm1", "::1", "fe80::1%eth0", "10.0.0.1"] {
            assert!(accepted(None, Wanted { host: host.into(), ..wanted() }), "{host}");
        }
        for host in ["", "a b", "[::1]", "a/b", "a\n", &"x".repeat(256)] {
            assert!(!accepted(None, Wanted { host: host.into(), ..wanted() }), "{host}");
        }
        assert!(!accepted(None, Wanted { port: 0, ..wanted() }));
        for path in ["", "a", "/", "/a/", "/a\0b", &format!("/{}", "x".repeat(limits::FILENAME_BYTES))] {
            assert!(!accepted(None, Wanted { destination: path.into(), ..wanted() }), "{path:?}");
            assert!(!accepted(None, Wanted { source: path.into(), ..wanted() }), "{path:?}");
        }
    }

    #[test]
    fn a_source_has_one_form() {
        let wanted = Wanted { source: "//srv/./x//a.img".into(), ..wanted() };
        let (_, wanted) = accept(Submission { id: None, wanted }).unwrap();
        assert_eq!(wanted.source, "/srv/x/a.img");
    }
}
