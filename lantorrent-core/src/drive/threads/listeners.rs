//! Sockets at which other processes of the same node ask this one to give way or to take over a connection, and its answers.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use socket2::SockRef;

use super::handover::{self, Received};
use crate::session::{Answer, Ask};

/// Bytes of a question, or of an answer.
const LINE_BYTES: usize = 4096;
/// For a question to come, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// Only processes of the same user are believed: anyone can take a name without a file.
pub(super) fn belongs_to(stream: &UnixStream, user: u32) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid.as_raw() == user)
}

pub(super) fn read_line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(io::Read::take(stream, LINE_BYTES as u64)).read_line(&mut line)?;
    Ok(line)
}

/// The names under which this process can be asked. They are free again, and no process is answered any more, soon after
/// this is dropped.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Arc<Listener>>);

#[derive(Debug)]
struct Listener {
    listener: UnixListener,
    closed: AtomicBool,
}

/// What another process wants.
#[derive(Debug)]
pub(super) enum Asked {
    /// That this one gives way.
    ToGiveWay(Ask, UnixStream),
    /// That this one takes over a connection.
    ToTakeOver(Received),
}

impl Listeners {
    /// From now on what is asked there is for `hear`, which must not wait for long.
    pub(super) fn open(&mut self, listener: UnixListener, user: u32, hear: impl Fn(Asked) + Send + 'static) {
        let listener = Arc::new(Listener { listener, closed: AtomicBool::new(false) });
        let serving = Arc::clone(&listener);
        let serve = move || serving.serve(user, hear);
        match thread::Builder::new().name("siblings".into()).spawn(serve) {
            Ok(_) => self.0.push(listener),
            Err(error) => log::error!("no thread to be asked by other processes: {error}"),
        }
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        for listener in &self.0 {
            listener.closed.store(true, Ordering::Release);
            // Wakes the thread that waits in accept, which has the name for as long as it runs.
            let _ = SockRef::from(&listener.listener).shutdown(Shutdown::Both);
        }
    }
}

impl Listener {
    fn serve(&self, user: u32, hear: impl Fn(Asked)) {
        loop {
            let asked = self.listener.accept();
            if self.closed.load(Ordering::Acquire) {
                return;
            }
            match asked.and_then(|(stream, _)| read_question(stream, user)) {
                Ok(Some(asked)) => hear(asked),
                // It only wanted to know whether a process is here.
                Ok(None) => {}
                Err(error) => {
                    log::warn!("a process of this machine asked for nothing that makes sense: {error}");
                    // Where no descriptor is left, there will be.
                    thread::sleep(Duration::from_millis(10));
                }
            }
        }
    }
}

fn read_question(stream: UnixStream, user: u32) -> io::Result<Option<Asked>> {
    if !belongs_to(&stream, user) {
        return Err(io::Error::other("it belongs to another user"));
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (line, handed) = handover::receive(&stream, LINE_BYTES)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(match handed {
        None => Asked::ToGiveWay(serde_json::from_slice(&line)?, stream),
        Some(socket) => Asked::ToTakeOver(Received::new(&line, socket, stream)?),
    }))
}

/// Processes that have asked the session. One that was not refused learns by the end of the connection, when this is
/// dropped, that the files are free, or the results known.
#[derive(Debug, Default)]
pub(super) struct Askers {
    /// Without an answer yet, in order.
    waiting: VecDeque<UnixStream>,
    patient: Vec<UnixStream>,
}

impl Askers {
    pub(super) fn add(&mut self, stream: UnixStream) {
        self.waiting.push_back(stream);
    }

    /// The session has answered the first of them.
    pub(super) fn answer(&mut self, answer: Answer) {
        let Some(stream) = self.waiting.pop_front() else { return };
        say(&stream, answer);
        if answer != Answer::No {
            self.patient.push(stream);
        }
    }
}

/// Answers another process, which may be gone.
pub(super) fn say(mut stream: &UnixStream, answer: Answer) {
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    let _ = stream.write_all(&line);
}
