//! What this process may have of the system. As `/proc` says it, since some sandboxes refuse the call (`prlimit64`).

use rustix::process::{Resource, Rlimit, getrlimit};

/// The limit on a resource: one on open files, the size of files, the address space or data. None is no limit.
pub fn rlimit(resource: Resource) -> Rlimit {
    match std::fs::read_to_string("/proc/self/limits") {
        Ok(text) => parse(&text, resource).unwrap_or(Rlimit { current: None, maximum: None }),
        Err(_) => getrlimit(resource),
    }
}

fn parse(text: &str, resource: Resource) -> Option<Rlimit> {
    let name = match resource {
        Resource::Nofile => "Max open files",
        Resource::Fsize => "Max file size",
        Resource::As => "Max address space",
        Resource::Data => "Max data size",
        _ => return None,
    };
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    // What is no number says `unlimited`.
    let mut limits = line.split_whitespace().map(|limit| limit.parse().ok());
    Some(Rlimit { current: limits.next()?, maximum: limits.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sources_agree() {
        for resource in [Resource::Nofile, Resource::Fsize, Resource::As, Resource::Data] {
            let (said, asked) = (rlimit(resource), getrlimit(resource));
            assert_eq!((said.current, said.maximum), (asked.current, asked.maximum), "{resource:?}");
        }
    }

    #[test]
    fn numbers_and_their_lack_are_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max file size             4096                 unlimited            bytes     \n";
        let limit = parse(text, Resource::Fsize).unwrap();
        assert_eq!((limit.current, limit.maximum), (Some(4096), None));
        assert!(parse(text, Resource::Nofile).is_none());
    }
}
