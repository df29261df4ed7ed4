//! What a chain is measured by: one copy of the file over one link.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::Scale;
use super::folder::Folder;
use super::network::{Lab, address};
use super::stage::make_source;
use super::turn::Turn;

/// How long a plain copy takes from the source to one node, over TCP and into a file. None after saying that it is
/// skipped.
pub(crate) fn direct_copy(scale: Scale) -> Option<Duration> {
    let _turn = Turn::take();
    // With as many hosts as any other run has.
    let lab = Lab::new(scale.nodes + 1, scale.rate)?;
    let folder = Folder::new(scale)?;
    let source = make_source(folder.path(), scale.size);
    let listener = lab.inside(1, || TcpListener::bind((address(1), 1))).expect("a listener on host 1");
    let copy = folder.path().join("copy");
    let started = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| receive(&listener, File::create(&copy)?));
        let stream = lab.inside(0, || TcpStream::connect((address(1), 1)))?;
        send(File::open(&source)?, stream)
    })
    .expect("a plain copy");
    Some(started.elapsed())
}

fn receive(listener: &TcpListener, mut file: File) -> io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    io::copy(&mut stream, &mut file)?;
    stream.write_all(b"!")
}

/// Until the other side says that it has everything.
fn send(mut file: File, mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut file, &mut stream)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_exact(&mut [0])
}
