//! Whether two files are the same, byte by byte.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::interrupt::Interrupt;
use crate::exit::Failure;

const BLOCK: usize = 1 << 20;

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Identical,
    /// From the block at this offset on.
    Differs(u64),
    Missing,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identical => f.write_str("identical"),
            Self::Differs(offset) => write!(f, "DIFFERENT, within {BLOCK} bytes from offset {offset} on"),
            Self::Missing => f.write_str("MISSING"),
        }
    }
}

pub(super) fn files(source: &Path, copy: &Path, interrupt: &Interrupt) -> Result<Verdict, Failure> {
    let mut copied = match File::open(copy) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Verdict::Missing),
        copied => copied.map_err(|error| cannot(copy, &error))?,
    };
    let mut original = File::open(source).map_err(|error| cannot(source, &error))?;
    let (mut one, mut other) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
    let mut offset = 0;
    loop {
        interrupt.check()?;
        block(&mut original, &mut one).map_err(|error| cannot(source, &error))?;
        block(&mut copied, &mut other).map_err(|error| cannot(copy, &error))?;
        if one != other {
            return Ok(Verdict::Differs(offset));
        }
        if one.is_empty() {
            return Ok(Verdict::Identical);
        }
        offset += one.len() as u64;
    }
}

fn block(file: &mut File, block: &mut Vec<u8>) -> std::io::Result<()> {
    block.clear();
    file.take(BLOCK as u64).read_to_end(block).map(drop)
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::local(format_args!("cannot read {}: {error}", path.display()), "run the demo again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_makes_the_difference() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        let mut content = vec![7; BLOCK + 3];
        let mut verdict = |change: &dyn Fn(&mut Vec<u8>)| {
            std::fs::write(&one, &content).unwrap();
            change(&mut content);
            std::fs::write(&other, &content).unwrap();
            files(&one, &other, &Interrupt::never()).unwrap()
        };
        assert_eq!(verdict(&|_| {}), Verdict::Identical);
        assert_eq!(verdict(&|content| content[BLOCK + 2] = 8), Verdict::Differs(BLOCK as u64));
        assert_eq!(verdict(&|content| content[0] = 8), Verdict::Differs(0));
        assert_eq!(verdict(&|content| content.truncate(BLOCK)), Verdict::Differs(BLOCK as u64));
        assert_eq!(verdict(&|content| content.push(0)), Verdict::Differs(BLOCK as u64));
        assert_eq!(files(&one, "/nonexistent".as_ref(), &Interrupt::never()).unwrap(), Verdict::Missing);
    }
}
