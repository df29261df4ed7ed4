//! What a chain is compared with: relays that know no protocol, check nothing and report nothing. Each is a process of
//! this program, called with `relay`, so that its processor time can be told apart.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice, tee};

/// What the relays move at once, in bytes: as much as an unprivileged pipe may hold.
const AT_ONCE: usize = 1 << 20;

/// How the bytes get from the socket into the file and on to the next socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through a buffer of this process: the least that a program can do that sees them.
    ReadWrite,
    /// Inside the kernel: nobody sees them.
    SpliceTee,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::SpliceTee => "splice-tee",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::ReadWrite, Self::SpliceTee].into_iter().find(|way| way.name() == name)
    }
}

/// The process of one relay: `relay WAY FILE NEXT`, where NEXT is a port of this host, or `-`. Says where it listens, and
/// when it has moved everything waits to be killed, so that its figures can be read.
pub(crate) fn main(arguments: &[&str]) -> io::Result<()> {
    let [way, file, next] = arguments else { return Err(io::Error::other("relay WAY FILE NEXT")) };
    let way = Way::named(way).ok_or_else(|| io::Error::other("no such way"))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("127.0.0.1:{}", listener.local_addr()?.port());
    let (upstream, _) = listener.accept()?;
    let file = File::create(Path::new(file))?;
    let next = match *next {
        "-" => None,
        port => Some(TcpStream::connect(format!("127.0.0.1:{port}"))?),
    };
    match way {
        Way::ReadWrite => read_write(&upstream, &file, next.as_ref())?,
        Way::SpliceTee => splice_tee(&upstream, &file, next.as_ref())?,
    }
    if let Some(mut next) = next {
        next.shutdown(Shutdown::Write)?;
        next.read_exact(&mut [0])?;
    }
    (&upstream).write_all(b"!")?;
    loop {
        std::thread::park();
    }
}

/// Sends a file to a relay, and waits until the last one has it.
pub(crate) fn send(file: &Path, port: u16) -> io::Result<()> {
    let mut socket = TcpStream::connect(("127.0.0.1", port))?;
    io::copy(&mut File::open(file)?, &mut socket)?;
    socket.shutdown(Shutdown::Write)?;
    socket.read_exact(&mut [0])
}

fn read_write(mut upstream: &TcpStream, mut file: &File, next: Option<&TcpStream>) -> io::Result<()> {
    let mut buffer = vec![0; AT_ONCE];
    loop {
        let count = upstream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..count])?;
        if let Some(mut next) = next {
            next.write_all(&buffer[..count])?;
        }
    }
}

fn splice_tee(upstream: &TcpStream, file: &File, next: Option<&TcpStream>) -> io::Result<()> {
    let (for_file, into) = pipe()?;
    let (for_next, copy) = pipe()?;
    fcntl_setpipe_size(&into, AT_ONCE)?;
    fcntl_setpipe_size(&copy, AT_ONCE)?;
    loop {
        let count = splice(upstream, None, &into, None, AT_ONCE, SpliceFlags::MOVE)?;
        if count == 0 {
            return Ok(());
        }
        if let Some(next) = next {
            let mut left = count;
            while left > 0 {
                let copied = tee(&for_file, &copy, left, SpliceFlags::empty())?;
                drain(for_next.as_fd(), next.as_fd(), copied)?;
                // What was copied is next in both pipes, so the file gets it before more is copied.
                drain(for_file.as_fd(), file.as_fd(), copied)?;
                left -= copied;
            }
        } else {
            drain(for_file.as_fd(), file.as_fd(), count)?;
        }
    }
}

fn drain(from: BorrowedFd<'_>, to: BorrowedFd<'_>, mut count: usize) -> io::Result<()> {
    while count > 0 {
        count -= splice(from, None, to, None, count, SpliceFlags::MOVE | SpliceFlags::MORE)?;
    }
    Ok(())
}
